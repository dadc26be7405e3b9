"""Gemini's generateContent."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from gateway.errors import GatewayError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, StreamWatch, StreamWriter, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import ChatReply, ChatRequest
from gateway_plugins.formats import gemini_errors
from gateway_plugins.formats.gemini_carrier import START, without_carried
from gateway_plugins.formats.gemini_fields import NAME
from gateway_plugins.formats.gemini_reply import read_facts, read_reply
from gateway_plugins.formats.gemini_reply_writer import write_reply
from gateway_plugins.formats.gemini_request_reader import read_request
from gateway_plugins.formats.gemini_request_writer import write_request
from gateway_plugins.formats.gemini_stream import GeminiStreamReader
from gateway_plugins.formats.gemini_stream_writer import GeminiStreamWriter
from gateway_plugins.formats.gemini_watch import GeminiStreamWatch
from gateway_plugins.formats.gemini_words import caller_field

_START = START.encode()


class Gemini(Format):
    """``models/{model}:generateContent`` and ``:streamGenerateContent?alt=sse``, both sides.

    Of several wordings with one meaning, names are written in camelCase, all functions in one tool, and consecutive
    contents of the model as one. ``traits.options`` is documented at ``gemini_request_writer.write_request``.
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
        return GeminiStreamReader()

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        return GeminiStreamWriter(dropped)

    def stream_watch(self, *, hide_usage: bool) -> StreamWatch:
        """A watch; usage is part of every stream of this format, and never hidden."""
        return GeminiStreamWatch()

    def lane_patches(self, body: JsonObject, traits: Traits) -> dict[str, bytes]:
        """Thinking of other providers that was carried through this dialect does not go to Google."""
        if _START not in body.body:
            return {}
        contents = body.get("contents")
        kept = without_carried(contents)
        return {} if kept == contents else {"contents": msgspec.json.encode(kept)}

    def read_facts(self, body: bytes) -> ReplyFacts:
        return read_facts(body)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return gemini_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return gemini_errors.write_error(error, request_id)
