"""The numbers that the state machines go by, with every default filled in. Durations are in seconds."""

from __future__ import annotations

import msgspec

EAGER = 1.0
"""How long an open circuit rests where no other target can answer: then it is probed before its time."""


class BreakerRules(msgspec.Struct, frozen=True, kw_only=True):
    """When a target's circuit opens, and how it closes again.

    It opens after ``failures`` in a row, or where ``error_share`` of at least ``samples`` answers within ``window``
    failed. It stays open for ``open_for``, doubled each time that it opens again, up to ``longest``; then up to
    ``probes`` calls at a time may try, each holding a lease of ``lease``.
    """

    failures: int = 5
    error_share: float = 0.5
    samples: int = 20
    window: float = 60.0
    open_for: float = 5.0
    longest: float = 15.0
    probes: int = 2
    lease: float = 30.0


class TargetRules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one target.

    ``cooldown`` is for a rate limit that named no time, ``quota_cooldown`` for a spent quota that named none; no
    cooldown is longer than ``longest_cooldown``. ``alone`` says that no model has another target beside it.
    ``max_in_flight`` 0 is no limit; ``queue`` is how many may wait for a slot.
    """

    breaker: BreakerRules = BreakerRules()
    cooldown: float = 5.0
    quota_cooldown: float = 60.0
    longest_cooldown: float = 300.0
    throttle: bool = False
    alone: bool = True
    max_in_flight: int = 0
    queue: int = 0


class EjectionRules(msgspec.Struct, frozen=True, kw_only=True):
    """When a target that does worse than its siblings is left out for a while.

    Its share of errors must exceed their median by ``margin``, over at least ``samples`` answers. At most ``share`` of
    a group is left out at a time, and never the last one that is fit. ``seconds`` are multiplied by how often it
    happened of late, up to ``longest``.
    """

    samples: int = 50
    margin: float = 0.2
    share: float = 0.5
    seconds: float = 30.0
    longest: float = 300.0
    sweep: float = 10.0


class BudgetRules(msgspec.Struct, frozen=True, kw_only=True):
    """Retries are at most ``ratio`` of the original requests, and ``floor`` a second on top, over ``window``."""

    ratio: float = 0.2
    floor: float = 1.0
    window: float = 10.0


class HedgeRules(msgspec.Struct, frozen=True, kw_only=True):
    """When a second target is started beside the first: ``after`` seconds, or at a percentile of first-token times.

    ``budget`` is the share of requests that may be hedged; ``samples`` is how many times must be known for the
    percentile.
    """

    percentile: float = 95.0
    after: float | None = None
    budget: float = 0.05
    samples: int = 20
