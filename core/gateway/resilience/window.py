"""Counts of the last so many seconds, in a ring of buckets."""

from __future__ import annotations

BUCKETS = 10


class Window:
    """Two counts over the last ``seconds``; memory and time are the same however much is counted."""

    __slots__ = ("_bucket", "_first", "_place", "_second", "_sum_first", "_sum_second", "_turns_at")

    def __init__(self, seconds: float) -> None:
        self._bucket = seconds / BUCKETS
        self._place = 0
        self._turns_at = self._bucket
        self._first = [0] * BUCKETS
        self._second = [0] * BUCKETS
        self._sum_first = 0
        self._sum_second = 0

    def add(self, now: float, first: int = 0, second: int = 0) -> None:
        """Count at ``now``. A time before the last one counts as the last one."""
        if now >= self._turns_at:
            self._turn(now)
        place = self._place % BUCKETS
        if first:
            self._first[place] += first
            self._sum_first += first
        if second:
            self._second[place] += second
            self._sum_second += second

    def totals(self, now: float) -> tuple[int, int]:
        """Both counts."""
        self._turn(now)
        return self._sum_first, self._sum_second

    def clear(self) -> None:
        """Forget everything."""
        self._first = [0] * BUCKETS
        self._second = [0] * BUCKETS
        self._sum_first = self._sum_second = 0

    def _turn(self, now: float) -> None:
        place = int(now / self._bucket)
        steps = place - self._place
        if steps <= 0:
            return
        if steps >= BUCKETS:
            self.clear()
        else:
            for step in range(self._place + 1, place + 1):
                old = step % BUCKETS
                self._sum_first -= self._first[old]
                self._sum_second -= self._second[old]
                self._first[old] = self._second[old] = 0
        self._place = place
        self._turns_at = (place + 1) * self._bucket
