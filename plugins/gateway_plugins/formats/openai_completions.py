"""OpenAI's legacy completions, which base models and many servers of open models still speak."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.errors import GatewayError, UpstreamRejected
from gateway.format import Dropped, ReplyFacts, StreamReader, StreamWatch, StreamWriter, Traits
from gateway.protocol import ChatReply, ChatRequest
from gateway_plugins.formats import openai_errors
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_chat_watch import ChatStreamWatch, read_facts
from gateway_plugins.formats.openai_completions_reply import read_reply, write_reply
from gateway_plugins.formats.openai_completions_request import NAME, read_request, write_request
from gateway_plugins.formats.openai_completions_stream import CompletionStreamReader, CompletionStreamWriter


class OpenAICompletions(OpenAIChat):
    """``POST /v1/completions``, both sides. Its streams pass, and ask for usage, as those of chat completions do.

    A prompt is a user message. ``suffix``, ``echo``, ``best_of``, several prompts and token ids are known to this
    format only: others name the first three as dropped, for the prompts see ``only_here``.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "chat"

    def read_request(self, body: bytes) -> ChatRequest:
        return read_request(body)

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        return write_request(request, traits, dropped)

    def read_reply(self, body: bytes) -> ChatReply:
        return read_reply(body)

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        return write_reply(reply, dropped, request)

    def stream_reader(self) -> StreamReader:
        return CompletionStreamReader()

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        return CompletionStreamWriter(request, dropped)

    def stream_watch(self, *, hide_usage: bool) -> StreamWatch:
        return ChatStreamWatch(hide_usage=hide_usage)

    def read_facts(self, body: bytes) -> ReplyFacts:
        return read_facts(body)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return openai_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return openai_errors.write_error(error)
