"""What may be sent on top of the callers' own requests: retries and hedges, for each model within its budget."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.resilience.hedge import BUDGET_SECONDS, hedge_after
from gateway.resilience.latency import Latency
from gateway.resilience.remembered import remembered
from gateway.resilience.retry_budget import Budget
from gateway.resilience.rules import BudgetRules, HedgeRules


class ExtraState:
    """What outlives a change of the configuration."""

    def __init__(self) -> None:
        self.retries: dict[str, Budget] = {}
        self.hedges: dict[str, Budget] = {}


class Extra:
    """Budgets by model. ``workers`` share a floor: each has its part of it, and together they have no more."""

    def __init__(
        self,
        state: ExtraState,
        rules: Mapping[str, BudgetRules],
        other: BudgetRules,
        hedges: Mapping[str, HedgeRules],
        workers: int = 1,
    ) -> None:
        self.state = state
        self._rules = rules
        self._other = other
        self.hedges = hedges
        self._workers = max(workers, 1)

    def counted(self, model: str, now: float) -> None:
        """A caller's request."""
        self._retries(model).counted(now)
        if model in self.hedges:
            self._hedged(model).counted(now)

    def may_retry(self, model: str, now: float) -> bool:
        """Spend one retry, if the budget has one."""
        rules = self._rules.get(model, self._other)
        budget = self._retries(model)
        # One in each window is everybody's, or a low floor among many workers would be none.
        floor = max(rules.floor / self._workers, min(rules.floor, 1.0 / rules.window))
        if not budget.left(now, rules.ratio, floor):
            return False
        budget.spend(now)
        return True

    def hedge_after(self, model: str, latency: Latency | None, now: float) -> float | None:
        """Seconds after which a second target may be started, or None."""
        rules = self.hedges.get(model)
        return None if rules is None else hedge_after(rules, latency, self._hedged(model), now)

    def hedged(self, model: str, now: float) -> None:
        """A second target was started."""
        self._hedged(model).spend(now)

    def _retries(self, model: str) -> Budget:
        budget = self.state.retries.get(model)
        if budget is None:
            rules = self._rules.get(model, self._other)
            budget = remembered(self.state.retries, model, Budget(rules.window))
        return budget

    def _hedged(self, model: str) -> Budget:
        budget = self.state.hedges.get(model)
        if budget is None:
            budget = remembered(self.state.hedges, model, Budget(BUDGET_SECONDS))
        return budget
