"""A streamed answer of Cohere's v2 chat, read: upstream bytes → events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.errors import UpstreamProtocolError
from gateway.protocol import (
    End,
    ErrorEvent,
    Event,
    Finish,
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
from gateway_plugins.formats.cohere_errors import read_usage
from gateway_plugins.formats.cohere_messages import NAME, PLAN
from gateway_plugins.formats.cohere_reply import read_finish, read_logprobs
from gateway_plugins.formats.framed_reader import EventReader
from gateway_plugins.formats.openai_errors import error_event


class CohereStreamReader(EventReader):
    """Reads one stream. It is complete at ``message-end``; behind it, or an error, nothing is read any more."""

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._id = ""
        self._count = 0
        self._open: dict[tuple[str, int], tuple[int, Part]] = {}
        self._late: list[Any] = []

    def _object(self, value: dict[str, Any], name: str, out: list[Event]) -> None:
        kind = value.get("type")
        if "type" not in value and isinstance(value.get("message"), str):
            # An error's body in the place of an event.
            self._over = True
            out.append(error_event(value))
            return
        handler = _HANDLERS.get(kind if isinstance(kind, str) else "")
        if handler is None:
            return  # debug, and what may come
        delta = value.get("delta")
        message = delta.get("message") if isinstance(delta, dict) else None
        if not self._started and kind != "message-end":
            self._start(value, out)
        handler(self, value, message if isinstance(message, dict) else {}, out)

    def _start(self, value: dict[str, Any], out: list[Event]) -> None:
        self._started = True
        found = value.get("id") if value.get("type") == "message-start" else None
        self._id = found if isinstance(found, str) else ""
        out.append(Start(id=self._id, model="", origin=NAME))

    def _begin(self, value: dict[str, Any], message: dict[str, Any], out: list[Event]) -> None:
        """``message-start``: all that it says is said by Start."""

    def _content_start(self, value: dict[str, Any], message: dict[str, Any], out: list[Event]) -> None:
        content = message.get("content")
        block = content if isinstance(content, dict) else {}
        thinks = block.get("type") == "thinking" or (block.get("type") is None and "thinking" in block)
        part: Part = Thinking(origin=NAME) if thinks else Text(text="")
        self._stop_ended(out)
        self._open_part(("content", _index(value)), part, out)
        self._words(value, block, out)

    def _content_delta(self, value: dict[str, Any], message: dict[str, Any], out: list[Event]) -> None:
        content = message.get("content")
        block = content if isinstance(content, dict) else {}
        key = ("content", _index(value))
        if key not in self._open:
            self._stop_ended(out)
            self._open_part(key, Thinking(origin=NAME) if "thinking" in block else Text(text=""), out)
        self._words(value, block, out)

    def _words(self, value: dict[str, Any], block: dict[str, Any], out: list[Event]) -> None:
        number, part = self._open["content", _index(value)]
        kind: DeltaKind = "thinking" if isinstance(part, Thinking) else "text"
        words = block.get(kind)
        logprobs = read_logprobs(value.get("logprobs"))
        if (isinstance(words, str) and words) or logprobs is not None:
            text = words if isinstance(words, str) else ""
            out.append(PartDelta(part=number, kind=kind, value=text, logprobs=logprobs))

    def _content_end(self, value: dict[str, Any], message: dict[str, Any], out: list[Event]) -> None:
        """Text stays open until something else begins: citations may still follow."""

    def _plan(self, value: dict[str, Any], message: dict[str, Any], out: list[Event]) -> None:
        words = message.get(PLAN)
        if not isinstance(words, str) or not words:
            return
        key = (PLAN, 0)
        if key not in self._open:
            self._stop_ended(out)
            self._open_part(key, Thinking(origin=NAME, extra={PLAN: True}), out)
        out.append(PartDelta(part=self._open[key][0], kind="thinking", value=words))

    def _call_start(self, value: dict[str, Any], message: dict[str, Any], out: list[Event]) -> None:
        index = _index(value)
        call = message.get("tool_calls")
        call = call if isinstance(call, dict) else {}
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name = call.get("id"), function.get("name")
        self._stop_ended(out)
        part = ToolCall(
            id=call_id if isinstance(call_id, str) and call_id else f"call_{self._id}_{index}",
            name=name if isinstance(name, str) else "",
        )
        self._open_part(("call", index), part, out)
        self._arguments(index, function, out)

    def _call_delta(self, value: dict[str, Any], message: dict[str, Any], out: list[Event]) -> None:
        call = message.get("tool_calls")
        function = call.get("function") if isinstance(call, dict) else None
        self._arguments(_index(value), function if isinstance(function, dict) else {}, out)

    def _arguments(self, index: int, function: dict[str, Any], out: list[Event]) -> None:
        words = function.get("arguments")
        opened = self._open.get(("call", index))
        if isinstance(words, str) and words:
            if opened is None:
                raise UpstreamProtocolError("The provider sent arguments of a tool call that has not begun.")
            out.append(PartDelta(part=opened[0], kind="arguments", value=words))

    def _call_end(self, value: dict[str, Any], message: dict[str, Any], out: list[Event]) -> None:
        opened = self._open.pop(("call", _index(value)), None)
        if opened is not None:
            out.append(PartStop(part=opened[0]))

    def _citation(self, value: dict[str, Any], message: dict[str, Any], out: list[Event]) -> None:
        citation = message.get("citations")
        if not isinstance(citation, dict):
            return
        texts = [number for (kind, _), (number, part) in self._open.items() if isinstance(part, Text)]
        if texts and citation.get("type") not in ("PLAN", "THINKING_CONTENT"):
            out.append(PartDelta(part=texts[-1], kind="citation", data=citation))
        else:
            self._late.append(citation)

    def _message_end(self, value: dict[str, Any], message: dict[str, Any], out: list[Event]) -> None:
        delta = value.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        reason, native = read_finish(delta.get("finish_reason"))
        usage = read_usage(delta.get("usage"))
        self._over = True
        said = delta.get("error")
        if reason == "error" or (isinstance(said, str) and said):
            text = said if isinstance(said, str) and said else f"The provider broke off its answer: {native}."
            out.append(ErrorEvent(kind="timeout" if native == "TIMEOUT" else "upstream", message=text, data=value))
            return
        if reason is None:
            raise UpstreamProtocolError("The provider's stream ends its message without a finish reason.")
        if not self._started:
            self._start(value, out)
        out += [PartStop(part=number) for number, _ in self._open.values()]
        self._open.clear()
        extra = {"citations": self._late} if self._late else {}
        out.append(Finish(finish_reason=reason, native_finish_reason=native, extra=extra))
        if usage is not None:
            out.append(UsageUpdate(usage=usage))
        out.append(End())

    def _open_part(self, key: tuple[str, int], part: Part, out: list[Event]) -> None:
        self._open[key] = (self._count, part)
        out.append(PartStart(part=self._count, content=part))
        self._count += 1

    def _stop_ended(self, out: list[Event]) -> None:
        """Something new begins: of texts and thinking, none goes on."""
        ended = [key for key in self._open if key[0] != "call"]
        out += [PartStop(part=self._open.pop(key)[0]) for key in ended]


_Handler = Callable[[CohereStreamReader, dict[str, Any], dict[str, Any], list[Event]], None]
_HANDLERS: dict[str, _Handler] = {
    "message-start": CohereStreamReader._begin,
    "content-start": CohereStreamReader._content_start,
    "content-delta": CohereStreamReader._content_delta,
    "content-end": CohereStreamReader._content_end,
    "tool-plan-delta": CohereStreamReader._plan,
    "tool-call-start": CohereStreamReader._call_start,
    "tool-call-delta": CohereStreamReader._call_delta,
    "tool-call-end": CohereStreamReader._call_end,
    "citation-start": CohereStreamReader._citation,
    "message-end": CohereStreamReader._message_end,
}


def _index(value: dict[str, Any]) -> int:
    found = value.get("index")
    return found if isinstance(found, int) else 0
