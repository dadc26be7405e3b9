"""Messages of the normalised protocol, written for Ollama's /api/chat."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.format import Dropped
from gateway.protocol import Media, Message, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway_plugins.formats.custom_tools import wrapped
from gateway_plugins.formats.text_documents import text_of

NAME = "ollama_chat"
"""The format's name: the ``origin`` of what it read."""

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "user"}
_NO_FIELD = "Ollama has no such field"


def write_messages(messages: list[Message], dropped: Dropped) -> list[dict[str, Any]]:
    """The ``messages`` array: content is one string, pictures stand beside it as base64.

    A tool's answer names its tool, whose call is looked for in the turns before.
    """
    out: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        names.update({part.id: part.name for part in message.content if isinstance(part, ToolCall)})
        results = [(at, part) for at, part in enumerate(message.content) if isinstance(part, ToolResult)]
        for at, result in results:
            out.append(_result(result, names, f"{path}.content[{at}]", dropped))
        if message.name is not None:
            dropped.add(f"{path}.name", _NO_FIELD)
        for key in message.extra:
            dropped.add(f"{path}.{key}", _NO_FIELD)
        rest = [(at, part) for at, part in enumerate(message.content) if not isinstance(part, ToolResult)]
        if rest or not results:
            out.append(_plain(message, rest, path, dropped))
    return out


def _plain(message: Message, parts: list[tuple[int, Part]], path: str, dropped: Dropped) -> dict[str, Any]:
    written = _Written()
    for at, part in parts:
        written.take(part, f"{path}.content[{at}]", dropped)
    out: dict[str, Any] = {"role": _ROLES[message.role], "content": "".join(written.texts)}
    if written.thinking:
        out["thinking"] = "".join(written.thinking)
    if written.images:
        out["images"] = written.images
    if written.calls:
        out["tool_calls"] = written.calls
    return out


def _result(result: ToolResult, names: dict[str, str], path: str, dropped: Dropped) -> dict[str, Any]:
    written = _Written()
    for at, part in enumerate(result.content):
        written.take(part, f"{path}.content[{at}]", dropped)
    out: dict[str, Any] = {"role": "tool", "content": "".join(written.texts)}
    if written.images:
        out["images"] = written.images
    name = result.name or names.get(result.tool_call_id)
    if name is not None:
        out["tool_name"] = name
    if result.tool_call_id:
        out["tool_call_id"] = result.tool_call_id
    if result.is_error:
        dropped.add(f"{path}.is_error", "Ollama does not tell a failed tool from a good one")
    if result.cache_control is not None:
        dropped.add(f"{path}.cache_control", "Ollama caches by itself")
    return out


class _Written:
    """What a message's parts come to."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thinking: list[str] = []
        self.images: list[str] = []
        self.calls: list[dict[str, Any]] = []

    def take(self, part: Part, path: str, dropped: Dropped) -> None:
        """Add a part, or name it."""
        if part.cache_control is not None:
            dropped.add(f"{path}.cache_control", "Ollama caches by itself")
        for key in part.extra:
            dropped.add(f"{path}.{key}", _NO_FIELD)
        if isinstance(part, Text | Refusal):
            self.texts.append(part.text)
            if isinstance(part, Text) and part.citations:
                dropped.add(f"{path}.citations", _NO_FIELD)
        elif isinstance(part, Thinking):
            self._think(part, path, dropped)
        elif isinstance(part, ToolCall):
            self.calls.append(_call(part, path, dropped))
        elif isinstance(part, Media):
            self._media(part, path, dropped)
        else:
            dropped.add(path, f"Ollama takes no {type(part).__name__}")

    def _think(self, part: Thinking, path: str, dropped: Dropped) -> None:
        if part.signature is not None or part.encrypted is not None:
            lost = f"{path}.signature" if part.text else path
            dropped.add(lost, f"thinking of {part.origin} cannot be replayed here")
        if part.text:
            self.thinking.append(part.text)

    def _media(self, part: Media, path: str, dropped: Dropped) -> None:
        text = text_of(part)
        if text is not None:
            self.texts.append(text)
        elif part.kind == "image" and part.data is not None:
            self.images.append(part.data)
            if part.detail is not None:
                dropped.add(f"{path}.detail", _NO_FIELD)
        elif part.kind == "image":
            dropped.add(path, "Ollama fetches no pictures: send them as data")
        else:
            dropped.add(path, f"Ollama takes no {part.kind}")


def _call(call: ToolCall, path: str, dropped: Dropped) -> dict[str, Any]:
    """A call with its arguments as an object, which is all that Ollama reads."""
    said = wrapped(call.arguments) if call.kind == "custom" else call.arguments
    try:
        arguments: Any = msgspec.json.decode(said) if said else {}
    except (msgspec.DecodeError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        dropped.add(f"{path}.arguments", "Ollama takes arguments as an object only")
        arguments = {}
    if call.signature is not None:
        dropped.add(f"{path}.signature", "only Gemini reads a thought signature")
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}
