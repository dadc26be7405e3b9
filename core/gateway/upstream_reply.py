"""A provider's answer, read from its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from math import inf
from typing import Final

from aiohttp.connector import Connection
from aiohttp.http import HttpVersion10, HttpVersion11, RawResponseMessage
from aiohttp.streams import StreamReader

from gateway.errors import UpstreamDisconnected, UpstreamError, UpstreamProtocolError
from gateway.upstream import UpstreamOptions, UpstreamReply
from gateway.upstream_errors import FOREIGN, broken, redirected
from gateway.upstream_wire import Wire

_VERSIONS: Final = (HttpVersion11, HttpVersion10)
_BREATH: Final = 1024 * 1024
"""What may be decompressed, in bytes, before others get a turn."""


class WireReply(UpstreamReply, AsyncIterator[bytes]):
    """The answer on one connection, which it gives back with the last byte."""

    def __init__(
        self,
        connection: Connection,
        wire: Wire,
        message: RawResponseMessage,
        payload: StreamReader,
        where: str,
        options: UpstreamOptions,
    ) -> None:
        self.status = message.code
        self.headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in message.raw_headers}
        self.reused = wire.exchanges > 1
        self.first_byte_at = wire.first_byte_at
        self._connection: Connection | None = connection
        self._wire = wire
        self._payload = payload
        self._where = where
        self._options = options
        self._complete = False
        self._waits_for_first = True
        self._size = 0
        self._cap: float = inf
        self._check(message)

    def _check(self, message: RawResponseMessage) -> None:
        """Refuse an answer that is none, or whose length would be a matter of opinion.

        The parser has refused a length beside a transfer-encoding, and several lengths.
        """
        where, headers, options = self._where, self.headers, self._options
        if self.status == 101:
            raise UpstreamProtocolError(f"{where} switched to another protocol unasked.")
        if 300 <= self.status < 400:
            raise redirected(where, self.status, headers.get("location", ""))
        if message.version not in _VERSIONS:
            raise UpstreamProtocolError(f"{where} did not answer in HTTP/1.1.")
        if self._wire.head_bytes > options.max_head and _head_size(message) > options.max_head:
            raise UpstreamProtocolError(f"The head of the answer of {where} has more than {options.max_head} bytes.")
        encoding = headers.get("transfer-encoding")
        if encoding is not None and (encoding.strip().lower() != "chunked" or _repeats(message, b"transfer-encoding")):
            raise UpstreamProtocolError(f"{where} answered with a transfer-encoding other than chunked.")
        if message.compression:
            # The body is handed on decompressed.
            del headers["content-encoding"]
            headers.pop("content-length", None)
            self._cap = options.max_body
        elif headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
            raise UpstreamProtocolError(f"{where} compressed its answer in a way that was not asked for.")

    async def read(self) -> bytes:
        error = self.status >= 400
        limit = self._options.max_error_body if error else self._options.max_body
        if not error:
            self._cap = limit
            if int(self.headers.get("content-length", 0)) > limit:
                raise self._too_large()
        parts: list[bytes] = []
        size, breath = 0, _BREATH
        try:
            async for data in self:
                parts.append(data)
                size += len(data)
                if error and size >= limit:
                    break
                if size > breath:
                    breath = size + _BREATH
                    await asyncio.sleep(0)
        except UpstreamError:
            # Of an error, the status is what matters: it must not be lost for the rest of a page.
            if not error:
                raise
        except BaseException:
            self._abort()
            raise
        self.close()
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return body if size <= limit else body[:limit]

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._connection is None:
            if self._complete:
                raise StopAsyncIteration
            raise UpstreamDisconnected(f"The answer of {self._where} was closed before it was complete.")
        wire, payload = self._wire, self._payload
        try:
            if payload.is_eof():
                data = payload.read_nowait()
            else:
                wire.waiting_since = wire.now()
                data = await payload.readany()
                wire.waiting_since = 0.0
        except FOREIGN as error:
            failure = wire.failure or error
            self._abort()
            raise broken(self._where, failure) from error
        except BaseException:
            self._abort()
            raise
        if payload.at_eof():
            self._give_back()
            if not data:
                raise StopAsyncIteration
        elif self._waits_for_first:
            self._waits_for_first = False
            wire.flowing()
        self.count(len(data))
        return data

    async def follow(self, take: Callable[[bytes], bool]) -> None:
        wire = self._wire
        if self._connection is None or wire.follower is not None:
            return
        follower = _Follower(self, wire, self._payload, take)
        wire.follower = follower.read
        try:
            follower.read()
            await follower.ended
        finally:
            wire.follower = None
            wire.waiting_since = 0.0

    def count(self, size: int) -> None:
        """Note so many bytes more of the body; raises UpstreamProtocolError when there are too many."""
        self._size += size
        if self._size > self._cap:
            raise self._too_large()

    def close(self) -> None:
        if self._connection is None:
            return
        if self._payload.is_eof() and self._payload.exception() is None:
            self._give_back()
        else:
            self._abort()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._complete = True
            if self._wire.rest():
                connection.release()
            else:
                # Not a polite close: part of a refused request may still wait to be sent.
                self._wire.abandon(connection)

    def _abort(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._wire.abandon(connection)

    def _too_large(self) -> UpstreamProtocolError:
        self._abort()
        return UpstreamProtocolError(
            f"The answer of {self._where} has more than {self._options.max_body} bytes, the most that is taken."
        )


class _Follower:
    """Hands on what was read, called by the connection itself."""

    __slots__ = ("_payload", "_reading", "_reply", "_take", "_wire", "ended")

    def __init__(self, reply: WireReply, wire: Wire, payload: StreamReader, take: Callable[[bytes], bool]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reply = reply
        self._wire = wire
        self._payload = payload
        self._take = take
        self._reading = False

    def read(self) -> None:
        """Take what is there. The end, and what broke the body, are left to whoever iterates."""
        if self._reading or self.ended.done():
            # Taking bytes lets the parser go on, which may call this again: the loop below finds what it read.
            return
        payload, wire = self._payload, self._wire
        self._reading = True
        try:
            while not payload.is_eof() and payload.exception() is None:
                data = payload.read_nowait()
                if not data:
                    wire.waiting_since = wire.now()
                    return
                self._reply.count(len(data))
                if not self._take(data):
                    break
        except BaseException as error:  # noqa: BLE001  # it belongs to who waits, not to the connection
            self.ended.set_exception(error)
            return
        finally:
            self._reading = False
        self.ended.set_result(None)


def _repeats(message: RawResponseMessage, name: bytes) -> bool:
    return sum(given.lower() == name for given, _ in message.raw_headers) > 1


def _head_size(message: RawResponseMessage) -> int:
    return sum(len(name) + len(value) + 4 for name, value in message.raw_headers)
