"""When a second target is worth starting beside the first."""

from __future__ import annotations

from gateway.resilience.latency import Latency
from gateway.resilience.retry_budget import Budget
from gateway.resilience.rules import HedgeRules

BUDGET_SECONDS = 60.0


def hedge_after(rules: HedgeRules, latency: Latency | None, budget: Budget, now: float) -> float | None:
    """Seconds after the send at which to start a second target; None where the budget or knowledge does not allow it.

    With ``after`` set, that time is taken; else the percentile of the target's own first-token times.
    """
    if not budget.left(now, rules.budget, 0.0):
        return None
    if rules.after is not None:
        return rules.after
    if latency is None or latency.samples < rules.samples:
        return None
    return latency.quantile(rules.percentile / 100.0)
