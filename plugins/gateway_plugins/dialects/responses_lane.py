"""Responses for a target of another format: what lives in OpenAI's own store is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.errors import InvalidRequest, RouteNotFound
from gateway.protocol import ChatRequest, Opaque
from gateway.response import request_id_of
from gateway.translation import Composed, Pair, Translator
from gateway_plugins.formats.openai_responses_fields import NAME
from gateway_plugins.formats.openai_responses_more import INPUT_TOKENS

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway.call import Call, Target
    from gateway.state import Gateway

_STORED = {
    "previous_response_id": "switch on the plugin responses_state ([plugins.responses_state]), or send the whole input",
    "conversation": "send the whole input; conversations are kept by OpenAI alone",
    "prompt": "send the prompt's text; stored prompts are kept by OpenAI alone",
}


class NotKept:
    """The ASGI application of ``/v1/responses/{id}`` where no plugin keeps responses: it says which one would."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = request_id_of(dict(scope["headers"]))
        error = RouteNotFound(
            "Responses are not kept here: the plugin responses_state ([plugins.responses_state]) keeps them."
        )
        body = self.gateway.render_error("/v1/responses", error, request_id)
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode("latin-1")),
            *error.response_headers(),
        ]
        await send({"type": "http.response.start", "status": error.status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def responses_lane(pair: Pair) -> Translator | None:
    """The translator where a caller of responses meets another format; None for every other pair."""
    return _Responses(pair) if pair.source.name in (NAME, INPUT_TOKENS) and pair.wire.name != pair.source.name else None


class _Responses(Composed):
    """As the default, but what refers to a provider's store is a 400 rather than half of a conversation."""

    def request(self, call: Call, target: Target) -> bytes:
        asked = call.request
        if isinstance(asked, ChatRequest) and self.wire.name not in (NAME, INPUT_TOKENS):
            _check(asked, target)
        return super().request(call, target)


def _check(asked: ChatRequest, target: Any) -> None:
    for field, mend in _STORED.items():
        if asked.extra.get(field):
            raise InvalidRequest(
                f"{target} does not keep responses, so {field} means nothing to it: {mend}.",
                param=field,
                code="unsupported_parameter",
            )
    for message in asked.messages:
        if any(isinstance(part, Opaque) and part.type == "item_reference" for part in message.content):
            raise InvalidRequest(
                f"{target} does not keep items, so an item_reference means nothing to it: "
                f"{_STORED['previous_response_id']}.",
                param="input",
                code="unsupported_parameter",
            )
