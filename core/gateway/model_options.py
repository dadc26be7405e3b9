"""The keys of ``[models.*]`` that routing plugins declare, checked against their ``Options``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gateway.config import GatewayConfig, ModelConfig, TargetConfig
from gateway.config_models import MODEL_KEYS
from gateway.config_reader import Reader, nearest
from gateway.config_words import known_names
from gateway.plugin import Plugin

Options = dict[tuple[str, str], Any]
"""(model's name, plugin's name) → the plugin's Options for the model."""


def read_options(config: GatewayConfig, plugins: Sequence[tuple[str, type[Plugin]]], reader: Reader) -> Options:
    """What each model's table says to each routing plugin. What no plugin that is asked for the model knows is told."""
    routing = [(name, cls) for name, cls in plugins if cls.strategies or cls.wraps]
    strategies = {word for _, cls in routing for word in cls.strategies}
    options: Options = {}
    for model in config.models.values():
        place = ("models", model.name)
        asked = [(name, cls) for name, cls in routing if cls.wraps or model.strategy in cls.strategies]
        known: set[str] = set()
        for name, cls in asked:
            fields = {field.encode_name for field in msgspec.structs.fields(cls.Options)}
            known |= fields
            given = {key: value for key, value in model.extra.items() if key in fields}
            if given or (model.strategy in cls.strategies and fields):
                found = reader.struct(given, cls.Options, place)
                if found is not None:
                    options[model.name, name] = found
                    _check(found, cls, model, config, reader)
        if model.strategy in strategies:
            _tell_unknown(model, known, routing, reader)
    return options


def _tell_unknown(
    model: ModelConfig, known: set[str], routing: Sequence[tuple[str, type[Plugin]]], reader: Reader
) -> None:
    for key in model.extra:
        if key in known:
            continue
        owners = sorted(
            {cls.strategies[0] for _, cls in routing if cls.strategies and key in cls.Options.__struct_fields__}
        )
        if owners:
            words = " or ".join(f'strategy = "{word}"' for word in owners)
            text = f'unknown key for strategy "{model.strategy}"; it belongs to {words}'
        else:
            names = (*MODEL_KEYS, *known)
            text = f"unknown key{nearest(key, names) or known_names(names)}"
        reader.problem(("models", model.name), key, text)


def _check(options: Any, cls: type[Plugin], model: ModelConfig, config: GatewayConfig, reader: Reader) -> None:
    """Each target that the options name must be of a plugin that is on; the plugin may know more."""
    on = {table.name: table.enabled for table in config.plugins}
    for key, target in targets_in(options):
        if not on.get(target.provider):
            enabled = [name for name, yes in on.items() if yes]
            hint = nearest(target.provider, enabled) or f"; switch it on with a table [plugins.{target.provider}]"
            reader.problem(("models", model.name), key, f'no plugin of the name "{target.provider}"{hint}')
    for key, text in cls.option_problems(model, options, config):
        reader.problem(("models", model.name), key, text)


def targets_in(value: Any, key: str = "") -> Iterator[tuple[str, TargetConfig]]:
    """The targets in an Options struct, with the key that each stands under: ``rules[0].targets[1]``."""
    if isinstance(value, TargetConfig):
        yield key, value
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from targets_in(getattr(value, field), f"{key}.{field}" if key else field)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from targets_in(item, f"{key}[{place}]")
