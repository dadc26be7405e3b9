"""Bounds what is sent on top of what was asked for: retries, and hedges, as a share of the original requests."""

from __future__ import annotations

from gateway.resilience.window import Window


class Budget:
    """Original requests, and those sent on top of them, within a window."""

    __slots__ = ("_seconds", "_window")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._window = Window(seconds)

    def counted(self, now: float) -> None:
        """An original request."""
        self._window.add(now, first=1)

    def left(self, now: float, ratio: float, floor: float) -> bool:
        """Whether one more is within ``ratio`` of the originals plus ``floor`` a second."""
        originals, extra = self._window.totals(now)
        return extra + 1 <= ratio * originals + floor * self._seconds

    def spend(self, now: float) -> None:
        """One was sent."""
        self._window.add(now, second=1)
