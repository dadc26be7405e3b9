"""Gives the same answer to the same request, from memory, while it is fresh.

"The same" is exact: every member of the body counts, so a temperature of 0.7 is answered with what was drawn the first
time. That is what whoever switches this plugin on asks for; a caller who wants another draw says so in a header.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, ClassVar, Literal

import msgspec

from gateway import Call, InvalidRequest, Plugin, PluginConfig, PluginContext, Reply, hookimpl
from gateway.plugin import Stage
from gateway_plugins.caches.cache_key import NotCacheable, cache_key
from gateway_plugins.caches.lru import Entry, Lru

HEADER = b"x-gateway-cache"

_Positive = Annotated[int, msgspec.Meta(ge=1)]


class ExactCacheConfig(PluginConfig, frozen=True, kw_only=True):
    """``[plugins.exact_cache]``. ``ttl`` is in seconds, sizes are in bytes.

    ``max_bytes`` bounds the whole cache of one worker; an answer, or a request, over ``max_entry_bytes`` is not kept.
    ``scope`` is ``key`` (nobody is given what another key was answered) or ``shared``.
    """

    ttl: Annotated[float, msgspec.Meta(gt=0)] = 3600.0
    max_bytes: _Positive = 64 * 1024 * 1024
    max_entry_bytes: _Positive = 1024 * 1024
    scope: Literal["key", "shared"] = "key"


class ExactCache(Plugin):
    """Keeps complete good answers of chat and embeddings calls, streams as streams."""

    stage: ClassVar[Stage] = "cache"
    Config = ExactCacheConfig

    def __init__(self, config: ExactCacheConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self._entries = Lru(config.max_bytes, config.ttl)

    def warnings(self) -> list[str]:
        found: list[str] = []
        if self.context.workers != 1:
            found.append("each worker keeps a cache of its own: a request may miss in one and hit in another")
        if self.config.max_entry_bytes > self.config.max_bytes:
            found.append("max_entry_bytes is larger than max_bytes, so max_bytes bounds an answer's size")
        return found

    @hookimpl
    async def on_request(self, call: Call) -> Reply | None:
        if call.method != "POST" or call.operation not in ("chat", "embeddings"):
            return None
        reads, writes = _wishes(call)
        if not writes or len(call.body) > self.config.max_entry_bytes:
            call.cache = "bypass"
            return None
        try:
            key = cache_key(call, shared=self.config.scope == "shared")
        except NotCacheable:
            call.cache = "bypass"
            return None
        now = time.monotonic()
        entry = self._entries.get(key, now) if reads else None
        if entry is None:
            call.state[self.name] = _Filling(key)
            call.cache = "miss" if reads else "bypass"
            return None
        call.cache = "hit"
        call.answered_model, call.finish_reason = entry.model, entry.finish_reason
        headers = [(b"content-type", entry.content_type), (b"age", str(int(now - entry.stored)).encode())]
        if entry.stream:
            return Reply(200, stream=_Replay(entry.chunks), headers=headers, source="cache")
        return Reply(200, body=entry.chunks[0], headers=headers, source="cache")

    @hookimpl
    async def on_response(self, call: Call, reply: Reply) -> None:
        filling: _Filling | None = call.state.get(self.name)
        if filling is None:
            return
        if reply.status != 200 or reply.source != "upstream":
            del call.state[self.name]
        elif reply.stream is not None:
            filling.content_type = _content_type(reply)
            filling.recording = _Recording(reply.stream, self.config.max_entry_bytes)
            reply.stream = filling.recording
        elif len(reply.body) <= self.config.max_entry_bytes:
            filling.content_type = _content_type(reply)
            filling.body = reply.body

    @hookimpl
    def on_complete(self, call: Call) -> None:
        filling: _Filling | None = call.state.pop(self.name, None)
        if filling is None or call.outcome != "ok":
            return
        recording = filling.recording
        if recording is not None:
            chunks = tuple(recording.chunks) if recording.complete else ()
        else:
            chunks = (filling.body,) if filling.body else ()
        if chunks:
            entry = Entry(
                stored=time.monotonic(),
                stream=recording is not None,
                chunks=chunks,
                content_type=filling.content_type,
                model=call.answered_model,
                finish_reason=call.finish_reason,
            )
            self._entries.put(filling.key, entry)

    @hookimpl
    async def shutdown(self) -> None:
        self._entries.clear()


class _Filling:
    """A call whose answer may be kept."""

    __slots__ = ("body", "content_type", "key", "recording")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.body = b""
        self.content_type = b""
        self.recording: _Recording | None = None


class _Recording:
    """Passes a stream on and keeps its chunks, until they are more than ``limit`` bytes.

    ``complete`` turns true when the stream ended by itself and all of it was kept. A class and not a generator: one
    that is left half-way needs no finalizer.
    """

    __slots__ = ("_limit", "_size", "_stream", "chunks", "complete")

    def __init__(self, stream: AsyncIterator[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._size = 0
        self.chunks: list[bytes] = []
        self.complete = False

    def __aiter__(self) -> _Recording:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._stream)
        except StopAsyncIteration:
            self.complete = 0 < self._size <= self._limit
            raise
        self._size += len(chunk)
        if self._size <= self._limit:
            self.chunks.append(chunk)
        elif self.chunks:
            self.chunks.clear()
        return chunk


class _Replay:
    """A kept stream, chunk by chunk as it was first sent."""

    __slots__ = ("_chunks",)

    def __init__(self, chunks: tuple[bytes, ...]) -> None:
        self._chunks = iter(chunks)

    def __aiter__(self) -> _Replay:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration


def _wishes(call: Call) -> tuple[bool, bool]:
    """Whether the caller lets its answer be read from the cache, and written into it."""
    wish = call.header(HEADER)
    if wish is None:
        return True, True
    match wish.strip().lower():
        case "no-store":
            return False, False
        case "no-cache" | "refresh":
            return False, True
    raise InvalidRequest("x-gateway-cache takes no-store, no-cache or refresh.")


def _content_type(reply: Reply) -> bytes:
    return next((value for name, value in reply.headers if name == b"content-type"), b"application/json")
