"""The list of models in Gemini's shape."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from gateway.errors import GatewayError, InvalidRequest, MethodNotAllowed, ModelNotFound
from gateway.response import request_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from gateway.state import Gateway

PAGE = 50
LARGEST_PAGE = 1000
"""Google's page of models, and the most that ``pageSize`` may ask for."""


class GeminiModels:
    """The ASGI application of ``/v1beta/models`` and ``/v1beta/models/{id}``.

    Listed are the names of ``[models]``, and ``provider/model`` for models that a provider is sure to serve.
    """

    def __init__(self, gateway: Gateway, key_parameters: Sequence[bytes]) -> None:
        self.gateway = gateway
        self.key_parameters = key_parameters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = request_id_of(dict(scope["headers"]))
        extra: list[tuple[bytes, bytes]] = []
        try:
            status, body = 200, msgspec.json.encode(self._answer(scope))
        except GatewayError as error:
            status, extra = error.status, error.response_headers()
            body = self.gateway.render_error("/v1beta/models/", error, request_id)
        head = [
            (b"content-type", b"application/json; charset=UTF-8"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode("latin-1")),
            *extra,
        ]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(self, scope: Scope) -> Any:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(
                f"{scope['path']} takes GET, not {scope['method']}.", headers=(("allow", "GET, HEAD"),)
            )
        principal = self.gateway.authenticate(scope, self.key_parameters)
        asked: str | None = scope.get("path_params", {}).get("id")
        if asked is None:
            return self._page(self.gateway.models_for(principal), scope["query_string"])
        model = self.gateway.resolve(asked, principal)
        if principal is not None and not principal.may_use(asked):
            raise ModelNotFound(f"The model {asked!r} does not exist here.", param="model")
        return self._described(model.name)

    def _page(self, names: list[str], query: bytes) -> dict[str, Any]:
        asked = parse_qs(query.decode("latin-1"))
        size = (asked.get("pageSize") or asked.get("page_size") or [str(PAGE)])[0]
        token = (asked.get("pageToken") or asked.get("page_token") or [""])[0]
        if not size.isascii() or not size.isdigit():
            raise InvalidRequest("pageSize must be a whole number.", param="pageSize")
        first = self._place(token)
        last = first + (min(int(size), LARGEST_PAGE) or PAGE)
        out: dict[str, Any] = {"models": [self._described(name) for name in names[first:last]]}
        if last < len(names):
            out["nextPageToken"] = base64.urlsafe_b64encode(str(last).encode()).decode()
        return out

    @staticmethod
    def _place(token: str) -> int:
        try:
            return int(base64.urlsafe_b64decode(token)) if token else 0
        except (binascii.Error, ValueError):
            raise InvalidRequest("pageToken is none that was given here.", param="pageToken") from None

    def _described(self, name: str) -> dict[str, Any]:
        window, longest = self.gateway.sizes(name)
        sizes = {"inputTokenLimit": window, "outputTokenLimit": longest}
        return {
            "name": f"models/{name}",
            "version": "001",
            "displayName": name,
            **{key: value for key, value in sizes.items() if value is not None},
            "supportedGenerationMethods": self._methods(name),
        }

    def _methods(self, name: str) -> list[str]:
        """What can be asked of a model, by what the providers of its targets offer."""
        targets = self.gateway.resolve(name, None).targets
        found: list[str] = []
        for format_name, methods in (
            ("gemini", ("generateContent", "streamGenerateContent")),
            ("gemini_count_tokens", ("countTokens",)),
            ("gemini_embeddings", ("embedContent", "batchEmbedContents")),
        ):
            if any((format_name, target.provider) in self.gateway.lanes for target in targets):
                found += methods
        return found
