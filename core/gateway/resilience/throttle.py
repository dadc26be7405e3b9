"""Refuses some calls to a target that refuses many: client-side throttling, as the SRE book has it."""

from __future__ import annotations

from gateway.resilience.window import Window

SECONDS = 120.0
TOLERANCE = 2.0
"""Requests may be this many times what is accepted before any is refused here."""
MOST = 0.8
"""The largest share that is refused, so that a recovery is always noticed."""
LEAST_PER_SECOND = 5.0


class Throttle:
    """Requests sent to a target, and those that it took on, within two minutes."""

    __slots__ = ("window",)

    def __init__(self) -> None:
        self.window = Window(SECONDS)

    def sent(self, now: float) -> None:
        """A request is on its way; counted before its answer."""
        self.window.add(now, first=1)

    def taken(self, now: float) -> None:
        """The target took a request on."""
        self.window.add(now, second=1)

    def share(self, now: float) -> float:
        """The share of calls to refuse now, from 0 to MOST."""
        requests, accepts = self.window.totals(now)
        if requests < LEAST_PER_SECOND * SECONDS:
            return 0.0
        return min(max(0.0, (requests - TOLERANCE * accepts) / (requests + 1)), MOST)
