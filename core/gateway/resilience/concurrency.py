"""How many calls a target has at a time, and who waits: a bounded queue that knows its callers' deadlines."""

from __future__ import annotations

from collections import OrderedDict

LONGEST_WAIT = 60.0
"""Seconds that a call without a deadline waits for a slot."""
_MEMORY = 0.2
"""How much the last call's time counts in the mean."""


class Turnstile:
    """Admits up to ``limit`` calls; the next ``queue`` wait in order of arrival. Limit 0 admits all.

    A ticket is the caller's own number for a call that waits.
    """

    __slots__ = ("hold", "in_flight", "limit", "queue", "waiting")

    def __init__(self, limit: int, queue: int) -> None:
        self.limit = limit
        self.queue = queue
        self.in_flight = 0
        self.waiting: OrderedDict[int, float] = OrderedDict()
        self.hold: float | None = None

    def enter(self, ticket: int, now: float, deadline: float | None) -> str:
        """``go``; ``wait`` until ``leave`` or ``expire`` names the ticket; or ``full`` or ``late`` for a refusal.

        It is too late where the calls ahead would, at the pace of those before them, not be done by the deadline.
        """
        if self.limit <= 0 or (self.in_flight < self.limit and not self.waiting):
            self.in_flight += 1
            return "go"
        if len(self.waiting) >= self.queue:
            return "full"
        if deadline is not None and (deadline <= now or now + self.expected_wait() >= deadline):
            return "late"
        self.waiting[ticket] = now + LONGEST_WAIT if deadline is None else min(deadline, now + LONGEST_WAIT)
        return "wait"

    def leave(self, now: float, held: float | None = None) -> list[int]:
        """A call has ended, after ``held`` seconds; returns the tickets that may go now."""
        self.in_flight -= 1
        if held is not None:
            self.hold = held if self.hold is None else self.hold + _MEMORY * (held - self.hold)
        return self._admit(now)

    def resize(self, limit: int, queue: int, now: float) -> list[int]:
        """Take other settings on; returns the tickets that may go now."""
        self.limit, self.queue = limit, queue
        return self._admit(now)

    def give_up(self, ticket: int) -> bool:
        """A waiting call has left; False if it had been admitted already, and then it must ``leave``."""
        return self.waiting.pop(ticket, None) is not None

    def expected_wait(self) -> float:
        """Seconds until one more would have its turn, at the pace so far."""
        if self.hold is None or self.limit <= 0:
            return 0.0
        return self.hold * (len(self.waiting) + 1) / self.limit

    def _admit(self, now: float) -> list[int]:
        ready: list[int] = []
        while self.waiting and (self.limit <= 0 or self.in_flight < self.limit):
            ticket, end = self.waiting.popitem(last=False)
            if end > now:  # who has waited too long is told so by its own clock
                self.in_flight += 1
                ready.append(ticket)
        return ready
