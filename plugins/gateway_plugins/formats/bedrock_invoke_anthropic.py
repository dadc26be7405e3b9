"""Claude by InvokeModel: Anthropic's Messages within Bedrock's own envelope.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html: the model stands
in the path, whether to stream too; the version and the betas stand in the body. A stream's events are those of
Anthropic, each as base64 within a message of AWS's event stream.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

import msgspec

from gateway.errors import UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import ChatReply, Event
from gateway_plugins.formats import bedrock_errors
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.aws_event_stream import EventMessage, EventStreamDecoder
from gateway_plugins.formats.framed_reader import FramedReader

NAME = "bedrock_invoke_anthropic"
VERSION = "bedrock-2023-05-31"
"""The one ``anthropic_version`` that Bedrock knows."""

# Said in the path, or by a header of Bedrock's own.
_ELSEWHERE = ("model", "stream", "service_tier")
_MESSAGES = AnthropicMessages()


class BedrockInvokeAnthropic(Format):
    """``POST /model/{id}/invoke`` and ``/invoke-with-response-stream``; it serves providers, not dialects.

    What it reads has the origin ``anthropic_messages``: it is Anthropic's in all but the envelope. The options of the
    traits are those of ``anthropic_request_writer``.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "chat"
    stream_content_type: ClassVar[bytes] = b"application/vnd.amazon.eventstream"

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        # Defaults are members of a Converse request.
        bare = msgspec.structs.replace(traits, defaults={})
        return enveloped(JsonObject(_MESSAGES.write_request(request, bare, dropped)), (), dropped)

    def read_reply(self, body: bytes) -> ChatReply:
        return _MESSAGES.read_reply(body)

    def stream_reader(self) -> StreamReader:
        return InvokeStreamReader()

    def read_facts(self, body: bytes) -> ReplyFacts:
        return _MESSAGES.read_facts(body)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return bedrock_errors.read_error(status, headers, body)

    def _one_sided(self, *arguments: Any, **named: Any) -> NoReturn:
        raise NotImplementedError(f"{self.name} serves providers and not callers")

    read_request = write_reply = stream_writer = stream_watch = write_error = _one_sided


def enveloped(body: JsonObject, betas: Sequence[str], dropped: Dropped) -> bytes:
    """A messages request as Bedrock wants it; the members that stay are the caller's bytes."""
    members = {key: body.body[start:end] for key, (start, end) in body.spans.items() if key not in _ELSEWHERE}
    tier = body.get("service_tier")
    if tier not in (None, "auto", "standard_only"):
        dropped.add("service_tier", "Bedrock takes no tier in a request of Anthropic's")
    members["anthropic_version"] = msgspec.json.encode(VERSION)
    if betas:
        said = body.get("anthropic_beta")
        there = [item for item in said if isinstance(item, str)] if isinstance(said, list) else []
        members["anthropic_beta"] = msgspec.json.encode([*there, *(beta for beta in betas if beta not in there)])
    pairs = (msgspec.json.encode(key) + b":" + bytes(value) for key, value in members.items())
    return b"{" + b",".join(pairs) + b"}"


def chunk_of(message: EventMessage) -> bytes | None:
    """The JSON of Anthropic's event within a message; None where the message is not a chunk of it."""
    if message.header(":event-type") != "chunk":
        return None
    data = decode_object(message.payload).get("bytes")
    try:
        return base64.b64decode(data if isinstance(data, str) else "?", validate=True)
    except binascii.Error:
        raise UpstreamProtocolError("The provider's stream holds a chunk that is not base64.") from None


class InvokeStreamReader(FramedReader[EventMessage]):
    """Events of one stream, by the reader of Anthropic's own."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = EventStreamDecoder()
        self._events = _MESSAGES.stream_reader()

    def _frames(self, data: bytes) -> Sequence[EventMessage]:
        return self._decoder.feed(data)

    def _take(self, message: EventMessage, out: list[Event]) -> None:
        if message.header(":message-type") in ("exception", "error"):
            out.append(bedrock_errors.error_event(message))
            self._over = True
        elif (chunk := chunk_of(message)) is not None:
            out += self._events.feed(b"data: " + chunk.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n\n")

    def _finish(self, out: list[Event]) -> None:
        """What is due behind Anthropic's own end; a stream that was cut has none."""
        if not self._decoder.pending:
            out += self._events.close()
