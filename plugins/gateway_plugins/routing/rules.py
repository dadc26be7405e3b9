"""``rules = [{ when = "…", targets = […] }]``: the first rule whose condition holds says who answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from gateway import Call, Plugin, PluginConfig, PluginContext, Target, hookimpl
from gateway.choosing import usable
from gateway.config import GatewayConfig, ModelConfig
from gateway.decision import decision_of
from gateway.errors import ConfigError
from gateway.plugin import ModelOptions, Stage
from gateway_plugins.routing.expressions import ExpressionError, compiled
from gateway_plugins.routing.request_facts import Facts


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``{ when = "has_images", targets = ["openai/gpt-4o"] }``; without ``when`` it always holds.

    ``targets`` and ``fallbacks`` take the place of the model's own. ``model`` goes on as if the caller had asked for
    that model, with its targets, strategy and settings. ``name`` is what logs call the rule.
    """

    when: str = "true"
    targets: tuple[Target, ...] = ()
    fallbacks: tuple[Target, ...] = ()
    model: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        try:
            compiled(self.when)
        except ExpressionError as error:
            raise ValueError(f'when = "{self.when[:60]}": {error}') from None
        if bool(self.targets) == (self.model is not None):
            raise ValueError("a rule has either targets or a model")
        if self.fallbacks and not self.targets:
            raise ValueError("fallbacks belong to a rule with targets; those of the other model hold for it")


class RulesOptions(ModelOptions, frozen=True, kw_only=True):
    """``rules``: asked in order, the first that holds decides."""

    rules: Annotated[tuple[Rule, ...], msgspec.Meta(min_length=1)]


class RulesConfig(PluginConfig, frozen=True, kw_only=True):
    """``[plugins.rules]``. ``timezone`` is what ``hour`` and ``weekday`` are told in, such as ``Europe/Berlin``."""

    timezone: str = "UTC"


class Rules(Plugin):
    """Narrows a model to the targets of the first rule that holds; the model's strategy orders them.

    Where none holds, the model's own targets stand. A rule's targets are all that may answer: neither the model's other
    targets nor its fallbacks stand in, and no experiment diverts the call. Conditions are compiled when the
    configuration is read.
    """

    stage: ClassVar[Stage] = "route"
    strategies = ("rules",)
    wraps = 1
    Config = RulesConfig
    Options = RulesOptions

    def __init__(self, config: RulesConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self.zone: tzinfo = UTC
        if config.timezone != "UTC":
            try:
                self.zone = ZoneInfo(config.timezone)
            except (KeyError, OSError, ValueError):  # it is not known, or its name is none
                raise ConfigError([f'timezone: no time zone "{config.timezone}" is known on this machine']) from None

    @classmethod
    def option_problems(cls, model: ModelConfig, options: Any, config: GatewayConfig) -> Iterable[tuple[str, str]]:
        for place, rule in enumerate(options.rules):
            if rule.model is None:
                continue
            if rule.model not in config.models:
                yield f"rules[{place}].model", f'"{rule.model}" is no model of this file'
            elif _leads_to(model.name, rule.model, config):
                yield f"rules[{place}].model", f'"{rule.model}" leads back to this model'

    @hookimpl
    def route(self, call: Call) -> Sequence[Target] | None:
        options: RulesOptions | None = self.options(call)
        if options is None:
            return None
        facts = Facts(call, self.zone)
        for place, rule in enumerate(options.rules):
            if compiled(rule.when)(facts):
                return self._obey(call, rule, place)
        return None

    def _obey(self, call: Call, rule: Rule, place: int) -> Sequence[Target] | None:
        """The targets of a rule in the order of the strategy that holds for them."""
        config = call.model_config
        assert config is not None
        decision = decision_of(call)
        decision.candidates = []  # the model's own targets are none any more
        decision.rule = rule.name or rule.when
        pipeline = call.gateway.pipeline
        if rule.model is not None:
            call.model_config = other = call.gateway.config.models[rule.model]
            decision.notes.append(f"rule {place + 1}: goes on as {rule.model}")
            decision.strategy = other.strategy
            call.targets = usable(call, other.targets)
            chosen = pipeline.route(call)
        else:
            call.model_config = msgspec.structs.replace(config, targets=rule.targets, fallbacks=rule.fallbacks)
            decision.notes.append(f"rule {place + 1}: its targets answer, and no others")
            call.targets = usable(call, rule.targets)
            chosen = pipeline.route(call, past=self.name)
        return call.targets if chosen is None else chosen


def _leads_to(goal: str, start: str, config: GatewayConfig) -> bool:
    """Whether the rules of model ``start`` can lead to ``goal``."""
    seen: set[str] = set()
    open_models = [start]
    while open_models:
        name = open_models.pop()
        if name == goal:
            return True
        if name in seen or name not in config.models:
            continue
        seen.add(name)
        rules = config.models[name].extra.get("rules")
        listed = rules if isinstance(rules, list) else []
        open_models += [str(rule["model"]) for rule in listed if isinstance(rule, dict) and "model" in rule]
    return False
