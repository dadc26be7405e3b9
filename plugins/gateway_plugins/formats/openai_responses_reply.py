"""A whole response, read and written."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import InvalidRequest, UpstreamProtocolError
from gateway.format import Dropped
from gateway.protocol import ChatReply, Choice, Part, Text, ToolCall
from gateway.protocol.unroll import events_of
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.custom_tools import custom_names, unwrapped
from gateway_plugins.formats.openai_chat_reply import read_created
from gateway_plugins.formats.openai_errors import is_error, rejected
from gateway_plugins.formats.openai_responses_envelope import ECHOED
from gateway_plugins.formats.openai_responses_errors import failed_response
from gateway_plugins.formats.openai_responses_fields import NAME
from gateway_plugins.formats.openai_responses_input import InputReader
from gateway_plugins.formats.openai_responses_stream_writer import ResponsesStreamWriter
from gateway_plugins.formats.openai_responses_usage import read_logprobs, read_status, read_usage


def read_reply(body: bytes) -> ChatReply:
    """A provider's whole response; raises UpstreamProtocolError when it is none, UpstreamRejected when it failed."""
    value = decode_object(body)
    if "output" not in value and is_error(value):
        raise rejected(value)
    return reply_of(value)


def reply_of(response: dict[str, Any]) -> ChatReply:
    """The reply that a decoded response object holds."""
    failure = failed_response(response)
    if failure is not None:
        raise failure
    output = response.get("output")
    if not isinstance(output, list):
        raise UpstreamProtocolError("The provider's answer is not a response: it has no output.")
    choice = Choice(content=read_output(output))
    for part in choice.content:
        if isinstance(part, Text) and part.extra.get("logprobs"):
            found = part.extra.pop("logprobs")
            if choice.logprobs is None:
                choice.logprobs = read_logprobs(found)
            elif isinstance(found, list):
                choice.logprobs["content"] += found
    calls = any(isinstance(part, ToolCall) for part in choice.content)
    choice.finish_reason, choice.native_finish_reason = read_status(response, calls=calls)
    tier, reply_id, model = (response.get(key) for key in ("service_tier", "id", "model"))
    return ChatReply(
        id=reply_id if isinstance(reply_id, str) else "",
        model=model if isinstance(model, str) else "",
        choices=[choice],
        usage=read_usage(response.get("usage")),
        created=read_created(response.get("created_at")),
        service_tier=tier if isinstance(tier, str) and tier else None,
        origin=NAME,
        extra=beside(response),
    )


def beside(response: dict[str, Any]) -> dict[str, Any]:
    """What a response says that is neither its output nor a repetition of the request."""
    return {key: value for key, value in response.items() if key not in ECHOED and value is not None}


def read_output(output: list[Any]) -> list[Part]:
    """The parts of a response's output."""
    reader = InputReader({})
    items = [_forgiven(item) for item in output if isinstance(item, dict)]
    try:
        reader.read(items)
    except InvalidRequest as error:
        raise UpstreamProtocolError(f"The provider's answer is not a response: {error.message}") from None
    return [part for message in reader.messages for part in message.content]


def _forgiven(item: dict[str, Any]) -> dict[str, Any]:
    """An output item with what imitators leave out."""
    if item.get("type", "message") == "message":
        return {**item, "role": "assistant"}
    if item.get("type") == "function_call" and not isinstance(item.get("arguments"), str | None):
        return {**item, "arguments": msgspec.json.encode(item["arguments"]).decode()}
    return item


def write_reply(reply: ChatReply, dropped: Dropped, request: Any) -> bytes:
    """The caller's whole response: what a stream of the same events ends with."""
    names = custom_names(request)
    choices = [
        msgspec.structs.replace(
            choice, content=[unwrapped(p, names) if isinstance(p, ToolCall) else p for p in choice.content]
        )
        for choice in reply.choices
    ]
    writer = ResponsesStreamWriter(request, dropped)
    events = events_of(msgspec.structs.replace(reply, choices=choices or [Choice()]))
    for event in events:
        writer.write(event)
    response = writer.response()
    return msgspec.json.encode(response)
