"""``strategy = "least_busy"``: the target with the fewest calls in flight for its weight."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from gateway import Call, Plugin, PluginConfig, PluginContext, Target, hookimpl
from gateway.plugin import Stage
from gateway_plugins.routing.standing import by_score, standing


class LeastBusy(Plugin):
    """Asks the target with the fewest calls of this process in flight or queued, per unit of ``weight``.

    Equals are drawn by chance. Targets of weight 0 only stand in.
    """

    stage: ClassVar[Stage] = "route"
    strategies = ("least_busy",)

    def __init__(self, config: PluginConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self.rng = random.Random()  # noqa: S311  # a share of traffic, not a secret

    @hookimpl
    def route(self, call: Call) -> Sequence[Target] | None:
        if call.model_config is None or call.model_config.strategy not in self.strategies:
            return None
        targets = list(call.targets)
        if len(targets) < 2:
            return targets
        self.rng.shuffle(targets)
        return by_score(
            call,
            [(target, standing(call, target)) for target in targets],
            lambda target, health: (
                (health.in_flight + health.queued + 1) / target.weight if target.weight > 0 else float("inf")
            ),
            "calls with this one, per weight",
        )
