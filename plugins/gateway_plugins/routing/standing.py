"""How targets stand at this moment, as strategies see it: which are fit, and in which order the others follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway import Call, Target
from gateway.decision import decision_of

if TYPE_CHECKING:
    from gateway.health import TargetHealth

UNFIT = ("cooling", "open", "ejected")
"""States of a target that is tried behind all others. A half-open one is fit: only traffic shows that it is well."""


def standing(call: Call, target: Target) -> TargetHealth:
    """What is known of a target's health."""
    return call.gateway.health.snapshot(str(target))


def fit(health: TargetHealth) -> bool:
    """Whether a target should be asked before those that are not."""
    return health.state not in UNFIT


def by_score(
    call: Call,
    standings: Sequence[tuple[Target, TargetHealth]],
    score: Callable[[Target, TargetHealth], float],
    detail: str,
) -> tuple[Target, ...]:
    """The targets with the lowest score first and the unfit last; equals as they stand. Scores are noted."""
    decision = decision_of(call)
    entries = []
    for place, (target, health) in enumerate(standings):
        value = score(target, health)
        decision.scored(target, value, detail)
        if not fit(health):
            decision.candidate(str(target)).why = f"behind the others: {health.reason or health.state}"
        entries.append((not fit(health), value, place, target))
    entries.sort(key=lambda entry: entry[:3])
    return tuple(entry[3] for entry in entries)
