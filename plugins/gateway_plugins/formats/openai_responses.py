"""OpenAI's responses: what its own packages, agents and Codex speak first."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from gateway.errors import GatewayError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, StreamWatch, StreamWriter, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import ChatReply, ChatRequest
from gateway_plugins.formats import openai_errors
from gateway_plugins.formats.openai_responses_carrier import MARK, without_carried
from gateway_plugins.formats.openai_responses_fields import NAME
from gateway_plugins.formats.openai_responses_places import caller_field
from gateway_plugins.formats.openai_responses_reply import read_reply, write_reply
from gateway_plugins.formats.openai_responses_request import read_request
from gateway_plugins.formats.openai_responses_stream import ResponsesStreamReader
from gateway_plugins.formats.openai_responses_stream_writer import ResponsesStreamWriter
from gateway_plugins.formats.openai_responses_watch import ResponsesStreamWatch, read_facts
from gateway_plugins.formats.openai_responses_write import write_request

_MARK = MARK.encode()


def carried_patches(body: JsonObject) -> dict[str, bytes]:
    """The ``input`` of a request that passes, without what was carried for other providers."""
    if _MARK not in body.body:
        return {}
    items = body.get("input")
    kept = without_carried(items)
    return {} if kept == items else {"input": msgspec.json.encode(kept)}


class OpenAIResponses(Format):
    """``POST /v1/responses``, both sides.

    What an assistant did between two inputs is one message; thinking that is not OpenAI's comes and goes as reasoning
    items whose ``encrypted_content`` is ours. ``traits.options`` is documented at
    ``openai_responses_write.write_request``.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "chat"
    patches_whole: ClassVar[bool] = True

    def read_request(self, body: bytes) -> ChatRequest:
        return read_request(body)

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        return write_request(request, traits, dropped)

    def read_reply(self, body: bytes) -> ChatReply:
        return read_reply(body)

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        return write_reply(reply, dropped, request)

    def stream_reader(self) -> StreamReader:
        return ResponsesStreamReader()

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        return ResponsesStreamWriter(request, dropped)

    def stream_watch(self, *, hide_usage: bool) -> StreamWatch:
        """A watch; usage is part of every stream of this dialect, and never hidden."""
        return ResponsesStreamWatch()

    def lane_patches(self, body: JsonObject, traits: Traits) -> dict[str, bytes]:
        """Thinking of other providers that was carried through this dialect does not go to OpenAI."""
        return carried_patches(body)

    def caller_field(self, field: str, request: Any) -> str:
        return caller_field(field, request)

    def read_facts(self, body: bytes) -> ReplyFacts:
        return read_facts(body)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return openai_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return openai_errors.write_error(error)
