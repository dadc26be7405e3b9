"""Anthropic's stream, read into events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.errors import UpstreamProtocolError
from gateway.protocol import (
    End,
    Event,
    Finish,
    Opaque,
    Part,
    PartDelta,
    PartStart,
    PartStop,
    Ping,
    Start,
    Text,
    Thinking,
    ToolCall,
    UsageUpdate,
)
from gateway.protocol.reply import DeltaKind
from gateway_plugins.formats.anthropic_errors import error_event
from gateway_plugins.formats.anthropic_fields import NAME
from gateway_plugins.formats.anthropic_reply import tier_of
from gateway_plugins.formats.anthropic_usage import read_stop, read_usage
from gateway_plugins.formats.framed_reader import EventReader

DELTAS = "deltas"
"""The key of PartStop.extra that holds deltas of blocks, or of types, that only Anthropic understands."""

_KNOWN_START = frozenset(("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"))
_KNOWN_DELTA = frozenset(("stop_reason", "stop_sequence"))
_KNOWN_LAST = frozenset(("type", "delta", "usage"))
# Delta type → the kind of our delta, and where its text is.
_DELTA_KINDS: dict[Any, tuple[DeltaKind, str]] = {
    "text_delta": ("text", "text"),
    "input_json_delta": ("arguments", "partial_json"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}


class _Block:
    """A block that is open: ``first`` is a tool's input as its start gave it, for want of deltas."""

    __slots__ = ("call", "first", "novel", "opaque", "part", "said")

    def __init__(self, part: int, content: Part) -> None:
        self.part = part
        self.call = isinstance(content, ToolCall)
        self.opaque = isinstance(content, Opaque)
        self.first = "{}"
        self.said = False
        self.novel: list[dict[str, Any]] = []


class MessagesStreamReader(EventReader):
    """Events of one stream. ``End`` comes behind ``message_stop``, or at a close behind a stop reason."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: dict[Any, _Block] = {}
        self._usage: dict[str, Any] = {}
        self._parts = 0
        self._started = False
        self._has_finished = False

    def _finish(self, out: list[Event]) -> None:
        if self._has_finished:
            self._end({}, out)

    def _object(self, value: dict[str, Any], name: str, out: list[Event]) -> None:
        handler = _HANDLERS.get(_text(value.get("type", name)))
        if handler is not None:
            handler(self, value, out)

    def _block_stop(self, value: dict[str, Any], out: list[Event]) -> None:
        block = self._blocks.pop(_index(value), None)
        if block is not None:
            _stop(block, out)

    def _ping(self, value: dict[str, Any], out: list[Event]) -> None:
        out.append(Ping())

    def _error(self, value: dict[str, Any], out: list[Event]) -> None:
        out.append(error_event(value.get("error")))
        self._over = True

    def _start(self, value: dict[str, Any], out: list[Event]) -> None:
        message = value.get("message")
        if self._started or not isinstance(message, dict):
            return
        self._started = True
        usage = message.get("usage")
        self._usage = dict(usage) if isinstance(usage, dict) else {}
        out.append(
            Start(
                id=_text(message.get("id")),
                model=_text(message.get("model")),
                usage=read_usage(usage),
                service_tier=tier_of(usage),
                origin=NAME,
                extra={k: v for k, v in message.items() if k not in _KNOWN_START and v is not None},
            )
        )

    def _begin(self, value: dict[str, Any], out: list[Event]) -> None:
        raw = value.get("content_block")
        if not self._started or not isinstance(raw, dict):
            raise UpstreamProtocolError("The provider's stream holds a content block without a message or a type.")
        index = _index(value)
        left = self._blocks.pop(index, None)
        if left is not None:
            _stop(left, out)
        content, deltas = _opened(raw)
        block = self._blocks[index] = _Block(self._parts, content)
        self._parts += 1
        if block.call and raw.get("input"):
            block.first = _json(raw["input"])
        out.append(PartStart(part=block.part, content=content))
        out += [PartDelta(part=block.part, kind=kind, value=text) for kind, text in deltas]
        cited = raw.get("citations") if isinstance(content, Text) else None
        found = [item for item in cited if isinstance(item, dict)] if isinstance(cited, list) else []
        out += [PartDelta(part=block.part, kind="citation", data=item) for item in found]

    def _delta(self, value: dict[str, Any], out: list[Event]) -> None:
        block = self._blocks.get(_index(value))
        delta = value.get("delta")
        if block is None or not isinstance(delta, dict):
            raise UpstreamProtocolError("The provider's stream holds a delta without its content block.")
        known = None if block.opaque else _DELTA_KINDS.get(_text(delta.get("type")))
        if known is not None:
            kind, key = known
            text = delta.get(key)
            if isinstance(text, str) and text:
                block.said = True
                out.append(PartDelta(part=block.part, kind=kind, value=text))
        elif not block.opaque and delta.get("type") == "citations_delta" and isinstance(delta.get("citation"), dict):
            out.append(PartDelta(part=block.part, kind="citation", data=delta["citation"]))
        else:
            block.novel.append(delta)

    def _message_delta(self, value: dict[str, Any], out: list[Event]) -> None:
        delta = value.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        reason, native = read_stop(delta.get("stop_reason"))
        if reason is not None and not self._has_finished:
            self._close_blocks(out)
            self._has_finished = True
            said = {k: v for k, v in delta.items() if k not in _KNOWN_DELTA and v is not None}
            beside = {k: v for k, v in value.items() if k not in _KNOWN_LAST and v is not None}
            out.append(
                Finish(
                    finish_reason=reason,
                    native_finish_reason=native,
                    stop_sequence=_text(delta.get("stop_sequence")) or None,
                    extra={**said, **beside},
                )
            )
        usage = value.get("usage")
        if isinstance(usage, dict):
            # Counts are cumulative: those that are repeated replace those of the start.
            self._usage.update((key, item) for key, item in usage.items() if item is not None)
            found = read_usage(self._usage)
            if found is not None:
                out.append(UsageUpdate(usage=found))

    def _end(self, value: dict[str, Any], out: list[Event]) -> None:
        if not self._started:
            raise UpstreamProtocolError("The provider's stream ended before a message began.")
        self._over = True
        if not self._has_finished:
            return  # no stop reason: it was cut, and is not complete
        self._close_blocks(out)
        out.append(End())

    def _close_blocks(self, out: list[Event]) -> None:
        for block in self._blocks.values():
            _stop(block, out)
        self._blocks.clear()


def _opened(raw: dict[str, Any]) -> tuple[Part, list[tuple[DeltaKind, str]]]:
    """A block as it begins, and the deltas for what its start already says."""
    kind = raw.get("type")
    if kind == "text":
        return Text(text="", extra=_rest(raw, "text", "citations")), _said(text=raw.get("text"))
    if kind == "thinking":
        said = _said(thinking=raw.get("thinking"), signature=raw.get("signature"))
        return Thinking(origin=NAME, extra=_rest(raw, "thinking", "signature")), said
    if kind == "redacted_thinking":
        data = _text(raw.get("data"))
        return Thinking(redacted=True, encrypted=data, origin=NAME, extra=_rest(raw, "data")), []
    if kind == "tool_use":
        call = ToolCall(id=_text(raw.get("id")), name=_text(raw.get("name")), extra=_rest(raw, "id", "name", "input"))
        return call, []
    return Opaque(origin=NAME, type=_text(kind), value=raw), []


def _said(**texts: Any) -> list[Any]:
    return [(kind, text) for kind, text in texts.items() if isinstance(text, str) and text]


def _rest(raw: dict[str, Any], *taken: str) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if key != "type" and key not in taken and value is not None}


def _stop(block: _Block, out: list[Event]) -> None:
    if block.call and not block.said:
        out.append(PartDelta(part=block.part, kind="arguments", value=block.first))
    out.append(PartStop(part=block.part, extra={DELTAS: block.novel} if block.novel else {}))


def _index(value: dict[str, Any]) -> int | None:
    """The block that an event is of; None where it does not say so in a number."""
    index = value.get("index")
    return index if isinstance(index, int) else None


def _json(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


_HANDLERS: dict[Any, Callable[[MessagesStreamReader, dict[str, Any], list[Event]], None]] = {
    "content_block_delta": MessagesStreamReader._delta,
    "content_block_start": MessagesStreamReader._begin,
    "content_block_stop": MessagesStreamReader._block_stop,
    "message_start": MessagesStreamReader._start,
    "message_delta": MessagesStreamReader._message_delta,
    "message_stop": MessagesStreamReader._end,
    "ping": MessagesStreamReader._ping,
    "error": MessagesStreamReader._error,
}
