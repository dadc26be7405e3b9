"""``strategy = "least_latency"``: the better of two targets drawn by chance, by their recent time to a first token."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec

from gateway import Call, Plugin, PluginConfig, PluginContext, Target, hookimpl
from gateway.decision import decision_of
from gateway.needs import needs_of
from gateway.plugin import ModelOptions, Stage
from gateway_plugins.routing.standing import by_score, fit, standing


class LeastLatencyOptions(ModelOptions, frozen=True, kw_only=True):
    """``explore`` is the share of calls whose first target is drawn by chance: one that was slow is seen again."""

    explore: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02


_DEFAULTS = LeastLatencyOptions()


class LeastLatency(Plugin):
    """Draws two targets and asks the one that should begin its answer sooner; the others follow, the best first.

    What is expected is the decayed time to a first token for prompts of this size, times the calls that already wait
    there and this one. Of two, and not the best of all, because all callers would else run to the same target until
    its numbers say that it is full. ``rng`` may be replaced by one with a known seed.
    """

    stage: ClassVar[Stage] = "route"
    strategies = ("least_latency",)
    Options = LeastLatencyOptions

    def __init__(self, config: PluginConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self.rng = random.Random()  # noqa: S311  # a share of traffic, not a secret

    @hookimpl
    def route(self, call: Call) -> Sequence[Target] | None:
        if call.model_config is None or call.model_config.strategy not in self.strategies:
            return None
        targets = call.targets
        if len(targets) < 2:
            return targets
        options: LeastLatencyOptions = self.options(call) or _DEFAULTS
        tokens = needs_of(call).tokens
        standings = [(target, standing(call, target)) for target in targets]
        known = [time for _, health in standings if (time := health.first_token_for(tokens)) is not None]
        # A target that nobody has seen answer is taken for the best, so that it is tried; but not by all at once.
        guess = min(known, default=1.0) / 2
        ranked = by_score(
            call,
            standings,
            lambda _, health: (
                (guess if (time := health.first_token_for(tokens)) is None else time)
                * (health.in_flight + health.queued + 1)
            ),
            "ms to a first token, times the calls there",
        )
        fitting = sum(fit(health) for _, health in standings)
        return self._drawn(call, ranked, fitting or len(ranked), options)

    def _drawn(
        self, call: Call, ranked: tuple[Target, ...], fitting: int, options: LeastLatencyOptions
    ) -> tuple[Target, ...]:
        able = ranked[:fitting]  # the unfit stand last
        if self.rng.random() < options.explore:
            first = self.rng.choice(able)
            decision_of(call).notes.append("drawn by chance, to learn how targets stand now")
        elif len(able) > 2:
            one, other = self.rng.sample(range(len(able)), 2)
            first = able[min(one, other)]
        else:
            first = able[0]
        return (first, *(target for target in ranked if target is not first))
