"""``strategy = "weighted"``: traffic split by the targets' weights."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from gateway import Call, Plugin, PluginConfig, PluginContext, Target, hookimpl
from gateway.decision import decision_of
from gateway.plugin import ModelOptions, Stage
from gateway_plugins.routing.identity import By, identity, rendezvous


class WeightedOptions(ModelOptions, frozen=True, kw_only=True):
    """``sticky`` keeps a caller with one target: by ``key``, ``user`` or ``header:<name>``. Unset, each call draws."""

    sticky: By | None = None


class Weighted(Plugin):
    """Picks the first target by chance, in proportion to ``weight``; the others follow, the heaviest first.

    A target of weight 0 is never picked while another has a weight: it only stands in. ``rng`` may be replaced by one
    with a known seed.
    """

    stage: ClassVar[Stage] = "route"
    strategies = ("weighted",)
    Options = WeightedOptions

    def __init__(self, config: PluginConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self.rng = random.Random()  # noqa: S311  # a share of traffic, not a secret

    @hookimpl
    def route(self, call: Call) -> Sequence[Target] | None:
        if call.model_config is None or call.model_config.strategy not in self.strategies:
            return None
        if len(call.targets) < 2:
            return call.targets
        options: WeightedOptions | None = self.options(call)
        if options is not None and options.sticky is not None:
            who = identity(call, options.sticky)
            if who is not None:
                decision_of(call).notes.append(f"stays where its {options.sticky} belongs")
                return rendezvous(who, call.targets)
        return by_weight(call.targets, self.rng)


def by_weight(targets: Sequence[Target], rng: random.Random) -> tuple[Target, ...]:
    """``targets`` with one drawn by weight in front and the others behind it, the heaviest first.

    Equal weights keep their declared order. A negative weight counts as 0; where all are 0 the order stands.
    """
    weights = [max(0.0, target.weight) for target in targets]
    total = sum(weights)
    if total <= 0:
        return tuple(targets)
    drawn = rng.random() * total
    first = max(range(len(targets)), key=weights.__getitem__)
    for place, weight in enumerate(weights):
        if drawn < weight:
            first = place
            break
        drawn -= weight
    others = sorted((place for place in range(len(targets)) if place != first), key=lambda place: -weights[place])
    return (targets[first], *(targets[place] for place in others))
