"""Places at a target: calls wait their turn, and none is lost however a call ends."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from gateway.errors import Unavailable
from gateway.slots import NO_SLOT, Gate, Slot


def test_calls_wait_for_a_place_and_never_more_are_inside() -> None:
    async def scene() -> int:
        gate, inside, most = Gate(2, 100), 0, 0

        async def call() -> None:
            nonlocal inside, most
            async with Slot(gate, "a/m", None):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

        await asyncio.gather(*(call() for _ in range(20)))
        assert gate.turnstile.in_flight == 0
        return most

    assert asyncio.run(scene()) == 2


def test_a_full_queue_and_a_late_deadline_are_refused_with_a_time_to_come_back() -> None:
    async def scene() -> None:
        gate = Gate(1, 1)
        async with Slot(gate, "a/m", None):
            late = Slot(gate, "a/m", time.monotonic() + 0.02)
            with pytest.raises(Unavailable, match="too late") as refused:
                await late.__aenter__()
            assert refused.value.retry_after is not None
            waiting = asyncio.create_task(Slot(gate, "a/m", None).__aenter__())
            await asyncio.sleep(0)
            with pytest.raises(Unavailable, match="1 wait already"):
                await Slot(gate, "a/m", None).__aenter__()
        await waiting
        gate.leave(0.1)
        assert gate.turnstile.in_flight == 0

    asyncio.run(scene())


def test_cancelling_at_any_moment_loses_no_place() -> None:
    async def scene(seed: int) -> None:
        rng, gate = random.Random(seed), Gate(2, 100)

        async def call() -> None:
            async with Slot(gate, "a/m", None):
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(call()) for _ in range(12)]
        for _ in range(12):
            if rng.random() < 0.7:
                rng.choice(tasks).cancel()
            if rng.random() < 0.5:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.turnstile.in_flight == 0
        assert not gate.turnstile.waiting
        assert not gate._waiters

    async def scenes() -> None:
        for seed in range(300):
            await scene(seed)

    asyncio.run(scenes())


def test_a_place_is_given_back_once_and_without_a_limit_there_is_nothing_to_wait_for() -> None:
    async def scene() -> None:
        gate = Gate(1, 0)
        slot = Slot(gate, "a/m", None)
        slot.release()
        await slot.__aenter__()
        slot.release()
        slot.release()
        assert gate.turnstile.in_flight == 0
        async with NO_SLOT:
            NO_SLOT.release()

    asyncio.run(scene())
