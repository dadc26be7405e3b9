"""An answer of Ollama's /api/chat, whole or as a stream of JSON lines, read into the normalised protocol."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.errors import UpstreamProtocolError
from gateway.protocol import (
    ChatReply,
    Choice,
    End,
    Event,
    Finish,
    FinishReason,
    Part,
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
from gateway.sse import MAX_EVENT_BYTES
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.framed_reader import FramedReader, object_in
from gateway_plugins.formats.json_fields import count_of
from gateway_plugins.formats.ollama_messages import NAME
from gateway_plugins.formats.openai_chat_tools import argument_text
from gateway_plugins.formats.openai_errors import error_event, is_error, rejected

DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
_FRACTION = re.compile(r"\.\d+")
_DIGITS = re.compile(r"\D+")
_NOT_ONE = "The provider's answer is not a chat of Ollama's"


def read_object(body: bytes) -> dict[str, Any]:
    """An answer's object; raises UpstreamRejected for an error in its place, else UpstreamProtocolError."""
    value = decode_object(body, "a chat of Ollama's")
    if is_error(value):
        raise rejected(value)
    return value


def read_reply(body: bytes) -> ChatReply:
    """A provider's whole reply; raises UpstreamProtocolError when it is none."""
    value = read_object(body)
    message = value.get("message")
    if not isinstance(message, dict):
        raise UpstreamProtocolError(f"{_NOT_ONE}: it has no message.")
    parts: list[Part] = []
    thinking, content = message.get("thinking"), message.get("content")
    if isinstance(thinking, str) and thinking:
        parts.append(Thinking(text=thinking, origin=NAME))
    if isinstance(content, str) and content:
        parts.append(Text(text=content))
    calls = _calls(message, value, 0)
    parts += calls
    reason, native = read_finish(value, called=bool(calls))
    choice = Choice(content=parts, finish_reason=reason, native_finish_reason=native, logprobs=_logprobs(value))
    model = value.get("model")
    return ChatReply(
        id="",
        model=model if isinstance(model, str) else "",
        choices=[choice],
        usage=read_usage(value),
        created=read_created(value.get("created_at")),
        origin=NAME,
    )


def read_finish(value: dict[str, Any], *, called: bool) -> tuple[FinishReason | None, str | None]:
    """Why the model stopped, and Ollama's word where it is neither stop nor length (load, unload)."""
    word = value.get("done_reason")
    if not isinstance(word, str) or not word:
        # Before there was a done_reason, done said all.
        return ("tool_calls" if called else "stop") if value.get("done") is True else None, None
    if word == "length":
        return "length", None
    return "tool_calls" if called else "stop", None if word == "stop" else word


def read_usage(value: dict[str, Any]) -> Usage | None:
    """Tokens, and how long each step took (nanoseconds) in ``extra``; None before they are counted."""
    prompt, made = value.get("prompt_eval_count"), value.get("eval_count")
    if not isinstance(prompt, int) and not isinstance(made, int):
        return None
    durations = {name: value[name] for name in DURATIONS if isinstance(value.get(name), int)}
    # A prompt that was in the cache as a whole is not counted by older versions.
    return Usage(
        prompt_tokens=count_of(prompt),
        completion_tokens=count_of(made),
        extra=durations,
    )


def read_created(value: Any) -> int | None:
    """Unix seconds of an RFC 3339 time, which may tell nanoseconds."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(_FRACTION.sub("", value))
    except ValueError:
        return None
    return int(found.replace(tzinfo=found.tzinfo or UTC).timestamp())


def _calls(message: dict[str, Any], value: dict[str, Any], first: int) -> list[ToolCall]:
    """The calls of a message; ``first`` is how many came before. One without an id gets one by its time and place."""
    found = message.get("tool_calls")
    calls: list[ToolCall] = []
    for at, raw in enumerate(found if isinstance(found, list) else ()):
        function = raw.get("function") if isinstance(raw, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise UpstreamProtocolError(f"{_NOT_ONE}: a tool call has no function.")
        call_id = raw.get("id")
        if not isinstance(call_id, str) or not call_id:
            call_id = f"call_{_DIGITS.sub('', str(value.get('created_at', '')))}_{first + at}"
        arguments = argument_text(function.get("arguments"))
        calls.append(ToolCall(id=call_id, name=function["name"], arguments=arguments or "{}"))
    return calls


def _logprobs(value: dict[str, Any]) -> dict[str, Any] | None:
    """As chat completions has them: Ollama uses its objects."""
    found = value.get("logprobs")
    if not isinstance(found, list) or not found:
        return None
    return {"content": [{"top_logprobs": [], **item} for item in found if isinstance(item, dict)]}


class OllamaStreamReader(FramedReader[bytes]):
    """Reads one stream of JSON lines. It is complete at ``done``; behind it, or an error, nothing is read any more."""

    def __init__(self) -> None:
        super().__init__()
        self._pending: list[bytes] = []
        self._size = 0
        self._started = False
        self._count = self._called = 0
        self._open: Part | None = None

    def _frames(self, data: bytes) -> Sequence[bytes]:
        # Only the new bytes are searched, so that a long line costs linear time.
        if b"\n" not in data:
            self._pending.append(data)
            self._size += len(data)
            if self._size > MAX_EVENT_BYTES:
                raise UpstreamProtocolError(f"The provider sent an event of more than {MAX_EVENT_BYTES} bytes.")
            return ()
        *lines, rest = b"".join((*self._pending, data)).split(b"\n")
        self._pending, self._size = [rest], len(rest)
        return [line for line in lines if line.strip()]

    def _rest(self) -> Sequence[bytes]:
        rest = b"".join(self._pending)
        return (rest,) if rest.strip() else ()  # a last line without its end is whole if its JSON is

    def _take(self, frame: bytes, out: list[Event]) -> None:
        value = object_in(frame, "a line")
        if is_error(value):
            self._over = True
            out.append(error_event(value))
            return
        if not self._started:
            self._started = True
            model = value.get("model")
            created = read_created(value.get("created_at"))
            out.append(Start(id="", model=model if isinstance(model, str) else "", created=created, origin=NAME))
        message = value.get("message")
        if isinstance(message, dict):
            self._message(message, value, out)
        if value.get("done") is True:
            self._end(value, out)

    def _message(self, message: dict[str, Any], value: dict[str, Any], out: list[Event]) -> None:
        thinking, content, logprobs = message.get("thinking"), message.get("content"), _logprobs(value)
        if isinstance(thinking, str) and thinking:
            self._into(Thinking(origin=NAME), out)
            out.append(PartDelta(part=self._count - 1, kind="thinking", value=thinking))
        if isinstance(content, str) and content:
            self._into(Text(text=""), out)
            out.append(PartDelta(part=self._count - 1, kind="text", value=content, logprobs=logprobs))
        for call in _calls(message, value, self._called):
            self._stop(out)
            self._called += 1
            arguments, call.arguments = call.arguments, ""
            out += [
                PartStart(part=self._count, content=call),
                PartDelta(part=self._count, kind="arguments", value=arguments),
                PartStop(part=self._count),
            ]
            self._count += 1

    def _into(self, part: Part, out: list[Event]) -> None:
        """Go on with the open part of this kind, or begin one."""
        if type(self._open) is type(part):
            return
        self._stop(out)
        self._open = part
        out.append(PartStart(part=self._count, content=part))
        self._count += 1

    def _stop(self, out: list[Event]) -> None:
        if self._open is not None:
            out.append(PartStop(part=self._count - 1))
            self._open = None

    def _end(self, value: dict[str, Any], out: list[Event]) -> None:
        self._over = True
        self._stop(out)
        reason, native = read_finish(value, called=bool(self._called))
        out.append(Finish(finish_reason=reason or "stop", native_finish_reason=native))
        usage = read_usage(value)
        if usage is not None:
            out.append(UsageUpdate(usage=usage))
        out.append(End())
