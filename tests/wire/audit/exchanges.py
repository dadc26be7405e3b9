"""Which recorded exchanges are audited, and which wire format each one speaks."""

from __future__ import annotations

import json
import random
import re

from tests.wire import recordings

_WIRES = {
    "chat": "openai_chat",
    "completions": "openai_completions",
    "responses": "openai_responses",
    "messages": "anthropic_messages",
    "generateContent": "gemini",
    "converse": "bedrock_converse",
    "invoke": "bedrock_invoke_anthropic",
    "ollama-chat": "ollama_chat",
}


def wire_or_none(file: str) -> str | None:
    """The wire format of an exchange of a chat-like endpoint; None for one that no format of chat reads."""
    provider, _, rest = file.partition("/")
    endpoint = rest.rpartition("-")[0]
    if provider == "cohere":
        return "cohere_chat" if endpoint == "chat" else None
    if endpoint == "invoke" and "anthropic" not in recordings.load(file).request["url_path"]:
        return None  # other vendors' models have formats of their own there
    return _WIRES.get(endpoint)


def wire_of(file: str) -> str:
    """The wire format of an audited exchange."""
    wire = wire_or_none(file)
    assert wire is not None, file
    return wire


def audited(*, stream: bool | None = None, good: bool | None = None) -> list[str]:
    """The exchanges of all chat-like endpoints."""
    found = recordings.files(*_WIRES, stream=stream, good=good)
    return [file for file in found if wire_or_none(file) is not None]


def boundaries(wire: str, body: bytes) -> list[int]:
    """Where a stream may be cut politely: behind each of its events."""
    if wire in ("bedrock_converse", "bedrock_invoke_anthropic"):
        found, at = [], 0
        while at + 4 <= len(body):
            at += int.from_bytes(body[at : at + 4], "big")
            found.append(at)
        return found
    mark = rb"\n" if wire == "ollama_chat" else rb"\r?\n\r?\n"
    return [match.end() for match in re.finditer(mark, body)]


def whole_events(wire: str, body: bytes, at: int) -> bytes:
    """The stream up to ``at``, without an event that is cut."""
    if body.lstrip().startswith(b"["):
        return body[:at]  # an array of JSON, not events
    kept = max((place for place in boundaries(wire, body) if place <= at), default=0)
    rest = body[kept:at]
    if wire in ("bedrock_converse", "bedrock_invoke_anthropic"):
        return body[:kept]
    data = rest.strip() if wire == "ollama_chat" else b"".join(re.findall(rb"(?m)^data: ?(.*?)\r?$", rest))
    try:
        if data != b"[DONE]":
            json.loads(data)
    except ValueError:
        return body[:kept]
    return body[:at]


def cuts(file: str, body: bytes, wire: str) -> list[int]:
    """Places to cut a stream at: behind its last events, behind a few others, and anywhere; the same each time."""
    chance = random.Random(file)
    ends = boundaries(wire, body) or [len(body)]
    found = {*ends[-4:], *(chance.choice(ends) for _ in range(2)), *(chance.randrange(len(body)) for _ in range(2))}
    return sorted(found)
