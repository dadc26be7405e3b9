"""A fake provider: a real HTTP/1.1 server on a loopback socket whose answers, and faults, a test scripts."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from gateway.testing.connection import Connection, Exchange, RecordedRequest

Script = Callable[[Exchange], Awaitable[None]]


class ScriptedProvider:
    """Serve scripted answers at ``url`` while the ``with`` block lasts, on a loop in a thread of its own.

    Answers are queued and each request takes the next; any of the queueing methods may be called at any time.
    A request beyond the queue gets the default, or a 500 that says so. Leaving the block cancels what still runs,
    closes all sockets, and raises the first exception that a script raised. ``tls`` makes the server speak TLS.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.url = ""
        self.requests: list[RecordedRequest] = []
        self.connections = 0
        self._tls = tls
        self._queue: deque[Script] = deque()
        self._default: Script = _nothing_queued
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._open: set[Connection] = set()
        self._serving: set[Connection] = set()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="scripted-provider", daemon=True)

    def reply(
        self,
        *,
        json: Any = None,
        body: bytes | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
    ) -> None:
        """Queue one whole answer with a content-length, sent after ``delay`` seconds.

        ``headers`` override the content type and length, so a test can lie; ``connection: close`` is obeyed.
        """
        self.script(_whole(json, body, status, headers, delay))

    def stream(
        self,
        pieces: Iterable[bytes],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        gap: float = 0.0,
        cut: bool = False,
    ) -> None:
        """Queue one chunked ``text/event-stream``: a chunk, and a write, for each piece, ``gap`` seconds apart.

        ``cut`` closes the connection where the last chunk should be.
        """
        self.script(_streamed(list(pieces), status, headers, gap, cut))

    def script(self, handler: Script) -> None:
        """Queue one answer that ``handler`` sends byte by byte as it likes."""
        self._queue.append(handler)

    def default_reply(
        self,
        *,
        json: Any = None,
        body: bytes | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
    ) -> None:
        """Give this answer to every request that finds the queue empty."""
        self._default = _whole(json, body, status, headers, delay)

    def default_stream(
        self,
        pieces: Iterable[bytes],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        gap: float = 0.0,
        cut: bool = False,
    ) -> None:
        """Give this stream to every request that finds the queue empty."""
        self._default = _streamed(list(pieces), status, headers, gap, cut)

    def default_script(self, handler: Script) -> None:
        """Run this for every request that finds the queue empty."""
        self._default = handler

    def wait_for_requests(self, count: int, timeout: float = 5.0) -> bool:
        """Wait until ``count`` requests in all have arrived; whether they have within ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.requests) >= count, timeout)

    def wait_for_disconnect(self, timeout: float = 5.0) -> float | None:
        """Wait until the peer closes the connection of the latest request; when (``time.monotonic()``), or None."""

        def closed() -> bool:
            return bool(self.requests) and self.requests[-1].closed_at is not None

        with self._changed:
            return self.requests[-1].closed_at if self._changed.wait_for(closed, timeout) else None

    @property
    def open_connections(self) -> int:
        """How many connections are open at this moment."""
        return len(self._open)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        self._ready.wait(30)
        if self._failure is not None:
            self._thread.join(10)
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the scripted provider did not stop within 10 s"
        if self._failure is not None and error is None:
            raise self._failure

    # What follows runs in the provider's own thread.

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except BaseException as error:  # noqa: BLE001  # handed to the thread that started us
            self._failure = error
        finally:
            self._ready.set()
            asyncio.set_event_loop(None)
            self._loop.close()

    async def _serve(self) -> None:
        server = await self._loop.create_server(self._accept, "127.0.0.1", 0, backlog=1024, ssl=self._tls)
        scheme = "http" if self._tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            server.close()
            await asyncio.gather(*[connection.shut() for connection in self._open | self._serving])

    def _accept(self) -> Connection:
        self.connections += 1
        return Connection(self, self.connections)

    def opened(self, connection: Connection, task: asyncio.Task[None]) -> None:
        """Note an open connection and the task that serves it, which may outlive it."""
        self._open.add(connection)
        self._serving.add(connection)
        task.add_done_callback(lambda _: self._serving.discard(connection))

    def lost(self, connection: Connection) -> None:
        """Forget a closed connection."""
        self._open.discard(connection)

    def arrived(self, request: RecordedRequest) -> Script:
        """Record a request; what answers it."""
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        return self._queue.popleft() if self._queue else self._default

    def peer_closed(self, requests: Iterable[RecordedRequest], at: float) -> None:
        """Note that the peer closed the connection these requests came by."""
        with self._changed:
            for request in requests:
                request.closed_at = at
            self._changed.notify_all()

    def failed(self, error: BaseException) -> None:
        """Keep a script's exception for the end of the block."""
        self._failure = self._failure or error


def _whole(json: Any, body: bytes | None, status: int, headers: Mapping[str, str] | None, delay: float) -> Script:
    content = body if body is not None else msgspec.json.encode(json)
    given = {name.lower(): value for name, value in (headers or {}).items()}
    fields = {"content-type": "application/json", "content-length": str(len(content)), **given}

    async def answer(exchange: Exchange) -> None:
        if delay:
            await exchange.sleep(delay)
        await exchange.send_head(status, fields)
        if exchange.request.method != "HEAD":
            await exchange.send(content)
        if given.get("connection") == "close":
            exchange.close()

    return answer


def _streamed(pieces: list[bytes], status: int, headers: Mapping[str, str] | None, gap: float, cut: bool) -> Script:
    given = {name.lower(): value for name, value in (headers or {}).items()}
    fields = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **given}

    async def answer(exchange: Exchange) -> None:
        await exchange.send_head(status, fields)
        for number, piece in enumerate(pieces):
            await exchange.sleep(gap if number else 0.0)
            await exchange.send_chunk(piece)
        if cut:
            exchange.close()
        else:
            await exchange.send(b"0\r\n\r\n")

    return answer


async def _nothing_queued(exchange: Exchange) -> None:
    text = b"ScriptedProvider: no answer is queued and there is no default_reply."
    await exchange.send_head(500, {"content-type": "text/plain", "content-length": str(len(text))})
    await exchange.send(text)
