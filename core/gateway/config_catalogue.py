"""Reads ``[catalogue."provider/model"]``, and what targets say of the models behind their names."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.catalogue import Catalogue, ModelOverride
from gateway.config_reader import Reader, nearest
from gateway.settings import ModelConfig, TargetConfig


def read_catalogue(
    reader: Reader, tables: dict[str, Any], models: dict[str, ModelConfig], enabled: dict[str, bool]
) -> Catalogue:
    """The configuration's own entries. ``enabled`` holds the plugins' tables by name, and whether they are on."""
    overrides: dict[str, ModelOverride] = {}
    for key, values in tables.items():
        place = ("catalogue", key)
        if not isinstance(values, dict):
            reader.problem(("catalogue",), key, 'expected a table, [catalogue."<provider>/<model>"]')
            continue
        provider, slash, model = key.partition("/")
        if not provider or not slash or not model:
            reader.problem(place, "", 'expected the name of a model at a provider, [catalogue."<provider>/<model>"]')
        elif "*" not in provider and provider not in enabled:
            hint = nearest(provider, list(enabled)) or f"; switch it on with a table [plugins.{provider}]"
            reader.problem(place, "", f'no plugin of the name "{provider}"{hint}')
        override = reader.struct(values, ModelOverride, place)
        if override is not None:
            overrides[key] = override
    for model_config in models.values():
        for target in (*model_config.targets, *model_config.fallbacks):
            _add_base(reader, overrides, model_config.name, target)
    return Catalogue(overrides)


def _add_base(reader: Reader, overrides: dict[str, ModelOverride], model: str, target: TargetConfig) -> None:
    """A target's ``base_model`` holds for its provider's model wherever it is asked for."""
    if target.base_model is None:
        return
    name = str(target)
    known = overrides.get(name, ModelOverride())
    if known.base_model not in (None, target.base_model):
        text = f'{name} is "{target.base_model}" here and "{known.base_model}" elsewhere; drop one base_model'
        reader.problem(("models", model), "targets", text)
        return
    overrides[name] = msgspec.structs.replace(known, base_model=target.base_model)
