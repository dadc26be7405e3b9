"""OpenAI's chat completions: the format that most providers imitate, and most applications speak."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from gateway.errors import GatewayError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, StreamWatch, StreamWriter, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import ChatReply, ChatRequest
from gateway_plugins.formats import openai_errors
from gateway_plugins.formats.openai_chat_fields import NAME
from gateway_plugins.formats.openai_chat_reply import read_reply, write_reply
from gateway_plugins.formats.openai_chat_request import read_request
from gateway_plugins.formats.openai_chat_stream import ChatStreamReader
from gateway_plugins.formats.openai_chat_stream_writer import ChatStreamWriter
from gateway_plugins.formats.openai_chat_watch import ChatStreamWatch, read_facts
from gateway_plugins.formats.openai_chat_words import caller_field
from gateway_plugins.formats.openai_chat_write import write_request


class OpenAIChat(Format):
    """``POST /v1/chat/completions``, both sides.

    Of several wordings with one meaning, a request for a provider of this format has the caller's own again where it
    is still known: ``max_tokens`` or ``max_completion_tokens``, ``functions`` or ``tools``, ``reasoning`` or
    ``reasoning_content``. Content with one plain text part is written as a string. ``traits.options`` is documented at
    ``openai_chat_write.write_request``.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "chat"
    # Groq, Cerebras, llama.cpp and Z.ai tell their times, and under which number they were asked.
    telemetry: ClassVar[frozenset[str]] = frozenset(
        (
            *("queue_time", "prompt_time", "completion_time", "total_time", "x_groq"),
            *("time_info", "timings", "request_id"),
        )
    )

    def read_request(self, body: bytes) -> ChatRequest:
        return read_request(body)

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        return write_request(request, traits, dropped)

    def caller_field(self, field: str, request: Any) -> str:
        return caller_field(field, request)

    def read_reply(self, body: bytes) -> ChatReply:
        return read_reply(body)

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        return write_reply(reply, dropped, request)

    def stream_reader(self) -> StreamReader:
        return ChatStreamReader()

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        return ChatStreamWriter(request, dropped)

    def stream_watch(self, *, hide_usage: bool) -> StreamWatch:
        return ChatStreamWatch(hide_usage=hide_usage)

    def lane_patches(self, body: JsonObject, traits: Traits) -> dict[str, bytes]:
        """Usage is asked of a stream always: without it the books of a call would be a guess."""
        if not body.flag("stream") or traits.options.get("stream_options") is False or not self.hides_usage(body):
            return {}
        options = body.get("stream_options")
        asked = {**options, "include_usage": True} if isinstance(options, dict) else {"include_usage": True}
        return {"stream_options": msgspec.json.encode(asked)}

    def hides_usage(self, body: JsonObject) -> bool:
        """Whether the caller did not ask for ``stream_options.include_usage``."""
        raw = body.raw("stream_options")
        if raw is None:
            return True
        options = body.get("stream_options")
        return not (isinstance(options, dict) and options.get("include_usage") is True)

    def read_facts(self, body: bytes) -> ReplyFacts:
        return read_facts(body)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return openai_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return openai_errors.write_error(error)
