"""Where a caller of the responses API wrote what the normalised request has under a name and place of its own."""

from __future__ import annotations

import re

from gateway.protocol import ChatRequest, Message
from gateway_plugins.formats.openai_responses_fields import AT, NAME, noted_items

_PLACE = re.compile(r"messages\[(\d+)\](?:\.content\[(\d+)\])?(.*)", re.DOTALL)
_FIELDS = {
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "response_format.json_schema": "text.format",
    "verbosity": "text.verbosity",
    "logprobs": "include",
}


def caller_field(field: str, request: ChatRequest) -> str:
    """The caller's name for a field that a wire format dropped; the field itself where it is the same."""
    if request.origin != NAME:
        return field
    if field == "user":
        return request.spelling.get("user", field)
    found = _PLACE.fullmatch(field)
    if found is None:
        return _FIELDS.get(field, field)
    index, part, rest = int(found[1]), found[2], found[3]
    if index >= len(request.messages):
        return field
    message = request.messages[index]
    if message.spelling.get("place") == "instructions":
        return f"instructions{rest}"
    if request.spelling.get("input") == "string":
        return f"input{rest}"
    return _in_items(message, None if part is None else int(part), rest) or field


def _in_items(message: Message, part: int | None, rest: str) -> str | None:
    if AT in message.spelling:
        item = f"input[{message.spelling[AT]}]"
        if message.role == "tool":
            # The result's own content is what the item calls its output.
            return f"{item}.output{rest.removeprefix('.content')}" if rest.startswith(".content") else item + rest
        return item + rest if part is None else f"{item}.content[{part}]{rest}"
    items = noted_items(message.spelling, len(message.content))
    if items is None:
        return None
    first = 0
    for one in items:
        if part is None or part < first + one.parts:
            place = f"input[{one.at}]"
            inside = part is not None and one.type == "message" and rest.lstrip(".") not in one.rest
            return f"{place}.content[{(part or 0) - first}]{rest}" if inside else place + rest
        first += one.parts
    return None
