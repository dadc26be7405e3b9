"""Anthropic's count of a prompt's tokens."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

import msgspec

from gateway.errors import GatewayError, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamWriter, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import ChatRequest, TokenCount
from gateway_plugins.formats import anthropic_errors
from gateway_plugins.formats.answer_json import decode_answer
from gateway_plugins.formats.anthropic_carrier import carried_patches
from gateway_plugins.formats.anthropic_fields import NAME as MESSAGES
from gateway_plugins.formats.anthropic_request_reader import read_request
from gateway_plugins.formats.anthropic_request_writer import write_body
from gateway_plugins.formats.anthropic_words import caller_field

NAME = "anthropic_count_tokens"

# What says nothing about the prompt, and is refused here: https://platform.claude.com/docs/en/api/messages-count-tokens
_ANSWER_ONLY = ("max_tokens", "metadata", "service_tier", "stop_sequences", "stream", "temperature", "top_k", "top_p")


class AnthropicCountTokens(Format):
    """``POST /v1/messages/count_tokens``, both sides: a messages request without what only the answer needs."""

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "count_tokens"
    patches_whole: ClassVar[bool] = True

    def read_request(self, body: bytes) -> ChatRequest:
        return read_request(body, counted=True)

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        asked = dict.fromkeys(("max_tokens", "temperature", "top_p", "top_k", "user", "service_tier"))
        out = write_body(msgspec.structs.replace(request, **asked, stop=[], stream=False), traits, dropped)
        return msgspec.json.encode({key: value for key, value in out.items() if key not in _ANSWER_ONLY})

    def caller_field(self, field: str, request: Any) -> str:
        return caller_field(field, request)

    def lane_patches(self, body: JsonObject, traits: Traits) -> dict[str, bytes]:
        """Thinking of other providers that was carried through this dialect does not go to Anthropic."""
        return carried_patches(body)

    def read_reply(self, body: bytes) -> TokenCount:
        value = decode_answer(body)
        rest = dict(value) if isinstance(value, dict) else {}
        count = rest.pop("input_tokens", None)
        if not isinstance(count, int) or isinstance(count, bool):
            if isinstance(rest.get("error"), dict):
                raise anthropic_errors.rejected(rest["error"])
            raise UpstreamProtocolError("The provider's answer is no count of tokens.")
        return TokenCount(prompt_tokens=count, origin=MESSAGES, extra={k: v for k, v in rest.items() if v is not None})

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        count: TokenCount = reply
        out: dict[str, Any] = {"input_tokens": count.prompt_tokens}
        if count.cached_tokens is not None:
            dropped.add("cached_tokens", "Anthropic's count does not say what is cached")
        if count.origin == MESSAGES:
            out.update(count.extra)
        else:
            for key in count.extra:
                dropped.add(key, "Anthropic's count has no such field")
        return msgspec.json.encode(out)

    def read_facts(self, body: bytes) -> ReplyFacts:
        """Nothing for the books, but for an error under a good status: counting is free."""
        try:
            self.read_reply(body)
        except UpstreamRejected as error:
            return ReplyFacts(error=error)
        return ReplyFacts()

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return anthropic_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return anthropic_errors.write_error(error, request_id)

    def stream_reader(self) -> NoReturn:
        raise NotImplementedError("a count is no stream")

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        raise NotImplementedError("a count is no stream")

    def stream_watch(self, *, hide_usage: bool) -> NoReturn:
        raise NotImplementedError("a count is no stream")
