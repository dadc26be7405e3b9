"""One provider's stream, read: pieces of bytes in, chunks of whole events out, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import UpstreamDisconnected, UpstreamError, UpstreamProtocolError
from gateway.json_text import BAD_JSON
from gateway.outgoing import time_limits
from gateway.sse import decode_events, split_events
from gateway.upstream_errors import timed_out

if TYPE_CHECKING:
    from gateway.attempt import Try
    from gateway.call import Call
    from gateway.format import StreamWriter
    from gateway.protocol import Usage
    from gateway.translation import StreamFacts, StreamTranslator

LINGER_SECONDS = 0.5
"""How long to wait for the end of an answer whose last event has arrived, so that its connection can be used again."""
MOST_SILENCE = 64 * 1024
"""How many bytes of comments are kept for the caller until the first event."""

_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_DONE = b"[DONE]"
_BOM = b"\xef\xbb\xbf"


def is_sound(block: bytes) -> bool:
    """Whether every event of a block is UTF-8 and holds a JSON object, or the end mark, or nothing."""
    try:
        if not block.isascii():
            block.decode()
        if block.startswith(b"data: {") and block.count(b"\n") == 2:
            _decode_raw(block[6:])
            return True
        for event in decode_events(block.removeprefix(_BOM)):
            data = event.data.strip()
            if data and data != _DONE:
                _decode_raw(data)
                if data[:1] != b"{":
                    return False
    except BAD_JSON:
        return False
    return True


class Source:
    """The stream of one try. ``error_event`` is the provider's own event that told of an error, where bytes pass.

    ``unheard`` is True until its first event is here: so long ``next`` returns nothing for what is no event.
    """

    def __init__(self, call: Call, attempt: Try, translator: StreamTranslator, *, translated: bool = False) -> None:
        assert attempt.answer is not None
        self.attempt = attempt
        self.error_event = b""
        self.unheard = True
        self._passed = b""
        self._call = call
        self._answer = attempt.answer
        self._chunks: AsyncIterator[bytes] = attempt.answer.chunks()
        self._translator = translator
        self._passes_errors = not translated and attempt.lane.wire.name == call.format.name
        self._broken: UpstreamError | None = None
        self._closed = False

    @property
    def flows(self) -> bool:
        """Whether nothing is known but that more may come."""
        translator = self._translator
        return not translator.complete and translator.error is None and self._broken is None

    @property
    def writer(self) -> StreamWriter | None:
        """What writes the caller's events; where they are passed on, an error behind the last of them."""
        writer = self._translator.writer
        if writer is not None and self._passes_errors:
            writer.stand_behind(self._passed)
        return writer

    def facts(self) -> StreamFacts:
        """What is known by now."""
        return self._translator.facts()

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; returns what may go to the caller. What breaks the stream shows in ``flows``."""
        translator = self._translator
        try:
            out = translator.feed(data)
        except UpstreamError as error:
            self._broken = error
            return b""
        if translator.error is not None and self._passes_errors and out:
            # Behind an error nothing passes, so it is the last; it is kept back, for the stream may yet go on.
            events = split_events(out)
            self.error_event = events.pop()
            out = b"".join(events)
        if not self._passes_errors or not out:
            return out
        passed = self._checked(out)
        if passed:
            self._passed = passed
        return passed

    def _checked(self, out: bytes) -> bytes:
        """What passes unread must still be JSON: the caller would stumble over it, and its words are lost."""
        if is_sound(out):
            return out
        events = split_events(out)
        good = next(number for number, event in enumerate(events) if not is_sound(event))
        self._broken = UpstreamProtocolError(f"{self.attempt.target} sent an event that is not valid JSON.")
        return b"".join(events[:good])

    async def follow(self, take: Callable[[bytes], bool]) -> None:
        """Have ``take`` called for each piece that arrives, as UpstreamReply.follow does."""
        await self._answer.follow(take)

    async def first(self) -> bytes | None:
        """The bytes up to the first event; what only keeps the connection alive does not lengthen the wait for it."""
        out = await self.next()
        if out is not None and not self._tells(out):
            limit = time_limits(self._call, self.attempt.target).first_token
            left = None if limit is None else limit - (self._call.elapsed() - self.attempt.attempt.started)
            try:
                async with asyncio.timeout(left):
                    while (more := await self.next()) is not None and not self._tells(out + more):
                        out = (out + more)[-MOST_SILENCE:]
            except TimeoutError:
                self._broken = timed_out(str(self.attempt.target), "first_token", limit)
                raise self._broken from None
            out = more if more is None else out + more
        self.unheard = False
        return await self.next() if out == b"" else out

    def _tells(self, out: bytes) -> bool:
        """Whether there is an event, sent on or not, that is more than a sign of life."""
        if out.startswith(b"data: {") or self.facts().model is not None:
            return True
        return any(event.data and event.event != "ping" for event in decode_events(out.removeprefix(_BOM)))

    async def next(self) -> bytes | None:
        """The next chunk, None behind a clean end; raises what broke the stream."""
        translator = self._translator
        if self._broken is not None:
            raise self._broken
        if translator.error is not None:
            raise self._as_upstream(translator.error)
        if translator.complete or self._closed:
            await self._linger()
            return None
        ending: UpstreamError | None = None
        try:
            async for data in self._chunks:
                out = self.feed(data)
                if out:
                    return out
                if not self.flows:
                    break
                if self.unheard:
                    return b""
        except UpstreamError as error:
            ending = error
        if not self.flows:
            return await self.next()
        return self._end(
            ending or UpstreamDisconnected(f"{self.attempt.target} ended the stream before it was complete.")
        )

    def _end(self, error: UpstreamError) -> bytes | None:
        """The connection gave no more. Where all but the end mark was said, that is a clean end all the same."""
        self._closed = True
        out = self._translator.close()
        if self._translator.error is not None:
            self._broken = self._as_upstream(self._translator.error)
        elif not self._translator.complete:
            self._broken = error
        if out:
            return out
        if self._broken is not None:
            raise self._broken
        return None

    def _as_upstream(self, error: Exception) -> UpstreamError:
        assert isinstance(error, UpstreamError)
        return error

    async def _linger(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                async for _ in self._chunks:
                    pass
        except (TimeoutError, UpstreamError):
            pass

    def fail(self, error: UpstreamError, usage: Usage | None) -> None:
        """Give the stream up; safe to call twice."""
        self.attempt.failed(error, usage, billed=True)

    def close(self) -> None:
        """The caller has all, or left."""
        facts = self._translator.facts()
        if self._broken is not None:
            self.attempt.failed(self._broken, facts.usage, billed=True)
        elif facts.complete:
            self.attempt.done(facts.usage, facts.service_tier)
        else:
            self.attempt.left("The caller left.", facts.usage, billed=True)
