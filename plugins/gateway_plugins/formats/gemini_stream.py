"""The stream of streamGenerateContent, read: server-sent events, or a JSON array where nobody asked for them.

There is no end mark. A stream is complete when each of its candidates has told why it finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.errors import UpstreamProtocolError
from gateway.protocol import (
    End,
    Event,
    Finish,
    Opaque,
    PartDelta,
    PartStart,
    PartStop,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from gateway.protocol.content import Part
from gateway.sse import SSEReader
from gateway_plugins.formats.framed_reader import FramedReader, object_in
from gateway_plugins.formats.gemini_array import ArrayReader
from gateway_plugins.formats.gemini_citations import read_citations
from gateway_plugins.formats.gemini_errors import error_event
from gateway_plugins.formats.gemini_fields import NAME
from gateway_plugins.formats.gemini_reply import (
    block_reason,
    check,
    created_of,
    ids_for,
    parts_of,
    read_reply_part,
    text_of,
)
from gateway_plugins.formats.gemini_usage import finish_word, read_finish, read_logprobs, read_tier, read_usage
from gateway_plugins.formats.json_fields import index_of

_EVERY_TIME = frozenset(("candidates", "usageMetadata", "modelVersion", "responseId", "createTime"))
_CANDIDATE = frozenset(("content", "finishReason", "index", "logprobsResult"))


class GeminiStreamReader(FramedReader[bytes]):
    """Reads one stream."""

    def __init__(self) -> None:
        super().__init__()
        self._events = SSEReader()
        self._array: ArrayReader | None = None
        self._head = b""
        self._candidates: dict[int, _Candidate] = {}
        self._usage: Usage | None = None
        self._started = False
        self._blocked: str | None = None
        self._call_id = ids_for("")

    def _frames(self, data: bytes) -> Sequence[bytes]:
        if self._array is None and not self._started:
            # The first character tells an array from events.
            self._head += data
            start = self._head.removeprefix(b"\xef\xbb\xbf").lstrip()
            if start.startswith(b"["):
                self._array, data = ArrayReader(), start
            elif not start or b"\xef\xbb\xbf".startswith(self._head):
                return ()
            else:
                data = self._head
            self._head, self._started = b"", self._array is None
        if self._array is not None:
            return self._array.feed(data)
        return [event.data for event in self._events.feed(data)]

    def _rest(self) -> Sequence[bytes]:
        return () if self._array is not None else [event.data for event in self._events.close()]

    def _take(self, frame: bytes, out: list[Event]) -> None:
        if frame == b"[DONE]":
            return
        value = object_in(frame)
        if isinstance(value.get("error"), dict):
            self._over = True
            out.append(error_event(value["error"]))
            return
        check(value)
        self._chunk(value, out)

    def _finish(self, out: list[Event]) -> None:
        """Complete when every candidate has told its reason, or the prompt was blocked."""
        if self._array is not None and not self._array.complete:
            return
        if not self._candidates and self._blocked is not None:
            out.append(Finish(finish_reason="content_filter", native_finish_reason=self._blocked))
        elif not self._candidates or any(one.finish is None for one in self._candidates.values()):
            return
        for candidate in self._candidates.values():
            candidate.end(out)
        if self._usage is not None:
            out.append(UsageUpdate(usage=self._usage))
        out.append(End())

    def _chunk(self, value: dict[str, Any], out: list[Event]) -> None:
        usage = value.get("usageMetadata")
        if usage is not None:
            self._usage = read_usage(usage)
        if not self._candidates and self._blocked is None and not self._seen(out, value):
            return
        for at, candidate in enumerate(value.get("candidates") or ()):
            if not isinstance(candidate, dict):
                raise UpstreamProtocolError("The provider's stream has a candidate that is no object.")
            index = index_of(candidate.get("index"), at)
            there = self._candidates.get(index)
            if there is None:
                there = self._candidates[index] = _Candidate(index, self._call_id)
            there.take(candidate, out)
        self._blocked = block_reason(value) or self._blocked

    def _seen(self, out: list[Event], value: dict[str, Any]) -> bool:
        """Announce the reply by its first chunk with anything to say; whether there is more in it to read."""
        if not value.get("candidates") and block_reason(value) is None:
            return False
        reply_id = text_of(value.get("responseId"))
        self._call_id = ids_for(reply_id)
        usage = value.get("usageMetadata")
        out.append(
            Start(
                id=reply_id,
                model=text_of(value.get("modelVersion")).removeprefix("models/"),
                created=created_of(value.get("createTime")),
                usage=self._usage,
                service_tier=read_tier(usage),
                origin=NAME,
                extra={key: item for key, item in value.items() if key not in _EVERY_TIME and item is not None},
            )
        )
        return True


class _Candidate:
    """One candidate as it grows."""

    __slots__ = ("_call_id", "_calls", "_count", "_extra", "_grounded", "_index", "_open", "_texts", "finish")

    def __init__(self, index: int, call_id: Any) -> None:
        self._index = index
        self._call_id = call_id
        self._count = 0
        self._open: tuple[int, type[Part]] | None = None
        self._calls = False
        self._texts: list[str] = []
        self._grounded: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}
        self.finish: str | None = None

    def take(self, candidate: dict[str, Any], out: list[Event]) -> None:
        logprobs = read_logprobs(candidate.get("logprobsResult"))
        for item in parts_of(candidate):
            for part in read_reply_part(item, f"candidates[{self._index}].content.parts", self._call_id):
                self._part(part, logprobs, out)
                logprobs = None
        if logprobs is not None:
            self._part(Text(text=""), logprobs, out)
        self.finish = finish_word(candidate.get("finishReason")) or self.finish
        for key in ("groundingMetadata", "citationMetadata"):
            if isinstance(candidate.get(key), dict):
                self._grounded[key] = {**self._grounded.get(key, {}), **candidate[key]}
        self._extra.update({k: item for k, item in candidate.items() if k not in _CANDIDATE and item is not None})

    def _part(self, part: Part, logprobs: dict[str, Any] | None, out: list[Event]) -> None:
        kind = type(part)
        if isinstance(part, Thinking) and (part.origin != NAME or not part.text):
            # A signature alone belongs to what came before it, and is a part of its own for other formats.
            if part.signature is not None or part.origin != NAME:
                self._whole(part, out)
        elif isinstance(part, Text) and not part.text and logprobs is None:
            # The last event often has one, to have any content.
            return
        elif isinstance(part, Text | Thinking):
            if self._open is None or self._open[1] is not kind:
                self._stop(out)
                self._start(msgspec.structs.replace(part, text="", **_unsigned(part)), kind, out)
            assert self._open is not None
            number = self._open[0]
            if isinstance(part, Text):
                if self._texts:
                    self._texts[-1] += part.text
                out.append(self._delta(number, "text", part.text, logprobs))
                return
            out.append(self._delta(number, "thinking", part.text, None))
            if part.signature is not None:
                out.append(self._delta(number, "signature", part.signature, None))
                self._stop(out)
        else:
            self._whole(part, out)

    def _whole(self, part: Part, out: list[Event]) -> None:
        """A part that comes in one piece."""
        self._stop(out)
        if isinstance(part, ToolCall):
            self._calls = True
            self._start(msgspec.structs.replace(part, arguments=""), ToolCall, out)
            number = self._count - 1
            out.append(self._delta(number, "arguments", part.arguments, None))
        elif isinstance(part, Thinking) and part.signature is not None:
            self._start(msgspec.structs.replace(part, signature=None), Thinking, out)
            out.append(self._delta(self._count - 1, "signature", part.signature, None))
        else:
            self._start(part, Opaque, out)
        self._stop(out)

    def _start(self, content: Part, kind: type[Part], out: list[Event]) -> None:
        if kind is Text:
            self._texts.append("")
        out.append(PartStart(choice=self._index, part=self._count, content=content))
        self._open = (self._count, kind)
        self._count += 1

    def _stop(self, out: list[Event]) -> None:
        if self._open is not None:
            out.append(PartStop(choice=self._index, part=self._open[0]))
            self._open = None

    def _delta(self, part: int, kind: Any, value: str, logprobs: dict[str, Any] | None) -> PartDelta:
        return PartDelta(choice=self._index, part=part, kind=kind, value=value, logprobs=logprobs)

    def end(self, out: list[Event]) -> None:
        """The stream is complete: what is known only now, and why it finished."""
        assert self.finish is not None
        cited = [citation for _, citation in read_citations(self._grounded, self._texts)] if self._grounded else []
        if cited:
            if self._open is None or self._open[1] is not Text:
                self._stop(out)
                self._start(Text(text=""), Text, out)
            assert self._open is not None
            number = self._open[0]
            out += [PartDelta(choice=self._index, part=number, kind="citation", data=item) for item in cited]
        self._stop(out)
        out.append(
            Finish(
                choice=self._index,
                finish_reason=read_finish(self.finish, calls=self._calls),
                native_finish_reason=self.finish,
                extra=self._extra,
            )
        )


def _unsigned(part: Part) -> dict[str, Any]:
    return {"signature": None} if isinstance(part, Thinking) else {}
