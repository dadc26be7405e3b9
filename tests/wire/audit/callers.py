"""What a caller gets, judged by the types of the caller's own vendor package, and what it means."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

from gateway.errors import GatewayError
from gateway.format import Dropped, Format
from gateway.protocol import ChatReply, ChatRequest, ErrorEvent, Event, Start
from gateway.translation import upstream_error
from tests.wire.anthropic_types import check_order
from tests.wire.audit.meaning import Meaning
from tests.wire.audit.providers import meaning_of, sse

CALLERS = ("openai_chat", "anthropic_messages", "openai_responses", "gemini", "openai_completions")

_WHOLE: dict[str, tuple[Any, ...]] = {
    "openai_chat": (ChatCompletion,),
    "openai_completions": (Completion,),
    "openai_responses": (Response,),
    "anthropic_messages": (Message, BetaMessage),
    "gemini": (GenerateContentResponse,),
}
_EVENTS: dict[str, tuple[Any, ...]] = {
    "openai_chat": (ChatCompletionChunk,),
    "openai_completions": (Completion,),
    "openai_responses": (ResponseStreamEvent,),
    "anthropic_messages": (RawMessageStreamEvent, BetaRawMessageStreamEvent),
    "gemini": (GenerateContentResponse,),
}


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """One validator of a vendor's type, made once."""
    return TypeAdapter(kind)


def validated(kinds: tuple[Any, ...], value: Any) -> None:
    """Raises pydantic's ValidationError where the last type refuses what the others refused before it."""
    for kind in kinds[:-1]:
        try:
            adapter(kind).validate_python(value)
        except ValidationError:
            continue
        return
    adapter(kinds[-1]).validate_python(value)


def asked(caller: str, *, stream: bool) -> ChatRequest:
    """The request of a caller who wants all that there is to know."""
    return ChatRequest(model="m", stream=stream, include_usage=True, origin=caller)


def whole(dialect: Format, wire: Format, body: bytes, dropped: Dropped) -> Meaning:
    """A provider's whole reply as this caller gets and understands it."""
    reply = wire.read_reply(body)
    assert isinstance(reply, ChatReply)
    reply.id, reply.model, reply.created = reply.id or "r", reply.model or "m", reply.created or 1
    told = dialect.write_reply(reply, dropped, asked(dialect.name, stream=False))
    if dialect.name != wire.name:  # the same dialect passes as the provider wrote it
        validated(_WHOLE[dialect.name], json.loads(told))
    return meaning_of(dialect.name, told, stream=False)


def streamed(dialect: Format, wire: Format, pieces: list[bytes], dropped: Dropped) -> bytes:
    """A provider's stream as this caller gets it; a cut stream or an error ends it without an end of its own."""
    reader, writer = wire.stream_reader(), dialect.stream_writer(asked(dialect.name, stream=True), dropped)
    out = b""
    try:
        for piece in pieces:
            for event in reader.feed(piece):
                out += _written(writer, event)
        for event in reader.close():
            out += _written(writer, event)
    except _Failed as failed:
        return out + writer.write_error(failed.error, "req_1")
    except GatewayError as error:
        return out + writer.write_error(error, "req_1")
    return out


class _Failed(Exception):
    def __init__(self, error: GatewayError) -> None:
        self.error = error


def _written(writer: Any, event: Event) -> bytes:
    if isinstance(event, Start):
        event.id, event.model, event.created = event.id or "r", event.model or "m", event.created or 1
    if isinstance(event, ErrorEvent):
        raise _Failed(upstream_error(event))
    data: bytes = writer.write(event)
    return data


def understood(caller: str, stream: bytes, *, foreign: bool) -> Meaning:
    """What a caller makes of a whole stream: each event by its vendor's type, in the vendor's order.

    ``foreign`` streams are those that we translated; the same dialect passes as the provider wrote it.
    """
    events = [json.loads(data) for data in sse(stream) if data != "[DONE]"]
    for value in events:
        for choice in value.get("choices") or []:
            for call in choice.get("delta", {}).get("tool_calls") or []:
                # The package knows no pieces of custom tools' calls, which OpenAI sends all the same.
                call["type"] = "function" if call.get("type") == "custom" else call.get("type")
            if caller == "openai_completions":
                # The package knows no null there, which OpenAI sends with all but the last.
                choice["finish_reason"] = choice.get("finish_reason") or "stop"
        if (
            foreign
            and value.get("type") not in ("error", "ping")
            and not (caller != "openai_responses" and value.get("error"))
        ):
            validated(_EVENTS[caller], value)
    if caller == "anthropic_messages" and events[-1]["type"] == "message_stop":
        check_order([value for value in events if value["type"] != "ping"])
    if caller == "openai_responses":
        _check_deltas(events)
    return told_by(caller, stream)


def told_by(caller: str, stream: bytes) -> Meaning:
    """What a stream says, by its own end mark where the dialect has one."""
    meaning = meaning_of(caller, stream, stream=True)
    if caller in ("openai_chat", "openai_completions"):
        meaning.ended = stream.endswith(b"data: [DONE]\n\n")
    return meaning


def _check_deltas(events: list[dict[str, Any]]) -> None:
    """The numbers of a responses stream run on, and what came in pieces is what the last event says."""
    assert [value["sequence_number"] for value in events] == list(range(len(events)))
    last = events[-1]
    if last["type"] not in ("response.completed", "response.incomplete"):
        return
    pieces: dict[tuple[int, str], str] = {}
    for value in events:
        if value["type"].endswith(".delta") and "delta" in value:
            key = (value["output_index"], value["type"])
            pieces[key] = pieces.get(key, "") + value["delta"]
    for (index, kind), text in pieces.items():
        item = last["response"]["output"][index]
        holder, name = _GROWN[kind]
        said = item[name] if holder is None else "".join(part.get(name, "") for part in item[holder])
        assert said == text, (kind, said, text)


# Where the pieces of an event end up in an item: in a member of each of these parts, or in one of its own.
_GROWN: dict[str, tuple[str | None, str]] = {
    "response.output_text.delta": ("content", "text"),
    "response.refusal.delta": ("content", "refusal"),
    "response.function_call_arguments.delta": (None, "arguments"),
    "response.custom_tool_call_input.delta": (None, "input"),
    "response.reasoning_summary_text.delta": ("summary", "text"),
    "response.reasoning_text.delta": ("content", "text"),
}
