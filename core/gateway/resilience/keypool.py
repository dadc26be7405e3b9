"""Several keys for one provider: which to use now, and which to leave alone for a while."""

from __future__ import annotations

REFUSED_SECONDS = 300.0
"""How long a key that was not accepted (401, 402, 403) is left alone."""
LIMITED_SECONDS = 5.0
"""How long a key is left alone after a 429 that named no time."""
SHORTEST, LONGEST = 1.0, 3600.0
"""However short or long the time that was named. With none at all two keys would be tried in turn for ever."""


class KeyPool:
    """Keys by number, used in turn. A pool never runs dry: where all cool, the one that is fit the soonest is used."""

    __slots__ = ("_next", "cooling")

    def __init__(self, size: int) -> None:
        self.cooling = [0.0] * size
        self._next = 0

    def pick(self, now: float) -> int:
        """The number of the key for the next request."""
        size = len(self.cooling)
        for step in range(size):
            key = (self._next + step) % size
            if self.cooling[key] <= now:
                self._next = (key + 1) % size
                return key
        return min(range(size), key=self.cooling.__getitem__)

    def refused(self, key: int, now: float, status: int, retry_after: float | None) -> bool:
        """The provider refused a request because of its key; returns whether another key is fit.

        Other errors say nothing of the key, and change nothing.
        """
        if status == 429:
            seconds = LIMITED_SECONDS if retry_after is None else retry_after
        elif status in (401, 402, 403):
            seconds = REFUSED_SECONDS if retry_after is None else retry_after
        else:
            return False
        self.cooling[key] = max(self.cooling[key], now + min(max(seconds, SHORTEST), LONGEST))
        return any(end <= now for other, end in enumerate(self.cooling) if other != key)
