"""Ollama's own chat, which says what its OpenAI-compatible one cannot: how the model is run, and how long it took."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.errors import UpstreamRejected
from gateway.format import Dropped, StreamReader, Traits
from gateway.protocol import ChatReply
from gateway.simple_format import SimpleFormat
from gateway_plugins.formats import openai_errors
from gateway_plugins.formats.ollama_messages import NAME
from gateway_plugins.formats.ollama_reply import DURATIONS, OllamaStreamReader, read_reply
from gateway_plugins.formats.ollama_request import write_request


class OllamaChat(SimpleFormat):
    """``POST /api/chat``, for providers; its streams are lines of JSON."""

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "chat"
    telemetry: ClassVar[frozenset[str]] = frozenset(DURATIONS)

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        return write_request(request, traits, dropped)

    def read_reply(self, body: bytes) -> ChatReply:
        return read_reply(body)

    def stream_reader(self) -> StreamReader:
        return OllamaStreamReader()

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return openai_errors.read_error(status, headers, body)
