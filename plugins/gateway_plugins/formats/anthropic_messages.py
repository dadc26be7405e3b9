"""Anthropic's Messages."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.errors import GatewayError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, StreamWatch, StreamWriter, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import ChatReply, ChatRequest
from gateway_plugins.formats import anthropic_errors
from gateway_plugins.formats.anthropic_carrier import carried_patches
from gateway_plugins.formats.anthropic_fields import NAME
from gateway_plugins.formats.anthropic_reply import read_facts, read_reply, write_reply
from gateway_plugins.formats.anthropic_request_reader import read_request
from gateway_plugins.formats.anthropic_request_writer import write_request
from gateway_plugins.formats.anthropic_stream import MessagesStreamReader
from gateway_plugins.formats.anthropic_stream_writer import MessagesStreamWriter
from gateway_plugins.formats.anthropic_watch import MessagesStreamWatch
from gateway_plugins.formats.anthropic_words import caller_field


class AnthropicMessages(Format):
    """``POST /v1/messages``, both sides.

    Of several wordings with one meaning, a string is written for content of one plain text block, consecutive turns
    of one role are one turn, and the deprecated ``output_format`` becomes ``output_config.format``.
    ``traits.options`` is documented at ``anthropic_request_writer.write_request``.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "chat"
    patches_whole: ClassVar[bool] = True

    def read_request(self, body: bytes) -> ChatRequest:
        return read_request(body)

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        return write_request(request, traits, dropped)

    def caller_field(self, field: str, request: Any) -> str:
        return caller_field(field, request)

    def read_reply(self, body: bytes) -> ChatReply:
        return read_reply(body)

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        return write_reply(reply, dropped)

    def stream_reader(self) -> StreamReader:
        return MessagesStreamReader()

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        return MessagesStreamWriter(dropped)

    def stream_watch(self, *, hide_usage: bool) -> StreamWatch:
        """A watch; usage is part of every stream of this dialect, and never hidden."""
        return MessagesStreamWatch()

    def lane_patches(self, body: JsonObject, traits: Traits) -> dict[str, bytes]:
        """Thinking of other providers that was carried through this dialect does not go to Anthropic."""
        return carried_patches(body)

    def read_facts(self, body: bytes) -> ReplyFacts:
        return read_facts(body)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return anthropic_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return anthropic_errors.write_error(error, request_id)
