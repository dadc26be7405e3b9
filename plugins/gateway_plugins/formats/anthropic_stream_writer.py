"""Events, written as Anthropic's stream.

Anthropic's blocks never overlap; parts of other formats may. One block is open at a time, and what comes for later
parts waits until it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.format import Dropped, StreamWriter
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
    Refusal,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from gateway.sse import encode_event
from gateway_plugins.formats import anthropic_errors
from gateway_plugins.formats.anthropic_carrier import carried_call_signature
from gateway_plugins.formats.anthropic_citations import CITATIONS, write_citation
from gateway_plugins.formats.anthropic_fields import NAME
from gateway_plugins.formats.anthropic_reply import thinking_block, uncounted, unsaid_of
from gateway_plugins.formats.anthropic_stream import DELTAS
from gateway_plugins.formats.anthropic_usage import restore, write_counts, write_stop, write_usage
from gateway_plugins.formats.custom_tools import CUSTOM_INPUT

# What ``message_delta`` has beside its ``delta``.
_BESIDE = frozenset(("context_management",))
_PING = encode_event(b'{"type":"ping"}', "ping")
_STOP = encode_event(b'{"type":"message_stop"}', "message_stop")


class _Block:
    """A part on its way out. ``held`` is what waits, ``gathered`` what is written only at the end."""

    __slots__ = ("content", "gathered", "held", "novel", "path", "stopped")

    def __init__(self, content: Part, path: str) -> None:
        self.content = content
        self.path = path
        self.held: list[PartDelta] = []
        self.gathered: dict[str, str] = {}
        self.novel: list[dict[str, Any]] = []
        self.stopped = False

    def foreign_thinking(self) -> Thinking | None:
        """The part, where it is thinking that has to be carried for another provider."""
        content = self.content
        return content if isinstance(content, Thinking) and content.origin != NAME else None

    def ready(self, *, own: bool) -> bool:
        """Whether the block can begin: Anthropic shows none that would stay empty."""
        content = self.content
        if isinstance(content, Text | Refusal):
            return own or bool(content.text) or any(delta.value or (own and delta.data) for delta in self.held)
        if isinstance(content, Thinking):
            if self.foreign_thinking() is None:
                return True
            if content.redacted:
                return self.stopped
            said = bool(content.text or content.signature or content.encrypted or self.held)
            return said or (self.stopped and content.id is not None)
        if isinstance(content, ToolCall):
            return content.kind == "function" or self.stopped
        return isinstance(content, Opaque) and content.origin == NAME


class MessagesStreamWriter(StreamWriter):
    """The bytes of one stream. ``message_delta`` waits for End, when all tokens are counted.

    What it cannot say is named in ``dropped``, by the path that it would have in the whole reply.
    """

    def __init__(self, dropped: Dropped | None = None) -> None:
        self._dropped = Dropped() if dropped is None else dropped
        self._own = False
        self._started = False
        self._over = False
        self._blocks: dict[int, _Block] = {}
        self._waiting: list[_Block] = []
        self._open: _Block | None = None
        self._index = 0
        self._finish: Finish | None = None
        self._usage: Usage | None = None

    def write(self, event: Event) -> bytes:
        if self._over:
            return b""
        handler = _HANDLERS.get(type(event))
        if handler is None:
            return b""
        out: list[bytes] = []
        handler(self, event, out)
        return b"".join(out)

    def _part_start(self, event: PartStart, out: list[bytes]) -> None:
        if event.choice != 0:
            self._dropped.add(f"choices[{event.choice}]", "a message is one answer")
            return
        self._blocks[event.part] = block = _Block(event.content, f"content[{event.part}]")
        self._waiting.append(block)
        if event.content.extra and not self._own:
            self._lose(event.content.extra, f"{block.path}.")
        if isinstance(event.content, Text) and event.content.citations:
            block.held += [PartDelta(part=event.part, kind="citation", data=item) for item in event.content.citations]
        self._advance(out)

    def _lose(self, names: Iterable[str], path: str = "") -> None:
        """Name fields that another format's events have and a message has not."""
        for name in names:
            self._dropped.add(f"{path}{name}", "a message has no such field")

    def _part_stop(self, event: PartStop, out: list[bytes]) -> None:
        if event.choice == 0 and event.part in self._blocks:
            block = self._blocks[event.part]
            block.stopped = True
            block.novel = event.extra.get(DELTAS, []) if self._own else []
            if event.extra and not self._own:
                self._lose(event.extra, f"{block.path}.")
            self._advance(out)

    def _finished(self, event: Finish, out: list[bytes]) -> None:
        if event.choice == 0:
            self._finish = event
            self._close(out)

    def _count(self, event: UsageUpdate, out: list[bytes]) -> None:
        self._usage = event.usage

    def _ping(self, event: Ping, out: list[bytes]) -> None:
        out.append(_PING)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        self._over = True
        return encode_event(anthropic_errors.write_error(error, request_id), "error")

    def _start(self, event: Start, out: list[bytes]) -> None:
        if self._started:
            return
        self._started = True
        self._own = event.origin == NAME
        self._usage = event.usage
        message: dict[str, Any] = {
            "id": event.id,
            "type": "message",
            "role": "assistant",
            "model": event.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(event.usage or Usage(), event.service_tier, own=self._own),
        }
        if self._own:
            message.update(event.extra)
        else:
            self._lose(event.extra)
        if event.service_tier is not None and "service_tier" not in message["usage"]:
            self._dropped.add("service_tier", f"a message knows no tier {event.service_tier}")
        _event(out, "message_start", message=message)

    def _delta(self, event: PartDelta, out: list[bytes]) -> None:
        if event.choice != 0:
            return
        if event.logprobs is not None:
            self._dropped.add("logprobs", "a message has no log probabilities")
        block = self._blocks.get(event.part)
        if block is None:
            return
        if block is self._open:
            self._say(block, event, out)
        else:
            block.held.append(event)
            if self._open is None:
                self._advance(out)

    def _advance(self, out: list[bytes]) -> None:
        """Write all that can be written now."""
        while True:
            block = self._open
            if block is None:
                block = next((item for item in self._waiting if item.ready(own=self._own)), None)
                if block is None:
                    return
                self._waiting.remove(block)
                self._begin(block, out)
                self._open = block
                for delta in block.held:
                    self._say(block, delta, out)
                block.held = []
            if not block.stopped:
                return
            self._stop(block, out)
            self._open = None

    def _begin(self, block: _Block, out: list[bytes]) -> None:
        content = block.content
        if isinstance(content, ToolCall) and content.signature is not None:
            _event(
                out, "content_block_start", index=self._index, content_block=carried_call_signature(content.signature)
            )
            _event(out, "content_block_stop", index=self._index)
            self._index += 1
        shape, first = _shape(content)
        if block.foreign_thinking() is not None and isinstance(content, Thinking) and content.redacted:
            shape = thinking_block(_completed(content, {delta.kind: delta.value for delta in block.held}))
            block.held = []
        if self._own and not isinstance(content, Opaque):
            shape.update(content.extra)
        _event(out, "content_block_start", index=self._index, content_block=shape)
        for kind, value in first:
            self._say(block, PartDelta(part=0, kind=kind, value=value), out)

    def _say(self, block: _Block, delta: PartDelta, out: list[bytes]) -> None:
        kind, value = delta.kind, delta.value
        if kind in ("text", "refusal"):
            said: dict[str, Any] = {"type": "text_delta", "text": value}
        elif kind == "arguments":
            if isinstance(block.content, ToolCall) and block.content.kind == "custom":
                block.gathered[kind] = block.gathered.get(kind, "") + value
                return
            said = {"type": "input_json_delta", "partial_json": value}
        elif kind == "thinking":
            said = {"type": "thinking_delta", "thinking": value}
        elif kind == "citation":
            cited = delta.data
            if not self._own:
                cited = write_citation(cited or {}, f"{block.path}.citations", self._dropped)
            if cited is None:
                return
            said = {"type": "citations_delta", "citation": cited}
            value = "said"
        elif kind == "signature" and isinstance(block.content, Thinking) and block.content.origin == NAME:
            said = {"type": "signature_delta", "signature": value}
        else:
            block.gathered[kind] = block.gathered.get(kind, "") + value
            return
        if value:
            _event(out, "content_block_delta", index=self._index, delta=said)

    def _stop(self, block: _Block, out: list[bytes]) -> None:
        thinking = block.foreign_thinking()
        if thinking is not None and not thinking.redacted:
            signature = thinking_block(_completed(thinking, block.gathered))["signature"]
            _event(out, "content_block_delta", index=self._index, delta=_signature(signature))
        elif "arguments" in block.gathered:
            text = msgspec.json.encode({CUSTOM_INPUT: block.gathered["arguments"]}).decode()
            delta = {"type": "input_json_delta", "partial_json": text}
            _event(out, "content_block_delta", index=self._index, delta=delta)
        for novel in block.novel:
            _event(out, "content_block_delta", index=self._index, delta=novel)
        _event(out, "content_block_stop", index=self._index)
        self._index += 1

    def _close(self, out: list[bytes]) -> None:
        """End every part: the answer is complete."""
        for block in self._blocks.values():
            block.stopped = True
        self._advance(out)
        for block in self._waiting:
            if not isinstance(block.content, Text | Refusal | Thinking | ToolCall):
                what = getattr(block.content, "type", type(block.content).__name__)
                self._dropped.add(block.path, f"a message has no place for {what}")
            elif any(delta.kind == "citation" for delta in block.held):
                self._dropped.add(f"{block.path}.citations", CITATIONS)
        self._waiting = []

    def _end(self, event: End, out: list[bytes]) -> None:
        self._close(out)
        self._over = True
        finish = self._finish or Finish(finish_reason="stop")
        usage = self._usage or Usage()
        counts = write_counts(usage)
        if self._own:
            restore(counts, usage)
        else:
            self._lose(uncounted(usage))
            self._lose(unsaid_of(finish.extra))
        parts = [block.content for block in self._blocks.values()]
        word = write_stop(finish.finish_reason, finish.native_finish_reason, finish.stop_sequence, parts)
        if self._own and finish.finish_reason == "stop" and finish.native_finish_reason is not None:
            word = finish.native_finish_reason
        delta: dict[str, Any] = {"stop_reason": word, "stop_sequence": finish.stop_sequence}
        beside: dict[str, Any] = {}
        for key, value in finish.extra.items() if self._own else ():
            (beside if key in _BESIDE else delta)[key] = value
        _event(out, "message_delta", delta=delta, usage=counts, **beside)
        out.append(_STOP)


def _event(out: list[bytes], name: str, **members: Any) -> None:
    out.append(encode_event(msgspec.json.encode({"type": name, **members}), name))


def _signature(value: str) -> dict[str, str]:
    return {"type": "signature_delta", "signature": value}


def _completed(part: Thinking, gathered: dict[Any, str]) -> Thinking:
    """Thinking with what came for it in deltas."""
    return msgspec.structs.replace(
        part,
        signature=(part.signature or "") + gathered.get("signature", "") or None,
        encrypted=(part.encrypted or "") + gathered.get("encrypted", "") or None,
    )


def _shape(content: Part) -> tuple[dict[str, Any], list[tuple[Any, str]]]:
    """A block as it begins, and what its part already says."""
    if isinstance(content, Text | Refusal):
        return {"type": "text", "text": ""}, [("text", content.text)]
    if isinstance(content, Thinking):
        if content.redacted:
            return {"type": "redacted_thinking", "data": content.encrypted or ""}, []
        first = [("thinking", content.text)]
        if content.origin == NAME:
            first.append(("signature", content.signature or ""))
        return {"type": "thinking", "thinking": "", "signature": ""}, first
    if isinstance(content, ToolCall):
        shape = {"type": "tool_use", "id": content.id, "name": content.name, "input": {}}
        return shape, [("arguments", content.arguments)]
    assert isinstance(content, Opaque), "nothing else is ever ready"
    return dict(content.value), []


_HANDLERS: dict[type[Event], Callable[[MessagesStreamWriter, Any, list[bytes]], None]] = {
    PartDelta: MessagesStreamWriter._delta,
    PartStart: MessagesStreamWriter._part_start,
    PartStop: MessagesStreamWriter._part_stop,
    Start: MessagesStreamWriter._start,
    Finish: MessagesStreamWriter._finished,
    UsageUpdate: MessagesStreamWriter._count,
    Ping: MessagesStreamWriter._ping,
    End: MessagesStreamWriter._end,
}
