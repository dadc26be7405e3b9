"""Amazon Bedrock's Converse and ConverseStream."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from gateway.errors import UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, Traits
from gateway.protocol import ChatReply
from gateway_plugins.formats import bedrock_errors
from gateway_plugins.formats.bedrock_converse_fields import NAME
from gateway_plugins.formats.bedrock_converse_reply import read_facts, read_reply
from gateway_plugins.formats.bedrock_converse_request import write_request
from gateway_plugins.formats.bedrock_converse_stream import ConverseStreamReader


class BedrockConverse(Format):
    """``POST /model/{id}/converse`` and ``/converse-stream``; it serves providers, not dialects.

    The model stands in the path, and an answer does not repeat it; nor does it have an id. ``metrics`` (how long the
    provider took) is left out. ``signer`` is the origin of streamed thinking: ``anthropic_messages`` where the model
    is Claude, so that its signatures can be replayed at Anthropic and the other way round.
    ``bedrock_models`` documents ``traits.options``.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "chat"
    stream_content_type: ClassVar[bytes] = b"application/vnd.amazon.eventstream"

    def __init__(self, signer: str = NAME) -> None:
        self._signer = signer

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        return write_request(request, traits, dropped)

    def read_reply(self, body: bytes) -> ChatReply:
        return read_reply(body)

    def stream_reader(self) -> StreamReader:
        return ConverseStreamReader(self._signer)

    def read_facts(self, body: bytes) -> ReplyFacts:
        return read_facts(body)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return bedrock_errors.read_error(status, headers, body)

    def _one_sided(self, *arguments: Any, **named: Any) -> NoReturn:
        raise NotImplementedError(f"{self.name} serves providers and not callers")

    read_request = write_reply = stream_writer = stream_watch = write_error = _one_sided
