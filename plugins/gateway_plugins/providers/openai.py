"""OpenAI's own API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gateway.call import Call
from gateway.errors import ConfigError
from gateway.format import Format, Traits
from gateway.plugin import PluginContext
from gateway.provider import Provider, ProviderConfig
from gateway_plugins.providers.openai_families import served_by, traits_of
from gateway_plugins.providers.openai_settings import address_problems, key_problems


class OpenAI(Provider):
    """Asks OpenAI by /responses where the caller does, else by /chat/completions; and by /embeddings."""

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``organization`` and ``project`` say who pays, where a key belongs to several."""

        organization: str | None = None
        project: str | None = None

    family = "openai"
    keeps_responses: ClassVar[bool] = True
    """A response may be gone on from by its id alone; see the plugin responses_state."""
    base_url: ClassVar[str | None] = "https://api.openai.com/v1"
    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {
        "chat": ("openai_chat", "openai_responses", "openai_completions"),
        "count_tokens": ("openai_responses_input_tokens",),
        "compact": ("openai_responses_compact",),
        "embeddings": ("openai_embeddings",),
    }

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        problems = [*address_problems(config.base_url), *key_problems(config, "OpenAI", "OPENAI_API_KEY")]
        if problems:
            raise ConfigError(problems)

    def credentials(self, call: Call) -> list[tuple[str, str]]:
        """The key, and the organization and the project that it belongs to, where they are set."""
        named = (("openai-organization", self.config.organization), ("openai-project", self.config.project))
        return super().credentials(call) + [(name, value) for name, value in named if value is not None]

    def served_by(self, model: str, format_name: str) -> str | None:
        """/responses, /chat/completions or /completions, for a model that only one of them serves."""
        return served_by(model, self.info(model), format_name)

    def traits(self, model: str) -> Traits:
        """What the model's family takes."""
        return traits_of(model, self.info(model))
