"""What the parts of the responses format share: its name, the writer's view of a request, the layout of items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway.protocol import CacheControl, Part
from gateway_plugins.formats.json_fields import merge
from gateway_plugins.formats.openai_chat_fields import Fields, wrong_type, wrong_value

__all__ = ["BREAKPOINT", "NAME", "Fields", "Outgoing", "wrong_type", "wrong_value"]

NAME = "openai_responses"
"""The format's name: the ``origin`` of what it read."""
BREAKPOINT = "prompt_cache_breakpoint"
ITEMS = "items"
"""The ``Message.spelling`` in which an assistant's turn notes the items that it came in, as JSON."""
AT = "at"
"""The ``Message.spelling`` in which a message of one item notes its place in the request's ``input``."""
BEFORE = "before"
"""The ``spelling`` in which a message (or the request, for the end) notes items in front of it that hold no words."""


class Item(msgspec.Struct, omit_defaults=True):
    """How one item of an assistant's turn was written: how many ``parts`` it has, its ``type``, its small fields.

    ``at`` is its place in the request's ``input``.
    """

    parts: int
    type: str = "message"
    at: int = 0
    rest: dict[str, Any] = {}


def note_items(items: list[Item]) -> str:
    """The layout as a word of ``spelling``."""
    return msgspec.json.encode(items).decode()


def noted_items(spelling: Mapping[str, str], count: int) -> list[Item] | None:
    """The layout of a turn of ``count`` parts; None where it is unknown, or the parts are others by now."""
    if ITEMS not in spelling:
        return None
    items = msgspec.json.decode(spelling[ITEMS], type=list[Item])
    return items if sum(item.parts for item in items) == count else None


def read_breakpoint(fields: Fields) -> CacheControl | None:
    """``prompt_cache_breakpoint``; a lifetime that has no other name is left in the fields as well."""
    found = fields.rest.get(BREAKPOINT)
    if not isinstance(found, dict):
        return None
    ttl = found.get("ttl")
    if ttl in (None, "30m"):
        del fields.rest[BREAKPOINT]
    return CacheControl(ttl=None if ttl is None else "1h")


class Outgoing:
    """What the writer of one request knows of its reader: whose words it may repeat, and where losses are named."""

    __slots__ = ("dropped", "options", "own", "traits")

    def __init__(self, traits: Traits, dropped: Dropped, *, own: bool) -> None:
        self.traits = traits
        self.options = traits.options
        self.dropped = dropped
        self.own = own

    def lose(self, path: str, why: str) -> None:
        """Name one loss."""
        self.dropped.add(path, why)

    def extras(self, out: dict[str, Any], extra: dict[str, Any], path: str) -> None:
        """Restore our own unknown fields, name those of another format."""
        if self.own:
            merge(out, extra)
            return
        for key in extra:
            self.lose(f"{path}.{key}" if path else key, "the responses API has no such field")

    def part(self, out: dict[str, Any], part: Part, path: str) -> dict[str, Any]:
        """Finish a content part: its breakpoint and its unknown fields."""
        control = part.cache_control
        if control is not None and (self.own or self.options.get("cache_breakpoints")):
            out[BREAKPOINT] = {"mode": "explicit", **({} if control.ttl is None else {"ttl": "30m"})}
        elif control is not None:
            self.lose(f"{path}.cache_control", "the model caches by itself")
        if part.extra and self.own and BREAKPOINT in part.extra:
            out[BREAKPOINT] = part.extra[BREAKPOINT]
        self.extras(out, part.extra, path)
        return out


def typed(value: Any, path: str) -> Fields:
    """An object that must name its ``type``."""
    fields = Fields(value, path)
    if not isinstance(fields.rest.get("type"), str):
        raise InvalidRequest(
            f"Missing required parameter: '{path}.type'.", param=f"{path}.type", code="missing_required_parameter"
        )
    return fields
