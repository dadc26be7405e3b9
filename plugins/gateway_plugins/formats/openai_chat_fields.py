"""A JSON object under the reader's eyes, and one under the writer's hands."""

from __future__ import annotations

from typing import Any, NoReturn

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway.protocol import CacheControl, Part
from gateway_plugins.formats.json_fields import JsonFields, JsonType, merge

NAME = "openai_chat"
"""The format's name: the ``origin`` of what it read."""


_ARTICLES: dict[JsonType, str] = {
    "object": "an",
    "string": "a",
    "boolean": "a",
    "integer": "an",
    "number": "a",
    "array": "an",
}


class Fields(JsonFields):
    """An object of a chat completions request; what is wrong is told in OpenAI's manner."""

    __slots__ = ()

    @staticmethod
    def wrong_type(path: str, expected: JsonType, value: Any) -> InvalidRequest:
        return wrong_type(path, f"{_ARTICLES[expected]} {expected}", value)

    def cache_control(self) -> CacheControl | None:
        """The prompt-cache breakpoint in the shape that OpenRouter and LiteLLM take over from Anthropic."""
        inner = self.nested("cache_control")
        if inner is None:
            return None
        found = CacheControl(type=inner.text("type") or "ephemeral", ttl=inner.text("ttl"))
        self.keep("cache_control", inner)
        return found

    def missing(self, key: str) -> NoReturn:
        path = self.at(key)
        raise InvalidRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def wrong_type(path: str, expected: str, value: Any) -> InvalidRequest:
    """The error for a value of the wrong JSON type."""
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array"}
    got = "null" if value is None else names.get(type(value), "an object")
    return InvalidRequest(
        f"Invalid type for '{path}': expected {expected}, but got {got} instead.", param=path, code="invalid_type"
    )


def wrong_value(path: str, value: str, supported: str) -> InvalidRequest:
    """The error for a word that is none of those that a field takes."""
    return InvalidRequest(
        f"Invalid value for '{path}': '{value}'. Supported values are: {supported}.", param=path, code="invalid_value"
    )


class Outgoing:
    """What the writer of one request knows of its reader: whose words it may repeat, and where losses are named.

    ``own`` says that this format read the request, so that ``extra`` and ``spelling`` are its own. ``accepts`` are
    words of ``traits.options["accepts"]`` for what some providers take beyond OpenAI's documentation.
    """

    __slots__ = ("accepts", "dropped", "options", "own", "traits")

    def __init__(self, traits: Traits, dropped: Dropped, *, own: bool) -> None:
        self.traits = traits
        self.options = traits.options
        self.dropped = dropped
        self.own = own
        self.accepts: frozenset[str] = frozenset(traits.options.get("accepts", ()))

    @property
    def custom_tools(self) -> bool:
        """Whether the provider knows tools of free text."""
        return self.options.get("custom_tools") is not False

    def inner(self, path: str, key: str) -> str:
        """The path of what our own callers say one level down and others do not."""
        return f"{path}.{key}" if self.own else path

    def takes(self, word: str) -> bool:
        """Whether something beyond the documentation may be sent: the caller said it so, or the provider takes it."""
        return self.own or word in self.accepts

    def extras(self, out: dict[str, Any], extra: dict[str, Any], path: str) -> None:
        """Restore our own unknown fields, name those of another format."""
        if not extra:
            return
        if self.own:
            merge(out, extra)
            return
        for key in extra:
            self.dropped.add(f"{path}.{key}" if path else key, "chat completions has no such field")

    def cache_control(self, out: dict[str, Any], control: CacheControl | None, path: str) -> None:
        """Write a prompt-cache breakpoint where the provider takes one."""
        if control is None:
            return
        if not self.takes("cache_control"):
            self.dropped.add(f"{path}.cache_control" if path else "cache_control", "chat completions caches by itself")
            return
        found = {"type": control.type}
        if control.ttl is not None:
            found["ttl"] = control.ttl
        out["cache_control"] = found

    def part(self, out: dict[str, Any], part: Part, path: str) -> dict[str, Any]:
        """Finish a part's object: its breakpoint and its unknown fields."""
        self.cache_control(out, part.cache_control, path)
        self.extras(out, part.extra, path)
        return out
