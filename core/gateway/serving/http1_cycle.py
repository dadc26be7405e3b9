"""One request and its answer on an HTTP/1.1 connection: the ASGI ``receive`` and ``send``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.serving.http1 import Http1Connection

log = logging.getLogger("gateway.serving")

REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}
STATUS_LINES = {status: b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, b"Status")) for status in range(100, 600)}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_DISCONNECT = {"type": "http.disconnect"}


class Http1Cycle:
    """A request's way through the application.

    ``on_disconnect`` is called at once, on the loop, when the client is gone while the application still works; an
    application that sets it (``scope["gateway.cycle"]``) needs no task that waits for ``http.disconnect``.
    """

    __slots__ = (
        "_body",
        "_chunked",
        "_connection",
        "_expects",
        "_head",
        "_mute",
        "_taken",
        "_waiter",
        "close",
        "complete",
        "gone",
        "held",
        "on_disconnect",
        "responded",
        "scope",
        "started",
        "task",
    )

    def __init__(self, connection: Http1Connection, scope: dict[str, Any], *, keep_alive: bool, expects: bool) -> None:
        self.scope = scope
        self.close = not keep_alive
        """The connection ends behind this answer."""
        self.complete = False
        """The request's body has arrived to its end."""
        self.responded = False
        """The answer has been written to its end."""
        self.gone = False
        """The client has closed the connection."""
        self.held = 0
        """Bytes of the body that the application has not taken yet."""
        self.on_disconnect: Callable[[], None] | None = None
        self.task: asyncio.Task[None] | None = None
        self._connection = connection
        self._body: list[bytes] = []
        self._expects = expects
        self._head = b""
        self.started = False
        """The application has begun to answer."""
        self._chunked = False
        self._mute = scope["method"] == "HEAD"
        self._taken = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """More of the request's body."""
        if self.responded:
            return
        self._body.append(data)
        self.held += len(data)
        self._wake()

    def end(self) -> None:
        """The request's body is complete."""
        self.complete = True
        self._wake()

    def disconnect(self) -> None:
        """The client is gone."""
        if self.gone or self.responded:
            return
        self.gone = True
        self._wake()
        if self.on_disconnect is not None:
            self.on_disconnect()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def run(self, app: Any) -> None:
        """Run the application; whatever it does, the client gets an answer or sees the connection end."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            if not self.responded:
                self._connection.abort()
            raise
        except Exception:
            log.exception("the application failed on %r", self.scope["path"])  # it may hold line ends
        if self.responded or self.gone:
            return
        if self.started and not self._head:
            # What was sent of the answer must not look like all of it: no last chunk, and the connection ends.
            self._connection.abort()
        else:
            # Nothing has been sent yet, not even a head that was ready.
            self.started = False
            self._connection.refuse(500, "internal_error", "The gateway failed.")

    def take(self) -> bytes:
        """What has arrived of the body and was not taken yet."""
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        self._taken = self.complete
        if self.held:
            self.held = 0
            self._connection.body_taken()
        return body

    async def receive(self) -> dict[str, Any]:
        """The next part of the body, or the news that the client is gone."""
        while True:
            if not self._taken and (self._body or self.complete):
                return {"type": "http.request", "body": self.take(), "more_body": not self.complete}
            if self.gone or self.responded:
                return _DISCONNECT
            if self._expects and not self.complete and not self.started:
                self._expects = False
                self._connection.write(_CONTINUE)
            self._waiter = self._connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    async def send(self, message: dict[str, Any]) -> None:
        """Write a part of the answer; waits while the client does not read."""
        if self.gone or self.responded:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message["headers"])
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        body = self._framed(body, more)
        connection = self._connection
        if not more:
            self.responded = True
            if body:
                connection.write(body)
            connection.answered(self)
            return
        if body:
            connection.write(body)
            if connection.writing_paused:
                await connection.writable()

    def push(self, chunk: bytes) -> bool:
        """Write a chunk of a body that has begun, without waiting; False if more should wait for ``writable``."""
        connection = self._connection
        if self.gone or self.responded:
            return False
        connection.write(self._framed(chunk, True))
        return not connection.writing_paused

    async def writable(self) -> None:
        """Wait until the client has read enough for more to be written, or is gone."""
        if self._connection.writing_paused:
            await self._connection.writable()

    def _framed(self, body: bytes, more: bool) -> bytes:
        """A part of the body as it goes over the wire, behind the head if that is still to be sent."""
        if self._mute:
            body = b""
        if self._chunked:
            if body:
                body = b"%x\r\n%b\r\n" % (len(body), body)
            if not more:
                body += b"0\r\n\r\n"
        if self._head:
            body, self._head = self._head + body, b""
        return body

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        pieces = [STATUS_LINES[status]]
        lines = 2 + len(headers)
        framed = False
        for name, value in headers:
            pieces += (name, b": ", value, b"\r\n")
            if name == b"content-length":
                framed = True
        if status in (204, 304):
            self._mute = framed = True
        if not framed:
            if self.scope["http_version"] == "1.1":
                self._chunked = not self._mute
                pieces.append(b"transfer-encoding: chunked\r\n")
                lines += 1
            else:
                # An HTTP/1.0 client knows the end of an answer without a length by the end of the connection.
                self.close = True
        if self.close or not self.complete or self._connection.server.draining:
            self.close = True
            pieces.append(b"connection: close\r\n")
            lines += 1
        elif self.scope["http_version"] == "1.0":
            pieces.append(b"connection: keep-alive\r\n")
            lines += 1
        pieces.append(b"\r\n")
        head = b"".join(pieces)
        # Every line ends once: another line end in a value would begin a header, or a body, of its own.
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            raise ValueError("a response header holds a line end or NUL")
        self._head = head
        self.started = True
