"""Starting, answering, draining and ending, with real processes and sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.core.serving.served import (
    Client,
    Served,
    fetch,
    open_streams,
    play,
    pulse_toml,
    refuses_connections,
    served,
    wait_until_gone,
)


def test_a_start_says_where_it_serves_and_then_answers(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml(server="workers = 2")) as gateway:
        lines = gateway.log().splitlines()
        assert lines[0] == f"gateway 0.1.0 serves http://127.0.0.1:{gateway.port} (2 workers, gateway.toml)"
        assert lines[1] == f"try: curl http://127.0.0.1:{gateway.port}/v1/models"
        assert fetch(gateway.port, "/word") == (200, "one")
        assert {fetch(gateway.port, path)[0] for path in ("/livez", "/readyz", "/") for _ in range(4)} == {200}
        assert len(gateway.workers()) == 2


def test_the_command_lines_address_beats_the_files(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    gateway = Served(tmp_path, pulse_toml(server='bind = "127.0.0.1:1"'), f"unix:{path}")
    try:
        gateway.wait_for(f"serves unix:{path} (1 worker, gateway.toml)")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /word HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().endswith(b"one")
        gateway.signal(signal.SIGTERM)
        assert gateway.exit_code() == 0
        assert not path.exists()
    finally:
        gateway.close()


def test_an_address_in_use_is_refused_with_the_mend(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gateway = Served(tmp_path, pulse_toml(server=f'bind = "127.0.0.1:{port}"'))
        assert gateway.exit_code() == 1
    assert f'[server] bind = "127.0.0.1:{port}": the address is already in use' in gateway.log()
    assert "--bind" in gateway.log()
    assert "Traceback" not in gateway.log()


def test_a_worker_that_cannot_be_built_ends_the_start_with_its_problem_said_once(tmp_path: Path) -> None:
    gateway = Served(tmp_path, pulse_toml(server="workers = 2", plugin='wrod = "two"'))
    assert gateway.exit_code() == 1
    assert gateway.log().count("wrod") == 1
    assert "the gateway cannot start:" in gateway.log()


def test_a_plugin_that_fails_to_start_ends_the_start(tmp_path: Path) -> None:
    gateway = Served(tmp_path, pulse_toml(plugin="broken = true"))
    assert gateway.exit_code() == 1
    assert "RuntimeError: the pulse is broken" in gateway.log().splitlines()[-1]


def test_a_signal_during_the_start_ends_it(tmp_path: Path) -> None:
    gateway = Served(tmp_path, pulse_toml())
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children")
    start = time.monotonic()
    while not children.read_text():
        assert time.monotonic() - start < 5
    gateway.signal(signal.SIGTERM)
    assert gateway.exit_code(2) == 0
    assert "serves" not in gateway.log()


def test_the_parent_imports_neither_the_server_nor_a_loop_of_its_own() -> None:
    code = (
        "import sys, gateway.serving.supervisor; "
        "print([name for name in ('aiohttp', 'starlette', 'hypercorn', 'h11', 'uvloop') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_sigterm_cuts_no_stream_and_refuses_new_connections_at_once(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        streams = await open_streams(gateway.port, 50, beats=8)
        idle = await Client.connect(gateway.port)
        idle.send("/word")
        assert (await idle.answer())[2] == b"one"
        gateway.signal(signal.SIGTERM)
        assert await refuses_connections(gateway.port) < 0.5
        assert await asyncio.wait_for(idle.at_eof(), 1.0)
        ends = await asyncio.gather(*(stream.rest() for stream in streams))
        finished = time.monotonic()
        assert [end[-40:].endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for end in ends] == [True] * 50
        assert await asyncio.to_thread(gateway.exit_code) == 0
        assert time.monotonic() - finished < 1.0

    with served(tmp_path, pulse_toml(server="workers = 2")) as gateway:
        play(main(gateway))


@pytest.mark.parametrize("http1", ["httptools", "hypercorn"])
def test_a_request_on_an_open_connection_is_answered_while_draining_and_is_its_last(tmp_path: Path, http1: str) -> None:
    async def main(gateway: Served) -> None:
        busy = (await open_streams(gateway.port, 1, beats=10))[0]
        open_before = await Client.connect(gateway.port)
        open_before.send("/word")
        await open_before.answer()
        gateway.signal(signal.SIGTERM)
        await refuses_connections(gateway.port)
        open_before.send("/readyz")
        status, headers, body = await open_before.answer()
        assert (status, body) == (503, b"draining\n")
        assert headers["connection"] == "close"
        assert await open_before.at_eof()
        assert b"[DONE]" in await busy.rest()

    with served(tmp_path, pulse_toml(server=f'http1 = "{http1}"')) as gateway:
        play(main(gateway))


def test_a_second_signal_ends_the_streams_at_once(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        streams = await open_streams(gateway.port, 3, beats=600)
        gateway.signal(signal.SIGINT)
        gateway.wait_for("SIGINT")
        start = time.monotonic()
        gateway.signal(signal.SIGINT)
        assert await asyncio.to_thread(gateway.exit_code) == 130
        assert time.monotonic() - start < 2.5
        for stream in streams:
            assert b"[DONE]" not in await stream.rest()

    with served(tmp_path, pulse_toml(server="workers = 2")) as gateway:
        play(main(gateway))


def test_at_the_drain_limit_open_calls_end_with_an_error_in_their_own_words(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        stream, whole = await Client.connect(gateway.port), await Client.connect(gateway.port)
        for client, how in ((stream, b"true"), (whole, b"false")):
            body = b'{"model":"echo/echo","messages":[{"role":"user","content":"%s"}],"stream":%s}' % (
                b"word " * 99,
                how,
            )
            client.send("/v1/chat/completions", method="POST", headers="Content-Type: application/json\r\n", body=body)
        assert (await stream.head())[0] == 200
        foreign = (await open_streams(gateway.port, 1, beats=600))[0]
        start = time.monotonic()
        gateway.signal(signal.SIGTERM)
        events = await stream.body()
        assert events.count(b"word") > 5
        assert b'"error"' in events.rpartition(b"data: ")[2]
        assert b"[DONE]" not in events
        status, headers, body = await whole.answer()
        assert (status, headers["connection"]) == (503, "close")
        assert b'"error"' in body
        assert b"[DONE]" not in await foreign.rest()
        assert await asyncio.to_thread(gateway.exit_code) == 0
        assert 0.9 < time.monotonic() - start < 2.5

    with served(tmp_path, pulse_toml(server="drain_seconds = 1.0", more="[plugins.echo]\ndelay = 0.1")) as gateway:
        play(main(gateway))


def test_ctrl_c_on_the_terminals_process_group_drains_too(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        stream = (await open_streams(gateway.port, 1, beats=8))[0]
        os.killpg(gateway.process.pid, signal.SIGINT)
        assert b"[DONE]" in await stream.rest()
        assert await asyncio.to_thread(gateway.exit_code) == 0

    with served(tmp_path, pulse_toml(server="workers = 2")) as gateway:
        play(main(gateway))
        assert "Traceback" not in gateway.log()


def test_workers_drain_and_end_by_themselves_when_the_parent_is_killed(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        stream = (await open_streams(gateway.port, 1, beats=8))[0]
        workers = gateway.workers()
        gateway.process.kill()
        gateway.process.wait()
        assert b"[DONE]" in await stream.rest()
        await refuses_connections(gateway.port)
        for pid in workers:
            await asyncio.to_thread(wait_until_gone, pid)

    with served(tmp_path, pulse_toml(server="workers = 2")) as gateway:
        play(main(gateway))


def test_systemd_is_told_when_it_serves_and_when_it_stops(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        with served(tmp_path, pulse_toml(), env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as gateway:
            assert manager.recv(1000).startswith(b"READY=1\n")
            gateway.signal(signal.SIGHUP)
            assert manager.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(1000).startswith(b"READY=1\n")
            gateway.signal(signal.SIGTERM)
            assert manager.recv(1000) == b"STOPPING=1"
            assert gateway.exit_code() == 0
