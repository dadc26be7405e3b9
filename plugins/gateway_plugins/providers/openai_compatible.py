"""Any server that speaks OpenAI's chat completions: one by its address, or a well-known one by its preset."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

import msgspec

from gateway import hookimpl
from gateway.errors import ConfigError
from gateway.format import Format, Traits
from gateway.plugin import PluginContext
from gateway.protocol import ChatRequest
from gateway.provider import Provider, ProviderConfig
from gateway.translation import Composed, Pair, Translator
from gateway_plugins.providers.openai_settings import address_problems, key_problems
from gateway_plugins.providers.preset import Preset
from gateway_plugins.providers.presets import COMPATIBLE, PRESETS


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
        "chat": ("openai_chat", "openai_responses", "openai_completions"),
        "embeddings": ("openai_embeddings",),
        "rerank": ("cohere_rerank",),
    }
    paths: ClassVar[Mapping[str, str]] = {**Provider.paths, "cohere_rerank": "/rerank"}

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        self.models = config.models
        self.preset = _preset_of(config, context)
        self.family = next((name for name, preset in PRESETS.items() if preset is self.preset), "")
        problems = _problems(config, self.preset)
        if problems:
            raise ConfigError(problems)

    @property
    def address(self) -> str:
        """The table's address before the preset's."""
        return super().address or ("" if self.preset is None else self.preset.base_url)

    def offers(self, operation: str) -> tuple[str | Format, ...]:
        """Nothing that the preset's provider has not: embeddings, reranking, responses, legacy completions.

        A server that no preset describes is asked by /responses only where ``format`` says so.
        """
        preset, offered = self.preset, super().offers(operation)
        offers = {} if preset is None else {"embeddings": preset.embeddings, "rerank": preset.rerank}
        if not offers.get(operation, True):
            return ()
        lacks = set()
        if preset is not None and not preset.chat:
            lacks.add("openai_chat")
        if preset is None or not preset.responses:
            lacks.add("openai_responses")
        if preset is not None and not preset.completions:
            lacks.add("openai_completions")
        return tuple(f for f in offered if f == self.config.format or f not in lacks)

    @hookimpl
    def translate(self, pair: Pair) -> Translator | None:
        """A provider that refuses what it does not know gets no caller's bytes as they are."""
        own = pair.provider is self and pair.source.name == pair.wire.name
        return Composed(pair) if own and self.preset is not None and self.preset.rewrites else None

    def warnings(self) -> list[str]:
        """That a service is no more, unless another address is asked in its way."""
        if self.preset is None or self.preset.retired is None or self.config.base_url is not None:
            return []
        return [f"{self.preset.title} ended on {self.preset.retired}: calls to it will fail"]

    def traits(self, model: str) -> Traits:
        """The preset's differences, with the catalogue's facts of the model and the table's corrections."""
        traits = COMPATIBLE
        if self.preset is not None:
            matches = (traits for pattern, traits in self.preset.models if fnmatchcase(model, pattern))
            traits = next(matches, self.preset.traits)
        config, info = self.config, self.info(model)
        options = traits.options
        if info.efforts and "efforts" not in options:
            options = {**options, "efforts": list(info.efforts)}
        if config.max_tokens_field is not None:
            options = {**options, "max_tokens_field": config.max_tokens_field}
        unsupported = {**traits.unsupported, **dict.fromkeys(config.unsupported, "the configuration says so")}
        if info.sampling is False:
            unsupported |= dict.fromkeys(("temperature", "top_p", "top_k"), "the model does not take it")
        return msgspec.structs.replace(
            traits, unsupported=unsupported, roles={**traits.roles, **config.roles}, options=options
        )


_FIELDS = (
    *(
        field
        for field in ChatRequest.__struct_fields__
        if field not in ("model", "messages", "origin", "extra", "spelling")
    ),
    "dimensions",
    "max_tokens_per_doc",
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
    if preset is not None and not preset.base_url and config.base_url is None:
        problems.append(f'base_url: {preset.title} has one for each customer: "{preset.address}"')
    if preset is not None:
        problems += key_problems(config, preset.title, preset.key_env)
    for field in config.unsupported:
        if field not in _FIELDS:
            near = get_close_matches(field, _FIELDS, n=1, cutoff=0.5)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            problems.append(f'unsupported: "{field}" is no field of a request{hint}')
    return problems
