"""What a caller has of a streamed response, read back, so that another hand can go on behind it."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from gateway.json_text import BAD_JSON
from gateway.sse import decode_events


class Sent(NamedTuple):
    """``response`` as it was begun, None where it was not; the ids of the items by their place in the output."""

    response: dict[str, Any] | None
    items: dict[int, str]
    next_number: int


def read_sent(events: bytes) -> Sent:
    """Read whole events back."""
    response: dict[str, Any] | None = None
    items: dict[int, Any] = {}
    for event in decode_events(events):
        value = _decoded(event.data)
        kind, item, index = value.get("type"), value.get("item"), value.get("output_index")
        if kind == "response.created" and isinstance(value.get("response"), dict):
            response = value["response"]
        elif kind == "response.output_item.added" and isinstance(item, dict) and isinstance(index, int):
            items[index] = item.get("id") or ""
    named = {index: found for index, found in items.items() if isinstance(found, str) and found}
    return Sent(response, named, next_number(events))


def next_number(events: bytes) -> int:
    """The sequence number that follows the last of these events; 0 where they have none."""
    for event in reversed(decode_events(events)):
        number = _decoded(event.data).get("sequence_number")
        if isinstance(number, int):
            return number + 1
    return 0


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        value: Any = msgspec.json.decode(data)
    except BAD_JSON:
        return {}
    return value if isinstance(value, dict) else {}
