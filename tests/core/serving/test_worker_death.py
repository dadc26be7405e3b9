"""A worker that dies takes only its own calls with it, and is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from gateway.serving.generation import Slots, restart_delay
from gateway.serving.process import cause
from tests.core.serving.served import (
    Client,
    Load,
    Served,
    fetch,
    get,
    is_alive,
    open_streams,
    play,
    pulse_toml,
    served,
    wait_until_gone,
)


def test_kill_of_one_of_two_workers_loses_only_what_was_in_flight_on_it(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        victim, other = gateway.workers()
        async with Load(gateway.port, "/pid") as load:
            # Calls that are under way on both workers when one of them is killed.
            waiting: dict[str, list[Client]] = {str(victim): [], str(other): []}
            while min(len(clients) for clients in waiting.values()) < 5:
                client = await Client.connect(gateway.port)
                client.send("/pid")
                waiting[(await client.answer())[2].decode()].append(client)
            for client in (*waiting[str(victim)], *waiting[str(other)]):
                client.send("/pid?after=1")
            await asyncio.sleep(0.3)
            os.kill(victim, signal.SIGKILL)
            killed = time.monotonic()
            assert {await outcome(client) for client in waiting[str(victim)]} == {"cut"}
            assert {await outcome(client) for client in waiting[str(other)]} == {str(other)}
            await asyncio.to_thread(gateway.wait_for, "serves\n", seconds=2.0)
            assert time.monotonic() - killed < 3.0
            successor = next(pid for pid in gateway.workers() if pid != other)
            before = len(load.answers)
            await asyncio.sleep(0.5)
        assert load.refused == 0
        # Load that was on the victim breaks at most once for each client.
        assert load.broken <= 8
        assert {body for _, body in load.answers[before:]} <= {str(other), str(successor)}
        assert {status for status, _ in load.answers} == {200}

    async def outcome(client: Client) -> str:
        try:
            return (await client.answer())[2].decode()
        except (ConnectionError, asyncio.IncompleteReadError):
            return "cut"

    with served(tmp_path, pulse_toml(server="workers = 2")) as gateway:
        play(main(gateway))
        assert "ended by signal 9 (SIGKILL); a new one starts now" in gateway.log()
        assert gateway.process.poll() is None


def test_a_series_of_deaths_is_slowed_down_and_the_parent_lives(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml()) as gateway:
        for number, delay in enumerate(["now", "in 0.5 s"], start=1):
            os.kill(gateway.workers()[0], signal.SIGKILL)
            gateway.wait_for("ended by signal 9", times=number)
            assert gateway.log().rstrip().splitlines()[-1].endswith(delay)
            gateway.wait_for("serves\n", times=number)
        assert fetch(gateway.port, "/word") == (200, "one")


def test_a_successor_is_given_the_configuration_of_now(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml()) as gateway:
        gateway.file.write_text(pulse_toml(plugin='word = "two"'))
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("configuration taken over")
        os.kill(gateway.workers()[0], signal.SIGKILL)
        gateway.wait_for("serves\n")
        assert fetch(gateway.port, "/word") == (200, "two")


def test_a_successor_that_cannot_be_built_is_tried_again_until_it_can(tmp_path: Path) -> None:
    with served(tmp_path, pulse_toml(server="reload = false")) as gateway:
        plugin = tmp_path / "pulse.py"
        text = plugin.read_text()
        plugin.write_text("raise ImportError('half an upgrade')")
        os.kill(gateway.workers()[0], signal.SIGKILL)
        gateway.wait_for("half an upgrade")
        plugin.write_text(text)
        gateway.wait_for("serves\n")
        assert fetch(gateway.port, "/word") == (200, "one")


def test_a_worker_that_is_told_to_end_drains_while_its_successor_serves(tmp_path: Path) -> None:
    async def main(gateway: Served) -> None:
        stream = (await open_streams(gateway.port, 1, beats=15))[0]
        worker = gateway.workers()[0]
        os.kill(worker, signal.SIGTERM)
        await asyncio.to_thread(gateway.wait_for, "serves\n")
        assert is_alive(worker)
        assert (await get(gateway.port, "/pid"))[1] != str(worker)
        assert b"[DONE]" in await stream.rest()
        await asyncio.to_thread(wait_until_gone, worker)

    with served(tmp_path, pulse_toml()) as gateway:
        play(main(gateway))


def test_a_plugin_that_exits_ends_the_start_with_the_cause(tmp_path: Path) -> None:
    gateway = Served(tmp_path, pulse_toml(plugin="exit_code = 7"))
    assert gateway.exit_code() == 1
    assert "ended by exit code 7" in gateway.log()


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0), (2, 0.5), (3, 1), (4, 2), (7, 16), (8, 30), (9, 30), (10**6, 30)]
)
def test_the_delay_before_a_successor_doubles_up_to_half_a_minute(failures: int, seconds: float) -> None:
    assert restart_delay(failures) == seconds


def test_slots_are_the_lowest_free_numbers() -> None:
    slots = Slots()
    assert [slots.take() for _ in range(3)] == [0, 1, 2]
    slots.free(1)
    assert [slots.take(), slots.take()] == [1, 3]


def test_an_exit_status_is_said_in_words() -> None:
    assert cause(-9) == "signal 9 (SIGKILL)"
    assert cause(-250) == "signal 250"
    assert cause(1) == "exit code 1"
