"""What gateway.toml says of the health of targets: ``[health]``, and the keys of providers, models and targets."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class BreakerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a target's circuit opens and how it closes; unset is what ``[health]``, then the default, says."""

    failures: Count | None = None
    error_share: Share | None = None
    samples: Count | None = None
    window: Seconds | None = None
    open_for: Seconds | None = None
    longest: Seconds | None = None
    probes: Count | None = None


class HealthConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[health]``. Durations in seconds. ``store`` unset is ``lmdb`` where there are several workers."""

    store: Literal["memory", "lmdb"] | None = None
    path: str | None = None
    breaker: BreakerConfig = BreakerConfig()
    cooldown: Seconds = 5.0
    longest_cooldown: Seconds = 300.0
    eject: bool = True
    throttle: bool = False


class HealthCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``health_check`` of a provider: a GET of ``path`` each so many seconds.

    After ``failures`` in a row all its targets are left alone until one succeeds.
    """

    path: str = "/models"
    every: Seconds = 30.0
    timeout: Seconds = 5.0
    failures: Count = 2


class BudgetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``retry_budget``: retries are at most ``ratio`` of the requests plus ``floor`` a second."""

    ratio: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.2
    floor: Annotated[float, msgspec.Meta(ge=0)] = 1.0


class HedgeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``hedge``: start a second target where the first token is late. ``after`` seconds, else at the percentile."""

    percentile: Annotated[float, msgspec.Meta(ge=50, lt=100)] = 95.0
    after: Seconds | None = None
    budget: Share = 0.05
