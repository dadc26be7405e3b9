"""Reads ``[defaults]`` and ``[models.*]``: targets, and fallbacks that may name other models."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from gateway.config_reader import REFUSED, Reader, nearest
from gateway.health_settings import BudgetConfig, HedgeConfig
from gateway.settings import FallbackKind, Hold, ModelConfig, Rescue, TargetConfig, Timeouts

Retries = Annotated[int, msgspec.Meta(ge=0, le=10)]
FORM = 'expected { provider = "…", model = "…" } or "provider/model"'


class _Defaults(msgspec.Struct, frozen=True, kw_only=True):
    strategy: str | None = None
    retries: Retries | None = None
    timeouts: Timeouts = Timeouts()
    rescue: Rescue | None = None
    retry_budget: BudgetConfig = BudgetConfig()
    hedge: HedgeConfig | None = None
    hold: Hold | None = None
    fallback_on: tuple[FallbackKind, ...] | None = None


class _ModelTable(_Defaults, frozen=True, kw_only=True):
    # Items are read one by one, so that a mistake in one does not hide those of the others.
    targets: list[Any]
    fallbacks: list[Any] = []


MODEL_KEYS = _ModelTable.__struct_fields__
OWN_KEYS = ("strategy", "retries", "rescue", "hold", "fallback_on", "retry_budget", "hedge")
"""What a model's own table says in place of [defaults], each as a whole."""


def read_defaults(reader: Reader, values: Any) -> ModelConfig:
    """What every model has unless its own table says otherwise; a ModelConfig without a name."""
    good = reader.fields(values, _Defaults, ("defaults",))
    return ModelConfig(name="", **good)


def read_models(
    reader: Reader, tables: dict[str, Any], defaults: ModelConfig, enabled: dict[str, bool]
) -> dict[str, ModelConfig]:
    """All models, with the defaults folded in. A model with mistakes is there too, with what is right in it.

    ``enabled`` holds the plugins' tables by name, and whether they are on.
    """
    return _Models(reader, tables, defaults, enabled).read()


class _Models:
    def __init__(self, reader: Reader, tables: dict[str, Any], defaults: ModelConfig, enabled: dict[str, bool]) -> None:
        self.reader = reader
        self.tables = tables
        self.defaults = defaults
        self.enabled = enabled
        self.good: dict[str, dict[str, Any]] = {}
        self.extra: dict[str, dict[str, Any]] = {}
        self.targets: dict[str, tuple[TargetConfig, ...]] = {}

    def read(self) -> dict[str, ModelConfig]:
        for name, values in self.tables.items():
            place = ("models", name)
            if not name:
                self.reader.problem(place, "", "a model needs a name")
            extra = self.extra[name] = {}
            good = self.good[name] = self.reader.fields(values, _ModelTable, place, rest=extra)
            if good.get("targets") == []:
                self.reader.problem(place, "targets", "is empty; a model needs at least one target")
            items = enumerate(good.get("targets", ()))
            found = [self._target(name, f"targets[{index}]", item) for index, item in items]
            self.targets[name] = tuple(target for target in found if target is not None)
        return {name: self._model(name, good) for name, good in self.good.items()}

    def _model(self, name: str, good: dict[str, Any]) -> ModelConfig:
        fallbacks: list[TargetConfig] = []
        for index, item in enumerate(good.get("fallbacks", ())):
            fallbacks += self._fallback(name, f"fallbacks[{index}]", item)
        own = {key: good[key] for key in OWN_KEYS if key in good}
        return msgspec.structs.replace(
            self.defaults,
            name=name,
            extra=self.extra[name],
            targets=self.targets[name],
            fallbacks=tuple(fallbacks),
            timeouts=good.get("timeouts", Timeouts()).over(self.defaults.timeouts),
            **own,
        )

    def _fallback(self, model: str, key: str, item: Any) -> tuple[TargetConfig, ...]:
        """The targets that an item stands for: itself, or those of another model with that model's own time limits."""
        if not isinstance(item, str) or item not in self.tables:
            target = self._target(model, key, item)
            return () if target is None else (target,)
        if item == model:
            self.reader.problem(("models", model), key, f'"{item}" is this model itself; name another')
            return ()
        limits = self.good[item].get("timeouts", Timeouts())
        return tuple(
            msgspec.structs.replace(target, timeouts=target.timeouts.over(limits)) for target in self.targets[item]
        )

    def _target(self, model: str, key: str, item: Any) -> TargetConfig | None:
        place = ("models", model)
        if isinstance(item, dict):
            provider = item.get("provider")
            if isinstance(provider, str) and provider:
                self._check_provider(model, f"{key}.provider", provider)
            return self.reader.struct(item, TargetConfig, place, key)
        text = self.reader.value(item, str, place, key)
        if text is REFUSED:
            return None
        provider, slash, rest = text.partition("/")
        if slash and provider and rest:
            self._check_provider(model, key, provider)
            return TargetConfig(provider=provider, model=rest)
        if key.startswith("targets") and text in self.tables:
            hint = "; another model can stand in fallbacks"
        else:
            hint = nearest(text, [name for name in self.tables if name != model]) if key.startswith("fallbacks") else ""
        what = "no model of this file and " if key.startswith("fallbacks") else ""
        self.reader.problem(place, key, f'"{text}" is {what}no target; {FORM}{hint}')
        return None

    def _check_provider(self, model: str, key: str, provider: str) -> None:
        if self.enabled.get(provider):
            return
        if provider in self.enabled:
            text = f"[plugins.{provider}] is switched off with enabled = false"
        else:
            on = [name for name, enabled in self.enabled.items() if enabled]
            hint = nearest(provider, on) or f"; switch it on with a table [plugins.{provider}]"
            text = f'no plugin of the name "{provider}"{hint}'
        self.reader.problem(("models", model), key, text)
