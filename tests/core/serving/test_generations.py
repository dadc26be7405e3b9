"""New workers take over from old ones without refusing a connection or cutting a stream."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

from tests.core.serving.served import (
    Client,
    Load,
    Served,
    fetch,
    get,
    open_streams,
    play,
    pulse_toml,
    served,
    wait_until_gone,
)


def test_a_changed_number_of_workers_and_sigusr2_start_new_workers_while_streams_run(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        first = set(gateway.workers())
        streams = await open_streams(gateway.port, 10, beats=25)
        async with Load(gateway.port, "/pid", clients=4) as load:
            gateway.file.write_text(pulse_toml(server="workers = 2"))
            await asyncio.to_thread(gateway.wait_for, "taken over by 2 workers")
            second = set(gateway.workers()) - first
            assert len(second) == 2
            await asyncio.sleep(0.1)
            assert {(await get(gateway.port, "/pid"))[1] for _ in range(10)} <= {str(pid) for pid in second}
            gateway.signal(signal.SIGUSR2)
            await asyncio.to_thread(gateway.wait_for, "taken over by 2 workers", times=2)
            third = set(gateway.workers()) - first - second
            assert len(third) == 2
            await asyncio.sleep(0.2)
        assert (load.refused, load.broken) == (0, 0)
        assert {status for status, _ in load.answers} == {200}
        for stream in streams:
            assert (await stream.body()).endswith(b"data: 24\n\ndata: [DONE]\n\n")
            stream.close()
        for pid in first | second:
            await asyncio.to_thread(wait_until_gone, pid)

    with served(tmp_path, pulse_toml()) as gateway:
        play(main(gateway))


def test_a_kept_alive_connection_loses_no_call_when_its_worker_is_replaced(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        client = await Client.connect(gateway.port)
        gateway.signal(signal.SIGUSR2)
        workers: list[bytes] = []
        while len(set(workers)) < 2:
            client.send("/pid")
            status, headers, body = await client.answer()
            assert status == 200
            workers.append(body)
            if headers.get("connection") == "close":
                client = await Client.connect(gateway.port)
            await asyncio.sleep(0.01)

    with served(tmp_path, pulse_toml()) as gateway:
        play(main(gateway))


def test_new_workers_that_fail_leave_the_old_ones_serving(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml(server="reload = false")) as gateway:
        workers = gateway.workers()
        gateway.file.write_text(pulse_toml(server="body_timeout = 5", plugin='word = "two"\nbroken = true'))
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("the old one serves on: ")
        assert gateway.workers() == workers
        assert fetch(gateway.port, "/word") == (200, "one")
        gateway.file.write_text(pulse_toml(server='http1 = "hypercorn"', plugin='word = "three"'))
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("taken over")
        wait_until_gone(workers[0])
        assert fetch(gateway.port, "/word") == (200, "three")


def test_another_address_is_bound_before_the_old_one_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        with served(tmp_path, pulse_toml(server="reload = false")) as gateway:
            gateway.file.write_text(pulse_toml(server=f'bind = "127.0.0.1:{taken.getsockname()[1]}"'))
            gateway.signal(signal.SIGHUP)
            gateway.wait_for("the address is already in use")
            assert fetch(gateway.port, "/word") == (200, "one")
            free.close()
            gateway.file.write_text(pulse_toml(server=f'bind = "127.0.0.1:{port}"', plugin='word = "two"'))
            gateway.signal(signal.SIGHUP)
            gateway.wait_for(f"serving http://127.0.0.1:{port}")
            assert fetch(port, "/word") == (200, "two")


def test_streams_of_replaced_workers_are_not_cut_by_sigterm_either(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        streams = await open_streams(gateway.port, 3, beats=20)
        gateway.signal(signal.SIGUSR2)
        await asyncio.to_thread(gateway.wait_for, "taken over")
        gateway.signal(signal.SIGTERM)
        for stream in streams:
            assert b"[DONE]" in await stream.rest()
        assert await asyncio.to_thread(gateway.exit_code) == 0

    with served(tmp_path, pulse_toml()) as gateway:
        play(main(gateway))
