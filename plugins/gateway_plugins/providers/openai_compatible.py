"""Any server that speaks OpenAI's chat completions: one by its address, or a well-known one by its preset."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

import msgspec

from gateway.errors import ConfigError
from gateway.format import Format, Traits
from gateway.plugin import PluginContext
from gateway.protocol import ChatRequest
from gateway.provider import Provider, ProviderConfig
from gateway_plugins.providers.openai_settings import address_problems, key_problems
from gateway_plugins.providers.presets import COMPATIBLE, PRESETS, Preset


class OpenAICompatible(Provider):
    """Asks a server that imitates OpenAI's chat completions and embeddings.

    The preset is the table's ``preset``, else its ``use`` or name where that is one: ``[plugins.groq]`` is enough.
    """

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``base_url`` is needed unless the preset gives one. ``models`` are listed in /v1/models.

        The others correct what the preset says of the server: ``max_tokens_field`` is its name for the limit of an
        answer, ``unsupported`` its unknown fields (left out and named when a request is translated), ``roles`` maps a
        role to the one to send.
        """

        preset: str | None = None
        models: tuple[str, ...] = ()
        max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
        unsupported: tuple[str, ...] = ()
        roles: dict[str, str] = {}

    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {
        "chat": ("openai_chat",),
        "embeddings": ("openai_embeddings",),
    }

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        self.models = config.models
        self.preset = _preset_of(config, context)
        problems = _problems(config, self.preset)
        if problems:
            raise ConfigError(problems)

    @property
    def address(self) -> str:
        """The table's address before the preset's."""
        return super().address or ("" if self.preset is None else self.preset.base_url)

    def offers(self, operation: str) -> tuple[str | Format, ...]:
        """Nothing for embeddings where the preset's provider has none."""
        if operation == "embeddings" and self.preset is not None and not self.preset.embeddings:
            return ()
        return super().offers(operation)

    def traits(self, model: str) -> Traits:
        """The preset's differences, with the table's corrections."""
        traits = COMPATIBLE
        if self.preset is not None:
            matches = (traits for pattern, traits in self.preset.models if fnmatchcase(model, pattern))
            traits = next(matches, self.preset.traits)
        config = self.config
        options = traits.options
        if config.max_tokens_field is not None:
            options = {**options, "max_tokens_field": config.max_tokens_field}
        return msgspec.structs.replace(
            traits,
            unsupported={**traits.unsupported, **dict.fromkeys(config.unsupported, "the configuration says so")},
            roles={**traits.roles, **config.roles},
            options=options,
        )


_FIELDS = (
    *(
        field
        for field in ChatRequest.__struct_fields__
        if field not in ("model", "messages", "origin", "extra", "spelling")
    ),
    "thinking",
    "messages.name",
    "tools.strict",
    "response_format.json_schema",
    *(f"tool_choice.{mode}" for mode in ("auto", "none", "required", "named", "allowed")),
)
"""What ``unsupported`` may name: fields of the normalised request, and the parts of them that openai_chat knows."""


def _preset_of(config: Any, context: PluginContext) -> Preset | None:
    implied = context.use if context.use in PRESETS else None
    name = config.preset or implied
    if name is None:
        return None
    if implied is not None and name != implied:
        raise ConfigError([f'preset: "{name}" contradicts use = "{implied}"; drop one of the two'])
    if name not in PRESETS:
        near = get_close_matches(name, list(PRESETS), n=1, cutoff=0.5)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise ConfigError([f'preset: "{name}" is none of {", ".join(PRESETS)}{hint}'])
    return PRESETS[name]


def _problems(config: Any, preset: Preset | None) -> list[str]:
    problems = address_problems(config.base_url)
    if preset is None and config.base_url is None:
        problems.append('base_url: needed, such as "http://127.0.0.1:8000/v1"; or name a preset: ' + ", ".join(PRESETS))
    if preset is not None:
        problems += key_problems(config, preset.title, preset.key_env)
    for field in config.unsupported:
        if field not in _FIELDS:
            near = get_close_matches(field, _FIELDS, n=1, cutoff=0.5)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            problems.append(f'unsupported: "{field}" is no field of a request{hint}')
    return problems
