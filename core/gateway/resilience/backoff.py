"""How long to wait before a retry on the same target."""

from __future__ import annotations

from collections.abc import Callable

FIRST = 0.25
LONGEST = 30.0
MOST_DOUBLINGS = 16


def delay(retry: int, rng: Callable[[], float], retry_after: float | None = None) -> float:
    """Seconds before retry number ``retry`` (from 0): doubled each time, between half and whole by chance.

    Where the provider asked for a time, no less than that, plus the jitter, so that all do not come back at once.
    """
    pause = min(FIRST * 2.0 ** min(retry, MOST_DOUBLINGS), LONGEST) * (0.5 + 0.5 * rng())
    return pause if not retry_after else max(pause, retry_after + min(FIRST, 0.1 * retry_after) * rng())
