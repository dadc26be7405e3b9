"""A JSON object of Gemini's under the reader's eyes, and one under the writer's hands."""

from __future__ import annotations

from typing import Any, NoReturn

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway.protocol import CacheControl
from gateway_plugins.formats.json_fields import JsonFields, JsonType, merge

NAME = "gemini"
"""The format's name: the ``origin`` of what it read."""

MADE_UP = "gwcall_"
"""How the id of a call begins that came without one; such an id never goes to Gemini."""


def camel(key: str) -> str:
    """A field's name as Google's JSON documents it; its parsers take ``snake_case`` as well."""
    if "_" not in key or key.startswith("_"):
        return key
    first, *others = key.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


def camel_keys(value: dict[str, Any]) -> dict[str, Any]:
    """An object with its own members' names, not those below, in camelCase."""
    return {camel(key): item for key, item in value.items()} if any("_" in key for key in value) else value


class Fields(JsonFields):
    """An object of a request or reply, in either spelling."""

    __slots__ = ()

    def __init__(self, value: Any, path: str) -> None:
        super().__init__(value, path)
        self.rest = camel_keys(self.rest)

    @staticmethod
    def wrong_type(path: str, expected: JsonType, value: Any) -> InvalidRequest:  # noqa: ARG004  # it shows no values
        article = "an" if expected[0] in "aio" else "a"
        return wrong(path, f"it must be {article} {expected}")

    def missing(self, key: str) -> NoReturn:
        raise wrong(self.at(key), "it is required")

    def items(self, key: str) -> list[Any]:
        """A repeated field; Google's parsers take a single object for a list of one."""
        value = self.rest.pop(key, None)
        if value is None:
            return []
        if isinstance(value, dict):
            return [value]
        if isinstance(value, list):
            return value
        raise self.wrong_type(self.at(key), "array", value)


def wrong(path: str, what: str) -> InvalidRequest:
    """The error for a field at ``path``."""
    return InvalidRequest(f"Invalid value at '{path or 'request'}': {what}.", param=path or None)


class Outgoing:
    """What the writer of one request knows of its reader; ``own`` says that this format read the request."""

    __slots__ = ("dropped", "options", "own", "traits")

    def __init__(self, traits: Traits, dropped: Dropped, *, own: bool) -> None:
        self.traits = traits
        self.options = traits.options
        self.dropped = dropped
        self.own = own

    def lose(self, field: str, why: str) -> None:
        """Name a loss."""
        self.dropped.add(field, why)

    def extras(self, out: dict[str, Any], extra: dict[str, Any], path: str) -> None:
        """Restore our own unknown fields, name those of another format."""
        if self.own:
            merge(out, extra)
            return
        for key in extra:
            self.lose(f"{path}.{key}" if path else key, "Gemini has no such field")

    def cache_control(self, control: CacheControl | None, path: str) -> None:
        """Name a prompt-cache breakpoint."""
        if control is not None:
            self.lose(f"{path}.cache_control" if path else "cache_control", "Gemini caches by itself")
