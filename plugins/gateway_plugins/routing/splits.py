"""``canary`` and ``ab``: a part of a model's traffic goes elsewhere, and the call's decision says which."""

from __future__ import annotations

import logging
import random
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from gateway import Call, Plugin, PluginConfig, PluginContext, Target, hookimpl
from gateway.choosing import usable
from gateway.config import GatewayConfig, ModelConfig
from gateway.decision import decision_of
from gateway.plugin import ModelOptions, Stage
from gateway_plugins.routing.identity import By, identity, point
from gateway_plugins.routing.trial import Arm, Canary, Outcome, Trial

log = logging.getLogger("gateway.splits")

REMEMBERED = 10_000
"""Calls that a score may still be told of."""


class AbArm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``{ name = "b", share = 50, targets = ["…"] }``; without targets it is the model as it is."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    share: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    targets: tuple[Target, ...] = ()


class Ab(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``ab = { name = "…", by = "user", arms = [ … ] }``: a caller always falls into the same arm.

    Another ``name`` assigns anew. Shares are parts of their sum. A call that does not say who it is for by ``by`` is
    assigned by its key.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)] = "ab"
    by: By = "key"
    arms: Annotated[tuple[AbArm, ...], msgspec.Meta(min_length=2)]


class SplitOptions(ModelOptions, frozen=True, kw_only=True):
    """A canary or an A/B test of a model; one of them."""

    canary: Canary | None = None
    ab: Ab | None = None


class Splits(Plugin):
    """Sends a share of the calls to a canary, or assigns callers to the arms of an A/B test.

    The model's own targets stand behind a canary. Each process tries it by its own traffic, and takes it back for good
    when it is shown to be worse than the stable targets. Calls that a rule has placed are left alone. ``rng`` may be
    replaced by one with a known seed.
    """

    stage: ClassVar[Stage] = "route"
    wraps = 2
    Options = SplitOptions

    def __init__(self, config: PluginConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self.rng = random.Random()  # noqa: S311  # a share of traffic, not a secret
        self.trials: dict[str, Trial] = {}
        self._recent: OrderedDict[str, tuple[str, Trial, Arm]] = OrderedDict()

    @classmethod
    def option_problems(
        cls,
        model: ModelConfig,  # noqa: ARG003  # the base's signature
        options: Any,
        config: GatewayConfig,  # noqa: ARG003
    ) -> Iterable[tuple[str, str]]:
        if options.canary is not None and options.ab is not None:
            yield "ab", "a model has either a canary or an ab test"
        if options.ab is not None:
            names = [arm.name for arm in options.ab.arms]
            for place, name in enumerate(names):
                if name in names[:place]:
                    yield f"ab.arms[{place}].name", f'"{name}" is the name of another arm'

    @hookimpl
    def route(self, call: Call) -> Sequence[Target] | None:
        options: SplitOptions | None = self.options(call)
        if options is None or (call.decision is not None and call.decision.rule is not None):
            return None
        if options.canary is not None:
            return self._try(call, options.canary)
        return None if options.ab is None else self._assign(call, options.ab)

    def _try(self, call: Call, canary: Canary) -> Sequence[Target] | None:
        assert call.model_config is not None
        model = call.model_config.name
        trial = self.trials.get(model)
        if trial is None or trial.canary != canary:
            trial = self.trials[model] = Trial(canary)
        decision = decision_of(call)
        decision.split = "stable"
        if trial.verdict is not None:
            decision.notes.append(f"the canary {canary.target} was taken back: {trial.verdict}")
            return None
        who = None if canary.by is None else identity(call, canary.by)
        drawn = self.rng.random() if who is None else point("canary", str(canary.target), who)
        if drawn * 100 >= canary.percent:
            self._remember(call, model, trial, "stable")
            return None
        if not usable(call, (canary.target,)):
            return None
        decision.split = "canary"
        self._remember(call, model, trial, "canary")
        rest = call.gateway.pipeline.route(call, past=self.name)
        behind = call.targets if rest is None else rest
        return (canary.target, *(target for target in behind if str(target) != str(canary.target)))

    def _assign(self, call: Call, ab: Ab) -> Sequence[Target] | None:
        who = identity(call, ab.by) or call.tenant
        left = point("ab", ab.name, who) * sum(arm.share for arm in ab.arms)
        chosen = ab.arms[-1]
        for arm in ab.arms:
            if left < arm.share:
                chosen = arm
                break
            left -= arm.share
        decision = decision_of(call)
        decision.split = f"ab:{ab.name}={chosen.name}"
        if not chosen.targets:
            return None
        targets = usable(call, chosen.targets)
        if not targets:
            decision.notes.append(f"arm {chosen.name} cannot answer this request: the model's own targets do")
            return None
        call.targets = targets
        ordered = call.gateway.pipeline.route(call, past=self.name)
        return targets if ordered is None else ordered

    def _remember(self, call: Call, model: str, trial: Trial, arm: Arm) -> None:
        call.state[self.name] = (model, trial, arm)

    @hookimpl
    def on_complete(self, call: Call) -> None:
        entry: tuple[str, Trial, Arm] | None = call.state.get(self.name)
        if entry is None:
            return
        model, trial, arm = entry
        if not call.attempts or call.outcome == "cancelled":
            return
        first = call.attempts[0]
        if (str(first.target) == str(trial.canary.target)) != (arm == "canary"):
            return  # its target was not fit, and another was asked
        failed = first.error is not None or (len(call.attempts) == 1 and call.outcome != "ok")
        time = None if first.first_byte is None else first.first_byte - first.started
        self._tell(model, trial, trial.ended(arm, Outcome(failed=failed, first_token=time)))
        if trial.canary.rollback.score is None or failed:
            return
        if call.score is not None:
            self._tell(model, trial, trial.scored(arm, call.score))
            return
        self._recent[call.id] = entry
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def scored(self, call_id: str, value: float) -> None:
        """Take a score that came after the call; see ``Gateway.score``."""
        entry = self._recent.pop(call_id, None)
        if entry is not None:
            model, trial, arm = entry
            self._tell(model, trial, trial.scored(arm, value))

    def _tell(self, model: str, trial: Trial, verdict: str | None) -> None:
        if verdict is not None:
            log.warning(
                "model %s: the canary %s is taken back: %s; the stable targets have all traffic until the canary's "
                "settings change",
                model,
                trial.canary.target,
                verdict,
            )
