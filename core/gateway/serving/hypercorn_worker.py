"""Connections on inherited listening sockets, spoken by Hypercorn's protocols.

Hypercorn's own ``serve`` is not used, for its way of stopping loses calls: it closes a connection that it has accepted
but not read from, waits for the connections before it looks at its time limit (asyncio from Python 3.12.1 on), and has
no word for HTTP/2 clients. Its protocols, connection and task handling are.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, cast

import h11
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as IOEvent
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import Event, Response
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import ConnectionState, LifespanState
from hypercorn.utils import parse_socket_addr
from hyperframe.frame import GoAwayFrame

from gateway.serving.sockets import BACKLOG

log = logging.getLogger("gateway.serving")

ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]

HEAD_TIMEOUT = 10.0  # seconds for the first request of a connection to arrive
IDLE_TIMEOUT = 75.0  # seconds that a connection may wait for its next request


def hypercorn_config() -> Config:
    """Hypercorn's settings for a gateway: long answers, large heads, no headers of its own."""
    config = Config()
    config.keep_alive_timeout = IDLE_TIMEOUT
    config.keep_alive_max_requests = 10**6
    config.h11_max_incomplete_size = 64 * 1024
    config.include_server_header = False
    config.include_date_header = False
    config.accesslog = None
    config.errorlog = log
    return config


class Context(WorkerContext):
    """One connection's stage of life. ``draining``: answer what comes and ask the client to go elsewhere.

    ``terminated`` is Hypercorn's: no further request is taken, and the connection is closed when it has no call.
    """

    def __init__(self, *, draining: bool) -> None:
        super().__init__(max_requests=None)
        self.draining = draining


class Server:
    """A worker's connections. ``changed`` is set whenever one ends."""

    def __init__(
        self,
        app: ASGIApplication,
        tls: ssl.SSLContext | None,
        changed: asyncio.Event | None = None,
        *,
        draining: bool = False,
        closing: bool = False,
    ) -> None:
        self.connections: set[Connection] = set()
        self.changed = changed or asyncio.Event()
        self._app = ASGIWrapper(cast(Any, app))
        self._tls = tls
        self._config = hypercorn_config()
        self._draining = draining
        self._closing = closing
        self._servers: list[asyncio.Server] = []

    async def listen(self, sockets: list[socket.socket]) -> None:
        """Accept connections on sockets that listen already."""
        handshake = None if self._tls is None else HEAD_TIMEOUT
        for sock in sockets:
            server = await asyncio.start_server(
                self._accept, sock=sock, backlog=BACKLOG, ssl=self._tls, ssl_handshake_timeout=handshake
            )
            self._servers.append(server)

    def adopt(self, transport: asyncio.Transport) -> None:
        """Speak on a connection that someone else accepted; nothing may have been read from it."""
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._accept)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def stop_listening(self) -> None:
        """Close our copies of the listening sockets; answers tell the clients of open connections to go elsewhere."""
        for server in self._servers:
            server.close()
        self._draining = True
        for connection in self.connections:
            connection.context.draining = True

    async def close_idle(self) -> None:
        """Close the connections without a call, now and as their calls end."""
        self._closing = True
        for connection in tuple(self.connections):
            await connection.close_when_idle()

    def cut(self) -> None:
        """Drop what is left."""
        for connection in self.connections:
            connection.cut()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        context = Context(draining=self._draining)
        connection = Connection(
            self._app, asyncio.get_running_loop(), self._config, context, LifespanState({}), reader, writer
        )
        self.connections.add(connection)
        try:
            if self._closing:
                await connection.close_when_idle()
            await connection.run()
        except Exception:
            log.exception("a connection failed")
        finally:
            self.connections.discard(connection)
            self.changed.set()


class Connection(TCPServer):
    """One client's connection."""

    context: Context
    protocol: Protocol
    _closing = False

    async def run(self) -> None:
        """Speak with the client until one of both has enough."""
        sock = self.writer.get_extra_info("socket")
        encryption = self.writer.get_extra_info("ssl_object")
        try:
            client = parse_socket_addr(sock.family, sock.getpeername())
            server = parse_socket_addr(sock.family, sock.getsockname())
            async with TaskGroup(self.loop) as task_group:
                self._task_group = task_group
                self.protocol = Protocol(
                    self.app,
                    self.config,
                    self.context,
                    task_group,
                    ConnectionState(self.state),
                    encryption is not None,
                    client,
                    server,
                    self.protocol_send,
                    "http/1.1" if encryption is None else encryption.selected_alpn_protocol(),
                )
                await self.protocol.initiate()
                await self.idle_task.restart(task_group, self._head_timeout)
                await self._read_data()
                # The client has left: without this the idle timer would keep its connection for another minute.
                await self.idle_task.stop()
        except* OSError:
            log.debug("a client's connection broke", exc_info=True)
        finally:
            await self._close()

    async def close_when_idle(self) -> None:
        """Close once no call is open.

        An HTTP/2 client is told (GOAWAY) only then: many, httpx among them, give up their open streams at that word.
        Until then its connection takes calls, for they could not know that they should not have come.
        """
        self._closing = True
        protocol = getattr(self, "protocol", None)
        if protocol is None or not protocol.busy_http2:
            await self.context.terminated.set()

    async def protocol_send(self, event: IOEvent) -> None:
        """Write, close, or note that the connection has become idle or busy."""
        if self._closing and isinstance(event, Updated) and event.idle:
            await self.context.terminated.set()
        await super().protocol_send(event)

    def cut(self) -> None:
        """Drop the connection with whatever is still unsent."""
        self.writer.transport.abort()

    async def _head_timeout(self) -> None:
        try:
            await asyncio.wait_for(self.context.terminated.wait(), HEAD_TIMEOUT)
        except TimeoutError:
            log.debug("a connection brought no request within %g s", HEAD_TIMEOUT)
        await asyncio.shield(self._initiate_server_close())

    async def _initiate_server_close(self) -> None:
        await self.protocol.say_goodbye()
        await super()._initiate_server_close()


class Protocol(ProtocolWrapper):
    """HTTP/2 where TLS agreed on it, our HTTP/1.1 otherwise."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        if isinstance(self.protocol, H11Protocol):
            self.protocol = Http1(*arguments[:-1])

    @property
    def busy_http2(self) -> bool:
        """Whether HTTP/2 is spoken and a call is open."""
        return isinstance(self.protocol, H2Protocol) and not self.protocol.idle

    async def say_goodbye(self) -> None:
        """Tell an HTTP/2 client the last call that we took, so that it may safely repeat a later one elsewhere."""
        if isinstance(self.protocol, H2Protocol):
            last = self.protocol.connection.highest_inbound_stream_id
            await self.send(RawData(GoAwayFrame(0, last_stream_id=last).serialize()))


class Http1(H11Protocol):
    """Hypercorn's HTTP/1.1 without its way into HTTP/2 on plain TCP, which would pass whatever checks HTTP/1.1."""

    context: Context

    async def _check_protocol(self, event: h11.Request) -> None:
        """Ignore an offer of ``Upgrade: h2c``, as a server may: Java's client makes it on each request."""

    async def _create_stream(self, request: h11.Request) -> None:
        status = _refusal_of(request)
        if status is not None:
            await self._send_error_response(status)
            await self.send(Closed())
            return
        await super()._create_stream(request)

    async def stream_send(self, event: Event) -> None:
        """Send a part of an answer; while the worker drains, the client is told that it is the connection's last."""
        if isinstance(event, Response) and self.context.draining and event.status_code >= 200:
            headers = [field for field in event.headers if field[0].lower() != b"connection"]
            event = Response(event.stream_id, [*headers, (b"connection", b"close")], event.status_code)
        await super().stream_send(event)


def _refusal_of(request: h11.Request) -> int | None:
    """The status that refuses what h11 takes and two readers could understand differently; None for other requests."""
    if request.http_version not in (b"1.0", b"1.1"):
        return 505
    if request.method in (b"TRACE", b"CONNECT"):
        return 501
    names = [name for name, _ in request.headers]
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version == b"1.0"):
        return 400
    return None
