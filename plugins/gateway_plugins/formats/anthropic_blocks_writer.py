"""Parts, written as content blocks of a request."""

from __future__ import annotations

import base64
import binascii
import re
from collections import deque
from typing import Any, Literal

import msgspec

from gateway.errors import InvalidRequest
from gateway.json_text import BAD_JSON
from gateway.protocol import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway_plugins.formats.anthropic_carrier import own_citations
from gateway_plugins.formats.anthropic_fields import NAME, Outgoing
from gateway_plugins.formats.custom_tools import CUSTOM_INPUT

Place = Literal["system", "user", "assistant", "result"]
"""Where a block stands: what Anthropic takes depends on it."""

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
# The first characters of base64 of PNG, JPEG, GIF, WebP and PDF files.
_STARTS = (
    ("iVBOR", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)
_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")


class CallIds:
    """Ids of tool calls as Anthropic takes them: of few characters, each used once.

    Another format's ids are made to fit, and the results keep belonging to their calls; our own pass.
    """

    def __init__(self, *, own: bool) -> None:
        self._own = own
        self._used: set[str] = set()
        self._waiting: dict[str, deque[str]] = {}
        self._answered: dict[str, str] = {}

    def call(self, call_id: str) -> str:
        """The id to write for a call."""
        if self._own:
            return call_id
        safe = _UNSAFE.sub("_", call_id) or "call"
        written, count = safe, 1
        while written in self._used:
            count += 1
            written = f"{safe}_{count}"
        self._used.add(written)
        self._waiting.setdefault(call_id, deque()).append(written)
        return written

    def result(self, call_id: str) -> str:
        """The id to write for the next result of a call."""
        if self._own:
            return call_id
        waiting = self._waiting.get(call_id)
        if waiting:
            self._answered[call_id] = waiting.popleft()
        return self._answered.get(call_id) or _UNSAFE.sub("_", call_id) or "call"


class BlockWriter:
    """Writes the parts of one request."""

    def __init__(self, to: Outgoing) -> None:
        self._to = to
        self._ids = CallIds(own=to.own)

    def write(self, parts: list[Part], path: str, place: Place) -> list[dict[str, Any]]:
        """The blocks for these parts; what has none is named."""
        blocks: list[dict[str, Any]] = []
        for index, part in enumerate(parts):
            here = f"{path}.content[{index}]"
            block = self._block(part, here, place)
            if block is None:
                continue
            if not isinstance(part, Opaque):
                self._to.cache_control(block, part.cache_control)
                self._to.extras(block, part.extra, here)
            if isinstance(part, ToolCall) and part.signature is not None:
                self._to.lose(f"{here}.signature", "only the model that gave it understands it")
            blocks.append(block)
        return blocks

    def _block(self, part: Part, path: str, place: Place) -> dict[str, Any] | None:
        if isinstance(part, Text):
            return self._text(part, path)
        if isinstance(part, Opaque) and part.origin == NAME:
            return part.value
        if isinstance(part, Opaque):
            self._to.lose(path, f"only {part.origin} understands {part.type}")
            return None
        if isinstance(part, Refusal):
            self._to.lose(path, "Anthropic has no refusal part: sent as text")
            return {"type": "text", "text": part.text} if part.text.strip() else None
        own = self._to.own
        if isinstance(part, Thinking) and (own or place == "assistant"):
            return self._thinking(part, path)
        if isinstance(part, ToolCall) and (own or place == "assistant"):
            return self._call(part, path)
        if isinstance(part, ToolResult) and (own or place == "user"):
            return self._result(part, path)
        if isinstance(part, Media) and (own or place in ("user", "result")):
            return self._media(part, path)
        self._to.lose(path, f"Anthropic takes no {type(part).__name__.lower()} in a {place} turn")
        return None

    def _text(self, part: Text, path: str) -> dict[str, Any] | None:
        if self._to.own:
            block: dict[str, Any] = {"type": "text", "text": part.text}
            citations = own_citations(part.citations)
            if citations:
                block["citations"] = citations
            return block
        if part.citations:
            self._to.lose(f"{path}.citations", "citations of another provider cannot be given back")
        # Anthropic refuses text that is empty, or white space only.
        return {"type": "text", "text": part.text} if part.text.strip() else None

    def _thinking(self, part: Thinking, path: str) -> dict[str, Any] | None:
        if part.origin != NAME:
            self._to.lose(path, "Anthropic takes back only thinking that it has signed")
            return None
        if part.redacted:
            return {"type": "redacted_thinking", "data": part.encrypted or ""}
        if not part.signature and not self._to.own:
            self._to.lose(path, "its signature is missing, without which Anthropic does not take it back")
            return None
        block = {"type": "thinking", "thinking": part.text}
        if part.signature is not None:
            block["signature"] = part.signature
        return block

    def _call(self, part: ToolCall, path: str) -> dict[str, Any]:
        call_id = self._ids.call(part.id)
        if part.kind == "custom":
            value: Any = {CUSTOM_INPUT: part.arguments}
        else:
            value = _arguments(part, path, own=self._to.own)
        return {"type": "tool_use", "id": call_id, "name": part.name, "input": value}

    def _result(self, part: ToolResult, path: str) -> dict[str, Any]:
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": self._ids.result(part.tool_call_id)}
        content = self.write(part.content, path, "result")
        if content:
            block["content"] = plain(content)
        if part.is_error:
            block["is_error"] = True
        return block

    def _media(self, part: Media, path: str) -> dict[str, Any] | None:
        if part.detail not in (None, "auto"):
            self._to.lose(f"{path}.detail", "Anthropic chooses an image's resolution itself")
        if part.kind in ("audio", "video"):
            self._to.lose(path, f"Anthropic takes no {part.kind}")
            return None
        source = self._source(part, path)
        if source is None:
            return None
        block: dict[str, Any] = {"type": part.kind}
        if "source" not in part.extra or not self._to.own:
            block["source"] = source
        if part.name is not None and part.kind == "document":
            block["title"] = part.name
        return block

    def _source(self, part: Media, path: str) -> dict[str, Any] | None:
        if part.file_id is not None:
            if self._to.own:
                return {"type": "file", "file_id": part.file_id}
            self._to.lose(path, "a file id is known only to the provider that gave it")
            return None
        if part.text is not None:
            return {"type": "text", "media_type": part.media_type or "text/plain", "data": part.text}
        if part.url is not None:
            return {"type": "url", "url": part.url}
        data = part.data or ""
        if self._to.own:
            said = {} if part.media_type is None else {"media_type": part.media_type}
            return {"type": "base64", **said, "data": data}
        media_type = (part.media_type or "").partition(";")[0].strip().lower()
        # What the file says of itself counts before what it is said to be: Anthropic compares the two.
        media_type = next((name for start, name in _STARTS if data.startswith(start)), media_type)
        if media_type == "image/jpg":
            media_type = "image/jpeg"
        if media_type in _IMAGES if part.kind == "image" else media_type == "application/pdf":
            return {"type": "base64", "media_type": media_type, "data": data}
        if part.kind == "document" and (media_type.startswith("text/") or media_type == "application/json"):
            text = _decoded(data)
            if text is not None:
                return {"type": "text", "media_type": "text/plain", "data": text}
        self._to.lose(path, f"Anthropic takes no {part.kind} of type {media_type or 'unknown'}")
        return None


def plain(blocks: list[dict[str, Any]]) -> Any:
    """Content as a string where one plain text block is all there is."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and blocks[0]["type"] == "text":
        return blocks[0]["text"] or blocks
    return blocks


def _arguments(part: ToolCall, path: str, *, own: bool) -> Any:
    """The arguments as the object that Anthropic wants."""
    if not part.arguments.strip():
        return {}
    try:
        value = msgspec.json.decode(part.arguments)
    except BAD_JSON:
        value = None
    if own or isinstance(value, dict):
        return value
    raise InvalidRequest(
        f"{path}.arguments: the arguments of the call {part.id!r} are not a JSON object, and Anthropic takes no other.",
        param=f"{path}.arguments",
    )


def _decoded(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
