"""``strategy = "latency_budget"``: the first declared target whose recent answers begin in time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from gateway import Call, Plugin, Target, hookimpl
from gateway.config import GatewayConfig, ModelConfig
from gateway.decision import decision_of
from gateway.plugin import ModelOptions, Stage
from gateway_plugins.routing.standing import fit, standing


class LatencyBudgetOptions(ModelOptions, frozen=True, kw_only=True):
    """``first_token`` is the budget in seconds, and ``percentile`` the share of answers that must begin within it.

    ``degrade`` is the order in which the targets are tried when none fits; the declared one where it is not given.
    """

    first_token: Annotated[float, msgspec.Meta(gt=0)]
    percentile: Annotated[float, msgspec.Meta(gt=0, lt=100)] = 95.0
    degrade: tuple[Target, ...] = ()


class LatencyBudget(Plugin):
    """Asks the first declared target whose recent first-token percentile fits the budget; those that do not, follow.

    Declare the targets with the one that answers best in front: it is used as long as it is fast enough. A target that
    nobody has seen answer is taken to fit. When none fits, ``degrade`` says which to try first.
    """

    stage: ClassVar[Stage] = "route"
    strategies = ("latency_budget",)
    Options = LatencyBudgetOptions

    @classmethod
    def option_problems(
        cls,
        model: ModelConfig,
        options: Any,
        config: GatewayConfig,  # noqa: ARG003  # the base's signature
    ) -> Iterable[tuple[str, str]]:
        declared = {str(target) for target in model.targets}
        for place, target in enumerate(options.degrade):
            if str(target) not in declared:
                yield f"degrade[{place}]", f'"{target}" is none of the targets'

    @hookimpl
    def route(self, call: Call) -> Sequence[Target] | None:
        if call.model_config is None or call.model_config.strategy not in self.strategies:
            return None
        options: LatencyBudgetOptions | None = self.options(call)
        if options is None or len(call.targets) < 2:
            return call.targets
        decision = decision_of(call)
        budget = options.first_token * 1000
        fitting, late, ill = [], [], []
        for target in call.targets:
            health = standing(call, target)
            time = health.first_token_p(options.percentile / 100)
            decision.scored(target, time, f"ms, percentile {options.percentile:g} of first tokens")
            entry = decision.candidate(str(target))
            if not fit(health):
                entry.why = f"behind the others: {health.reason or health.state}"
                ill.append(target)
            elif time is not None and time > budget:
                entry.why = f"beyond the budget of {budget:g} ms"
                late.append(target)
            else:
                fitting.append(target)
        order = {str(target): place for place, target in enumerate(options.degrade)}
        if order:
            late.sort(key=lambda target: order.get(str(target), len(order)))
        if not fitting:
            decision.notes.append("no target fits the latency budget: degraded in the declared order")
        return (*fitting, *late, *ill)
