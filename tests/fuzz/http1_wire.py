"""The front without a socket: bytes in, bytes out, on a loop whose clock stands still."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from gateway.serving.http1 import Http1Connection
from gateway.serving.http1_limits import Http1Limits
from gateway.serving.http1_server import Http1Server


class Wire(asyncio.Transport):
    """A transport that keeps what is written; the test is the client."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)})
        self.sent = b""
        self.ended = False
        """Our side has ended: a byte written behind this would be a defect."""
        self.closed = False
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        assert not self.ended, f"written behind the end: {bytes(data)!r}"
        self.sent += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = self.closed = True

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        assert self.reading, "reading is paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "reading is resumed twice"
        self.reading = True


async def reporting(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with what it understood: method, raw path, query, length of the body."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    text = b"%b %b %b %d" % (scope["method"].encode(), scope["raw_path"], scope["query_string"], len(body))
    head = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": text})


async def _pass(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


class Talk:
    """One connection's talk on a loop of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Http1Limits | None = None) -> None:
        self._loop = loop
        self.unhandled: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        self.server = loop.run_until_complete(self._open(limits or Http1Limits()))
        self.wire = Wire()
        self.connection = Http1Connection(self.server)
        self.connection.connection_made(self.wire)

    async def _open(self, limits: Http1Limits) -> Http1Server:
        return Http1Server(cast(Any, reporting), limits)

    def _turn(self) -> None:
        """Let what is ready run, and what that makes ready."""
        self._loop.run_until_complete(_pass(6))

    def hear(self, pieces: list[bytes]) -> bytes:
        """Give the connection bytes, as they are cut, and take all that it answers."""
        for piece in pieces:
            if self.wire.closed or not piece:
                continue
            self.connection.data_received(piece)
            self._turn()
        for _ in range(300):  # requests ahead have their turn, one after the other
            before = len(self.wire.sent)
            self._turn()
            if len(self.wire.sent) == before:
                break
        return self.wire.sent

    def close(self) -> None:
        """The client is gone: nothing of the connection must be left."""
        self.connection.connection_lost(None)
        self._turn()
        left = list(self.server.tasks)
        self.server.cut()
        assert not left, f"tasks live on behind a connection: {left}"
        assert not self.server.connections
        assert not self.unhandled, self.unhandled
