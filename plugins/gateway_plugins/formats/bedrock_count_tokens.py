"""Bedrock's CountTokens: a request as it would be sent, and how many tokens it has."""

from __future__ import annotations

import base64
from typing import Any, ClassVar, NoReturn

import msgspec

from gateway.errors import UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, Traits
from gateway.protocol import TokenCount
from gateway_plugins.formats import bedrock_errors
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.bedrock_converse_request import request_object
from gateway_plugins.formats.bedrock_invoke_anthropic import BedrockInvokeAnthropic
from gateway_plugins.formats.bedrock_models import ANTHROPIC

NAME = "bedrock_count_tokens"
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
_INVOKE = BedrockInvokeAnthropic()


class BedrockCountTokens(Format):
    """``POST /model/{id}/count-tokens``; it serves providers, not dialects.

    Claude's request is counted as InvokeModel would send it, which leaves nothing out; others' as Converse would.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "count_tokens"

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        if traits.options.get("family") == ANTHROPIC:
            body = base64.b64encode(_INVOKE.write_request(request, traits, dropped)).decode()
            return msgspec.json.encode({"input": {"invokeModel": {"body": body}}})
        whole = request_object(request, traits, dropped)
        counted = {key: value for key, value in whole.items() if key in _COUNTED}
        return msgspec.json.encode({"input": {"converse": counted}})

    def read_reply(self, body: bytes) -> TokenCount:
        tokens = decode_object(body).get("inputTokens")
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
            raise UpstreamProtocolError("The provider's answer is no count of tokens.")
        return TokenCount(prompt_tokens=tokens, origin=NAME)

    def read_facts(self, body: bytes) -> ReplyFacts:
        self.read_reply(body)
        return ReplyFacts()

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return bedrock_errors.read_error(status, headers, body)

    def stream_reader(self) -> StreamReader:
        raise NotImplementedError("a count of tokens is never streamed")

    def _one_sided(self, *arguments: Any, **named: Any) -> NoReturn:
        raise NotImplementedError(f"{self.name} serves providers and not callers")

    read_request = write_reply = stream_writer = stream_watch = write_error = _one_sided
