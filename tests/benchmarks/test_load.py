"""The benchmark's upstream and its client, on real sockets."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import proc
import upstream
from load import CHAT, MESSAGES, LoadError, OpenLoop, chat_body, hold_open, messages_body, request, scattered, steady
from measure import percentile
from servers import Command, Server, StartError, free_port, running

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc on this platform")

CORES = set(proc.cores())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The upstream of the streams."""
    port = free_port()
    command = Command([sys.executable, upstream.__file__, str(port)])
    with running(command, port, tmp_path_factory.mktemp("upstream"), CORES) as started:
        yield started


def question(model: str, *, stream: bool, padding: int = 0) -> bytes:
    return request(CHAT, {"content-type": "application/json"}, chat_body(model, stream=stream, padding=padding))


def events(answer: bytes) -> list[bytes]:
    """The data of a chunked stream of events; each event is one chunk."""
    return [line.removeprefix(b"data: ") for line in answer.split(b"\n") if line.startswith(b"data: ")]


def test_a_chat_stream_has_fifty_events_in_two_hundred_milliseconds(server: Server) -> None:
    done = OpenLoop(server.port, question("bench", stream=True), [0.0], 1).run()
    *found, last = events(done.answer)
    assert last == b"[DONE]"
    assert len(found) == upstream.EVENTS
    chunks = [json.loads(event) for event in found]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert 0.2 < done.latencies[0] < 10


def test_an_anthropic_stream_has_fifty_events(server: Server) -> None:
    done = OpenLoop(server.port, request(MESSAGES, {}, messages_body("bench")), [0.0], 1).run()
    found = [json.loads(event) for event in events(done.answer)]
    assert len(found) == upstream.EVENTS
    assert found[0]["type"] == "message_start"
    assert found[-1]["type"] == "message_stop"


def test_connections_are_used_again_and_each_answer_is_timed(server: Server) -> None:
    done = OpenLoop(server.port, question("bench", stream=False), steady(200.0, 0.2), 2, server.pid).run()
    assert len(done.latencies) == 40
    assert all(0 < latency < 10 for latency in done.latencies)
    assert done.answer.endswith(b"}")
    assert 0 < done.cpu < 10


def test_a_question_that_finds_no_connection_waits_and_that_counts(server: Server) -> None:
    done = OpenLoop(server.port, question("bench", stream=True), [0.0, 0.0, 0.0], 1).run()
    first, second, third = sorted(done.latencies)
    assert second - first > 0.19  # a stream takes 0.2 s
    assert third - second > 0.19


def test_a_body_of_megabytes_is_read_before_it_is_answered(server: Server) -> None:
    done = OpenLoop(server.port, question("bench", stream=False, padding=3_000_000), [0.0], 1).run()
    assert b"Read." in done.answer


def test_idle_streams_are_open_at_the_same_time(server: Server) -> None:
    counts: list[int] = []

    def count() -> None:
        counts.append(len(list(Path(f"/proc/{server.pid}/fd").iterdir())))

    hold_open(server.port, question("idle", stream=True), 50, count)
    assert counts[0] >= 50


def test_an_answer_that_is_none_ends_the_run(tmp_path: Path) -> None:
    port = free_port()
    serving = Command([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"])
    with running(serving, port, tmp_path, CORES) as other, pytest.raises(LoadError, match="answered with 501"):
        OpenLoop(other.port, question("bench", stream=False), [0.0], 1).run()


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    command = Command([sys.executable, "-c", "print('no such option'); raise SystemExit(3)"])
    with pytest.raises(StartError, match="exit code 3: no such option"), running(command, free_port(), tmp_path, CORES):
        pass


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartError), running(Command(["./nothing"]), free_port(), tmp_path, CORES):
        pass


def test_what_was_started_has_ended_when_the_block_ends(tmp_path: Path) -> None:
    port = free_port()
    with running(Command([sys.executable, upstream.__file__, str(port)]), port, tmp_path, CORES) as started:
        assert started.ready > 0
    time.sleep(0.01)
    assert not Path(f"/proc/{started.pid}").exists()


def test_moments_keep_the_rate_and_scattered_ones_are_the_same_each_time() -> None:
    assert steady(4.0, 1.0) == [0.0, 0.25, 0.5, 0.75]
    moments = scattered(1000.0, 2.0)
    assert moments == scattered(1000.0, 2.0)
    assert moments == sorted(moments)
    assert 1.7 < moments[-1] < 2.3


def test_percentiles_are_values_that_occurred() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert percentile(ordered, 50) == 50.0
    assert percentile(ordered, 99) == 99.0
    assert percentile([7.0], 99) == 7.0
