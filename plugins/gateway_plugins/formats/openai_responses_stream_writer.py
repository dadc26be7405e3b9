"""Events, written as OpenAI's response stream; the whole response is gathered on the way and closes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from gateway.errors import STATUS_OF_KIND, GatewayError, UpstreamRejected
from gateway.format import Dropped, StreamWriter
from gateway.protocol import (
    ChatRequest,
    End,
    ErrorEvent,
    Event,
    Finish,
    Media,
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
from gateway_plugins.formats.custom_tools import CustomCalls, custom_names
from gateway_plugins.formats.openai_responses_carrier import carried_call_signature
from gateway_plugins.formats.openai_responses_envelope import envelope, stem
from gateway_plugins.formats.openai_responses_errors import error_members, response_error
from gateway_plugins.formats.openai_responses_fields import NAME
from gateway_plugins.formats.openai_responses_items import (
    CallPart,
    LocalCallPart,
    OutputItem,
    TextPart,
    ThinkingPart,
    is_same_item,
    reasoning_value,
)
from gateway_plugins.formats.openai_responses_local import local_names
from gateway_plugins.formats.openai_responses_sent import read_sent
from gateway_plugins.formats.openai_responses_tools import apart
from gateway_plugins.formats.openai_responses_usage import write_status, write_usage

_encode = msgspec.json.Encoder().encode
_Open = TextPart | ThinkingPart | CallPart | LocalCallPart
_IMAGES = {"image/jpeg": "jpeg", "image/webp": "webp", "image/png": "png"}


class ResponsesStreamWriter(StreamWriter):
    """Writes one stream. Nothing is written before the first part: until then another target may still answer."""

    def __init__(self, request: Any, dropped: Dropped | None = None) -> None:
        self._request = request
        self._dropped = Dropped() if dropped is None else dropped  # an empty one is false
        self._custom = CustomCalls(custom_names(request))
        self._local = local_names(request)
        own = isinstance(request, ChatRequest) and request.origin == NAME
        self._spelling: dict[str, str] = request.spelling if own else {}
        self._out: list[bytes] = []
        self._number = 0
        self._own = False
        self._start = Start(id="", model="")
        self._response: dict[str, Any] | None = None
        self._items: list[OutputItem] = []
        self._parts: dict[int, _Open] = {}
        self._waiting: dict[int, Part] = {}
        self._message: OutputItem | None = None
        self._phase: Any = None
        self._reasoning: OutputItem | None = None
        self._thought: Thinking | None = None
        self._signed: dict[int, tuple[str, str]] = {}
        self._refused = False
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._over = False

    def write(self, event: Event) -> bytes:
        if self._over:
            return b""
        for one in self._custom.adapted(event):
            if getattr(one, "choice", 0) != 0:
                self._dropped.add("choices[1]", "the responses API gives one answer")
                continue
            handler = _HANDLERS.get(type(one))
            if handler is not None:
                handler(self, one)
        out, self._out = self._out, []
        return b"".join(out)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        """The error event that OpenAI's packages raise, and the response that failed, which Codex looks for."""
        if self._over:
            return b""
        # Where nothing was written yet, there is no response to say more of than that it failed.
        response = self._response or envelope(Start(id=self._start.id or request_id, model=self._start.model), None)
        self._over = True
        self._emit("error", error_members(error))
        failed = {**response, "status": "failed", "error": response_error(error)}
        failed["output"] = [item.value for item in self._items if item.done]
        self._emit("response.failed", {"response": failed})
        out, self._out = self._out, []
        return b"".join(out)

    def stand_behind(self, sent: bytes) -> None:
        """Take over the numbering, the response and the ids of its items from events that the provider wrote."""
        found = read_sent(sent)
        self.begun(found.response)
        self._number = found.next_number
        for index, item_id in found.items.items():
            if index < len(self._items):
                self._items[index].value["id"] = item_id
        for part in self._parts.values():
            if isinstance(part, TextPart | ThinkingPart):
                part.name_item()

    def begun(self, response: dict[str, Any] | None) -> None:
        """The provider began the response so; None where it did not."""
        self._response = self._response if response is None else dict(response)

    def response(self) -> dict[str, Any]:
        """The whole response, once End was written."""
        return self._begin()

    def _lose(self, path: str, fields: Iterable[str]) -> None:
        """Name another format's fields."""
        for key in () if self._own else fields:
            self._dropped.add(f"{path}{key}", "a response has no such field")

    def _emit(self, kind: str, members: dict[str, Any]) -> None:
        body = _encode({"type": kind, **members, "sequence_number": self._number})
        self._number += 1
        self._out.append(b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n")

    def _begin(self) -> dict[str, Any]:
        """The response object; the first time it opens the stream."""
        if self._response is None:
            self._response = envelope(self._start, self._request)
            self._emit("response.created", {"response": self._response})
            self._emit("response.in_progress", {"response": self._response})
        return self._response

    def _note_start(self, event: Start) -> None:
        self._start = event
        self._own = event.origin == NAME
        self._usage = event.usage
        self._lose("", event.extra)

    def _count(self, event: UsageUpdate) -> None:
        self._usage = event.usage

    def _ping(self, event: Ping) -> None:
        if self._response is not None:
            self._out.append(b": keep-alive\n\n")

    def _add(self, value: dict[str, Any], prefix: str = "") -> OutputItem:
        """A further item of the output; it gets an id where it has none."""
        self._begin()
        index = len(self._items)
        if not value.get("id"):
            word = prefix or _PREFIXES.get(value["type"], "item")
            value["id"] = f"{word}_{stem(self._start.id)}_{index}"
        item = OutputItem(index, value, self._emit)
        self._items.append(item)
        return item

    def _part_start(self, event: PartStart) -> None:
        content = event.content
        if not isinstance(content, Media | Thinking):
            self._lose(f"choices[0].content[{event.part}].", content.extra)
        if isinstance(content, Text | Refusal):
            # OpenAI shows no text that stays empty: it waits for its first words.
            self._waiting[event.part] = content
            first = content.text
            if first:
                kind: Any = "text" if isinstance(content, Text) else "refusal"
                self._delta(PartDelta(part=event.part, kind=kind, value=first))
            for citation in content.citations if isinstance(content, Text) else ():
                self._delta(PartDelta(part=event.part, kind="citation", data=citation))
        elif isinstance(content, Thinking):
            self._think(event.part, content)
        else:
            self._close_message()
            self._close_reasoning()
            self._begin_other(event.part, content)

    def _think(self, number: int, content: Thinking) -> None:
        self._close_message()
        if self._reasoning is None or not (self._own and is_same_item(content, self._thought)):
            self._close_reasoning()
            own_id = content.id if content.origin == NAME or (self._own and content.origin is None) else None
            self._reasoning = self._add(reasoning_value(own_id or ""))
        self._thought = content
        part = self._parts[number] = ThinkingPart(self._reasoning, content, own=self._own)
        if content.text:
            part.delta(PartDelta(part=number, kind="thinking", value=content.text))

    def _begin_other(self, number: int, content: Part) -> None:
        if isinstance(content, ToolCall):
            self._call(number, content)
        elif isinstance(content, Opaque) and content.origin == NAME:
            self._add(dict(content.value)).finish(None)
        elif isinstance(content, Media) and content.kind == "image" and content.data is not None:
            rest = content.extra if self._own else {}
            value = {"type": "image_generation_call", "status": "in_progress", "result": None}
            if content.media_type in _IMAGES:
                value["output_format"] = _IMAGES[content.media_type]
            item = self._add({**value, **rest})
            item.value["result"] = content.data
            item.finish()
        else:
            name = getattr(content, "type", None) or getattr(content, "kind", type(content).__name__)
            self._dropped.add(f"choices[0].content[{number}]", f"a response has no place for {name}")

    def _call(self, number: int, call: ToolCall) -> None:
        if call.signature is not None:
            self._signed[number] = (call.id, call.signature)
            self._give_signature(number)
        if call.kind == "function" and call.name in self._local:
            self._parts[number] = LocalCallPart(self._local[call.name], call, self._add)
            return
        name, space = apart(call.name, self._spelling)
        value: dict[str, Any] = {"id": "", "call_id": call.id, "name": name, "status": "in_progress"}
        if call.kind == "custom":
            value |= {"type": "custom_tool_call", "input": ""}
        else:
            value |= {"type": "function_call", "arguments": ""}
        if space is not None:
            value["namespace"] = space
        if self._own:
            value = {**call.extra, **value}
        part = self._parts[number] = CallPart(self._add(value))
        part.delta(PartDelta(part=number, kind="arguments", value=call.arguments))

    def _give_signature(self, number: int) -> None:
        """An item of its own carries a call's thought signature, so that it comes back with the call."""
        call_id, signature = self._signed.pop(number)
        value = {**reasoning_value(""), "encrypted_content": carried_call_signature(call_id, signature)}
        self._add(value).finish(None)

    def _delta(self, event: PartDelta) -> None:
        part = self._parts.get(event.part)
        if part is None and event.part in self._waiting:
            if event.kind not in ("text", "refusal", "citation") or not (event.value or event.data or event.logprobs):
                return
            part = self._begin_text(event.part, self._waiting.pop(event.part))
        if isinstance(part, CallPart | LocalCallPart) and event.kind == "signature":
            call_id = self._call_ids().get(event.part, "")
            _, so_far = self._signed.get(event.part, ("", ""))
            self._signed[event.part] = (call_id, so_far + event.value)
        elif part is not None:
            part.delta(event)

    def _call_ids(self) -> dict[int, str]:
        return {
            number: part.call_id for number, part in self._parts.items() if isinstance(part, CallPart | LocalCallPart)
        }

    def _begin_text(self, number: int, content: Part) -> TextPart:
        assert isinstance(content, Text | Refusal)
        self._close_reasoning()
        phase = content.extra.get("phase") if self._own else None
        if self._message is None or phase != self._phase:
            self._close_message(force=True)
            value = {"id": "", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
            if phase is not None:
                value["phase"] = phase
            self._message, self._phase = self._add(value), phase
        self._refused = self._refused or isinstance(content, Refusal)
        part = self._parts[number] = TextPart(self._message, content, own=self._own)
        return part

    def _part_stop(self, event: PartStop) -> None:
        self._waiting.pop(event.part, None)
        self._lose(f"choices[0].content[{event.part}].", event.extra)
        part = self._parts.pop(event.part, None)
        if part is None:
            return
        path = f"choices[0].content[{event.part}].citations"
        if part.stop():
            self._dropped.add(path, "a response cites URLs and files only")
        if isinstance(part, TextPart):
            self._lose(f"{path}.", part.unsaid())
        if event.part in self._signed:
            self._give_signature(event.part)

    def _close_message(self, *, force: bool = False) -> None:
        """Something else begins: the message is complete unless a part of it goes on."""
        if self._message is None or self._message.done:
            return
        open_text = [number for number, part in self._parts.items() if isinstance(part, TextPart)]
        if open_text and not force:
            return
        for number in open_text:
            self._part_stop(PartStop(part=number))
        self._message.finish()
        self._message = None

    def _close_reasoning(self) -> None:
        if self._reasoning is None:
            return
        for number in [number for number, part in self._parts.items() if isinstance(part, ThinkingPart)]:
            self._part_stop(PartStop(part=number))
        self._reasoning.finish(None)
        self._reasoning = self._thought = None

    def _finished(self, event: Finish) -> None:
        self._begin()
        self._finish = event
        self._lose("choices[0].", event.extra)
        for number in list(self._parts):
            self._part_stop(PartStop(part=number))
        self._close_reasoning()
        if self._message is not None:
            status, _ = write_status(event.finish_reason, event.native_finish_reason, refused=self._refused)
            self._message.finish("incomplete" if status == "incomplete" else "completed")
            self._message = None
        if event.stop_sequence is not None:
            self._dropped.add("choices[0].stop_sequence", "a response does not say which stop sequence ended it")

    def _end(self, event: End) -> None:
        if self._finish is None:
            self._finished(Finish(finish_reason="stop"))
        finish = self._finish
        assert finish is not None
        response = self._begin()
        status, reason = write_status(finish.finish_reason, finish.native_finish_reason, refused=self._refused)
        if finish.finish_reason == "pause" and reason is None:
            self._dropped.add("choices[0].finish_reason", "a response does not say that its turn may be continued")
        response["status"] = status
        response["output"] = [item.value for item in self._items]
        if reason is not None:
            response["incomplete_details"] = {"reason": reason}
        if status == "failed":
            response["error"] = {"code": "server_error", "message": "The provider broke off its answer."}
        if self._own and isinstance(finish.extra, dict):
            response.update(finish.extra)
        if self._usage is not None:
            response["usage"] = write_usage(self._usage, own=self._own)
            self._lose("usage.", self._usage.extra)
            if self._usage.cache_write_1h_tokens:
                self._dropped.add("usage.cache_write_1h_tokens", "a response does not say how long its cache lasts")
        self._emit(f"response.{status}", {"response": response})
        self._over = True

    def _error(self, event: ErrorEvent) -> None:
        kind: Any = event.kind
        status = event.status or STATUS_OF_KIND.get(event.kind, 502)
        error = UpstreamRejected(event.message, status=status, kind=kind, code=event.code)
        written = self.write_error(error, "")
        self._out = [written]


_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "apply_patch_call": "apc",
    "shell_call": "sh",
    "local_shell_call": "lsh",
    "tool_search_call": "tsc",
    "image_generation_call": "ig",
}

_HANDLERS: dict[type[Event], Callable[[ResponsesStreamWriter, Any], None]] = {
    Start: ResponsesStreamWriter._note_start,
    PartStart: ResponsesStreamWriter._part_start,
    PartDelta: ResponsesStreamWriter._delta,
    PartStop: ResponsesStreamWriter._part_stop,
    Finish: ResponsesStreamWriter._finished,
    UsageUpdate: ResponsesStreamWriter._count,
    Ping: ResponsesStreamWriter._ping,
    End: ResponsesStreamWriter._end,
    ErrorEvent: ResponsesStreamWriter._error,
}
