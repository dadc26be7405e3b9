"""What parent and worker say to each other: JSON lines over a socket pair, one reader on each side."""

from __future__ import annotations

import asyncio
import socket

import msgspec

from gateway.serving.document import Document

LINE_LIMIT = 64 * 1024 * 1024  # bytes; a configuration travels in one line


class Start(msgspec.Struct, tag="start", frozen=True):
    """To a new worker: build this, say Ready or Failed, wait for Serve. ``listeners`` are inherited descriptors."""

    slot: int
    workers: int
    listeners: list[int]
    document: Document


class Serve(msgspec.Struct, tag="serve", frozen=True):
    """Begin to accept connections."""


class Prepare(msgspec.Struct, tag="prepare", frozen=True):
    """Build and start another configuration beside the serving one; answered by Prepared with the same number."""

    number: int
    document: Document


class Commit(msgspec.Struct, tag="commit", frozen=True):
    """Swap in what was prepared; answered by Committed."""

    number: int


class Abort(msgspec.Struct, tag="abort", frozen=True):
    """Give up what was prepared."""

    number: int


class Drain(msgspec.Struct, tag="drain", frozen=True):
    """Stop listening, end after the open calls or in ``seconds``; idle connections stay for ``linger`` seconds."""

    seconds: float
    linger: float


class End(msgspec.Struct, tag="end", frozen=True):
    """End the open calls with an error and exit."""


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """Built; ``warnings`` are for the operator."""

    warnings: list[str]


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """Cannot be built; the worker exits."""

    problems: list[str]


class Prepared(msgspec.Struct, tag="prepared", frozen=True):
    """Answer to Prepare; with ``problems`` nothing was prepared."""

    number: int
    problems: list[str]
    warnings: list[str]


class Committed(msgspec.Struct, tag="committed", frozen=True):
    """Answer to Commit."""

    number: int
    problems: list[str]


class Leaving(msgspec.Struct, tag="leaving", frozen=True):
    """The worker was told to end by someone else than its parent and drains; it wants a successor."""


ToWorker = Start | Serve | Prepare | Commit | Abort | Drain | End
ToParent = Ready | Failed | Prepared | Committed | Leaving

_encoder = msgspec.json.Encoder()
_to_worker = msgspec.json.Decoder(ToWorker)
_to_parent = msgspec.json.Decoder(ToParent)


class Channel:
    """One end of the socket pair. It closes when the other side does, or dies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Channel:
        """Take over a connected socket."""
        sock.setblocking(False)
        return cls(*await asyncio.open_connection(sock=sock, limit=LINE_LIMIT))

    def send(self, message: ToWorker | ToParent) -> None:
        """Queue a message; lost without an error when the other side is gone, which its reader notices."""
        if not self._writer.is_closing():
            self._writer.write(_encoder.encode(message) + b"\n")

    async def from_parent(self) -> ToWorker | None:
        """The next message of the parent, or None when it is gone."""
        line = await self._line()
        return _to_worker.decode(line) if line else None

    async def from_worker(self) -> ToParent | None:
        """The next message of the worker, or None when it is gone."""
        line = await self._line()
        return _to_parent.decode(line) if line else None

    async def _line(self) -> bytes:
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return b""
        return line if line.endswith(b"\n") else b""

    async def flush(self) -> None:
        """Wait until what was sent is written, or cannot be."""
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    def close(self) -> None:
        """Close this end."""
        self._writer.close()
