"""Google's own API for Gemini."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from gateway import hookimpl
from gateway.call import Call, Target
from gateway.errors import ConfigError
from gateway.format import Format, Traits
from gateway.plugin import PluginContext
from gateway.provider import Provider, ProviderConfig
from gateway_plugins.formats.gemini_lanes import own_lane
from gateway_plugins.formats.gemini_models import traits_of

if TYPE_CHECKING:
    from gateway.translation import Pair, Translator

_METHODS = {"gemini_count_tokens": "countTokens", "gemini_embeddings": "batchEmbedContents"}


class Gemini(Provider):
    """Asks Gemini by generateContent, countTokens and batchEmbedContents."""

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``version`` is that of the API, as it stands in the path."""

        version: str = "v1beta"

    base_url: ClassVar[str | None] = "https://generativelanguage.googleapis.com"
    family: str = "gemini"
    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {
        "chat": ("gemini",),
        "embeddings": ("gemini_embeddings",),
        "count_tokens": ("gemini_count_tokens",),
    }

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        problems = _problems(config)
        if problems:
            raise ConfigError(problems)

    def path(self, format_name: str, target: Target, *, stream: bool) -> str:
        """The model and the method; streams are asked for as server-sent events."""
        model = target.model if target.model.startswith(("models/", "tunedModels/")) else f"models/{target.model}"
        method = _METHODS.get(format_name) or ("streamGenerateContent?alt=sse" if stream else "generateContent")
        return f"/{self.config.version}/{quote(model, safe='/')}:{method}"

    def credentials(self, call: Call) -> list[tuple[str, str]]:
        """The key in Google's own header."""
        key = self.key(call)
        return [] if key is None else [("x-goog-api-key", key)]

    def traits(self, model: str) -> Traits:
        """What the model takes, by the catalogue and by its name."""
        return traits_of(model, self.info(model))

    @hookimpl(trylast=True)
    def translate(self, pair: Pair) -> Translator | None:
        """Embeddings and counts, whose bodies repeat the model's name."""
        return own_lane(pair) if pair.provider is self else None


def _problems(config: Any) -> list[str]:
    """What is wrong with the settings, one line for each mistake."""
    problems: list[str] = []
    url: str | None = config.base_url
    if url is not None and not url.startswith(("http://", "https://")):
        problems.append(f'base_url: "{url}" must begin with http:// or https://')
    if url is not None and url.rstrip("/").endswith(("/v1", "/v1beta", "/v1alpha", "/models")):
        problems.append(f'base_url: "{url}" must end before the version, as Google\'s own SDK takes it')
    if not config.version.isalnum():
        problems.append(f'version: "{config.version}" must be one such as "v1beta"')
    named = {name.lower() for name in config.headers} & {"x-goog-api-key", "authorization"}
    if config.api_key is None and not named and url is None:
        problems.append(
            "api_key: Gemini needs a key: set GEMINI_API_KEY in the environment"
            ' and write api_key = { env = "GEMINI_API_KEY" }'
        )
    return problems
