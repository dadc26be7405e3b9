"""One connection to a provider: aiohttp's HTTP/1.1 parser, with time limits, caps and a memory of its first byte."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from math import inf
from typing import Final

from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.streams import StreamReader

from gateway.config import Timeouts
from gateway.errors import UpstreamTimeout
from gateway.jsonbody import Spliced
from gateway.upstream_errors import ClosedHere, timed_out

MOST_INTERIM: Final = 16
"""How many 1xx answers may come before the final one."""
STREAM_BUFFER: Final = 64 * 1024
"""Twice this may lie unread before the connection is paused; whole answers, read at once, get more."""
WHOLE_BUFFER: Final = 256 * 1024
CLOCK_GRAIN: Final = 0.001
"""The loop's clock may be this coarse, in seconds."""

Message = tuple[RawResponseMessage, StreamReader]


class _Phase(IntEnum):
    SENDING = 0
    WAITING = 1
    """For the head, and the first piece of a stream's body."""
    BODY = 2


class Wire(ResponseHandler):
    """A pooled connection, which does one exchange after the other.

    There is one timer for a connection, not one for each exchange or event: when it fires it looks at what is due
    by then, and mostly sets itself again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, where: str, max_head: int, max_age: float) -> None:
        super().__init__(loop)
        self.exchanges = 0
        self.busy = False
        self.answered = False
        """Whether the head of the final answer has arrived."""
        self.first_byte_at = 0.0
        """``time.perf_counter()`` at the first byte of the answer; 0 while there is none."""
        self.head_bytes = 0
        """What had arrived when the head was complete: at least the head."""
        self.waiting_since = 0.0
        """Loop time since which someone waits for the body, or to write; 0 while none does."""
        self.failure: Exception | None = None
        """Why this side broke the connection."""
        self.follower: Callable[[], None] | None = None
        """Called behind each read, and when the body breaks, while someone follows it."""
        self._where = where
        self._max_head = max_head
        self._good_until = loop.time() + max_age
        self._interim = 0
        self._parses: tuple[bool, bool] | None = None
        self._phase = _Phase.SENDING
        self._limits = Timeouts()
        self._until = self._total_until = inf
        self._clock: asyncio.TimerHandle | None = None
        self._clock_at = inf
        self._unread: select.poll | None = None

    @property
    def reusable(self) -> bool:
        """Whether an idle connection is clean and young enough for another exchange."""
        return not self.should_close and self._loop.time() < self._good_until and not self._has_unread()

    def _has_unread(self) -> bool:
        """Whether the kernel holds bytes that the loop has not read yet: they would be taken for the next answer."""
        if self._unread is None:
            sock = None if self.transport is None else self.transport.get_extra_info("socket")
            if sock is None or not hasattr(select, "poll"):
                return False
            self._unread = select.poll()
            self._unread.register(sock.fileno(), select.POLLIN)
        return bool(self._unread.poll(0))

    def begin(self, limits: Timeouts, total_until: float, *, whole: bool, bodiless: bool) -> None:
        """Start an exchange; ``total_until`` is a loop time. Nothing may have been written yet."""
        self.exchanges += 1
        self.busy = True
        self.answered = False
        self.first_byte_at = self.waiting_since = 0.0
        self.head_bytes = self._interim = 0
        self._limits = limits
        self._total_until = total_until
        kind = (whole, bodiless)
        if kind == self._parses and self._parser is not None:
            return  # the parser of the exchange before stands at the start of the next answer
        self._parses = kind
        self.set_response_params(
            skip_payload=bodiless,
            read_until_eof=True,
            auto_decompress=True,
            read_bufsize=WHOLE_BUFFER if whole else STREAM_BUFFER,
            max_field_size=self._max_head,
        )

    async def send(self, head: bytes, body: bytes, pieces: Spliced | None = None) -> None:
        """Write a request. A large body waits for the peer to take it, and ends early if the peer refuses it."""
        transport = self.transport
        if transport is None:
            # Closed as soon as it was open; the read that follows says so.
            return
        if pieces is None and len(body) <= STREAM_BUFFER:
            transport.write(head + body)
        else:
            transport.write(head)
            for piece in (body,) if pieces is None else pieces.pieces:
                if not await self._send_large(transport, memoryview(piece)):
                    break
        now = self._loop.time()
        limit = self._limits.first_token
        self._phase = _Phase.WAITING
        self._until = inf if limit is None else now + limit
        self._arm(self._due(now))

    async def _send_large(self, transport: asyncio.Transport, view: memoryview) -> bool:
        for start in range(0, len(view), WHOLE_BUFFER):
            transport.write(view[start : start + WHOLE_BUFFER])
            if self.writing_paused:
                await self._drained()
            if self._refused() or transport.is_closing():
                self.force_close()
                return False
        return True

    def flowing(self) -> None:
        """From now on the body comes piece by piece, each within the idle limit."""
        self._phase = _Phase.BODY
        self._arm(self._due(self._loop.time()))

    def rest(self) -> bool:
        """End an exchange whose answer is complete; whether the connection may carry another."""
        self.busy = self.answered = False
        if self.should_close or self._parser is None:
            return False
        # The start of an unasked second answer: its end would be taken for the start of the next.
        begun: object = self._parser.feed_eof()
        return begun is None

    def fail(self, error: Exception) -> None:
        """Break the connection; whoever waits for it gets ``error``."""
        self.failure = self.failure or error
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()

    def abandon(self, connection: Connection) -> None:
        """Close the connection at once, unfinished, and free its place in the pool."""
        self.fail(ClosedHere())
        self.busy = False
        connection.close()

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    # The protocol: what asyncio, the parser and the connector call.

    def data_received(self, data: bytes) -> None:
        if not self.answered and data:
            if not self.busy:
                # An unasked answer (a 408 before the close, or worse) would be taken for the next request's.
                self.fail(BadHttpMessage("bytes outside an exchange"))
                return
            if not self.first_byte_at:
                self.first_byte_at = time.perf_counter()
            self.head_bytes += len(data)
            super().data_received(data)
            if not self.answered and self.head_bytes > self._max_head:
                self.fail(BadHttpMessage(f"the head has more than {self._max_head} bytes"))
            return
        super().data_received(data)
        if self.follower is not None:
            self.follower()

    def feed_data(self, data: Message, size: int = 0) -> None:
        code = data[0].code
        if code < 200 and code != 101:
            self._interim += 1
            if self._interim > MOST_INTERIM and self.failure is None:
                self.fail(BadHttpMessage(f"more than {MOST_INTERIM} interim answers"))
            return
        self.answered = True
        super().feed_data(data, size)
        waiter = self._drain_waiter
        if waiter is not None and self._refused():
            self._drain_waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        # Bytes that cannot be parsed end the queue of heads, but not by themselves a body that is being read.
        self._end_body(exc)
        if exc_cause is None:
            super().set_exception(exc)
        else:
            super().set_exception(exc, exc_cause)

    def resume_reading(self, resume_parser: bool = True) -> None:
        # The reader calls this for every piece it takes.
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def close(self) -> None:
        if self.busy and self.failure is None:
            self.failure = ClosedHere()
            self._end_body(self.failure)
        super().close()

    def connection_lost(self, exc: BaseException | None) -> None:
        if exc is not None:
            # Else a body that lasts until the close would look complete.
            self._end_body(exc)
        super().connection_lost(exc)
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        if self.follower is not None:
            self.follower()

    def _end_body(self, exc: BaseException) -> None:
        payload = self._payload
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(exc)
            if self.follower is not None:
                self.follower()

    def _refused(self) -> bool:
        return bool(self._buffer) and self._buffer[0][0][0].code >= 300

    async def _drained(self) -> None:
        """Wait until the peer has taken most of what was written, within the idle limit."""
        self._phase = _Phase.SENDING
        self.waiting_since = self._loop.time()
        self._arm(self._due(self.waiting_since))
        # The read that follows tells why the connection broke, or finds the answer that came before.
        with suppress(ConnectionError):
            await self._drain_helper()
        self.waiting_since = 0.0

    # The timer.

    def _due(self, now: float) -> float:
        """When the next limit is reached, should nothing happen before."""
        if self._phase is _Phase.WAITING:
            due = self._until
        else:
            idle = self._limits.idle
            due = inf if idle is None else (self.waiting_since or now) + idle
        total = self._total_until
        return min(total, due)

    def _arm(self, due: float) -> None:
        """Have the timer fire by ``due`` at the latest; earlier does no harm."""
        if due == inf:
            return
        if self._clock is not None:
            if self._clock_at <= due:
                return
            self._clock.cancel()
        self._clock_at = due
        self._clock = self._loop.call_at(due, self._check)

    def _check(self) -> None:
        self._clock = None
        if not self.busy or (self.answered and (self._payload is None or self._payload.is_eof())):
            return
        now = self._loop.time()
        due = self._due(now)
        if due > now + CLOCK_GRAIN:
            self._arm(due)
        else:
            self.fail(self._overdue(due))

    def _overdue(self, due: float) -> UpstreamTimeout:
        limits = self._limits
        if due == self._total_until:
            return timed_out(self._where, "total", limits.total)
        if self._phase is _Phase.WAITING:
            return timed_out(self._where, "first_token", limits.first_token)
        return timed_out(self._where, "idle", limits.idle)
