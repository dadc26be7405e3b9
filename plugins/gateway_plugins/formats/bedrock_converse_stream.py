"""The stream of ConverseStream, read into events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
    Start,
    Text,
    Thinking,
    ToolCall,
    UsageUpdate,
)
from gateway.protocol.reply import DeltaKind
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.aws_event_stream import EventMessage, EventStreamDecoder
from gateway_plugins.formats.bedrock_converse_fields import CLAUDE, NAME
from gateway_plugins.formats.bedrock_converse_reply import (
    SERVER_TOOL,
    read_citation,
    read_image,
    redacted,
    take_stop_sequence,
    tier_of,
)
from gateway_plugins.formats.bedrock_errors import error_event
from gateway_plugins.formats.bedrock_usage import read_stop, read_usage
from gateway_plugins.formats.framed_reader import FramedReader

DELTAS = "deltas"
"""The key of PartStop.extra that holds deltas of blocks that only Converse understands."""

_LAST = frozenset(("metrics", "usage", "serviceTier", "p"))


class _Block:
    """A block that is open: its part, and what only Converse understands of it."""

    __slots__ = ("call", "novel", "opaque", "part", "said")

    def __init__(self, part: int, content: Part) -> None:
        self.part = part
        self.call = isinstance(content, ToolCall)
        self.opaque = isinstance(content, Opaque)
        self.said = False
        self.novel: list[dict[str, Any]] = []


class ConverseStreamReader(FramedReader[EventMessage]):
    """Events of one stream. ``End`` comes behind ``messageStop`` only, with ``metadata`` or with the stream's own end.

    ``signer`` is the origin of thinking: whose signatures it will have is not known when it begins.
    """

    def __init__(self, signer: str = NAME) -> None:
        super().__init__()
        self._decoder = EventStreamDecoder()
        self._signer = signer
        self._blocks: dict[int, _Block] = {}
        self._parts = 0
        self._started = self._finished = False

    def _frames(self, data: bytes) -> Sequence[EventMessage]:
        return self._decoder.feed(data)

    def _finish(self, out: list[Event]) -> None:
        """The end, where only ``metadata`` is missing; without ``messageStop`` the stream was cut."""
        if self._finished:
            out.append(End())

    def _take(self, message: EventMessage, out: list[Event]) -> None:
        if message.header(":message-type") in ("exception", "error"):
            out.append(error_event(message))
            self._over = True
            return
        handler = _HANDLERS.get(message.header(":event-type"))
        if handler is not None:
            handler(self, decode_object(message.payload), out)

    def _start(self, value: dict[str, Any], out: list[Event]) -> None:
        if not self._started:
            self._started = True
            out.append(Start(id="", model="", origin=NAME))

    def _block_start(self, value: dict[str, Any], out: list[Event]) -> None:
        start = value.get("start")
        if not isinstance(start, dict):
            raise UpstreamProtocolError("The provider's stream holds the start of a block that is no object.")
        call = start.get("toolUse")
        content: Part
        if isinstance(call, dict) and call.get("type") != SERVER_TOOL:
            content = ToolCall(id=_required(call, "toolUseId"), name=_required(call, "name"))
        elif start:
            content = Opaque(origin=NAME, type=next(iter(start)), value=start)
        else:
            # A text says nothing at its start.
            return
        self._open(_index(value), content, out)

    def _open(self, index: int, content: Part, out: list[Event]) -> _Block:
        if not self._started:
            self._start({}, out)
        left = self._blocks.pop(index, None)
        if left is not None:
            self._stop(left, out)
        block = self._blocks[index] = _Block(self._parts, content)
        self._parts += 1
        out.append(PartStart(part=block.part, content=content))
        return block

    def _delta(self, value: dict[str, Any], out: list[Event]) -> None:
        index, delta = _index(value), value.get("delta")
        if not isinstance(delta, dict):
            raise UpstreamProtocolError("The provider's stream holds a delta that is no object.")
        block = self._blocks.get(index)
        if block is not None and block.opaque:
            block.novel.append(delta)
            return
        call, reasoning = delta.get("toolUse"), delta.get("reasoningContent")
        if isinstance(delta.get("text"), str):
            block = block or self._open(index, Text(text=""), out)
            self._say(block, "text", delta["text"], out)
        elif isinstance(call, dict):
            if block is None or not block.call:
                raise UpstreamProtocolError("The provider's stream holds a tool's input without its call.")
            self._say(block, "arguments", call.get("input"), out)
        elif isinstance(reasoning, dict):
            self._reason(block, index, reasoning, out)
        elif isinstance(delta.get("citation"), dict):
            block = block or self._open(index, Text(text=""), out)
            out.append(PartDelta(part=block.part, kind="citation", data=read_citation(delta["citation"])))
        elif isinstance(delta.get("image"), dict) and block is None:
            media = read_image({"format": "png", **delta["image"]})
            content = media or Opaque(origin=NAME, type="image", value=delta)
            self._open(index, content, out)
        elif block is not None:
            block.novel.append(delta)
        else:
            self._open(index, Opaque(origin=NAME, type=next(iter(delta), ""), value=delta), out)

    def _reason(self, block: _Block | None, index: int, said: dict[str, Any], out: list[Event]) -> None:
        blob = said.get("redactedContent")
        if isinstance(blob, str):
            self._open(index, redacted(blob), out)
            return
        signature = said.get("signature")
        if block is None:
            # One that begins with its signature has no text to show, and is signed.
            origin = CLAUDE if isinstance(signature, str) and signature else self._signer
            block = self._open(index, Thinking(origin=origin), out)
        self._say(block, "thinking", said.get("text"), out)
        self._say(block, "signature", signature, out)

    @staticmethod
    def _say(block: _Block, kind: DeltaKind, text: Any, out: list[Event]) -> None:
        if isinstance(text, str) and text:
            block.said = True
            out.append(PartDelta(part=block.part, kind=kind, value=text))

    def _block_stop(self, value: dict[str, Any], out: list[Event]) -> None:
        block = self._blocks.pop(_index(value), None)
        if block is not None:
            self._stop(block, out)

    @staticmethod
    def _stop(block: _Block, out: list[Event]) -> None:
        if block.call and not block.said:
            out.append(PartDelta(part=block.part, kind="arguments", value="{}"))
        out.append(PartStop(part=block.part, extra={DELTAS: block.novel} if block.novel else {}))

    def _message_stop(self, value: dict[str, Any], out: list[Event]) -> None:
        reason, native = read_stop(value.get("stopReason"))
        if reason is None:
            raise UpstreamProtocolError("The provider's stream ends its message without a stop reason.")
        if not self._started:
            self._start({}, out)
        for block in self._blocks.values():
            self._stop(block, out)
        self._blocks.clear()
        self._finished = True
        stop, left = take_stop_sequence(value.get("additionalModelResponseFields"))
        out.append(
            Finish(
                finish_reason=reason,
                native_finish_reason=native,
                stop_sequence=stop,
                extra={"additionalModelResponseFields": left} if left else {},
            )
        )

    def _metadata(self, value: dict[str, Any], out: list[Event]) -> None:
        if not self._finished:
            return
        usage = read_usage(value.get("usage"))
        if usage is not None:
            more = {key: item for key, item in value.items() if key not in _LAST and item not in (None, {}, [])}
            tier = tier_of(value)
            if tier is not None:
                more["serviceTier"] = tier
            usage.extra = {**usage.extra, **more}
            out.append(UsageUpdate(usage=usage))
        out.append(End())
        self._over = True


def _index(value: dict[str, Any]) -> int:
    index = value.get("contentBlockIndex")
    if not isinstance(index, int):
        raise UpstreamProtocolError("The provider's stream holds an event of a block without its index.")
    return index


def _required(holder: dict[str, Any], key: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str):
        raise UpstreamProtocolError(f"The provider's stream holds a tool call without its {key}.")
    return value


_HANDLERS: dict[str, Callable[[ConverseStreamReader, dict[str, Any], list[Event]], None]] = {
    "messageStart": ConverseStreamReader._start,
    "contentBlockStart": ConverseStreamReader._block_start,
    "contentBlockDelta": ConverseStreamReader._delta,
    "contentBlockStop": ConverseStreamReader._block_stop,
    "messageStop": ConverseStreamReader._message_stop,
    "metadata": ConverseStreamReader._metadata,
}
