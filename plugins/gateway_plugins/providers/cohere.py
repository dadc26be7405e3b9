"""Cohere's own API: chat, embeddings and reranking."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from gateway import hookimpl
from gateway.errors import ConfigError
from gateway.format import Format, Traits
from gateway.plugin import PluginContext
from gateway.provider import Provider, ProviderConfig
from gateway.translation import Composed

if TYPE_CHECKING:
    from gateway.translation import Pair, Translator

InputType = Literal["search_document", "search_query", "classification", "clustering", "image"]


class Cohere(Provider):
    """Asks Cohere by /v2/chat, /v2/embed and /v2/rerank."""

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``input_type`` is what a text is embedded for where the caller does not say so.

        ``safety_mode`` is sent where the caller sends none.
        """

        input_type: InputType = "search_document"
        safety_mode: Literal["CONTEXTUAL", "STRICT", "OFF"] | None = None

    family = "cohere"
    base_url: ClassVar[str | None] = "https://api.cohere.com"
    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {
        "chat": ("cohere_chat",),
        "embeddings": ("cohere_embed",),
        "rerank": ("cohere_rerank",),
    }
    paths: ClassVar[Mapping[str, str]] = {
        "cohere_chat": "/v2/chat",
        "cohere_embed": "/v2/embed",
        "cohere_rerank": "/v2/rerank",
    }

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        problems = _problems(config)
        if problems:
            raise ConfigError(problems)

    @hookimpl
    def translate(self, pair: Pair) -> Translator | None:
        """Reranking is rewritten always: what v1 and its imitators say beyond v2, Cohere's v2 refuses."""
        return Composed(pair) if pair.provider is self and pair.wire.name == "cohere_rerank" else None

    def traits(self, model: str) -> Traits:
        """What the model's family takes."""
        found = next((traits for pattern, traits in FAMILIES if fnmatchcase(model, pattern)), _ANY)
        options = {**found.options, "input_type": self.config.input_type, "return_documents": False}
        mode = self.config.safety_mode
        # Only chat knows it; the two others read no defaults of this kind.
        defaults = {} if mode is None or model.startswith(("embed", "rerank")) else {"safety_mode": mode}
        return msgspec.structs.replace(found, options=options, defaults=defaults)


_ANY = Traits()
_ANSWERS_AT_ONCE = Traits(options={"thinking": False})
_ONE_SIZE = Traits(unsupported={"dimensions": "only embed-v4 and later make vectors of another size"})

FAMILIES: tuple[tuple[str, Traits], ...] = (
    # https://docs.cohere.com/docs/models: those that do not reason.
    ("command", _ANSWERS_AT_ONCE),
    ("command-r*", _ANSWERS_AT_ONCE),
    ("command-light*", _ANSWERS_AT_ONCE),
    ("command-nightly*", _ANSWERS_AT_ONCE),
    ("command-a-0*", _ANSWERS_AT_ONCE),
    ("command-a-vision*", _ANSWERS_AT_ONCE),
    ("command-a-translate*", _ANSWERS_AT_ONCE),
    ("c4ai-aya*", _ANSWERS_AT_ONCE),
    ("embed-*-v[23].*", _ONE_SIZE),
)
"""Model name pattern → traits, the first match wins."""

_VERSIONS = ("/v1", "/v2")


def _problems(config: Any) -> list[str]:
    problems: list[str] = []
    url: str | None = config.base_url
    if url is not None and not url.startswith(("http://", "https://")):
        problems.append(f'base_url: "{url}" must begin with http:// or https://')
    if url is not None and url.rstrip("/").endswith(_VERSIONS):
        problems.append(f'base_url: "{url}" must end before the version, as Cohere\'s own SDK takes it')
    has_key = config.api_key is not None or any(name.lower() == "authorization" for name in config.headers)
    if not has_key and url is None:
        problems.append(
            'api_key: Cohere needs a key: set CO_API_KEY in the environment and write api_key = { env = "CO_API_KEY" }'
        )
    return problems
