"""Sends requests over pooled connections to one host: aiohttp's connector below, no session above it.

A session would add twice the CPU, cookies, redirects and the proxy variables of the environment, none of them wanted.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from math import inf
from typing import TYPE_CHECKING, Any, Final

from aiohttp import ClientTimeout, TCPConnector, ThreadedResolver
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.connector import AddrInfoType, Connection
from yarl import URL

from gateway.config import Timeouts
from gateway.upstream import UpstreamOptions, UpstreamRequest
from gateway.upstream_errors import FOREIGN, broken, closed_by_peer, timed_out, unreachable
from gateway.upstream_head import HeadWriter
from gateway.upstream_reply import WireReply
from gateway.upstream_wire import Wire

if TYPE_CHECKING:
    from aiohttp.tracing import Trace

DNS_SECONDS: Final = 30
"""How long an address is remembered; a host that moves is found again within this."""
_NO_TIMEOUT: Final = ClientTimeout(total=None, connect=None, sock_connect=None)
"""The limits are ours: the connector's would round them up to whole seconds."""


class _StaleConnection(Exception):
    """A pooled connection was closed by the peer before it answered anything: the request was not taken."""


class _FreshKey(ConnectionKey):
    """Equal to the plain key in every count, but not served from the pool."""

    __slots__ = ()


class _Place(ClientRequest):
    """Where to connect to; the connector asks a request for it."""

    def __init__(self, url: URL, loop: asyncio.AbstractEventLoop, *, fresh: bool) -> None:
        super().__init__("GET", url, loop=loop)
        key = super().connection_key
        self._key = _FreshKey(*key) if fresh else key

    @property
    def connection_key(self) -> ConnectionKey:
        return self._key


class _Connector(TCPConnector):
    def __init__(self, heads: HeadWriter, options: UpstreamOptions, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            limit=0,
            limit_per_host=options.limit,
            keepalive_timeout=options.keepalive,
            ttl_dns_cache=DNS_SECONDS,
            resolver=ThreadedResolver(),
            socket_factory=open_socket,
            ssl=_trust(options.ca),
        )
        made = functools.partial(Wire, loop, heads.where, options.max_head, options.max_age)
        self._factory = made  # type: ignore[assignment]  # partial is invariant; a Wire is a ResponseHandler

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        return None if isinstance(key, _FreshKey) else await self.pooled(key)

    async def pooled(self, key: ConnectionKey) -> Connection | None:
        """An idle connection, if there is one."""
        while (connection := await super()._get(key, [])) is not None:
            if _wire(connection).reusable:
                return connection
            connection.close()
        return None


class Pool:
    """The connections to one host, on the running loop."""

    def __init__(self, heads: HeadWriter, options: UpstreamOptions) -> None:
        self._loop = asyncio.get_running_loop()
        self._heads = heads
        self._where = heads.where
        self._options = options
        self._connector = _Connector(heads, options, self._loop)
        url = URL.build(scheme=heads.scheme, host=heads.host, port=heads.port)
        self._any = _Place(url, self._loop, fresh=False)
        self._fresh = _Place(url, self._loop, fresh=True)
        self._key = self._any.connection_key

    async def send(self, request: UpstreamRequest, limits: Timeouts) -> WireReply:
        """Send a request and return its answer once the head is there."""
        head = self._heads.write(request)
        total_until = inf if limits.total is None else self._loop.time() + limits.total
        connection = await self._connector.pooled(self._key)
        if connection is None:
            connection = await self._connect(self._any, limits, total_until)
        try:
            return await self._exchange(connection, head, request, limits, total_until)
        except _StaleConnection:
            # Others in the pool may be as stale, so not from there; and a fresh one cannot be stale, so not again.
            connection = await self._connect(self._fresh, limits, total_until)
            return await self._exchange(connection, head, request, limits, total_until)

    async def close(self) -> None:
        """Close everything and wait for it."""
        await self._connector.close()

    async def _connect(self, place: _Place, limits: Timeouts, total_until: float) -> Connection:
        until = inf if limits.connect is None else self._loop.time() + limits.connect
        due = min(until, total_until)
        scope = asyncio.timeout_at(None if due == inf else due)
        try:
            async with scope:
                return await self._connector.connect(place, [], _NO_TIMEOUT)
        except Exception as error:
            if not scope.expired():
                raise unreachable(self._where, error) from error
            if until <= total_until:
                raise timed_out(self._where, "connect", limits.connect) from None
            raise timed_out(self._where, "total", limits.total) from None

    async def _exchange(
        self, connection: Connection, head: bytes, request: UpstreamRequest, limits: Timeouts, total_until: float
    ) -> WireReply:
        wire = _wire(connection)
        try:
            wire.begin(limits, total_until, whole=not request.stream, bodiless=request.method == "HEAD")
            await wire.send(head, request.body, request.pieces)
            message, payload = await wire.read()
            reply = WireReply(connection, wire, message, payload, self._where, self._options)
        except FOREIGN as error:
            failure = wire.failure or error
            stale = wire.exchanges > 1 and not wire.first_byte_at and wire.failure is None and closed_by_peer(error)
            wire.abandon(connection)
            if stale:
                raise _StaleConnection from error
            raise broken(self._where, failure) from error
        except BaseException:
            wire.abandon(connection)
            raise
        if not request.stream and not payload.is_eof():
            wire.flowing()
        return reply


def open_socket(address: AddrInfoType) -> socket.socket:
    """A socket that sends at once and notices within half a minute when its peer has gone silently."""
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _TCP_OPTIONS.items():
            # Not every system has all of them.
            if (option := getattr(socket, name, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
    except BaseException:
        sock.close()
        raise
    return sock


_TCP_OPTIONS: Final = {
    "TCP_NODELAY": 1,
    "TCP_KEEPIDLE": 15,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 30_000,
}
"""Seconds, but for the last, in milliseconds: how long sent data may go unacknowledged."""


def _trust(ca: str | None) -> Any:
    if ca is None:
        return True
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _wire(connection: Connection) -> Wire:
    wire = connection.protocol
    assert isinstance(wire, Wire)
    return wire
