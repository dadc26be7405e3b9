"""The HTTP/1.1 front on a real socket in a thread, and clients that speak bytes."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import uvloop

from gateway.serving.http1_limits import Http1Limits
from gateway.serving.http1_server import Http1Server
from tests.core.serving.http1_corpus import REFUSED


async def reporting(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with what it understood."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    digest = hashlib.blake2b(body, digest_size=4).hexdigest()
    text = f"{scope['method']} {scope['path']} {len(body)} {digest}".encode()
    head = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": text})


class Front:
    """The front on a real socket, with its loop in a thread."""

    def __init__(self, app: Any, limits: Http1Limits, tls: ssl.SSLContext | None = None, loop: str = "asyncio") -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self.listener.getsockname()[1]
        self.loop = uvloop.new_event_loop() if loop == "uvloop" else asyncio.new_event_loop()
        self.unhandled: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        self._tls = tls
        self.server: Http1Server
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._main(app, limits),))
        self._thread.start()
        self._ready.wait(5)

    async def _main(self, app: Any, limits: Http1Limits) -> None:
        self.server = Http1Server(app, limits, self._tls)
        await self.server.listen([self.listener])
        self._ready.set()
        await self._stop.wait()
        self.server.stop_listening()
        self.server.cut()
        for task in tuple(self.server.tasks):
            task.cancel()
        await asyncio.sleep(0.02)

    def call(self, function: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(5)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        self.loop.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)


@contextmanager
def front(
    app: Any = reporting, *, tls: ssl.SSLContext | None = None, loop: str = "asyncio", **limits: Any
) -> Iterator[Front]:
    running = Front(app, Http1Limits(**limits), tls, loop)
    try:
        yield running
    finally:
        running.stop()


class _Replay:
    """Bytes that http.client can read answers from."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def makefile(self, mode: str) -> io.BytesIO:
        return self._file


def verdict_of(received: bytes, methods: list[str], *, closing: bool = True) -> list[str]:
    """The answers, in order. ``closing``: a refusal must say that the connection ends."""
    verdict: list[str] = []
    replay = _Replay(received)
    file = replay.makefile("rb")
    while file.tell() < len(received):
        method = methods[len(verdict)] if len(verdict) < len(methods) else "GET"
        answer = http.client.HTTPResponse(cast(socket.socket, replay), method=method)
        file_close, file.close = file.close, lambda: None  # type: ignore[method-assign]
        answer.begin()
        body = answer.read().decode()
        file.close = file_close  # type: ignore[method-assign]
        if answer.status == 200:
            verdict.append(f"200 {body.rsplit(' ', 1)[0]}" if body else f"200 {method} /g 0")
        else:
            assert answer.status >= 400, answer.status
            assert not closing or answer.getheader("connection") == "close"
            verdict.append(REFUSED)
    return verdict


def pieces_of(data: bytes, cut: str) -> list[bytes]:
    if cut == "whole":
        return [data]
    if cut == "bytes":
        small = data[:400]
        return [small[i : i + 1] for i in range(len(small))] + ([data[400:]] if data[400:] else [])
    return re.findall(rb"[^\r\n]+|\r|\n", data)


PROBE = b"GET /probe HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def exchange(running: Front, pieces: list[bytes]) -> bytes:
    """Send all and read until the server closes."""
    received = b""
    with running.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent
            for piece in pieces:
                client.sendall(piece)
        while data := client.recv(1 << 16):
            received += data
    return received


def closed_after(client: socket.socket, limit: float = 4.0) -> tuple[bytes, float]:
    client.settimeout(limit)
    began = time.monotonic()
    received = b""
    with suppress(ConnectionResetError):
        while data := client.recv(65536):
            received += data
    return received, time.monotonic() - began
