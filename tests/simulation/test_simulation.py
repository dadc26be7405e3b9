"""The router's control logic under 10,000 seeds of weather, each with a storm and the calm after it."""

from __future__ import annotations

import pytest

from tests.simulation.world import Broken, World

CHUNK = 1250
CHUNKS = 8
FORMERLY_BROKEN = (444, 850, 1455, 2250, 2269, 2952, 4017, 5625, 6960, 7180, 9498)
"""Seeds that broke an invariant once; ``python -m tests.simulation FROM:TO`` finds more."""


def broken(seeds: range | tuple[int, ...]) -> list[str]:
    found = []
    for seed in seeds:
        try:
            World(seed).run()
        except Broken as error:
            found.append(f"seed {seed}: {error}")
    return found


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_weather_breaks_an_invariant(chunk: int) -> None:
    found = broken(range(chunk * CHUNK, (chunk + 1) * CHUNK))
    assert not found, "python -m tests.simulation SEED runs one again\n" + "\n".join(found[:20])


def test_what_was_broken_once_is_not_broken_again() -> None:
    assert not broken(FORMERLY_BROKEN)


def test_the_weather_is_bad_enough_to_show_everything() -> None:
    seen: set[str] = set()
    for seed in range(200):
        world = World(seed)
        world.run()
        seen |= world.seen
    assert seen == {"", "cooling", "open", "half_open", "ejected", "panic", "nobody"}


def test_a_seed_says_the_same_each_time() -> None:
    first, second = World(7), World(7)
    first.run()
    second.run()
    assert first.store.circuits == second.store.circuits
    assert first.now == second.now
