"""Tests that may be looked at after every observation: whether one group fails, or is worse, more often than another.

Each is an e-process: a stake that grows only while the evidence against "no worse" does. Under "no worse" the chance
that it ever reaches ``1 / alpha`` is at most ``alpha`` (Ville's inequality), however often one looks and whenever one
stops. The two-sample one bets as in Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests
that allow for optional stopping" (2021), in pairs of one observation each; it holds for every rate of the two groups.
"""

from __future__ import annotations

from math import log


class RateTest:
    """Whether the first group's rate is above the second's, from pairs of outcomes."""

    __slots__ = ("first", "log_stake", "pairs", "second")

    def __init__(self) -> None:
        self.pairs = 0
        self.first = 0
        self.second = 0
        self.log_stake = 0.0

    def observe(self, first: bool, second: bool) -> None:
        """Take one pair: whether it happened in the first group, and in the second."""
        # The bet uses what was seen before only: that makes the stake fair.
        mine = (self.first + 0.5) / (self.pairs + 1)
        theirs = (self.second + 0.5) / (self.pairs + 1)
        if mine > theirs:
            both = (mine + theirs) / 2
            self.log_stake += _likelihood(mine, first) - _likelihood(both, first)
            self.log_stake += _likelihood(theirs, second) - _likelihood(both, second)
        self.pairs += 1
        self.first += first
        self.second += second

    def shown(self, alpha: float) -> bool:
        """Whether it is shown, with a chance of at most ``alpha`` to be wrong."""
        return self.log_stake >= -log(alpha)


class SignTest:
    """Whether something holds for more than half of the pairs."""

    __slots__ = ("held", "log_stake", "pairs")

    def __init__(self) -> None:
        self.pairs = 0
        self.held = 0
        self.log_stake = 0.0

    def observe(self, holds: bool) -> None:
        """Take one pair: whether it holds there."""
        rate = (self.held + 0.5) / (self.pairs + 1)
        if rate > 0.5:
            self.log_stake += _likelihood(rate, holds) - log(0.5)
        self.pairs += 1
        self.held += holds

    def shown(self, alpha: float) -> bool:
        """Whether it is shown, with a chance of at most ``alpha`` to be wrong."""
        return self.log_stake >= -log(alpha)


def _likelihood(rate: float, happened: bool) -> float:
    return log(rate if happened else 1.0 - rate)
