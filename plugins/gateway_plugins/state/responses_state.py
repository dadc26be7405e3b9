"""Gives every model the memory that OpenAI's responses have: ``store`` and ``previous_response_id``.

A response is kept with what was asked; a later request that names it is sent with the whole conversation in its place.
A target that keeps responses itself and gave this one goes on from its own.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from starlette.routing import Route

from gateway import Call, InvalidRequest, Plugin, PluginConfig, PluginContext, Reply, hookimpl
from gateway.errors import ConfigError
from gateway.json_text import BAD_JSON
from gateway.plugin import Stage
from gateway.protocol import ChatRequest
from gateway.sse import decode_events
from gateway_plugins.formats.openai_responses_fields import NAME
from gateway_plugins.formats.openai_responses_more import COMPACT, INPUT_TOKENS
from gateway_plugins.state.responses_routes import InputItems, StoredResponse
from gateway_plugins.state.responses_store import Kept, MemoryStore, ResponsesStore, SqliteStore

if TYPE_CHECKING:
    from gateway.call import Target
    from gateway.state import Gateway

log = logging.getLogger("gateway.responses_state")

LONGEST = 2000
"""Turns that one conversation may have."""
_ENDS = (b"response.completed", b"response.incomplete")
_Positive = Annotated[int, msgspec.Meta(ge=1)]


class ResponsesStateConfig(PluginConfig, frozen=True, kw_only=True):
    """``[plugins.responses_state]``. ``ttl`` is in seconds, sizes are in bytes.

    ``store`` is ``memory`` (of each worker) or ``sqlite`` (the file ``path``, of all of them). ``max_bytes`` bounds
    the store; a response with its input over ``max_entry_bytes`` is not kept.
    """

    store: Literal["memory", "sqlite"] = "memory"
    path: str = "responses.sqlite"
    ttl: Annotated[float, msgspec.Meta(gt=0)] = 30 * 86400.0
    max_bytes: _Positive = 256 * 1024 * 1024
    max_entry_bytes: _Positive = 16 * 1024 * 1024


class ResponsesState(Plugin):
    """Keeps responses for their next turn, for the key that asked and nobody else."""

    stage: ClassVar[Stage] = "limit"
    Config = ResponsesStateConfig

    def __init__(self, config: ResponsesStateConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self.store: ResponsesStore
        if config.store == "memory":
            self.store = MemoryStore(config.max_bytes, config.ttl)
        else:
            self.store = SqliteStore(context.folder / Path(config.path), config.max_bytes, config.ttl)

    def warnings(self) -> list[str]:
        if self.config.store == "memory" and self.context.workers != 1:
            return ['each worker remembers for itself, so a next turn may find nothing: set store = "sqlite"']
        return []

    @hookimpl
    async def startup(self) -> None:
        try:
            await self.store.open()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError([f"[plugins.{self.name}] path: cannot be opened: {error}"]) from error

    @hookimpl
    async def shutdown(self) -> None:
        await self.store.close()

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Sequence[Any]:
        """``GET`` and ``DELETE /v1/responses/{id}``, and ``GET /v1/responses/{id}/input_items``."""
        return [
            Route(f"{path}/{{id}}{rest}", endpoint(gateway, self))
            for path in ("/v1/responses", "/openai/v1/responses")
            for rest, endpoint in (("", StoredResponse), ("/input_items", InputItems))
        ]

    @hookimpl
    async def on_request(self, call: Call) -> Reply | None:
        if call.format.name not in (NAME, INPUT_TOKENS, COMPACT):
            return None
        body = call.json
        previous = body.text("previous_response_id")
        asked = _items(body.get("input"))
        kept = None if previous is None else await self.store.get(call.tenant, previous)
        if previous is not None and kept is None:
            if not _is_kept_by_all(call, None):
                raise _lost(previous)
            return None  # the provider may know it; without its beginning the conversation is not kept here
        if _is_to_be_kept(call):
            call.state[self.name] = _Turn(previous=previous, input=asked)
        changes: dict[str, bytes] = {}
        items = await self._resolved(call, asked)
        if kept is not None and not _is_kept_by_all(call, kept.provider if kept.native else ""):
            items = [*await self.conversation(call.tenant, kept), *(items or asked)]
            changes["previous_response_id"] = b"null"
        if items is not None:
            changes["input"] = msgspec.json.encode(items)
        if body.get("store") is True and not _is_native_to_any(call):
            changes["store"] = b"null"  # it is kept here
        if changes:
            call.rewrite(body.replaced(changes))
        if "previous_response_id" in changes and previous is not None:
            _note_previous(call, previous)
        return None

    async def conversation(self, tenant: str, last: Kept) -> list[dict[str, Any]]:
        """The items of all turns up to ``last``, the oldest first; raises InvalidRequest where one is gone."""
        turns = [last]
        while turns[-1].previous is not None:
            earlier = await self.store.get(tenant, turns[-1].previous)
            if earlier is None or len(turns) >= LONGEST:
                raise _lost(turns[-1].previous)
            turns.append(earlier)
        return [item for turn in reversed(turns) for item in (*turn.input, *_output(turn))]

    async def _resolved(self, call: Call, asked: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """The input with its references replaced by what they name; None where nothing is to be replaced."""
        changed = False
        items: list[dict[str, Any]] = []
        for item in asked:
            if item.get("type") == "item_reference" and isinstance(item.get("id"), str):
                holder = await self.store.holder_of(call.tenant, item["id"])
                if holder is not None and not _is_kept_by_all(call, holder.provider if holder.native else ""):
                    found = holder.response["output"]
                    place = next(at for at, one in enumerate(found) if one.get("id") == item["id"])
                    items.append(_output(holder)[place])
                    changed = True
                    continue
            items.append(item)
        return items if changed else None

    @hookimpl
    async def on_response(self, call: Call, reply: Reply) -> None:
        turn: _Turn | None = call.state.pop(self.name, None)
        if turn is None or reply.status != 200:
            return
        if reply.stream is not None:
            reply.stream = _Watched(self, call, turn, reply.stream)
        else:
            await self.keep(call, turn, reply.body)

    async def keep(self, call: Call, turn: _Turn, data: bytes) -> None:
        """Keep the response in ``data``: it itself, or the last event of its stream."""
        try:
            value: Any = msgspec.json.decode(data)
        except BAD_JSON:
            return
        response = value.get("response", value) if isinstance(value, dict) else None
        if not isinstance(response, dict) or not isinstance(response.get("output"), list):
            return
        response_id = response.get("id")
        if not isinstance(response_id, str) or response.get("status") in ("queued", "in_progress"):
            return
        if len(data) + len(call.body) > self.config.max_entry_bytes:
            log.warning("call %s: its response is too large to be kept", call.id)
            return
        provider = "" if call.target is None else call.target.provider
        kept = Kept(
            id=response_id,
            provider=provider,
            native=call.target is not None and _keeps(call, call.target) and response.get("store") is not False,
            previous=turn.previous,
            input=turn.input,
            response=response,
        )
        try:
            await self.store.put(call.tenant, kept)
        except sqlite3.Error:
            log.exception("call %s: its response could not be kept", call.id)


class _Turn(msgspec.Struct):
    previous: str | None
    input: list[dict[str, Any]]


class _Watched:
    """Passes a stream on; its final response is kept before the caller can go on from it."""

    def __init__(self, keeper: ResponsesState, call: Call, turn: _Turn, chunks: AsyncIterator[bytes]) -> None:
        self._keeper = keeper
        self._call = call
        self._turn = turn
        self._chunks = chunks

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._chunks)
        if any(mark in chunk for mark in _ENDS):
            for event in decode_events(chunk):
                if any(mark in event.data[:200] for mark in _ENDS):
                    await self._keeper.keep(self._call, self._turn, event.data)
        return chunk


def _is_to_be_kept(call: Call) -> bool:
    body = call.json
    return call.format.name == NAME and body.get("store") is not False and not body.get("background")


def _note_previous(call: Call, previous: str) -> None:
    """Let a translated response say what it goes on from."""
    request = call.request
    if isinstance(request, ChatRequest):
        request.spelling["previous_response_id"] = previous


def _lost(response_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"Previous response with id '{response_id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def _items(value: Any) -> list[dict[str, Any]]:
    """An ``input`` as items."""
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": value}]}]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _output(turn: Kept) -> list[dict[str, Any]]:
    """A response's output as input; ids that we gave mean nothing to a provider."""
    items: list[dict[str, Any]] = turn.response["output"]
    return items if turn.native else [{key: value for key, value in item.items() if key != "id"} for item in items]


def _keeps(call: Call, target: Target) -> bool:
    """Whether a target speaks the caller's own format, and keeps the responses that it gives."""
    if not _is_native(call, target):
        return False
    return bool(getattr(call.gateway.providers.get(target.provider), "keeps_responses", False))


def _is_native(call: Call, target: Target) -> bool:
    lane = call.gateway.lane(call.format.name, target)
    return lane is not None and lane.wire.name == call.format.name


def _targets(call: Call) -> list[Target]:
    fallbacks = () if call.model_config is None else call.model_config.fallbacks
    return [*call.targets, *fallbacks]


def _is_kept_by_all(call: Call, provider: str | None) -> bool:
    """Whether every target can go on by the id alone; ``provider`` is who gave it, None where nobody here knows."""
    return all(_keeps(call, target) and provider in (None, target.provider) for target in _targets(call))


def _is_native_to_any(call: Call) -> bool:
    return any(_is_native(call, target) for target in _targets(call))
