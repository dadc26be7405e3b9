"""A streamed legacy completion, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.errors import STATUS_OF_KIND, GatewayError, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, StreamWriter
from gateway.protocol import (
    ChatRequest,
    End,
    ErrorEvent,
    Event,
    Finish,
    PartDelta,
    PartStart,
    PartStop,
    Ping,
    Refusal,
    Start,
    Text,
    Usage,
    UsageUpdate,
)
from gateway_plugins.formats.framed_reader import EventReader
from gateway_plugins.formats.json_fields import index_of
from gateway_plugins.formats.openai_chat_finish import read_finish
from gateway_plugins.formats.openai_chat_reply import read_created
from gateway_plugins.formats.openai_chat_usage import read_usage
from gateway_plugins.formats.openai_completions_logprobs import OFFSETS, read_logprobs, write_logprobs
from gateway_plugins.formats.openai_completions_reply import REFUSED, finish_word, loss_of, usage_of
from gateway_plugins.formats.openai_completions_request import NAME
from gateway_plugins.formats.openai_errors import error_event, is_error, write_error

DONE = b"[DONE]"
_KNOWN = frozenset({"id", "object", "created", "model", "choices", "usage", "error", "value"})
_KNOWN_OF_CHOICE = frozenset({"index", "text", "logprobs", "finish_reason", "stop_reason"})
_encode = msgspec.json.Encoder().encode


class CompletionStreamReader(EventReader):
    """Reads one stream. Behind an error, or the end mark, nothing is read any more."""

    def __init__(self) -> None:
        super().__init__()
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._promised: set[int] = set()
        """Choices that have said that they have no reason yet."""
        self._started = False

    def _finish(self, out: list[Event]) -> None:
        """Complete without an end mark only if every choice that began has said why it ended."""
        if self._finished and not self._open:
            out.append(End())

    def _object(self, value: dict[str, Any], name: str, out: list[Event]) -> None:
        if name == "error" or is_error(value):
            self._over = True
            out.append(error_event(value))
            return
        self._chunk(value, out)

    def _done(self, out: list[Event]) -> None:
        if not self._started:
            raise UpstreamProtocolError("The provider ended its stream without an answer.")
        self._over = True
        if self._promised & self._open:
            return  # cut, and not complete
        for index in sorted(self._open):
            # The provider says that all is there, and knows no reasons.
            out += [PartStop(choice=index, part=0), Finish(choice=index, finish_reason="stop")]
        self._open.clear()
        out.append(End())

    def _chunk(self, chunk: dict[str, Any], out: list[Event]) -> None:
        if not self._started:
            self._start(chunk, out)
        choices = chunk.get("choices")
        if isinstance(chunk.get("value"), str):
            choices = [{"text": chunk["value"]}]  # Writer's older models stream nothing but the words
        for at, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                self._choice(choice, at, out)
        counted = read_usage(chunk.get("usage"))
        if counted is not None:
            out.append(UsageUpdate(usage=counted))

    def _start(self, chunk: dict[str, Any], out: list[Event]) -> None:
        self._started = True
        found, model = chunk.get("id"), chunk.get("model")
        out.append(
            Start(
                id=found if isinstance(found, str) else "",
                model=model if isinstance(model, str) else "",
                created=read_created(chunk.get("created")),
                origin=NAME,
                extra={key: value for key, value in chunk.items() if key not in _KNOWN and value is not None},
            )
        )

    def _choice(self, choice: dict[str, Any], at: int, out: list[Event]) -> None:
        index = index_of(choice.get("index"), at)
        if index in self._finished:
            return
        if index not in self._open:
            self._open.add(index)
            out.append(PartStart(choice=index, part=0, content=Text(text="")))
        if "finish_reason" in choice:
            self._promised.add(index)
        text, logprobs = choice.get("text"), read_logprobs(choice.get("logprobs"))
        if (isinstance(text, str) and text) or logprobs is not None:
            value = text if isinstance(text, str) else ""
            out.append(PartDelta(choice=index, part=0, kind="text", value=value, logprobs=logprobs))
        reason, native = read_finish(choice.get("finish_reason"))
        if reason is not None:
            self._open.discard(index)
            self._finished.add(index)
            stop = choice.get("stop_reason")
            extra = {key: value for key, value in choice.items() if key not in _KNOWN_OF_CHOICE and value is not None}
            out.append(PartStop(choice=index, part=0))
            out.append(
                Finish(
                    choice=index,
                    finish_reason=reason,
                    native_finish_reason=native,
                    stop_sequence=stop if isinstance(stop, str) else None,
                    extra=extra,
                )
            )


class CompletionStreamWriter(StreamWriter):
    """Writes one stream. Behind the end, or an error, it writes nothing more; what it cannot say it names."""

    def __init__(self, request: ChatRequest, dropped: Dropped | None) -> None:
        self._include_usage = request.include_usage
        self._prompt = sum(len(message.text()) for message in request.messages)
        self._dropped = dropped
        self._lengths: dict[int, int] = {}
        self._parts: dict[int, int] = {}
        self._usage: Usage | None = None
        self._own = False
        self._closed = False
        self._tail = b'}],"usage":null}\n\n' if self._include_usage else b"}]}\n\n"
        self._begin(Start(id="", model=""))

    def write(self, event: Event) -> bytes:
        handler = _HANDLERS.get(type(event))
        return b"" if self._closed or handler is None else handler(self, event)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        if self._closed:
            return b""
        self._closed = True
        return b"data: " + write_error(error) + b"\n\n"

    def _begin(self, start: Start) -> bytes:
        self._own = start.origin == NAME
        self._usage = start.usage
        head = {"id": start.id, "object": "text_completion", "created": start.created or 0, "model": start.model}
        if self._own:
            head = {**start.extra, **head}
        else:
            self._lose("", start.extra)
        if start.service_tier is not None:
            self._lose("", {"service_tier": start.service_tier})
        self._base = b"data: " + _encode(head)[:-1]
        return b""

    def _lose(self, path: str, fields: dict[str, Any]) -> None:
        if self._dropped is not None:
            for key in fields:
                self._dropped.add(f"{path}{key}", "completions has no such field")

    def _chunk(self, index: int, text: str, logprobs: dict[str, Any] | None, rest: bytes) -> bytes:
        self._lengths[index] = self._lengths.get(index, 0) + len(text)
        probs = b"null" if logprobs is None else _encode(logprobs)
        words = b'{"text":' + _encode(text) + b',"index":' + str(index).encode() + b',"logprobs":' + probs
        return self._base + b',"choices":[' + words + b',"finish_reason":' + rest + self._tail

    def _part_start(self, event: PartStart) -> bytes:
        content = event.content
        number = self._parts.get(event.choice, 0)
        self._parts[event.choice] = number + 1
        self._lengths.setdefault(event.choice, 0)
        reason = loss_of(content)
        if reason is not None and self._dropped is not None:
            self._dropped.add(f"choices[{event.choice}].message.content[{number}]", reason)
        if isinstance(content, Refusal) and self._dropped is not None:
            self._dropped.add(f"choices[{event.choice}].message.content[{number}].refusal", REFUSED)
        if isinstance(content, Text | Refusal) and content.text:
            return self._chunk(event.choice, content.text, None, b"null")
        return b""

    def _delta(self, event: PartDelta) -> bytes:
        if event.kind not in ("text", "refusal") or not (event.value or event.logprobs):
            if event.kind == "citation" and self._dropped is not None:
                self._dropped.add(f"choices[{event.choice}].message.citations", "a completion cites nothing")
            return b""
        start = self._prompt + self._lengths.get(event.choice, 0)
        logprobs = event.logprobs
        if logprobs is not None and not self._own:
            logprobs = {key: value for key, value in logprobs.items() if key != OFFSETS}
        return self._chunk(event.choice, event.value, write_logprobs(logprobs, start), b"null")

    def _finish(self, event: Finish) -> bytes:
        rest = _encode(finish_word(event.finish_reason))
        more: dict[str, Any] = dict(event.extra) if self._own else {}
        if not self._own:
            self._lose(f"choices[{event.choice}].", event.extra)
        if event.stop_sequence is not None:
            more["stop_reason"] = event.stop_sequence
        if event.native_finish_reason is not None:
            more["native_finish_reason"] = event.native_finish_reason
        if more:
            rest += b"," + _encode(more)[1:-1]
        return self._chunk(event.choice, "", None, rest)

    def _count(self, event: UsageUpdate) -> bytes:
        self._usage = event.usage
        return b""

    def _ping(self, event: Ping) -> bytes:
        # Not before the first words: until then another target may still answer.
        return b": keep-alive\n\n" if self._lengths else b""

    def _end(self, event: End) -> bytes:
        self._closed = True
        if self._usage is not None and not self._own:
            self._lose("usage.", self._usage.extra)
        if not self._include_usage or self._usage is None:
            return b"data: [DONE]\n\n"
        usage = _encode(usage_of(self._usage, own=self._own))
        return self._base + b',"choices":[],"usage":' + usage + b"}\n\ndata: [DONE]\n\n"

    def _error(self, event: ErrorEvent) -> bytes:
        kind: Any = event.kind
        status = event.status or STATUS_OF_KIND.get(event.kind, 502)
        return self.write_error(UpstreamRejected(event.message, status=status, kind=kind, code=event.code), "")


_HANDLERS: dict[type[Event], Callable[[CompletionStreamWriter, Any], bytes]] = {
    Start: CompletionStreamWriter._begin,
    PartStart: CompletionStreamWriter._part_start,
    PartDelta: CompletionStreamWriter._delta,
    Finish: CompletionStreamWriter._finish,
    UsageUpdate: CompletionStreamWriter._count,
    Ping: CompletionStreamWriter._ping,
    End: CompletionStreamWriter._end,
    ErrorEvent: CompletionStreamWriter._error,
}
