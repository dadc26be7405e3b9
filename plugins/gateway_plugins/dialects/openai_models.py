"""The list of models: what the caller's key may ask for, in OpenAI's shape or Anthropic's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from gateway.errors import GatewayError, InvalidRequest, MethodNotAllowed, ModelNotFound
from gateway.response import request_id_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway.call import Principal
    from gateway.state import Gateway

PAGE = 20
LARGEST_PAGE = 1000
"""Anthropic's page of models, and the most that ``limit`` may ask for."""


class Models:
    """The ASGI application of ``/v1/models`` and ``/v1/models/{id}``.

    Listed are the names of ``[models]``, and ``provider/model`` for models that a provider is sure to serve. A caller
    who sends ``anthropic-version`` gets Anthropic's shape, errors included, and its pages.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        anthropic = b"anthropic-version" in headers
        request_id = request_id_of(headers)
        extra: list[tuple[bytes, bytes]] = []
        try:
            status, body = 200, msgspec.json.encode(self._answer(scope, anthropic=anthropic))
        except GatewayError as error:
            # The path says whose dialect renders it.
            path = "/v1/messages" if anthropic else "/v1/chat/completions"
            status, body = error.status, self.gateway.render_error(path, error, request_id)
            extra = error.response_headers()
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode("latin-1")),
            *extra,
        ]
        if anthropic:
            head.append((b"request-id", request_id.encode("latin-1")))
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(self, scope: Scope, *, anthropic: bool) -> Any:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(
                f"{scope['path']} takes GET, not {scope['method']}.", headers=(("allow", "GET, HEAD"),)
            )
        principal = self.gateway.authenticate(scope)
        names = self.gateway.models_for(principal)
        asked: str | None = scope.get("path_params", {}).get("id")
        if asked is not None:
            self._check(asked, names, principal)
            return self._anthropic(asked) if anthropic else self._openai(asked)
        if anthropic:
            return self._page(names, scope["query_string"])
        return {"object": "list", "data": [self._openai(name) for name in names]}

    def _check(self, name: str, names: list[str], principal: Principal | None) -> None:
        """Raise ModelNotFound unless the caller may ask for ``name``.

        What a provider serves is known only where it says so; of others any model may be asked for.
        """
        if name in names:
            return
        self.gateway.resolve(name, principal)
        provider = self.gateway.providers.get(name.partition("/")[0])
        if name in self.gateway.config.models or (provider is not None and provider.models):
            raise ModelNotFound(f"The model {name!r} does not exist here.", param="model")
        if principal is not None and not principal.may_use(name):
            raise ModelNotFound(f"The model {name!r} does not exist here.", param="model")

    def _openai(self, name: str) -> dict[str, Any]:
        owner = "gateway" if name in self.gateway.config.models else name.partition("/")[0]
        return {"id": name, "object": "model", "created": self.gateway.created, "owned_by": owner}

    def _anthropic(self, name: str) -> dict[str, Any]:
        created = datetime.fromtimestamp(self.gateway.created, UTC).isoformat().replace("+00:00", "Z")
        window, longest = self.gateway.sizes(name)
        known = {"max_input_tokens": window, "max_tokens": longest, "lifecycle": "active"}
        return {"type": "model", "id": name, "display_name": name, "created_at": created, **known}

    def _page(self, names: list[str], query: bytes) -> dict[str, Any]:
        """One page: behind ``after_id``, or the one in front of ``before_id``."""
        asked = {key: values[-1] for key, values in parse_qs(query.decode("latin-1")).items()}
        limit = _limit(asked.get("limit"))
        if "after_id" in asked:
            names = names[_place(names, asked["after_id"], "after_id") + 1 :]
        if "before_id" in asked:
            names = names[: _place(names, asked["before_id"], "before_id")]
            shown = names[-limit:]
        else:
            shown = names[:limit]
        return {
            "data": [self._anthropic(name) for name in shown],
            "has_more": len(names) > len(shown),
            "first_id": shown[0] if shown else None,
            "last_id": shown[-1] if shown else None,
        }


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= LARGEST_PAGE):
        raise InvalidRequest(f"limit must be a whole number from 1 to {LARGEST_PAGE}.", param="limit")
    return int(text)


def _place(names: list[str], name: str, param: str) -> int:
    if name not in names:
        raise InvalidRequest(f"{param} names no model of the list: {name!r}.", param=param)
    return names.index(name)
