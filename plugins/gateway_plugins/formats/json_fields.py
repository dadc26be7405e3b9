"""A JSON object of a request under a reader's eyes: each field taken once, checked, and the rest kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, NoReturn, Self

import msgspec

from gateway.errors import InvalidRequest
from gateway.jsonbody import JsonObject

MOST_COUNTED = 2**40
"""The largest count that is believed; its price still fits 64 bits, so that the books can hold it."""


def count_of(value: Any) -> int:
    """A count (of tokens) as a provider tells it: none below zero, none for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return max(0, min(int(value), MOST_COUNTED))


def index_of(value: Any, place: int) -> int:
    """Which of several answers this is, as a provider tells it; else the place where it stands."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else place


def merge(out: dict[str, Any], extra: dict[str, Any]) -> None:
    """Put the fields of ``extra`` into ``out``: objects on both sides are merged, else what is there stays."""
    for key, value in extra.items():
        there = out.get(key)
        if key not in out:
            out[key] = value
        elif isinstance(there, dict) and isinstance(value, dict):
            merge(there, value)


JsonType = Literal["object", "string", "boolean", "integer", "number", "array"]


class JsonFields(ABC):
    """An object of a caller's request: each field is taken once and checked; ``rest`` is what nobody took.

    Null counts as absent. A wrong type raises InvalidRequest in the format's own words, with the field's path.
    """

    __slots__ = ("path", "rest")

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise self.wrong_type(path, "object", value)
        self.path = path
        self.rest: dict[str, Any] = dict(value)

    @classmethod
    def of_body(cls, body: bytes) -> Self:
        """The members of a request body; raises InvalidRequest for what is no JSON object, and for a key said twice."""
        JsonObject(body)
        try:
            return cls(msgspec.json.decode(body), "")
        except RecursionError:
            raise InvalidRequest("The request body is nested too deeply.", code="invalid_json") from None
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"The request body is not valid JSON: {error}", code="invalid_json") from None

    @staticmethod
    @abstractmethod
    def wrong_type(path: str, expected: JsonType, value: Any) -> InvalidRequest:
        """The error for a value of the wrong JSON type."""

    @abstractmethod
    def missing(self, key: str) -> NoReturn:
        """Refuse the request for a field that must be there."""

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
        raise self.wrong_type(self.at(key), "string", value)

    def required_text(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            self.missing(key)
        return value

    def flag(self, key: str) -> bool | None:
        value = self.rest.pop(key, None)
        if value is None or isinstance(value, bool):
            return value
        raise self.wrong_type(self.at(key), "boolean", value)

    def integer(self, key: str) -> int | None:
        value = self.rest.pop(key, None)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self.wrong_type(self.at(key), "integer", value)

    def number(self, key: str) -> float | None:
        value = self.rest.pop(key, None)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise self.wrong_type(self.at(key), "number", value)

    def array(self, key: str) -> list[Any] | None:
        value = self.rest.pop(key, None)
        if value is None or isinstance(value, list):
            return value
        raise self.wrong_type(self.at(key), "array", value)

    def objects(self, key: str) -> list[dict[str, Any]] | None:
        """An array of objects alone."""
        value = self.array(key)
        for index, item in enumerate(value or ()):
            if not isinstance(item, dict):
                raise self.wrong_type(f"{self.at(key)}[{index}]", "object", item)
        return value

    def object(self, key: str) -> dict[str, Any] | None:
        value = self.rest.pop(key, None)
        if value is None or isinstance(value, dict):
            return value
        raise self.wrong_type(self.at(key), "object", value)

    def nested(self, key: str) -> Self | None:
        """An object whose own fields are read; give what is left of it back with ``keep``."""
        value = self.rest.pop(key, None)
        return None if value is None else type(self)(value, self.at(key))

    def keep(self, key: str, inner: JsonFields) -> None:
        """Put back what nobody took of an inner object, so that it ends in ``extra``."""
        left = inner.left()
        if left:
            self.rest[key] = left

    def left(self) -> dict[str, Any]:
        """What nobody took, but for nulls: typed clients send every field they know, and null says nothing."""
        return {key: value for key, value in self.rest.items() if value is not None}
