"""A streamed response, read: upstream bytes → events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.errors import UpstreamError, UpstreamProtocolError
from gateway.protocol import (
    End,
    ErrorEvent,
    Event,
    Finish,
    Part,
    PartDelta,
    PartStart,
    PartStop,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolCall,
    UsageUpdate,
)
from gateway.protocol.reply import DeltaKind
from gateway.protocol.unroll import events_of
from gateway_plugins.formats.framed_reader import EventReader
from gateway_plugins.formats.openai_chat_reply import read_created
from gateway_plugins.formats.openai_errors import error_event, is_error
from gateway_plugins.formats.openai_responses_errors import failed_event
from gateway_plugins.formats.openai_responses_fields import NAME
from gateway_plugins.formats.openai_responses_reply import beside, read_output, reply_of
from gateway_plugins.formats.openai_responses_usage import read_logprobs, read_status, read_usage

_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


class _Item:
    """An item of the output that is under way: its open parts by their place in it."""

    __slots__ = ("cited", "done", "parts", "said", "type", "value")

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value
        kind = value.get("type")
        self.type = kind if isinstance(kind, str) else "message"
        self.parts: dict[tuple[str, int], int] = {}
        self.said: set[tuple[str, int]] = set()
        self.cited: dict[int, int] = {}
        self.done = False


class ResponsesStreamReader(EventReader):
    """Reads one stream. Behind an error, or the end, nothing is read any more."""

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._items: dict[int | str, _Item] = {}
        self._count = 0
        self._open: set[int] = set()
        self._calls = False

    def _object(self, value: dict[str, Any], name: str, out: list[Event]) -> None:
        kind = value.get("type")
        if not isinstance(kind, str):
            kind = name
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, value, out)
        elif kind in _ENDS:
            self._end(kind, value, out)
        elif kind == "error" or (not kind.startswith("response.") and is_error(value)):
            self._over = True
            out.append(failed_event(value) if kind == "error" else error_event(value))

    def _begin(self, value: dict[str, Any], out: list[Event]) -> None:
        response = value.get("response")
        if not isinstance(response, dict):
            response = {}
        if self._started:
            return
        self._started = True
        reply_id, model, tier = (response.get(key) for key in ("id", "model", "service_tier"))
        out.append(
            Start(
                id=reply_id if isinstance(reply_id, str) else "",
                model=model if isinstance(model, str) else "",
                created=read_created(response.get("created_at")),
                # What was asked for, until the end says what was given.
                service_tier=tier if isinstance(tier, str) and tier not in ("", "auto") else None,
                origin=NAME,
                extra=beside(response),
            )
        )

    def _item_added(self, value: dict[str, Any], out: list[Event]) -> None:
        self._begin({}, out)
        found = value.get("item")
        if not isinstance(found, dict):
            return
        item = self._items[_place(value)] = _Item(found)
        if item.type in ("function_call", "custom_tool_call"):
            self._begin_call(item, out)

    def _begin_call(self, item: _Item, out: list[Event]) -> None:
        value = item.value
        call_id, name = value.get("call_id") or value.get("id"), value.get("name")
        call = ToolCall(id=call_id if isinstance(call_id, str) else "", name=name if isinstance(name, str) else "")
        if item.type == "custom_tool_call":
            call.kind = "custom"
        if isinstance(value.get("namespace"), str):
            call.extra = {"namespace": value["namespace"]}
        self._calls = True
        self._start(item, ("call", 0), call, out)

    def _start(self, item: _Item, key: tuple[str, int], content: Part, out: list[Event]) -> int:
        part = item.parts[key] = self._count
        self._count += 1
        self._open.add(part)
        out.append(PartStart(part=part, content=content))
        return part

    def _stop(self, part: int, out: list[Event]) -> None:
        if part in self._open:
            self._open.remove(part)
            out.append(PartStop(part=part))

    def _item_of(self, value: dict[str, Any], kind: str, out: list[Event]) -> _Item:
        """The item that an event is about; imitators may not have announced it."""
        item = self._items.get(_place(value))
        if item is None:
            self._begin({}, out)
            item = self._items[_place(value)] = _Item({"type": kind, "id": value.get("item_id")})
        return item

    def _part(self, item: _Item, key: tuple[str, int], out: list[Event]) -> int:
        part = item.parts.get(key)
        if part is not None:
            return part
        kind, _ = key
        item_id = item.value.get("id")
        thought = item_id if isinstance(item_id, str) else None
        content: Part
        if kind == "text":
            content = Text(text="")
            phase = item.value.get("phase")
            if phase is not None:
                content.extra = {"phase": phase}
        elif kind == "refusal":
            content = Refusal(text="")
        elif kind == "summary":
            content = Thinking(id=thought, origin=NAME)
        else:
            content = Thinking(id=thought)
        if kind == "summary":
            # The pieces of a summary follow each other; only the last can still be open.
            for (other, _), earlier in item.parts.items():
                if other == "summary":
                    self._stop(earlier, out)
        return self._start(item, key, content, out)

    def _say(
        self, item: _Item, key: tuple[str, int], kind: DeltaKind, text: Any, out: list[Event], logprobs: Any
    ) -> None:
        found = read_logprobs(logprobs)
        if not isinstance(text, str) or not (text or found):
            return
        part = self._part(item, key, out)
        item.said.add(key)
        out.append(PartDelta(part=part, kind=kind, value=text, logprobs=found))

    def _text_delta(self, value: dict[str, Any], out: list[Event]) -> None:
        item = self._item_of(value, "message", out)
        self._say(
            item, ("text", _number(value, "content_index")), "text", value.get("delta"), out, value.get("logprobs")
        )

    def _refusal_delta(self, value: dict[str, Any], out: list[Event]) -> None:
        item = self._item_of(value, "message", out)
        self._say(item, ("refusal", _number(value, "content_index")), "refusal", value.get("delta"), out, None)

    def _summary_delta(self, value: dict[str, Any], out: list[Event]) -> None:
        item = self._item_of(value, "reasoning", out)
        self._say(item, ("summary", _number(value, "summary_index")), "thinking", value.get("delta"), out, None)

    def _reasoning_delta(self, value: dict[str, Any], out: list[Event]) -> None:
        item = self._item_of(value, "reasoning", out)
        self._say(item, ("plain", _number(value, "content_index")), "thinking", value.get("delta"), out, None)

    def _arguments_delta(self, value: dict[str, Any], out: list[Event]) -> None:
        item = self._items.get(_place(value))
        if item is not None and ("call", 0) in item.parts:
            self._say(item, ("call", 0), "arguments", value.get("delta"), out, None)

    def _annotation(self, value: dict[str, Any], out: list[Event]) -> None:
        item = self._item_of(value, "message", out)
        citation, index = value.get("annotation"), _number(value, "content_index")
        if isinstance(citation, dict):
            item.cited[index] = item.cited.get(index, 0) + 1
            part = self._part(item, ("text", index), out)
            out.append(PartDelta(part=part, kind="citation", data=citation))

    def _item_done(self, value: dict[str, Any], out: list[Event]) -> None:
        found = value.get("item")
        if not isinstance(found, dict):
            return
        key = _place(value)
        item = self._items.get(key)
        if item is None:
            self._begin({}, out)
            item = self._items[key] = _Item(found)
        self._settle(item, found, out)

    def _settle(self, item: _Item, value: dict[str, Any], out: list[Event]) -> None:
        """An item is complete as ``value``: give what the deltas did not, and close its parts."""
        if item.done:
            return
        item.done = True
        item.value = value
        if item.type == "message":
            self._settle_message(item, value, out)
        elif item.type == "reasoning":
            self._settle_reasoning(item, value, out)
        elif item.type in ("function_call", "custom_tool_call"):
            if ("call", 0) not in item.parts:
                self._begin_call(item, out)
            whole = value.get("input" if item.type == "custom_tool_call" else "arguments")
            if ("call", 0) not in item.said:
                text = whole if isinstance(whole, str) or whole is None else msgspec.json.encode(whole).decode()
                self._say(item, ("call", 0), "arguments", text, out, None)
        else:
            for part in read_output([value]):
                self._calls = self._calls or isinstance(part, ToolCall)
                self._whole_part(item, part, out)
        for number in item.parts.values():
            self._stop(number, out)

    def _whole_part(self, item: _Item, part: Part, out: list[Event]) -> None:
        """A part that comes in one piece; a call's arguments follow it, as everywhere."""
        call = part if isinstance(part, ToolCall) else None
        begun = part if call is None else msgspec.structs.replace(call, arguments="")
        number = self._start(item, ("whole", len(item.parts)), begun, out)
        if call is not None and call.arguments:
            out.append(PartDelta(part=number, kind="arguments", value=call.arguments))
        self._stop(number, out)

    def _settle_message(self, item: _Item, value: dict[str, Any], out: list[Event]) -> None:
        content = value.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if not isinstance(part, dict):
                continue
            if part.get("type") == "refusal":
                if ("refusal", index) not in item.said:
                    self._say(item, ("refusal", index), "refusal", part.get("refusal"), out, None)
                continue
            if ("text", index) not in item.said:
                self._say(item, ("text", index), "text", part.get("text"), out, part.get("logprobs"))
            citations = part.get("annotations")
            for citation in citations[item.cited.get(index, 0) :] if isinstance(citations, list) else ():
                if isinstance(citation, dict):
                    number = self._part(item, ("text", index), out)
                    out.append(PartDelta(part=number, kind="citation", data=citation))

    def _settle_reasoning(self, item: _Item, value: dict[str, Any], out: list[Event]) -> None:
        """What lets the item be replayed comes with its end, behind the last of its summary."""
        for kind, field in (("summary", "summary"), ("plain", "content")):
            chunks = value.get(field)
            for index, chunk in enumerate(chunks if isinstance(chunks, list) else ()):
                if (kind, index) not in item.said and isinstance(chunk, dict):
                    self._say(item, (kind, index), "thinking", chunk.get("text"), out, None)
        encrypted = value.get("encrypted_content")
        if not isinstance(encrypted, str):
            if not item.parts:
                self._part(item, ("summary", 0), out)
            return
        if not item.parts:
            # Nothing was shown of it: carried thinking of another provider has its own way to be read.
            for part in read_output([value]):
                self._whole_part(item, part, out)
            return
        pieces = [number for (kind, _), number in item.parts.items() if kind == "summary" and number in self._open]
        number = pieces[-1] if pieces else self._part(item, ("summary", len(item.parts)), out)
        out.append(PartDelta(part=number, kind="encrypted", value=encrypted))

    def _end(self, kind: str, value: dict[str, Any], out: list[Event]) -> None:
        if kind in ("response.failed", "response.cancelled"):
            self._over = True
            out.append(failed_event(value))
            return
        response = value.get("response")
        if not isinstance(response, dict):
            raise UpstreamProtocolError("The provider ended its stream without a response.")
        if not self._started or not self._items:
            self._whole(response, out)
            return
        for item in self._items.values():
            # Only an answer that was cut short leaves an item without its end.
            if not item.done:
                self._settle(item, item.value, out)
        reason, native = read_status(response, calls=self._calls)
        out.append(Finish(finish_reason=reason, native_finish_reason=native, extra=beside(response)))
        usage = read_usage(response.get("usage"))
        if usage is not None:
            out.append(UsageUpdate(usage=usage))
        self._over = True
        out.append(End())

    def _whole(self, response: dict[str, Any], out: list[Event]) -> None:
        """A stream of which only the end speaks."""
        try:
            events = events_of(reply_of(response))
        except UpstreamError as error:
            self._over = True
            out.append(ErrorEvent(kind=error.kind, message=error.message, code=error.code, status=error.status))
            return
        self._over = True
        out += events[1:] if self._started else events


def _place(value: dict[str, Any]) -> int | str:
    """What tells items apart; some imitators give their events other ids than their items."""
    index = value.get("output_index")
    if isinstance(index, int):
        return index
    item = value.get("item")
    found = value.get("item_id") or (item.get("id") if isinstance(item, dict) else None)
    return found if isinstance(found, str) else ""


def _number(value: dict[str, Any], key: str) -> int:
    found = value.get(key)
    return found if isinstance(found, int) else 0


_HANDLERS: dict[str, Callable[[ResponsesStreamReader, dict[str, Any], list[Event]], None]] = {
    "response.created": ResponsesStreamReader._begin,
    "response.queued": ResponsesStreamReader._begin,
    "response.in_progress": ResponsesStreamReader._begin,
    "response.output_item.added": ResponsesStreamReader._item_added,
    "response.output_item.done": ResponsesStreamReader._item_done,
    "response.output_text.delta": ResponsesStreamReader._text_delta,
    "response.output_text.annotation.added": ResponsesStreamReader._annotation,
    "response.refusal.delta": ResponsesStreamReader._refusal_delta,
    "response.reasoning_summary_text.delta": ResponsesStreamReader._summary_delta,
    "response.reasoning_text.delta": ResponsesStreamReader._reasoning_delta,
    "response.function_call_arguments.delta": ResponsesStreamReader._arguments_delta,
    "response.custom_tool_call_input.delta": ResponsesStreamReader._arguments_delta,
}
