"""Parts, written as Converse's content blocks."""

from __future__ import annotations

import base64
import re
from collections import deque
from typing import Any, Literal

import msgspec

from gateway.errors import InvalidRequest
from gateway.protocol import CacheControl, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway_plugins.formats.bedrock_converse_fields import CLAUDE, NAME, Outgoing
from gateway_plugins.formats.bedrock_converse_media import MediaWriter
from gateway_plugins.formats.bedrock_models import ANTHROPIC
from gateway_plugins.formats.custom_tools import wrapped

Place = Literal["system", "user", "assistant"]
"""Where a block stands: what Converse takes depends on it."""
Unit = list[dict[str, Any]]
"""A block, and the cache point behind it where it has one: they move together."""

_UNSAFE = re.compile(r"[^a-zA-Z0-9_.:-]")
_MOST_ID = 64


class _CallIds:
    """Ids of tool calls as Converse takes them: of few characters, each used once; results keep to their calls."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._waiting: dict[str, deque[str]] = {}
        self._answered: dict[str, str] = {}

    def call(self, call_id: str) -> str:
        """The id to write for a call."""
        safe = _safe(call_id)
        written, count = safe, 1
        while written in self._used:
            count += 1
            written = f"{safe[: _MOST_ID - 6]}_{count}"
        self._used.add(written)
        self._waiting.setdefault(call_id, deque()).append(written)
        return written

    def result(self, call_id: str) -> str:
        """The id to write for the next result of a call."""
        waiting = self._waiting.get(call_id)
        if waiting:
            self._answered[call_id] = waiting.popleft()
        return self._answered.get(call_id) or _safe(call_id)


def _safe(call_id: str) -> str:
    # The end of a long id is what tells it from others.
    return _UNSAFE.sub("_", call_id)[-_MOST_ID:] or "call"


class BlockWriter:
    """Writes the parts of one request. ``names`` collects the tools that the conversation has called."""

    def __init__(self, to: Outgoing) -> None:
        self._to = to
        self._ids = _CallIds()
        self._media = MediaWriter(to)
        self.names: dict[str, None] = {}
        self.answers = False
        """Whether the conversation holds results of tools."""

    def write(self, parts: list[Part], path: str, place: Place) -> list[Unit]:
        """The units for these parts; what has none is named."""
        units: list[Unit] = []
        where = "system" if place == "system" else "messages"
        for index, part in enumerate(parts):
            here = f"{path}.content[{index}]"
            block = self._block(part, here, place)
            if block is None:
                self._keep_breakpoint(units, part, here, where)
                continue
            if not isinstance(part, Opaque | Media):
                self._to.lose_extra(part.extra, here)
            control = part.cache_control or _inner(part)
            units.append([block, *self._to.cache_point(control, where, here)])
        return units

    def _keep_breakpoint(self, units: list[Unit], part: Part, path: str, where: str) -> None:
        """A breakpoint behind what is left out stands behind what came before it."""
        if part.cache_control is None:
            return
        if units and not any("cachePoint" in block for block in units[-1]):
            units[-1] += self._to.cache_point(part.cache_control, where, path)
        else:
            self._to.lose(f"{path}.cache_control", "what it stood behind is left out")

    def _block(self, part: Part, path: str, place: Place) -> dict[str, Any] | None:
        if isinstance(part, Text | Refusal):
            return self._text(part, path)
        if isinstance(part, Opaque):
            return self._opaque(part, path)
        if isinstance(part, Thinking) and place == "assistant":
            return self._thinking(part, path)
        if isinstance(part, ToolCall) and place == "assistant":
            return self._call(part, path)
        if isinstance(part, ToolResult) and place == "user":
            return self._result(part, path)
        if isinstance(part, Media) and place == "user":
            return self._media.write(part, path)
        self._to.lose(path, f"Converse takes no {type(part).__name__.lower()} in a {place} turn")
        return None

    def _text(self, part: Text | Refusal, path: str) -> dict[str, Any] | None:
        if isinstance(part, Refusal):
            self._to.lose(path, "Converse has no refusal part: sent as text")
        elif part.citations:
            self._to.lose(f"{path}.citations", "Converse takes no citations of other formats back")
        # Converse refuses text that is empty, or white space only.
        return {"text": part.text} if part.text.strip() else None

    def _opaque(self, part: Opaque, path: str) -> dict[str, Any] | None:
        if part.origin == NAME:
            return part.value
        if part.origin == CLAUDE and part.type == "search_result":
            found = _search_result(part.value)
            if found is not None:
                return found
        self._to.lose(path, f"only {part.origin} understands {part.type}")
        return None

    def _thinking(self, part: Thinking, path: str) -> dict[str, Any] | None:
        family = self._to.options.get("family")
        if part.origin not in (CLAUDE, NAME):
            self._to.lose(path, f"thinking of {part.origin or 'another provider'} cannot be replayed here")
            return None
        if part.redacted or part.signature:
            if family not in (ANTHROPIC, "unknown"):
                self._to.lose(path, "only Claude understands thinking that Anthropic has signed")
                return None
            if part.redacted:
                data = part.encrypted or ""
                # Anthropic's is text, which Converse has as bytes.
                blob = base64.b64encode(data.encode()).decode() if part.origin == CLAUDE else data
                return {"reasoningContent": {"redactedContent": blob}}
            return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}
        if family == ANTHROPIC:
            self._to.lose(path, "its signature is missing, without which Claude does not take it back")
            return None
        if not self._to.options.get("replays"):
            self._to.lose(path, "the model does not take its reasoning back")
            return None
        return {"reasoningContent": {"reasoningText": {"text": part.text}}} if part.text else None

    def _call(self, part: ToolCall, path: str) -> dict[str, Any]:
        if part.signature is not None:
            self._to.lose(f"{path}.signature", "only the model that gave it understands it")
        self.names[part.name] = None
        text = wrapped(part.arguments) if part.kind == "custom" else part.arguments
        arguments = _arguments(part, text, path)
        return {"toolUse": {"toolUseId": self._ids.call(part.id), "name": part.name, "input": arguments}}

    def _result(self, part: ToolResult, path: str) -> dict[str, Any]:
        self.answers = True
        content: list[dict[str, Any]] = []
        for index, inner in enumerate(part.content):
            here = f"{path}.content[{index}]"
            block: dict[str, Any] | None = None
            if isinstance(inner, Text | Refusal):
                block = {"text": inner.text} if inner.text.strip() else None
            elif isinstance(inner, Media) and inner.kind != "audio":
                block = self._media.write(inner, here)
            elif isinstance(inner, Opaque):
                block = self._opaque(inner, here)
            else:
                self._to.lose(here, f"Converse takes no {type(inner).__name__.lower()} in a tool's result")
            if block is not None:
                if not isinstance(inner, Opaque | Media):
                    self._to.lose_extra(inner.extra, here)
                content.append(block)
        result: dict[str, Any] = {"toolUseId": self._ids.result(part.tool_call_id), "content": content}
        if part.is_error and self._to.options.get("status"):
            result["status"] = "error"
        elif part.is_error:
            self._to.lose(f"{path}.is_error", "the model is not told whether a tool failed")
        return {"toolResult": result}


def _inner(part: Part) -> CacheControl | None:
    """A breakpoint within a tool's result, which Converse has only behind it."""
    if not isinstance(part, ToolResult):
        return None
    return next((inner.cache_control for inner in reversed(part.content) if inner.cache_control is not None), None)


def _arguments(part: ToolCall, text: str, path: str) -> Any:
    """The arguments as the object that Converse wants."""
    if not text.strip():
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    raise InvalidRequest(
        f"{path}.arguments: the arguments of the call {part.id!r} are not a JSON object, and Converse takes no other.",
        param=f"{path}.arguments",
    )


def _search_result(value: dict[str, Any]) -> dict[str, Any] | None:
    """Anthropic's search result as Converse's, which has the same fields."""
    content = value.get("content")
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        return None
    out: dict[str, Any] = {
        "source": value.get("source"),
        "title": value.get("title"),
        "content": [{"text": item.get("text")} for item in content],
    }
    if isinstance(value.get("citations"), dict):
        out["citations"] = {"enabled": bool(value["citations"].get("enabled"))}
    texts = (out["source"], out["title"], *(item["text"] for item in out["content"]))
    return {"searchResult": out} if all(isinstance(text, str) for text in texts) else None
