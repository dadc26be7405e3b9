"""Accepts HTTP/1.1 connections for one worker, sweeps over them now and then, and drains them."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

from gateway.serving.http1 import Http1Connection
from gateway.serving.http1_limits import Http1Limits
from gateway.serving.sockets import BACKLOG

log = logging.getLogger("gateway.serving")

SWEEP_SECONDS = 0.5
"""One sweep over all connections costs less than a timer for each, and a limit late by half a second is none broken."""

TURNED_AWAY = 64
"""So many clients over the limit are told so at a time; the next are cut, for to be told takes a connection too."""

HandOver = Callable[[asyncio.Transport], None]


class Http1Server:
    """The listeners of one worker. ``app`` is an ASGI application; ``hand_over`` takes what is not HTTP/1.1."""

    def __init__(
        self,
        app: Any,
        limits: Http1Limits,
        tls: ssl.SSLContext | None = None,
        *,
        hand_over: HandOver | None = None,
        changed: asyncio.Event | None = None,
    ) -> None:
        self.app = app
        self.limits = limits
        self.hand_over = hand_over
        self.loop = asyncio.get_running_loop()
        self.draining = False
        self.connections: set[Http1Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._tls = tls
        self._changed = changed
        self._servers: list[asyncio.Server] = []
        self._sweep: asyncio.TimerHandle | None = None

    async def listen(self, sockets: list[socket.socket]) -> None:
        """Accept connections on sockets that listen already."""
        tls: dict[str, Any] = {}
        if self._tls is not None:
            tls = {
                "ssl": self._tls,
                "ssl_handshake_timeout": self.limits.head_seconds,
                "ssl_shutdown_timeout": self.limits.stall_seconds,
            }
        for sock in sockets:
            server = await self.loop.create_server(lambda: Http1Connection(self), sock=sock, backlog=BACKLOG, **tls)
            self._servers.append(server)

    def admit(self, connection: Http1Connection) -> bool:
        """Watch over a new connection; False if there are too many: it is told so, or cut."""
        over = len(self.connections) - self.limits.connections
        if over >= TURNED_AWAY:
            connection.abort()
            return False
        self.connections.add(connection)
        if self._sweep is None:
            self._sweep = self.loop.call_later(SWEEP_SECONDS, self._sweep_all)
        return over < 0

    def forget(self, connection: Http1Connection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if self._changed is not None:
            self._changed.set()

    def _sweep_all(self) -> None:
        now = self.loop.time()
        for connection in tuple(self.connections):
            try:
                connection.sweep(now)
            except Exception:  # one that cannot be looked at must not leave all others without limits
                log.exception("a connection cannot be looked at, and is cut")
                connection.abort()
        self._sweep = self.loop.call_later(SWEEP_SECONDS, self._sweep_all) if self.connections else None

    def stop_listening(self) -> None:
        """Close our copies of the listening sockets, and tell clients with their next answer to go elsewhere."""
        self.draining = True
        for server in self._servers:
            server.close()

    def close_idle(self) -> None:
        """Close the connections without a request under way, now and as their answers end."""
        for connection in tuple(self.connections):
            connection.close_if_idle()

    def cut(self) -> None:
        """Drop what is left."""
        for connection in tuple(self.connections):
            connection.abort()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
