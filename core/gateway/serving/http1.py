"""One HTTP/1.1 connection: an asyncio protocol that drives the ASGI application directly."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

import msgspec

from gateway.serving.http1_cycle import STATUS_LINES, Http1Cycle
from gateway.serving.http1_reader import Refused, RequestReader
from gateway.serving.http1_socket import address, bytes_taken, left_unseen

if TYPE_CHECKING:
    from gateway.serving.http1_server import Http1Server


class Http1Connection(asyncio.Protocol):
    """Reads requests one after the other, however they are cut or joined, and answers them in order."""

    def __init__(self, server: Http1Server) -> None:
        self.server = server
        self.loop = server.loop
        self.limits = server.limits
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.writing_paused = False
        self.client: tuple[str, int] | None = None
        self.address: tuple[str, int] | None = None
        self.scheme = "http"
        self.deadline: float | None = None
        """When the server's sweep closes this connection, in loop time; None while nothing is owed by the client."""
        self.reading_paused = False
        self._reader = RequestReader(self)
        self._active: Http1Cycle | None = None
        self._waiting: deque[Http1Cycle] = deque()
        self._ahead = bytearray()
        self._writable: asyncio.Future[None] | None = None
        self._stalled_at: float | None = None
        self._taken = 0
        self._parsing = True
        self._refusal: Refused | None = None
        self._ended = False

    # -- the transport's side ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=self.limits.write_ahead)
        tls = transport.get_extra_info("ssl_object")
        self.scheme = "http" if tls is None else "https"
        self.client = address(transport.get_extra_info("peername"))
        self.address = address(transport.get_extra_info("sockname"))
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            assert self.server.hand_over is not None, "HTTP/2 was offered by TLS and nobody speaks it"
            self.server.hand_over(self.transport)
            return
        if not self.server.admit(self):
            self.refuse(503, "overloaded", "The gateway has too many connections.")
            return
        self.deadline = self.loop.time() + self.limits.head_seconds

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self.server.forget(self)
        self._tell_gone()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def eof_received(self) -> bool:
        """The client closed its side: whether it waits for an answer cannot be known, and most that close do not."""
        self.close()
        return False

    def _tell_gone(self) -> None:
        for cycle in (self._active, *self._waiting):
            if cycle is not None:
                cycle.disconnect()

    def pause_writing(self) -> None:
        self.writing_paused = True

    def resume_writing(self) -> None:
        self.writing_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    async def writable(self) -> None:
        """Wait until the client has read enough for more to be written, or is gone."""
        while self.writing_paused and not self._ended:
            self._writable = self.loop.create_future()
            try:
                await self._writable
            finally:
                self._writable = None

    def data_received(self, data: bytes) -> None:
        if not self._parsing:
            return
        if self._waiting:
            # Requests ahead of their turn stay bytes: reading on shows that a client leaves, and costs little.
            self._ahead += data
            if len(self._ahead) > self.limits.read_ahead:
                self.pause_reading()
            return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        if self._ended or not self._parsing:
            return
        begun = self._reader.in_head
        try:
            self._reader.feed(data)
            if self._active is None and self._reader.in_head and not begun:
                self.deadline = self.loop.time() + self.limits.head_seconds
        except Refused as refusal:
            self._parsing = False
            broken = self._reader.reading
            if broken is not None and broken in self._waiting:
                self._waiting.remove(broken)
            if self._active is None or self._active is broken:
                self.refuse(refusal.status, refusal.code, refusal.message)
            else:
                # The good requests in front of it are answered first.
                self._refusal = refusal

    def take(self, cycle: Http1Cycle) -> None:
        """A request's head is complete: begin with it, or let it wait for its turn."""
        if self._active is None and not self._waiting:
            self._begin(cycle)
        elif len(self._waiting) < self.limits.requests_ahead:
            self._waiting.append(cycle)
        else:
            raise Refused(400, "too_many_ahead", "Too many requests were sent ahead of their turn.")

    def body_complete(self, cycle: Http1Cycle) -> None:
        """A request has arrived whole: the client owes nothing more."""
        if cycle is self._active:
            self.deadline = None

    # -- the application's side ----------------------------------------------------------------------------------

    def _begin(self, cycle: Http1Cycle) -> None:
        self._active = cycle
        cycle.scope["gateway.cycle"] = cycle
        self.deadline = None if cycle.complete else self._body_deadline()
        cycle.task = self.loop.create_task(cycle.run(self.server.app))
        self.server.tasks.add(cycle.task)
        cycle.task.add_done_callback(self.server.tasks.discard)

    def _body_deadline(self) -> float:
        reader = self._reader
        return reader.body_began + self.limits.body_grace + reader.body_bytes / self.limits.body_rate

    def body_taken(self) -> None:
        """The application took what was held of the body."""
        if self.reading_paused and not self._waiting:
            self._resume_reading()

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport."""
        if not self._ended:
            self.transport.write(data)

    def answered(self, cycle: Http1Cycle) -> None:
        """An answer has been written to its end: begin with the next request, or close."""
        self._active = None
        if cycle.close or not cycle.complete:
            self._close_gently(owed=not cycle.complete)
            return
        if self._waiting:
            self._reader.body_began = self.loop.time()  # the rest of its body could not come sooner
            self._begin(self._waiting.popleft())
        elif self._refusal is not None:
            self.refuse(self._refusal.status, self._refusal.code, self._refusal.message)
            return
        if not self._waiting and self._ahead:
            ahead, self._ahead = bytes(self._ahead), bytearray()
            self._parse(ahead)
        if not self._waiting and self.reading_paused:
            self._resume_reading()
        if self._active is None:
            if self.server.draining:
                self.close()
            else:
                limits = self.limits
                self.deadline = self.loop.time() + (
                    limits.head_seconds if self._reader.in_head else limits.idle_seconds
                )

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer with an error of the HTTP layer and close. Behind an answer under way, only close."""
        if self._ended:
            return
        active = self._active
        if active is None or not active.started:
            body = msgspec.json.encode(
                {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
            )
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.write(STATUS_LINES[status] + head + body)
        self._close_gently()

    def _close_gently(self, *, owed: bool = True) -> None:
        """End our side and read on for a while: a close with bytes unread would reset the answer before it is read.

        TLS has no way to end one side: there the client that still owes bytes is told by the answer alone.
        """
        if self._ended:
            return
        self._parsing = False
        self._tell_gone()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        elif not owed:
            self.close()
            return
        self._resume_reading()
        self.deadline = self.loop.time() + self.limits.linger_seconds

    def close(self) -> None:
        """Close behind what is still to be written."""
        if not self._ended:
            self._ended = True
            self._tell_gone()
            self.deadline = self.loop.time() + self.limits.stall_seconds
            self.transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        self._ended = True
        self.transport.abort()

    # -- the server's side ---------------------------------------------------------------------------------------

    def close_if_idle(self) -> None:
        """The server stops: close unless a request is arriving or under way."""
        if self._active is None and not self._reader.in_head:
            self.close()

    def sweep(self, now: float) -> None:
        """Called now and then: close what has waited too long for the client; notice one that left unseen."""
        unsent = self.transport.get_write_buffer_size()
        if self._stalls(unsent, now):
            self._tell_gone()
            self.abort()
        elif self.deadline is not None and now > self.deadline:
            if unsent and self._active is None:
                # It still reads its last answer, and is not cut as long as it goes on with that.
                self.deadline = now + self.limits.linger_seconds
            else:
                self._overdue(now)
        elif self.reading_paused and self._active is not None and left_unseen(self.transport):
            self._tell_gone()
            self.abort()

    def _stalls(self, unsent: int, now: float) -> bool:
        """Whether the client has taken nothing for too long of what it alone holds up."""
        if not unsent or not (self.writing_paused or self._active is None):
            self._stalled_at = None
            return False
        taken = bytes_taken(self.transport, unsent)
        if self._stalled_at is None or taken > self._taken:
            self._stalled_at = now
            self._taken = taken
        return now - self._stalled_at > self.limits.stall_seconds

    def _overdue(self, now: float) -> None:
        active = self._active
        if self._ended or not self._parsing:
            self.abort()
        elif active is not None and not active.complete:
            if active.held:
                self._reader.body_began = now  # the application is slow, not the client
            if now <= self._body_deadline():
                self.deadline = self._body_deadline()
            else:
                self.refuse(408, "request_timeout", "The request body came too slowly.")
        elif self._reader.in_head:
            self.refuse(408, "request_timeout", "The request's head did not arrive in time.")
        else:
            self.close()

    def pause_reading(self) -> None:
        """Let the kernel hold what the client sends, and so the client."""
        if not self.reading_paused:
            self.reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self.reading_paused and not self._ended:
            self.reading_paused = False
            self.transport.resume_reading()
