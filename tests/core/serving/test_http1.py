"""The HTTP/1.1 front: one agreed verdict for each of some two hundred raw inputs, and its limits."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.serving.http1_corpus import CASES, GET, POST, REFUSED, Case
from tests.core.serving.http1_front import PROBE, Front, closed_after, exchange, front, pieces_of, reporting, verdict_of


@pytest.fixture(scope="module")
def reporter() -> Iterator[Front]:
    with front() as running:
        yield running


@pytest.mark.parametrize("cut", ["whole", "bytes", "lines"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_raw_input_has_one_verdict_however_it_is_cut(reporter: Front, case: Case, cut: str) -> None:
    pieces = pieces_of(case.data, cut)
    ends = case.closes or REFUSED in case.verdict
    if not ends:
        # Answered behind the case, it shows that the connection lives and that not a byte was left over or taken.
        pieces = [*pieces, PROBE]
    received = exchange(reporter, pieces).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    methods = [answer.split(" ")[1] for answer in case.verdict if answer != REFUSED]
    expected = case.verdict if ends else (*case.verdict, "200 GET /probe 0")
    assert tuple(verdict_of(received, methods)) == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([case for case in CASES if not case.closes and REFUSED not in case.verdict]), max_size=4),
    st.sampled_from([case for case in CASES if REFUSED in case.verdict and len(case.data) < 3000]),
    st.lists(st.integers(1, 4000), max_size=12),
)
def test_good_requests_in_front_of_a_bad_one_are_answered_however_the_bytes_are_cut(
    reporter: Front, good: list[Case], bad: Case, cuts: list[int]
) -> None:
    data = b"".join(case.data for case in good) + bad.data
    ends = sorted({cut for cut in cuts if cut < len(data)})
    pieces = [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]
    expected = [answer for case in (*good, bad) for answer in case.verdict]
    methods = [answer.split(" ")[1] for answer in expected if answer != REFUSED]
    received = exchange(reporter, pieces).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    assert verdict_of(received, methods) == expected


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from([GET, POST, b"", POST + b"Transfer-Encoding: chunked\r\n\r\n"]))
def test_random_bytes_are_refused_or_awaited_and_never_break_the_front(
    reporter: Front, noise: bytes, head: bytes
) -> None:
    with reporter.connect() as client, suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(head + noise)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    assert exchange(reporter, [PROBE]).startswith(b"HTTP/1.1 200 OK")


def test_a_head_that_comes_too_slowly_is_refused() -> None:
    with front(head_seconds=0.3) as running, running.connect() as client:
        client.sendall(GET)
        received, seconds = closed_after(client)
    assert received.startswith(b"HTTP/1.1 408")
    assert seconds < 1.5


def test_a_connection_that_sends_nothing_is_closed() -> None:
    with front(head_seconds=0.3) as running, running.connect() as client:
        assert closed_after(client)[0] == b""


def test_an_idle_connection_is_closed_after_its_time() -> None:
    with front(idle_seconds=0.3) as running, running.connect() as client:
        client.sendall(GET + b"\r\n")
        received, seconds = closed_after(client)
    assert received.startswith(b"HTTP/1.1 200")
    assert 0.2 < seconds < 1.6


def test_a_body_below_the_minimum_rate_is_refused_and_one_above_it_is_not() -> None:
    with front(body_grace=0.4, body_rate=50) as running:
        with running.connect() as slow:
            slow.sendall(POST + b"Content-Length: 100\r\n\r\n1")
            received, seconds = closed_after(slow)
            assert received.startswith(b"HTTP/1.1 408")
            assert seconds < 2
        with running.connect() as fine:
            fine.sendall(POST + b"Content-Length: 100\r\n\r\n")
            for _ in range(10):
                time.sleep(0.1)
                fine.sendall(b"0123456789")
            assert fine.recv(4096).startswith(b"HTTP/1.1 200")


def test_100_continue_is_sent_only_when_the_body_is_wanted() -> None:
    with front() as running, running.connect() as client:
        client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hi")
        assert b"POST /p 2" in client.recv(4096)

    async def unwilling(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with front(unwilling) as running, running.connect() as client:
        client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n")
        received, _ = closed_after(client)
    assert received.startswith(b"HTTP/1.1 413")
    assert b"100 Continue" not in received


@pytest.mark.parametrize("ahead", [b"", GET, GET + b"\r\n", POST + b"Content-Length: 900000\r\n\r\n" + b"x" * 700_000])
def test_a_client_that_leaves_is_noticed_at_once_whatever_waits_behind_its_request(ahead: bytes) -> None:
    seen: list[float] = []
    begun = threading.Event()

    async def silent(scope: dict[str, Any], receive: Any, send: Any) -> None:
        gone = asyncio.Event()
        scope["gateway.cycle"].on_disconnect = gone.set
        begun.set()
        await gone.wait()
        seen.append(time.monotonic())

    with front(silent) as running:
        client = running.connect()
        client.sendall(GET + b"\r\n")
        begun.wait(2)
        client.setblocking(False)
        with suppress(BlockingIOError):
            client.send(ahead)
        time.sleep(0.05)
        left = time.monotonic()
        client.close()
        while not seen and time.monotonic() - left < 2:
            time.sleep(0.005)
    assert seen
    assert seen[0] - left < (0.1 if len(ahead) < 200_000 else 0.7)


def test_receive_tells_an_application_that_waits_that_the_client_left() -> None:
    seen: list[str] = []

    async def waiting(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        seen.append((await receive())["type"])

    with front(waiting) as running:
        client = running.connect()
        client.sendall(GET + b"\r\n")
        time.sleep(0.05)
        client.close()
        time.sleep(0.1)
    assert seen == ["http.disconnect"]


def test_a_client_that_does_not_read_holds_the_application_and_is_cut_at_the_limit() -> None:
    sent = [0]
    cut: list[float] = []

    async def fountain(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["gateway.cycle"].on_disconnect = lambda: cut.append(time.monotonic())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not cut:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent[0] += 65536

    with front(fountain, stall_seconds=0.6) as running, running.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.sendall(GET + b"\r\n")
        time.sleep(0.4)
        held = sent[0]
        time.sleep(0.1)
        assert sent[0] == held
        assert held < 8 * 1024 * 1024
        deadline = time.monotonic() + 3
        while not cut and time.monotonic() < deadline:
            time.sleep(0.01)
    assert cut


def test_an_application_that_does_not_take_the_body_holds_the_client() -> None:
    go = asyncio.Event()

    async def reluctant(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await go.wait()
        await reporting(scope, receive, send)

    with front(reluctant) as running, running.connect() as client:
        client.sendall(POST + b"Content-Length: 30000000\r\n\r\n")
        client.settimeout(0.3)
        sent = 0
        with suppress(TimeoutError):
            while sent < 30_000_000:
                sent += client.send(b"x" * min(65536, 30_000_000 - sent))
        assert sent < 20_000_000
        running.call(go.set)
        client.settimeout(5)
        client.sendall(b"x" * (30_000_000 - sent))
        assert b"POST /p 30000000" in client.recv(4096)


def test_an_application_that_fails_gives_500_or_a_cut_answer() -> None:
    async def failing(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] in ("/late", "/head"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/late":
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise ValueError("a defect")

    with front(failing) as running:
        assert exchange(running, [GET + b"\r\n"]).startswith(b"HTTP/1.1 500")
        assert exchange(running, [GET.replace(b"/g", b"/head") + b"\r\n"]).startswith(b"HTTP/1.1 500")
        with running.connect() as client:
            client.sendall(GET.replace(b"/g", b"/late") + b"\r\n")
            received, _ = closed_after(client)
    assert received.endswith(b"4\r\npart\r\n")


def test_connections_over_the_limit_are_told_so() -> None:
    with front(connections=2) as running, running.connect() as one, running.connect() as two:
        for client in (one, two):
            client.sendall(GET + b"\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        with running.connect() as three:
            assert closed_after(three)[0].startswith(b"HTTP/1.1 503")
        one.close()
        time.sleep(0.05)
        with running.connect() as four:
            four.sendall(GET + b"\r\n")
            assert four.recv(4096).startswith(b"HTTP/1.1 200")


def test_draining_tells_clients_to_go_elsewhere_and_closes_idle_connections() -> None:
    with front() as running, running.connect() as busy, running.connect() as idle:
        for client in (busy, idle):
            client.sendall(GET + b"\r\n")
            client.recv(4096)
        running.call(running.server.stop_listening)
        busy.sendall(GET + b"\r\n")
        assert b"connection: close" in closed_after(busy)[0]
        running.call(running.server.close_idle)
        assert closed_after(idle, 1)[0] == b""
        with pytest.raises(ConnectionRefusedError):
            running.connect()


def test_a_stream_to_http_1_0_ends_with_its_connection() -> None:
    async def streaming(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with front(streaming) as running:
        assert exchange(running, [b"GET /g HTTP/1.0\r\n\r\n"]).endswith(b"\r\n\r\nababab")
        with running.connect() as client:
            client.sendall(GET + b"Connection: close\r\n\r\n")
            assert closed_after(client)[0].endswith(b"\r\n\r\n" + b"2\r\nab\r\n" * 3 + b"0\r\n\r\n")


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x", b"a\nb", b"a\rb", b"a\0b"])
def test_a_header_that_would_be_two_is_never_sent(value: bytes) -> None:
    async def careless(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", value)]})
        await send({"type": "http.response.body", "body": b"secret"})

    with front(careless) as running:
        received = exchange(running, [GET + b"\r\n"])
    assert received.startswith(b"HTTP/1.1 500")
    assert b"set-cookie" not in received
    assert b"secret" not in received
