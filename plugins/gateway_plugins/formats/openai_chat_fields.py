"""A JSON object under the reader's eyes, and one under the writer's hands."""

from __future__ import annotations

from typing import Any, NoReturn

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway.protocol import CacheControl, Part

NAME = "openai_chat"
"""The format's name: the ``origin`` of what it read."""


class Fields:
    """An object of a caller's request: each field is taken once and checked; ``rest`` is what nobody took.

    Null counts as absent. A wrong type raises InvalidRequest with the field's whole path as ``param``.
    """

    __slots__ = ("path", "rest")

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
        self.path = path
        self.rest: dict[str, Any] = dict(value)

    def at(self, key: str) -> str:
        """The path of a field."""
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str) -> Any:
        """A field of any type."""
        return self.rest.pop(key, None)

    def text(self, key: str) -> str | None:
        value = self.rest.pop(key, None)
        if value is None or isinstance(value, str):
            return value
        raise wrong_type(self.at(key), "a string", value)

    def required_text(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            self.missing(key)
        return value

    def flag(self, key: str) -> bool | None:
        value = self.rest.pop(key, None)
        if value is None or isinstance(value, bool):
            return value
        raise wrong_type(self.at(key), "a boolean", value)

    def integer(self, key: str) -> int | None:
        value = self.rest.pop(key, None)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise wrong_type(self.at(key), "an integer", value)

    def number(self, key: str) -> float | None:
        value = self.rest.pop(key, None)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise wrong_type(self.at(key), "a number", value)

    def array(self, key: str) -> list[Any] | None:
        value = self.rest.pop(key, None)
        if value is None or isinstance(value, list):
            return value
        raise wrong_type(self.at(key), "an array", value)

    def object(self, key: str) -> dict[str, Any] | None:
        value = self.rest.pop(key, None)
        if value is None or isinstance(value, dict):
            return value
        raise wrong_type(self.at(key), "an object", value)

    def nested(self, key: str) -> Fields | None:
        """An object whose own fields are read; give what is left of it back with ``keep``."""
        value = self.rest.pop(key, None)
        return None if value is None else Fields(value, self.at(key))

    def keep(self, key: str, inner: Fields) -> None:
        """Put back what nobody took of an inner object, so that it ends in ``extra``."""
        left = inner.left()
        if left:
            self.rest[key] = left

    def left(self) -> dict[str, Any]:
        """What nobody took, but for nulls: typed clients send every field they know, and null says nothing."""
        return {key: value for key, value in self.rest.items() if value is not None}

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


def merge(out: dict[str, Any], extra: dict[str, Any]) -> None:
    """Put the fields of ``extra`` into ``out``: objects on both sides are merged, else what is there stays."""
    for key, value in extra.items():
        there = out.get(key)
        if key not in out:
            out[key] = value
        elif isinstance(there, dict) and isinstance(value, dict):
            merge(there, value)


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
