"""First-token times of a target: decayed means by the prompt's size, and quantiles, in bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from math import exp, log

HALF_LIFE = 120.0
"""Seconds after which a sample counts half."""
SIZES = (1_000, 8_000, 64_000)
"""Prompt sizes, in tokens, that are told apart: below each, and above the last."""
_SHORTEST, _LONGEST, _STEP = 0.001, 1000.0, 1.15
_BUCKETS = int(log(_LONGEST / _SHORTEST) / log(_STEP)) + 1
_PER_BUCKET = log(_STEP)
_RATE = log(2) / HALF_LIFE
_RESCALE = 1e12


class Latency:
    """Seconds to the first token. A sample weighs more the later it came, by a weight that grows with time."""

    __slots__ = ("_counts", "_sums", "_weights", "_zero", "samples", "total")

    def __init__(self, now: float) -> None:
        self._zero = now
        self._counts = [0.0] * _BUCKETS
        self._sums = [0.0] * (len(SIZES) + 1)
        self._weights = [0.0] * (len(SIZES) + 1)
        self.total = 0.0
        self.samples = 0

    def add(self, now: float, seconds: float, tokens: int) -> None:
        """One call's time; ``tokens`` is the size of its prompt, estimated."""
        weight = exp(_RATE * (now - self._zero))
        if weight > _RESCALE:
            self._rescale(now, weight)
            weight = 1.0
        if seconds <= _SHORTEST:
            seconds, bucket = _SHORTEST, 0
        elif seconds < _LONGEST:
            bucket = int(log(seconds / _SHORTEST) / _PER_BUCKET)
        else:
            seconds, bucket = _LONGEST, _BUCKETS - 1
        self._counts[bucket] += weight
        size = 0 if tokens < SIZES[0] else bisect_right(SIZES, tokens)
        self._sums[size] += weight * seconds
        self._weights[size] += weight
        self.total += weight
        self.samples += 1

    def mean(self, tokens: int | None = None) -> float | None:
        """The decayed mean in seconds, of prompts of this size where there are any; None where nothing is known."""
        if tokens is not None:
            size = bisect_right(SIZES, tokens)
            if self._weights[size] > 0:
                return self._sums[size] / self._weights[size]
        weights = sum(self._weights)
        return sum(self._sums) / weights if weights > 0 else None

    def quantile(self, share: float) -> float | None:
        """The time within which ``share`` (0 to 1) of the calls had their first token, to within 15 %."""
        if not self.samples:
            return None
        wanted, seen = share * self.total, 0.0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return float(_SHORTEST * _STEP ** (bucket + 1))
        return _LONGEST

    def _rescale(self, now: float, weight: float) -> None:
        self._zero = now
        self._counts = [count / weight for count in self._counts]
        self._sums = [value / weight for value in self._sums]
        self._weights = [value / weight for value in self._weights]
        self.total = sum(self._counts)
