"""What is kept of responses, over HTTP: retrieve, delete, and the list of the input's items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs

import msgspec

from gateway.errors import GatewayError, InvalidRequest, MethodNotAllowed, RouteNotFound
from gateway.response import request_id_of
from gateway_plugins.state.responses_store import Kept, ResponsesStore

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway.state import Gateway

PAGE = 20
LARGEST_PAGE = 100
"""OpenAI's page of items, and the most that ``limit`` may ask for."""


class Keeper(Protocol):
    """Who keeps responses."""

    store: ResponsesStore

    async def conversation(self, tenant: str, last: Kept) -> list[dict[str, Any]]:
        """The items of all turns up to one, the oldest first."""


class _Kept(ABC):
    """The ASGI application of one path below ``/v1/responses/{id}``. A caller sees what its own key asked for."""

    methods: tuple[str, ...] = ("GET", "HEAD")

    def __init__(self, gateway: Gateway, keeper: Keeper) -> None:
        self.gateway = gateway
        self.keeper = keeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = request_id_of(dict(scope["headers"]))
        extra: list[tuple[bytes, bytes]] = []
        try:
            status, body = 200, msgspec.json.encode(await self._serve(scope))
        except GatewayError as error:
            status, body = error.status, self.gateway.render_error("/v1/responses", error, request_id)
            extra = error.response_headers()
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode("latin-1")),
            *extra,
        ]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _serve(self, scope: Scope) -> Any:
        if scope["method"] not in self.methods:
            allowed = ", ".join(self.methods)
            raise MethodNotAllowed(
                f"{scope['path']} takes {allowed}, not {scope['method']}.", headers=(("allow", allowed),)
            )
        principal = self.gateway.authenticate(scope)
        tenant = "anonymous" if principal is None else principal.id
        kept = await self.keeper.store.get(tenant, scope["path_params"]["id"])
        if kept is None:
            raise RouteNotFound(f"Response with id '{scope['path_params']['id']}' not found.", code="not_found")
        query = {key: values[-1] for key, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        return await self._answer(scope["method"], tenant, kept, query)

    @abstractmethod
    async def _answer(self, method: str, tenant: str, kept: Kept, query: dict[str, str]) -> Any:
        """The body of a good answer, as what JSON can say."""


class StoredResponse(_Kept):
    """``/v1/responses/{id}``."""

    methods = ("GET", "HEAD", "DELETE")

    async def _answer(self, method: str, tenant: str, kept: Kept, query: dict[str, str]) -> Any:
        if method == "DELETE":
            await self.keeper.store.delete(tenant, kept.id)
            return {"id": kept.id, "object": "response", "deleted": True}
        if query.get("stream") in ("true", "1"):
            raise InvalidRequest("A response that is complete is not streamed again.", param="stream")
        return kept.response


class InputItems(_Kept):
    """``/v1/responses/{id}/input_items``: all that the model was given, earlier turns included."""

    async def _answer(self, method: str, tenant: str, kept: Kept, query: dict[str, str]) -> Any:
        items = await self.keeper.conversation(tenant, kept)
        items = [
            _named(item, kept.id, at) for at, item in enumerate(items[: len(items) - len(kept.response["output"])])
        ]
        if query.get("order", "desc") != "asc":
            items.reverse()
        if "after" in query:
            places = [at for at, item in enumerate(items) if item["id"] == query["after"]]
            if not places:
                raise InvalidRequest(f"after names no item of the list: {query['after']!r}.", param="after")
            items = items[places[0] + 1 :]
        limit = _limit(query.get("limit"))
        shown = items[:limit]
        return {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": len(items) > limit,
        }


def _named(item: dict[str, Any], response_id: str, at: int) -> dict[str, Any]:
    """An item with what every listed one has: an id, a type, and content in parts."""
    kind = item.get("type") or "message"
    named = {"id": f"{kind[:3]}_{response_id.removeprefix('resp_')[:40]}_in{at}", **item, "type": kind}
    if kind == "message" and isinstance(named.get("content"), str):
        spoken = "output_text" if named.get("role") == "assistant" else "input_text"
        named["content"] = [{"type": spoken, "text": named["content"]}]
    return named


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= LARGEST_PAGE):
        raise InvalidRequest(f"limit must be a whole number from 1 to {LARGEST_PAGE}.", param="limit")
    return int(text)
