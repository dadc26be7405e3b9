"""Cohere's v2 chat, which providers speak and no caller does."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.errors import UpstreamRejected
from gateway.format import Dropped, StreamReader, Traits
from gateway.protocol import ChatReply
from gateway.simple_format import SimpleFormat
from gateway_plugins.formats import cohere_errors
from gateway_plugins.formats.cohere_messages import NAME
from gateway_plugins.formats.cohere_reply import read_reply
from gateway_plugins.formats.cohere_request import write_request
from gateway_plugins.formats.cohere_stream import CohereStreamReader


class CohereChat(SimpleFormat):
    """``POST /v2/chat``, for providers.

    The plan in front of tool calls is thinking, and goes back as the plan. Citations are in Cohere's own shape. A
    reply does not name its model.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "chat"

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        return write_request(request, traits, dropped)

    def read_reply(self, body: bytes) -> ChatReply:
        return read_reply(body)

    def stream_reader(self) -> StreamReader:
        return CohereStreamReader()

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return cohere_errors.read_error(status, headers, body)
