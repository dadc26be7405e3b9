"""The connections of a worker: HTTP/1.1 by our own front, HTTP/2 by Hypercorn's protocols."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sized
from typing import TYPE_CHECKING, Any, Protocol

from gateway.config import ServerConfig
from gateway.serving.http1_limits import Http1Limits
from gateway.serving.http1_server import Http1Server

if TYPE_CHECKING:
    from gateway.serving.hypercorn_worker import Server


OTHER_FILES = 256
"""Open files that are neither a client's connection nor one upstream: listeners, logs, caches, databases."""


class Connections(Protocol):
    """What a worker does with its clients' connections, whoever speaks with them."""

    changed: asyncio.Event

    @property
    def connections(self) -> Sized: ...
    async def listen(self, sockets: list[socket.socket]) -> None: ...
    def stop_listening(self) -> None: ...
    async def close_idle(self) -> None: ...
    def cut(self) -> None: ...


def open_front(app: Any, server: ServerConfig, tls: ssl.SSLContext | None) -> Connections:
    """The front that ``[server] http1`` asks for: ours (``httptools``), or Hypercorn's for all (``hypercorn``)."""
    if server.http1 == "httptools":
        return Front(app, tls, Http1Limits(body_grace=server.body_timeout, connections=room_for_connections()))
    from gateway.serving.hypercorn_worker import Server  # noqa: PLC0415  # see Front

    return Server(app, tls)


def room_for_connections(most: int = Http1Limits().connections) -> int:
    """How many clients a worker takes: at most ``most``, and so many that each may have a connection upstream too.

    Raises the process's limit of open files as far as it is allowed to: at the limit clients would be cut off
    unanswered, and calls of others fail for want of a connection upstream.
    """
    try:
        import resource  # noqa: PLC0415  # not on every platform
    except ImportError:
        return most
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # an unlimited limit is none that every system grants
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft == resource.RLIM_INFINITY:
        return most
    return max(16, min(most, (soft - OTHER_FILES) // 2))


class Front:
    """Speaks with clients on listening sockets. ``changed`` is set whenever a connection ends.

    Hypercorn is imported when the first HTTP/2 client comes, for it takes as long to import as all the rest.
    """

    def __init__(self, app: Any, tls: ssl.SSLContext | None, limits: Http1Limits) -> None:
        self.changed = asyncio.Event()
        self._app = app
        self._http1 = Http1Server(app, limits, tls, hand_over=self._hand_over, changed=self.changed)
        self._hypercorn: Server | None = None
        self._limit = limits.connections
        self._draining = False
        self._closing = False

    @property
    def connections(self) -> Sized:
        """The connections that are open."""
        return self._http1.connections or (() if self._hypercorn is None else self._hypercorn.connections)

    async def listen(self, sockets: list[socket.socket]) -> None:
        """Accept connections on sockets that listen already."""
        await self._http1.listen(sockets)

    def stop_listening(self) -> None:
        """Close our copies of the listening sockets, and ask the clients of open connections to go elsewhere."""
        self._draining = True
        self._http1.stop_listening()
        if self._hypercorn is not None:
            self._hypercorn.stop_listening()

    async def close_idle(self) -> None:
        """Close the connections without a call, now and as their calls end."""
        self._closing = True
        self._http1.close_idle()
        if self._hypercorn is not None:
            await self._hypercorn.close_idle()

    def cut(self) -> None:
        """Drop what is left."""
        self._http1.cut()
        if self._hypercorn is not None:
            self._hypercorn.cut()

    def _hand_over(self, transport: asyncio.Transport) -> None:
        """A TLS client that agreed on HTTP/2 speaks with Hypercorn from its first byte on."""
        if self._hypercorn is None:
            from gateway.serving.hypercorn_worker import Server  # noqa: PLC0415  # see the class

            self._hypercorn = Server(self._app, None, self.changed, draining=self._draining, closing=self._closing)
        if len(self._hypercorn.connections) + len(self._http1.connections) >= self._limit:
            transport.abort()
            return
        self._hypercorn.adopt(transport)
