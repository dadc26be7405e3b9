"""A streamed chat completion, written: events → the caller's bytes.

Each chunk is spliced from a head that is encoded once and the one value that is new.
"""

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
from gateway.protocol.reply import DeltaKind
from gateway_plugins.formats.custom_tools import CustomCalls, custom_names
from gateway_plugins.formats.openai_chat_fields import NAME
from gateway_plugins.formats.openai_chat_finish import annotations_of, unsaid_of, write_finish
from gateway_plugins.formats.openai_chat_media import url_of
from gateway_plugins.formats.openai_chat_reasoning import RESPONSES, details_of, format_of, is_plain
from gateway_plugins.formats.openai_chat_reply import audio_of, unsaid
from gateway_plugins.formats.openai_chat_usage import write_usage, written_tier
from gateway_plugins.formats.openai_errors import write_error

_encode = msgspec.json.Encoder().encode


class _Part:
    """An open part: what it is, its number among its kind, and what is kept back until it ends."""

    __slots__ = ("citations", "content", "number", "start")

    def __init__(self, content: Part, number: int, start: int) -> None:
        self.content = content
        self.number = number
        self.start = start
        self.citations: list[dict[str, Any]] = []


class _Choice:
    __slots__ = ("calls", "cited", "head", "images", "index", "parts", "refused", "role", "text", "thoughts")

    def __init__(self, index: int, head: bytes) -> None:
        self.index = index
        self.head = head
        self.role = False
        self.calls = 0
        self.images = 0
        self.cited: list[dict[str, Any]] = []
        self.thoughts = 0
        self.text = 0
        self.refused = False
        self.parts: dict[int, _Part] = {}


class ChatStreamWriter(StreamWriter):
    """Writes one stream. Behind the end, or an error, it writes nothing more.

    What it cannot say is named in ``dropped``, by the path that it would have in the whole reply.
    """

    __slots__ = (
        "_base",
        "_choices",
        "_closed",
        "_customs",
        "_dropped",
        "_functions",
        "_head",
        "_include_usage",
        "_own",
        "_tail",
        "_usage",
    )

    def __init__(self, request: ChatRequest, dropped: Dropped | None = None) -> None:
        self._dropped = Dropped() if dropped is None else dropped
        names = custom_names(request)
        self._customs = CustomCalls(names) if names else None
        self._include_usage = request.include_usage
        self._functions = request.origin == NAME and request.spelling.get("tools") == "functions"
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._closed = False
        self._own = False
        self._tail = b'}],"usage":null}\n\n' if self._include_usage else b"}]}\n\n"
        self._begin(Start(id="", model=""))

    def write(self, event: Event) -> bytes:
        if self._closed:
            return b""
        if self._customs is not None:
            return b"".join(_HANDLERS[type(one)](self, one) for one in self._customs.adapted(event))
        handler = _HANDLERS.get(type(event))
        return b"" if handler is None else handler(self, event)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        if self._closed:
            return b""
        self._closed = True
        return b"data: " + write_error(error) + b"\n\n"

    def _begin(self, start: Start) -> bytes:
        head: dict[str, Any] = {"id": start.id, "object": "chat.completion.chunk", "created": start.created or 0}
        head["model"] = start.model
        self._own = start.origin == NAME
        tier = written_tier(start.service_tier, own=self._own)
        if tier is not None:
            head["service_tier"] = tier
        elif start.service_tier is not None:
            self._dropped.add("service_tier", f"chat completions knows no tier {start.service_tier}")
        if self._own:
            head = {**start.extra, **head}
        else:
            self._lose(start.extra)
        self._usage = start.usage
        self._base = b"data: " + _encode(head)[:-1]
        self._head = self._base + b',"choices":[{"index":'
        return b""

    def _count(self, event: UsageUpdate) -> bytes:
        self._usage = event.usage
        return b""

    def _lose(self, names: Iterable[str], path: str = "") -> None:
        """Name fields that another format's events have and a chunk has not."""
        for name in names:
            self._dropped.add(f"{path}{name}", "chat completions has no such field")

    def _ping(self, event: Ping) -> bytes:
        # Not before the first delta: until then another target may still answer.
        return b": keep-alive\n\n" if self._choices else b""

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index, self._head + str(index).encode() + b',"delta":{')
        return choice

    def _chunk(self, choice: _Choice, delta: bytes, more: bytes = b',"finish_reason":null') -> bytes:
        """One chunk: ``delta`` are the members of the delta, ``more`` what follows it in the choice."""
        if choice.role:
            return choice.head + delta + b"}" + more + self._tail
        choice.role = True
        role = b'"role":"assistant"'
        if not delta.startswith(b'"content"'):
            # As OpenAI does: the first delta always speaks of the content.
            role += b',"content":null' if delta else b',"content":""'
        if delta:
            role += b","
        return choice.head + role + delta + b"}" + more + self._tail

    def _part_start(self, event: PartStart) -> bytes:
        choice = self._choice(event.choice)
        content = event.content
        part = choice.parts[event.part] = _Part(content, 0, choice.text)
        if content.extra and not (self._own and isinstance(content, ToolCall)):
            self._lose(unsaid(content, own=self._own), f"{_path(event)}.")
        if isinstance(content, ToolCall):
            part.number = choice.calls
            choice.calls += 1
            return self._call(choice, content, part.number)
        if isinstance(content, Thinking):
            part.number = choice.thoughts
            choice.thoughts += 1
            # What the events still add to it is collected on a part of our own.
            part.content = _copy(content)
            return self._think(choice, part, content.text) if content.text else b""
        if isinstance(content, Text):
            part.citations += content.citations
            choice.text += len(content.text)
            return self._chunk(choice, b'"content":' + _encode(content.text)) if content.text else b""
        if isinstance(content, Refusal):
            choice.refused = True
            return self._chunk(choice, b'"refusal":' + _encode(content.text)) if content.text else b""
        written = self._media(choice, content) if isinstance(content, Media) else b""
        if not written:
            what = getattr(content, "type", type(content).__name__)
            self._dropped.add(_path(event), f"a chat completion has no place for {what}")
        return written

    def _media(self, choice: _Choice, media: Media) -> bytes:
        if media.kind == "audio" and media.data is not None:
            return self._chunk(choice, b'"audio":' + _encode(audio_of(media)))
        if media.kind == "image" and media.file_id is None:
            # OpenAI's packages refuse a second list of anything but by an index.
            image = {"index": choice.images, "type": "image_url", "image_url": {"url": url_of(media)}}
            choice.images += 1
            return self._chunk(choice, b'"images":[' + _encode(image) + b"]")
        return b""

    def _call(self, choice: _Choice, call: ToolCall, number: int) -> bytes:
        if self._functions:
            if number:
                path = f"choices[{choice.index}].message.tool_calls"
                self._dropped.add(path, "function_call holds one call only")
                return b""
            return self._chunk(choice, b'"function_call":' + _encode({"name": call.name, "arguments": call.arguments}))
        kind = "custom" if call.kind == "custom" else "function"
        word = "input" if kind == "custom" else "arguments"
        entry: dict[str, Any] = {"index": number, "id": call.id, "type": kind}
        entry[kind] = {"name": call.name, word: call.arguments}
        if call.signature is not None:
            entry["extra_content"] = {"google": {"thought_signature": call.signature}}
        if self._own and call.extra:
            entry = {**call.extra, **entry}
        return self._chunk(choice, b'"tool_calls":[' + _encode(entry) + b"]")

    def _delta(self, event: PartDelta) -> bytes:
        choice = self._choice(event.choice)
        if event.kind == "text" and (event.value or event.logprobs is not None):
            choice.text += len(event.value)
            return self._chunk(choice, b'"content":' + _encode(event.value), _with_logprobs(event))
        if event.kind == "refusal":
            choice.refused = True
            return self._chunk(choice, b'"refusal":' + _encode(event.value), _with_logprobs(event))
        part = choice.parts.get(event.part)
        if part is not None and event.data is not None:
            part.citations.append(event.data)
        elif part is not None and event.value:
            return self._part_delta(choice, part, event.kind, event.value)
        return b""

    def _part_delta(self, choice: _Choice, part: _Part, kind: DeltaKind, value: str) -> bytes:
        if kind == "arguments":
            return self._arguments(choice, part, value)
        if kind == "thinking":
            return self._think(choice, part, value)
        if isinstance(part.content, Thinking):
            # Given whole when the part ends: a signature in two pieces would be none.
            setattr(part.content, kind, (getattr(part.content, kind) or "") + value)
        elif kind == "signature" and isinstance(part.content, ToolCall) and not self._functions:
            signed = {"index": part.number, "extra_content": {"google": {"thought_signature": value}}}
            return self._chunk(choice, b'"tool_calls":[' + _encode(signed) + b"]")
        return b""

    def _arguments(self, choice: _Choice, part: _Part, value: str) -> bytes:
        if self._functions:
            return b"" if part.number else self._chunk(choice, b'"function_call":{"arguments":' + _encode(value) + b"}")
        custom = isinstance(part.content, ToolCall) and part.content.kind == "custom"
        head = b'"tool_calls":[{"index":' + str(part.number).encode()
        word = b',"custom":{"input":' if custom else b',"function":{"arguments":'
        return self._chunk(choice, head + word + _encode(value) + b"}}]")

    def _think(self, choice: _Choice, part: _Part, value: str) -> bytes:
        """Reasoning as plain text, and as a detail too where it has an origin that may want it back."""
        text = _encode(value)
        delta = b'"reasoning_content":' + text
        content = part.content
        origin = content.origin if isinstance(content, Thinking) else None
        if isinstance(content, Thinking) and origin is not None and origin != NAME:
            word = b"summary" if origin == RESPONSES else b"text"
            detail = b'"type":"reasoning.' + word + b'","' + word + b'":' + text
            detail += b',"format":' + _encode(format_of(origin)) + b',"index":' + str(part.number).encode()
            if content.id is not None:
                detail += b',"id":' + _encode(content.id)
            delta += b',"reasoning_details":[{' + detail + b"}]"
        return self._chunk(choice, delta)

    def _part_stop(self, event: PartStop) -> bytes:
        choice = self._choice(event.choice)
        part = choice.parts.pop(event.part, None)
        if part is None:
            return b""
        content = part.content
        if event.extra:
            self._lose(event.extra, f"{_path(event)}.")
        if isinstance(content, Thinking):
            if is_plain(content) or (content.signature is None and content.encrypted is None):
                return b""
            details = details_of(_without_text(content), part.number)
            return self._chunk(choice, b'"reasoning_details":' + _encode(details))
        if part.citations:
            found, lost = annotations_of(part.citations, part.start, choice.text)
            if lost:
                self._dropped.add(f"{_path(event)}.citations", "chat completions cites URLs only")
            for key in unsaid_of(part.citations):
                self._dropped.add(f"{_path(event)}.citations.{key}", "an annotation has no such field")
            choice.cited += found
        return b""

    def _finish(self, event: Finish) -> bytes:
        choice = self._choice(event.choice)
        calls = choice.calls > 0
        word = write_finish(event.finish_reason, calls=calls, refused=choice.refused, functions=self._functions)
        more: dict[str, Any] = {}
        if self._own and word == "tool_calls" and event.native_finish_reason == "stop":
            word = "stop"
        elif event.native_finish_reason not in (None, word):
            more["native_finish_reason"] = event.native_finish_reason
        if event.stop_sequence is not None:
            more["stop_reason"] = event.stop_sequence
        if not self._own:
            self._lose(event.extra, f"choices[{event.choice}].")
        delta, late = b"", {}
        if self._own and event.extra:
            delta = _encode(event.extra.get("delta", {}))[1:-1]
            late = event.extra.get("chunk", {})
            more = {**{k: v for k, v in event.extra.items() if k not in ("delta", "chunk")}, **more}
        # All at once: OpenAI's packages refuse a second list of annotations.
        cited = self._chunk(choice, b'"annotations":' + _encode(choice.cited)) if choice.cited else b""
        out = cited + self._chunk(choice, delta, b"," + _encode({"finish_reason": word, **more})[1:-1])
        return out[:-3] + b"," + _encode(late)[1:] + b"\n\n" if late else out

    def _end(self, event: End) -> bytes:
        self._closed = True
        if self._usage is not None and not self._own:
            self._lose(self._usage.extra, "usage.")
        if not self._include_usage or self._usage is None:
            return b"data: [DONE]\n\n"
        usage = _encode(write_usage(self._usage, own=self._own))
        return self._base + b',"choices":[],"usage":' + usage + b"}\n\ndata: [DONE]\n\n"

    def _error(self, event: ErrorEvent) -> bytes:
        kind: Any = event.kind
        status = event.status or STATUS_OF_KIND.get(event.kind, 502)
        return self.write_error(UpstreamRejected(event.message, status=status, kind=kind, code=event.code), "")


_HANDLERS: dict[type[Event], Callable[[ChatStreamWriter, Any], bytes]] = {
    Start: ChatStreamWriter._begin,
    PartStart: ChatStreamWriter._part_start,
    PartDelta: ChatStreamWriter._delta,
    PartStop: ChatStreamWriter._part_stop,
    Finish: ChatStreamWriter._finish,
    UsageUpdate: ChatStreamWriter._count,
    Ping: ChatStreamWriter._ping,
    End: ChatStreamWriter._end,
    ErrorEvent: ChatStreamWriter._error,
}


def _path(event: PartStart | PartStop) -> str:
    """Where the whole reply has the part."""
    return f"choices[{event.choice}].message.content[{event.part}]"


def _with_logprobs(event: PartDelta) -> bytes:
    if event.logprobs is None:
        return b',"finish_reason":null'
    return b',"logprobs":' + _encode(event.logprobs) + b',"finish_reason":null'


def _copy(part: Thinking) -> Thinking:
    return Thinking(
        signature=part.signature, encrypted=part.encrypted, redacted=part.redacted, id=part.id, origin=part.origin
    )


def _without_text(part: Thinking) -> Thinking:
    part.text = ""
    return part
