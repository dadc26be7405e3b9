"""The server's end of one connection to a scripted provider: HTTP/1.1 read by hand, written by a script."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from gateway.testing.provider import ScriptedProvider


class RecordedRequest(msgspec.Struct, kw_only=True):
    """A request as it arrived. Header names are lower-case; times are ``time.monotonic()``.

    ``head`` is the head as it came, ``connection`` numbers the TCP connection from 1, and ``closed_at`` is when the
    peer (not the provider) closed that connection.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    head: bytes
    connection: int
    arrived_at: float
    closed_at: float | None = None

    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class Exchange:
    """One request and the means to answer it, or to misbehave. Sending to a peer that left ends the script."""

    def __init__(self, request: RecordedRequest, connection: Connection) -> None:
        self.request = request
        self._connection = connection

    async def send(self, data: bytes) -> None:
        """Write these bytes and wait until the socket took them, or all but a few."""
        await self._connection.write(data)

    async def send_head(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Write a status line and headers."""
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send_chunk(self, data: bytes) -> None:
        """Write one chunk of a chunked body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def sleep(self, seconds: float) -> None:
        """Pause, and let what was written go out on its own."""
        await asyncio.sleep(seconds)

    def reset(self) -> None:
        """Break the connection with a TCP reset; what the peer has not read yet may be lost."""
        self._connection.reset()

    def close(self) -> None:
        """Close the connection after what was written."""
        self._connection.close()

    async def wait_closed(self) -> float:
        """Wait until the peer closed the connection; when (``time.monotonic()``)."""
        return await asyncio.shield(self._connection.peer_left)


class Connection(asyncio.Protocol):
    """Reads requests one after the other and runs a script for each."""

    def __init__(self, provider: ScriptedProvider, number: int) -> None:
        self._provider = provider
        self._number = number
        self._buffer = bytearray()
        self._requests: list[RecordedRequest] = []
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ours = False
        self._lost = asyncio.Event()
        self.peer_left: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._task = asyncio.get_running_loop().create_task(self._serve())
        self._provider.opened(self, self._task)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._news.set()

    def eof_received(self) -> bool:
        self._note_peer_left()
        # A script may still write to a peer that closed its half; TLS knows no half.
        return self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()
        if not self._ours:
            self._note_peer_left()
        self._writable.set()
        self._news.set()
        self._provider.lost(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def write(self, data: bytes) -> None:
        """Write and respect back-pressure. Raises ConnectionResetError if the connection is gone."""
        if self._lost.is_set() or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._transport.write(data)
        await self._writable.wait()

    def reset(self) -> None:
        """Send a RST."""
        self._ours = True
        sock: socket.socket = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def close(self) -> None:
        """Send what is buffered, then a FIN."""
        self._ours = True
        self._transport.close()

    async def shut(self) -> None:
        """End the script and the connection at once."""
        self._ours = True
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._transport.abort()
        await self._lost.wait()

    def _note_peer_left(self) -> None:
        if not self.peer_left.done():
            now = time.monotonic()
            self.peer_left.set_result(now)
            self._provider.peer_closed(self._requests, now)
        self._news.set()

    async def _serve(self) -> None:
        try:
            while (request := await self._read_request()) is not None:
                if self._transport.is_closing():
                    # Closed by a timer of a script: what came after the close was never taken.
                    return
                self._requests.append(request)
                script = self._provider.arrived(request)
                await script(Exchange(request, self))
                if self._transport.is_closing():
                    return
                if request.headers.get("connection") == "close":
                    break
        except ConnectionError:
            pass
        except Exception as error:  # noqa: BLE001  # the script's, shown when the provider's block ends
            self._provider.failed(error)
        if not self._lost.is_set():
            self.close()

    async def _read_request(self) -> RecordedRequest | None:
        head = await self._until(b"\r\n\r\n")
        if head is None:
            return None
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body: bytes | None = b""
        if headers.get("transfer-encoding") == "chunked":
            body = await self._chunked()
        elif "content-length" in headers:
            body = await self._exactly(int(headers["content-length"]))
        if body is None:
            return None
        return RecordedRequest(
            method=method,
            path=path,
            headers=headers,
            body=body,
            head=head,
            connection=self._number,
            arrived_at=time.monotonic(),
            closed_at=self.peer_left.result() if self.peer_left.done() else None,
        )

    async def _chunked(self) -> bytes | None:
        parts: list[bytes] = []
        while (line := await self._until(b"\r\n")) is not None:
            size = int(line.split(b";")[0], 16)
            data = await self._exactly(size + 2)
            if data is None:
                return None
            if not size:
                return b"".join(parts)
            parts.append(data[:-2])
        return None

    async def _until(self, mark: bytes) -> bytes | None:
        while (place := self._buffer.find(mark)) < 0:
            if not await self._more():
                return None
        return self._take(place + len(mark))

    async def _exactly(self, size: int) -> bytes | None:
        while len(self._buffer) < size:
            if not await self._more():
                return None
        return self._take(size)

    async def _more(self) -> bool:
        if self.peer_left.done() or self._lost.is_set():
            return False
        self._news.clear()
        await self._news.wait()
        return True

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data
