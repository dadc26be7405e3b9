"""What stands beside OpenAI's responses: the count of a prompt's tokens, and the compaction of a conversation."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

import msgspec

from gateway.errors import CannotTranslate, GatewayError, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamWriter, Traits
from gateway.json_text import BAD_JSON
from gateway.jsonbody import JsonObject
from gateway.protocol import ChatReply, ChatRequest, TokenCount
from gateway_plugins.formats import openai_errors
from gateway_plugins.formats.openai_responses import carried_patches
from gateway_plugins.formats.openai_responses_fields import NAME as RESPONSES
from gateway_plugins.formats.openai_responses_places import caller_field
from gateway_plugins.formats.openai_responses_request import read_request
from gateway_plugins.formats.openai_responses_usage import read_usage
from gateway_plugins.formats.openai_responses_write import write_body

INPUT_TOKENS = "openai_responses_input_tokens"
COMPACT = "openai_responses_compact"

# What the count takes: https://developers.openai.com/api/reference/resources/responses/subresources/input_tokens
_COUNTED = frozenset(
    (
        "conversation",
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    )
)


class _Beside(Format):
    """What both have in common: a JSON answer, OpenAI's errors, and no stream."""

    patches_whole: ClassVar[bool] = True

    def read_request(self, body: bytes) -> ChatRequest:
        return read_request(body)

    def caller_field(self, field: str, request: Any) -> str:
        return caller_field(field, request)

    def lane_patches(self, body: JsonObject, traits: Traits) -> dict[str, bytes]:
        return carried_patches(body)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return openai_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return openai_errors.write_error(error)

    def stream_reader(self) -> NoReturn:
        raise NotImplementedError("this answer is no stream")

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        raise NotImplementedError("this answer is no stream")

    def stream_watch(self, *, hide_usage: bool) -> NoReturn:
        raise NotImplementedError("this answer is no stream")


class OpenAIResponsesInputTokens(_Beside):
    """``POST /v1/responses/input_tokens``, both sides: a responses request without what only the answer needs."""

    name: ClassVar[str] = INPUT_TOKENS
    operation: ClassVar[str] = "count_tokens"

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        out = write_body(request, traits, dropped)
        return msgspec.json.encode({key: value for key, value in out.items() if key in _COUNTED})

    def read_reply(self, body: bytes) -> TokenCount:
        value = _decoded(body)
        count = value.pop("input_tokens", None)
        if not isinstance(count, int) or isinstance(count, bool):
            raise UpstreamProtocolError("The provider's answer is no count of tokens.")
        value.pop("object", None)
        extra = {key: item for key, item in value.items() if item is not None}
        return TokenCount(prompt_tokens=count, origin=RESPONSES, extra=extra)

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        count: TokenCount = reply
        if count.cached_tokens is not None:
            dropped.add("cached_tokens", "OpenAI's count does not say what is cached")
        own = count.origin == RESPONSES
        for key in () if own else count.extra:
            dropped.add(key, "OpenAI's count has no such field")
        more = count.extra if own else {}
        return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": count.prompt_tokens, **more})

    def read_facts(self, body: bytes) -> ReplyFacts:
        """Nothing for the books, but for an error under a good status: counting is free."""
        try:
            self.read_reply(body)
        except UpstreamRejected as error:
            return ReplyFacts(error=error)
        return ReplyFacts()


class OpenAIResponsesCompact(_Beside):
    """``POST /v1/responses/compact``: a conversation made shorter, in a form that its provider alone can read."""

    name: ClassVar[str] = COMPACT
    operation: ClassVar[str] = "compact"

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> NoReturn:
        raise CannotTranslate("Only a provider that speaks OpenAI's responses itself can compact a conversation.")

    def read_reply(self, body: bytes) -> ChatReply:
        value = _decoded(body)
        if not isinstance(value.get("output"), list):
            raise UpstreamProtocolError("The provider's answer is no compacted conversation.")
        model = value.get("model")
        usage = read_usage(value.get("usage"))
        return ChatReply(id=str(value.get("id") or ""), model=model if isinstance(model, str) else "", usage=usage)

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> NoReturn:
        raise CannotTranslate("Only a provider that speaks OpenAI's responses itself can compact a conversation.")

    def read_facts(self, body: bytes) -> ReplyFacts:
        try:
            reply = self.read_reply(body)
        except UpstreamRejected as error:
            return ReplyFacts(error=error)
        except UpstreamProtocolError:
            return ReplyFacts(is_answer=False)
        return ReplyFacts(model=reply.model or None, usage=reply.usage)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        value: Any = msgspec.json.decode(body)
    except BAD_JSON:
        raise UpstreamProtocolError("The provider's answer is not valid JSON.") from None
    if not isinstance(value, dict):
        raise UpstreamProtocolError("The provider's answer is not a JSON object.")
    if openai_errors.is_error(value):
        raise openai_errors.rejected(value)
    return value
