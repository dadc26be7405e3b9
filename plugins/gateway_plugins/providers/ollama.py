"""Ollama: by its imitation of OpenAI, or by its own API where the settings say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gateway.errors import ConfigError
from gateway.format import Format, Traits
from gateway.plugin import PluginContext
from gateway.provider import Provider, ProviderConfig, format_name
from gateway_plugins.providers.openai_settings import address_problems
from gateway_plugins.providers.presets import PRESETS

_PRESET = PRESETS["ollama"]
_OWN = ("ollama_chat", "ollama_embed")


class Ollama(Provider):
    """Asks a server of Ollama by /v1/chat/completions; with ``format = "ollama_chat"`` by /api/chat and /api/embed."""

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``base_url`` is the server's address, with or without /v1. ``models`` are listed in /v1/models.

        ``options`` (such as ``num_ctx``) and ``keep_alive`` say how Ollama is to run its models: what only its own API
        takes, so ``format = "ollama_chat"`` goes with them. A caller's own stand above them.
        """

        models: tuple[str, ...] = ()
        options: dict[str, Any] = {}
        keep_alive: str | int | None = None

    base_url: ClassVar[str | None] = _PRESET.base_url
    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {
        "chat": ("openai_chat", "openai_responses", "openai_completions", "ollama_chat"),
        "embeddings": ("openai_embeddings", "ollama_embed"),
    }
    paths: ClassVar[Mapping[str, str]] = {
        **{name: f"/v1{path}" for name, path in Provider.paths.items()},
        "ollama_chat": "/api/chat",
        "ollama_embed": "/api/embed",
    }

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        self.models = config.models
        problems = address_problems(config.base_url)
        if problems:
            raise ConfigError(problems)

    @property
    def address(self) -> str:
        """Where the server is, before the /v1 of its imitation of OpenAI."""
        return super().address.removesuffix("/v1")

    def offers(self, operation: str) -> tuple[str | Format, ...]:
        """Ollama's own formats for everything where ``format`` names one of them, else only those of OpenAI."""
        own = self.config.format in _OWN
        offered = self.formats.get(operation, ()) if own else super().offers(operation)
        return tuple(f for f in offered if (format_name(f) in _OWN) is own)

    def traits(self, model: str) -> Traits:
        """The preset's differences; for Ollama's own API, how it is to run its models."""
        if self.config.format not in _OWN:
            return _PRESET.traits
        return Traits(options={"options": self.config.options, "keep_alive": self.config.keep_alive})

    def warnings(self) -> list[str]:
        """That settings of Ollama's own API say nothing to its imitation of OpenAI."""
        said = [name for name in ("options", "keep_alive") if getattr(self.config, name) not in ({}, None)]
        if not said or self.config.format in _OWN:
            return []
        return [f'{" and ".join(said)}: only Ollama\'s own API takes it; write format = "ollama_chat" as well']
