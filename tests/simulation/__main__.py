"""Runs seeds one by one: ``python -m tests.simulation 17 4711``, or a range of them, ``0:1000000``."""

from __future__ import annotations

import sys

from tests.simulation.world import Broken, World


def seeds_of(word: str) -> range:
    """``17`` or ``0:1000``."""
    first, colon, end = word.partition(":")
    return range(int(first), int(end) if colon else int(first) + 1)


def main() -> int:
    """Print every seed that breaks an invariant; 1 where there is one."""
    broken = 0
    for word in sys.argv[1:]:
        for seed in seeds_of(word):
            try:
                World(seed).run()
            except Broken as error:
                broken += 1
                print(f"seed {seed}: {error}")  # noqa: T201  # this is what it is for
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
