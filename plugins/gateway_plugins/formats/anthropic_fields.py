"""A JSON object under the reader's eyes, and one under the writer's hands."""

from __future__ import annotations

from typing import Any, NoReturn

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway.protocol import CacheControl
from gateway_plugins.formats.json_fields import JsonFields, JsonType

NAME = "anthropic_messages"
"""The format's name: the ``origin`` of what it read."""

_CACHE_KEYS = frozenset(("type", "ttl"))


_WORDS: dict[JsonType, str] = {
    "object": "an object",
    "string": "a valid string",
    "boolean": "a valid boolean",
    "integer": "a valid integer",
    "number": "a valid number",
    "array": "a valid list",
}


class Fields(JsonFields):
    """An object of a messages request; what is wrong is told in Anthropic's manner: ``messages.0.role: …``."""

    __slots__ = ()

    @staticmethod
    def wrong_type(path: str, expected: JsonType, value: Any) -> InvalidRequest:  # noqa: ARG004  # it shows no values
        return wrong(path or "body", f"Input should be {_WORDS[expected]}")

    def cache_control(self) -> CacheControl | None:
        """The prompt-cache breakpoint; one with further fields stays in ``rest`` whole."""
        value = self.rest.get("cache_control")
        if not isinstance(value, dict) or not value.keys() <= _CACHE_KEYS or not isinstance(value.get("type"), str):
            return None
        ttl = value.get("ttl")
        if not isinstance(ttl, str | None):
            return None
        del self.rest["cache_control"]
        return CacheControl(type=value["type"], ttl=ttl)

    def missing(self, key: str) -> NoReturn:
        raise wrong(self.at(key), "Field required")


def wrong(path: str, what: str) -> InvalidRequest:
    """The error for a field at ``path``."""
    return InvalidRequest(f"{path}: {what}", param=path)


def overlay(out: dict[str, Any], extra: dict[str, Any]) -> None:
    """Put the fields of ``extra`` into ``out``: objects on both sides are merged, else the extra one counts."""
    for key, value in extra.items():
        there = out.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            overlay(there, value)
        else:
            out[key] = value


# How chat completions callers write what the normalised protocol has other names for.
_CHAT_NAMES = {"reasoning.effort": "reasoning_effort", "reasoning.budget_tokens": "reasoning.max_tokens"}


class Outgoing:
    """What the writer of one request knows of its reader: whose words it may repeat, and where losses are named.

    ``own`` says that this format read the request: what it said is written again as it was, and the provider judges
    it. What another format said is made to fit what Anthropic's documentation allows.
    """

    __slots__ = ("dropped", "options", "origin", "own", "traits")

    def __init__(self, traits: Traits, dropped: Dropped, origin: str) -> None:
        self.traits = traits
        self.options = traits.options
        self.dropped = dropped
        self.origin = origin
        self.own = origin == NAME

    def lose(self, field: str, why: str) -> None:
        """Name a loss by the caller's word for the field."""
        name = _CHAT_NAMES.get(field, field) if self.origin == "openai_chat" else field
        self.dropped.add(name, why)

    def extras(self, out: dict[str, Any], extra: dict[str, Any], path: str) -> None:
        """Restore our own unknown fields, name those of another format."""
        if self.own:
            overlay(out, extra)
            return
        for key in extra:
            self.lose(f"{path}.{key}" if path else key, "it has no place in Anthropic's Messages")

    def cache_control(self, out: dict[str, Any], control: CacheControl | None) -> None:
        """Write a prompt-cache breakpoint."""
        if control is not None:
            out["cache_control"] = {"type": control.type}
            if control.ttl is not None:
                out["cache_control"]["ttl"] = control.ttl
