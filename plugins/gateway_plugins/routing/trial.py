"""A canary on trial: outcomes in pairs with those of the stable targets, and the verdict."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Literal

import msgspec

from gateway import Target
from gateway_plugins.routing.identity import By
from gateway_plugins.routing.sequential import RateTest, SignTest

Arm = Literal["canary", "stable"]
WAITING = 256
"""Outcomes of one arm that may wait for a partner of the other."""


class Rollback(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What takes the canary back.

    ``errors``: it fails more often than the stable targets. ``latency`` is a factor: in more than half of the pairs its
    first token comes later than that many times the stable one's. ``score`` is a margin: in more than half of the pairs
    it scores lower by more than that. ``confidence`` is the chance that a canary which is no worse is never taken back.
    """

    errors: bool = True
    latency: Annotated[float, msgspec.Meta(ge=1)] | None = None
    score: Annotated[float, msgspec.Meta(ge=0, lt=1)] | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0.5, lt=1)] = 0.99

    @property
    def alpha(self) -> float:
        """What each single test may err."""
        tests = self.errors + (self.latency is not None) + (self.score is not None)
        return (1 - self.confidence) / max(1, tests)


class Canary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``canary = { target = "…", percent = 5 }``: so much of the traffic asks ``target`` first.

    ``by`` keeps a caller on one side: ``key``, ``user`` or ``header:<name>``; without it each call draws.
    """

    target: Target
    percent: Annotated[float, msgspec.Meta(ge=0, le=100)]
    by: By | None = None
    rollback: Rollback = Rollback()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one call went at the first target that it asked. ``first_token`` is in seconds, where there was one."""

    failed: bool
    first_token: float | None = None


class Trial:
    """The state of one canary in this process. ``verdict`` is why it was taken back, None while it is not."""

    def __init__(self, canary: Canary) -> None:
        self.canary = canary
        self.verdict: str | None = None
        self.errors = RateTest()
        self.latency = SignTest()
        self.score = SignTest()
        self._outcomes: dict[Arm, deque[Outcome]] = {"canary": deque(maxlen=WAITING), "stable": deque(maxlen=WAITING)}
        self._scores: dict[Arm, deque[float]] = {"canary": deque(maxlen=WAITING), "stable": deque(maxlen=WAITING)}

    def ended(self, arm: Arm, outcome: Outcome) -> str | None:
        """Take a call's outcome; the verdict, if this brought it."""
        self._outcomes[arm].append(outcome)
        waiting = self._outcomes
        if self.verdict is not None or not (waiting["canary"] and waiting["stable"]):
            return None
        mine, theirs = waiting["canary"].popleft(), waiting["stable"].popleft()
        rollback = self.canary.rollback
        if rollback.errors:
            self.errors.observe(mine.failed, theirs.failed)
        if rollback.latency is not None and mine.first_token is not None and theirs.first_token is not None:
            self.latency.observe(mine.first_token > rollback.latency * theirs.first_token)
        return self._judge()

    def scored(self, arm: Arm, score: float) -> str | None:
        """Take a call's score, between 0 and 1; the verdict, if this brought it."""
        self._scores[arm].append(score)
        waiting, margin = self._scores, self.canary.rollback.score
        if self.verdict is not None or margin is None or not (waiting["canary"] and waiting["stable"]):
            return None
        mine, theirs = waiting["canary"].popleft(), waiting["stable"].popleft()
        if mine != theirs:  # a tie speaks for neither
            self.score.observe(mine < theirs - margin)
        return self._judge()

    def _judge(self) -> str | None:
        rollback = self.canary.rollback
        alpha = rollback.alpha
        if rollback.errors and self.errors.shown(alpha):
            test = self.errors
            self.verdict = f"{test.first} of {test.pairs} calls failed, of the stable ones {test.second}"
        elif rollback.latency is not None and self.latency.shown(alpha):
            test_of = f"{self.latency.held} of {self.latency.pairs}"
            self.verdict = f"in {test_of} pairs its first token took more than {rollback.latency:g} times as long"
        elif rollback.score is not None and self.score.shown(alpha):
            test_of = f"{self.score.held} of {self.score.pairs}"
            self.verdict = f"in {test_of} pairs it scored lower by more than {rollback.score:g}"
        return self.verdict
