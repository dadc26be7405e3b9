"""Gemini's countTokens."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

import msgspec

from gateway.errors import GatewayError, InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, StreamWatch, StreamWriter, Traits
from gateway.protocol import ChatRequest, TokenCount
from gateway_plugins.formats import gemini_errors
from gateway_plugins.formats.answer_json import decode_answer
from gateway_plugins.formats.gemini_fields import Fields
from gateway_plugins.formats.gemini_request_reader import request_of
from gateway_plugins.formats.gemini_request_writer import written
from gateway_plugins.formats.gemini_words import caller_field

NAME = "gemini_count_tokens"
_WHOLE = "generateContentRequest"
# What Vertex counts beside the contents; safety settings and the like have no tokens.
_COUNTED = ("contents", "systemInstruction", "tools", "generationConfig")


class GeminiCountTokens(Format):
    """``models/{model}:countTokens``, both sides.

    ``traits.options["vertex"]`` says that the members of the request stand at the top level, as Vertex has it; else
    all but the bare contents go in ``generateContentRequest``.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "count_tokens"

    def read_request(self, body: bytes) -> ChatRequest:
        fields = Fields.of_body(body)
        inner = fields.nested(_WHOLE)
        if inner is None:
            return request_of(fields)
        request = request_of(inner)
        request.extra = {**request.extra, **fields.left()}
        return request

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        whole = written(request, traits, dropped)
        if traits.options.get("vertex"):
            return msgspec.json.encode({key: value for key, value in whole.items() if key in _COUNTED})
        if whole.keys() == {"contents"}:
            return msgspec.json.encode(whole)
        return msgspec.json.encode({_WHOLE: {"model": f"models/{request.model}", **whole}})

    def caller_field(self, field: str, request: Any) -> str:
        return caller_field(field, request)

    def read_reply(self, body: bytes) -> TokenCount:
        value = decode_answer(body)
        if isinstance(value, dict) and isinstance(value.get("error"), dict):
            raise gemini_errors.rejected(value["error"])
        # Zero is left out in Google's JSON.
        tokens = value.get("totalTokens", 0) if isinstance(value, dict) else None
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
            raise UpstreamProtocolError("The provider's answer is no count of tokens.")
        cached = value.get("cachedContentTokenCount")
        known = ("totalTokens", "cachedContentTokenCount")
        return TokenCount(
            prompt_tokens=tokens,
            cached_tokens=cached if isinstance(cached, int) else None,
            origin=NAME,
            extra={key: item for key, item in value.items() if key not in known and item is not None},
        )

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        out: dict[str, Any] = {"totalTokens": reply.prompt_tokens}
        if reply.cached_tokens is not None:
            out["cachedContentTokenCount"] = reply.cached_tokens
        if reply.origin == NAME:
            out.update(reply.extra)
        else:
            for field in reply.extra:
                dropped.add(f"reply.{field}", "countTokens has no such field")
        return msgspec.json.encode(out)

    def read_facts(self, body: bytes) -> ReplyFacts:
        try:
            self.read_reply(body)
        except UpstreamRejected as error:
            return ReplyFacts(error=error)
        except UpstreamProtocolError:
            pass
        return ReplyFacts()

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return gemini_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return gemini_errors.write_error(error, request_id)

    def stream_reader(self) -> StreamReader:
        _no_stream()

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        _no_stream()

    def stream_watch(self, *, hide_usage: bool) -> StreamWatch:
        _no_stream()


def _no_stream() -> NoReturn:
    raise InvalidRequest("A count of tokens is not streamed.", code="unsupported_parameter")
