"""Anthropic's own API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from gateway.call import Call
from gateway.errors import ConfigError, InvalidRequest
from gateway.format import Format, Traits
from gateway.jsonbody import JsonObject
from gateway.plugin import PluginContext
from gateway.provider import Provider, ProviderConfig
from gateway.secret import FORWARD
from gateway_plugins.formats.anthropic_models import FIRST_VERSION_WITHOUT_SAMPLING, traits_of

SAMPLING_VERSION = "2023-06-01"
"""The ``anthropic-version`` that takes temperature, top_p and top_k."""

_SAMPLING = ("temperature", "top_p", "top_k")
_SAMPLING_BYTES = tuple(f'"{name}"'.encode() for name in _SAMPLING)
_VERSION = re.compile(r"auto|\d{4}-\d{2}-\d{2}")


class Anthropic(Provider):
    """Asks Claude by /v1/messages, and counts tokens by /v1/messages/count_tokens."""

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``version`` is the ``anthropic-version`` to send; ``auto`` takes the older one for sampling parameters.

        ``auth`` says how the key is sent. ``max_tokens_default`` is the limit where a caller of another dialect sets
        none; unset, it is the model's own.
        """

        version: str = "auto"
        auth: Literal["x-api-key", "bearer"] = "x-api-key"
        max_tokens_default: int | None = None

    family = "anthropic"
    base_url: ClassVar[str | None] = "https://api.anthropic.com"
    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {
        "chat": ("anthropic_messages",),
        "count_tokens": ("anthropic_count_tokens",),
    }
    paths: ClassVar[Mapping[str, str]] = {**Provider.paths, "anthropic_count_tokens": "/v1/messages/count_tokens"}

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        problems = _problems(config)
        if problems:
            raise ConfigError(problems)

    def credentials(self, call: Call) -> list[tuple[str, str]]:
        """The key in the header that the settings name; a caller's own in the one that it came in."""
        key = self.key(call)
        if key is None:
            return []
        bearer = self.config.auth == "bearer"
        if self.config.api_key.value == FORWARD and b"authorization" in call.headers:
            bearer = True
        return [("authorization", f"Bearer {key}")] if bearer else [("x-api-key", key)]

    def request_headers(self, call: Call, format_name: str, body: bytes) -> list[tuple[str, str]]:
        """``anthropic-version``, unless a caller of this dialect sent its own, which is passed on.

        Unless one is set, it is the newest that takes what the request says.
        """
        if call.format.name == format_name and b"anthropic-version" in call.headers:
            return []
        version = self.config.version
        if version == "auto":
            version = SAMPLING_VERSION if _needs_older(body) else FIRST_VERSION_WITHOUT_SAMPLING
        return [("anthropic-version", version)]

    def traits(self, model: str) -> Traits:
        """What the model takes, by the catalogue and by its name."""
        return traits_of(model, self.config.version, self.config.max_tokens_default, self.info(model))


def _needs_older(body: bytes) -> bool:
    """Whether a request says what the newer version refuses.

    That is a sampling parameter, a document of the assistant's, or citations on a text of the user's.
    """
    samples = any(name in body for name in _SAMPLING_BYTES)
    refers = b'"citations"' in body or (b'"document"' in body and b'"assistant"' in body)
    if not samples and not refers:
        return False
    try:
        members = JsonObject(body)
        if samples and any(name in members for name in _SAMPLING):
            return True
        messages = members.get("messages") if refers else None
    except InvalidRequest:
        return False
    return isinstance(messages, list) and any(map(_is_refused, messages))


def _is_refused(message: Any) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    if blocks and message.get("role") == "assistant":
        return any(block.get("type") == "document" for block in blocks)
    return any(block.get("type") == "text" and block.get("citations") for block in blocks)


def _problems(config: Any) -> list[str]:
    """What is wrong with the settings, one line for each mistake."""
    problems: list[str] = []
    url: str | None = config.base_url
    if url is not None and not url.startswith(("http://", "https://")):
        problems.append(f'base_url: "{url}" must begin with http:// or https://')
    if url is not None and url.rstrip("/").endswith(("/v1", "/v1/messages")):
        problems.append(f'base_url: "{url}" must end before /v1, as Anthropic\'s own SDK takes it')
    if _VERSION.fullmatch(config.version) is None:
        problems.append(f'version: "{config.version}" must be "auto" or a date such as "{SAMPLING_VERSION}"')
    if config.max_tokens_default is not None and config.max_tokens_default < 1:
        problems.append("max_tokens_default: must be at least 1")
    named = {name.lower() for name in config.headers} & {"x-api-key", "authorization"}
    if config.api_key is None and not named and url is None:
        problems.append(
            "api_key: Anthropic needs a key: set ANTHROPIC_API_KEY in the environment"
            ' and write api_key = { env = "ANTHROPIC_API_KEY" }'
        )
    return problems
