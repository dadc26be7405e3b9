"""A provider's stream on its way to the caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from gateway.books import settle
from gateway.errors import UpstreamDisconnected, UpstreamError

if TYPE_CHECKING:
    from gateway.call import Attempt, Call
    from gateway.state import Lane
    from gateway.upstream import UpstreamReply

LINGER_SECONDS = 0.5
"""How long to wait for the end of an answer whose last event has arrived, so that its connection can be used again."""


class Relay:
    """An async iterator of chunks of whole events; an error before the first one is raised by ``prime``."""

    def __init__(self, call: Call, lane: Lane, answer: UpstreamReply, attempt: Attempt) -> None:
        self._call = call
        self._answer = answer
        self._attempt = attempt
        self._chunks = answer.chunks()
        self._translator = lane.translator.stream(call)
        self._passes_errors = lane.wire.name == call.format.name
        self._first = b""
        self._ended = False
        self._open = True

    async def prime(self) -> None:
        """Wait for the first bytes that the caller will see; an error before them may still be tried elsewhere."""
        self._first = await self._next()
        self._attempt.first_byte = self._call.elapsed()
        if (error := self._translator.error) is not None:
            raise error

    def __aiter__(self) -> Relay:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        if self._ended:
            raise StopAsyncIteration
        return await self._next()

    async def push(self, write: Callable[[bytes], bool]) -> None:
        """Hand chunks to ``write`` as they arrive, without a task's turn for each, as long as it returns True.

        Returns at whatever is not the next chunk of a good stream, and iterating tells what it is.
        """
        translator = self._translator
        if self._first or self._ended or translator.complete or translator.error is not None:
            return
        feed = translator.feed

        def take(data: bytes) -> bool:
            out = feed(data)
            return (not out or write(out)) and not translator.complete and translator.error is None

        await self._answer.follow(take)

    async def _next(self) -> bytes:
        translator = self._translator
        if (error := translator.error) is not None:
            if not self._passes_errors:
                raise error
            # The provider's own error event went out as it came; nothing may follow it.
            self._call.error = error
            raise StopAsyncIteration
        if translator.complete:
            await self._linger()
            raise StopAsyncIteration
        async for data in self._chunks:
            out = translator.feed(data)
            if out or translator.error is not None:
                return out
            if translator.complete:
                break
        self._ended = True
        out = translator.close()
        if not translator.complete:
            if out:
                self._ended = False
                self._chunks = _nothing()
                return out
            raise UpstreamDisconnected(f"{self._attempt.target} ended the stream before it was complete.")
        return out

    async def _linger(self) -> None:
        self._ended = True
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                async for _ in self._chunks:
                    pass
        except (TimeoutError, UpstreamError):
            pass

    def close(self) -> None:
        """Give the connection back, or cut it if the answer is unfinished; note what is known. Safe to call twice."""
        if not self._open:
            return
        self._open = False
        self._answer.close()
        call, facts = self._call, self._translator.facts()
        call.usage, call.answered_model, call.finish_reason = facts.usage, facts.model, facts.finish_reason
        call.service_tier = facts.service_tier
        settle(call, self._attempt, facts.usage, facts.service_tier)
        self._attempt.ended = call.elapsed()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
