"""The way to a provider: what is asked, what comes back, and the pool of connections to one base URL.

Only ``upstream*.py`` opens a connection to a provider. This file holds the contract and is quick to import; what
does the work (``upstream_pool`` and below, on aiohttp) is imported with the first use, or ahead of it by ``preload``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import msgspec

from gateway.config import Timeouts
from gateway.errors import UpstreamUnreachable
from gateway.jsonbody import Spliced
from gateway.upstream_head import HeadWriter

if TYPE_CHECKING:
    from gateway.upstream_pool import Pool


class UpstreamRequest(msgspec.Struct, kw_only=True):
    """A request to a provider.

    ``path`` is appended to the base URL; ``headers`` have lower-case names, no host, no length. ``stream`` says that
    the body of the answer comes in pieces: the first of them counts as the first token. ``pieces`` is a large body that
    is sent without a copy, instead of ``body``; a provider with a ``send`` or ``request_headers`` of its own gets none.
    """

    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    method: str = "POST"
    stream: bool = False
    pieces: Spliced | None = None

    @property
    def length(self) -> int:
        """The size of the body, in bytes."""
        return len(self.body if self.pieces is None else self.pieces)


class UpstreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to hold connections to one provider. Durations in seconds, sizes in bytes; ``limit`` 0 is none.

    ``ca`` is a PEM file of the authorities to trust instead of the system's.
    """

    limit: int = 0
    keepalive: float = 30.0
    max_age: float = 300.0
    max_head: int = 64 * 1024
    max_body: int = 64 * 1024 * 1024
    max_error_body: int = 64 * 1024
    ca: str | None = None


DEFAULT_OPTIONS = UpstreamOptions()


class UpstreamReply:
    """A provider's answer whose head has arrived. Exactly one of ``read`` and ``chunks`` is used, then ``close``."""

    status: int
    headers: dict[str, str]
    """Lower-case names; the last value of a repeated one."""
    reused: bool = False
    """Whether the connection had carried an earlier exchange."""
    first_byte_at: float = 0.0
    """When the first byte of the answer arrived (``time.perf_counter()``)."""

    async def read(self) -> bytes:
        """The whole body, at most ``max_body`` (``max_error_body`` cuts an error's)."""
        raise NotImplementedError

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives: one read, one chunk."""
        raise NotImplementedError

    async def follow(self, take: Callable[[bytes], bool]) -> None:
        """Hand pieces of the body to ``take`` as they are read, without a task's turn for each.

        Returns when ``take`` returned False, or the body has ended or broken, or for no reason: ``chunks`` goes on
        from there, and tells which. What ``take`` raises is raised here.
        """

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else abort it at once. Safe to call twice."""


class Upstream:
    """Connections to one base URL; raises ConfigError for one that cannot be used.

    Belongs to the event loop in which it is first used.
    """

    def __init__(self, base_url: str, options: UpstreamOptions = DEFAULT_OPTIONS) -> None:
        self.base_url = base_url
        self.options = options
        self._heads = HeadWriter(base_url)
        self._pool: Pool | None = None
        self._closed = False

    async def send(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        """Send one request and wait for the head of its answer; an error status is an answer too.

        Raises InvalidRequest for a header or path that cannot be sent, else an UpstreamError. A request is sent a
        second time in one case only: its connection was from the pool and closed without one byte of an answer.
        Cancelling this, or a read of the reply, closes the connection at once.
        """
        if self._pool is None:
            self._pool = self._open()
        return await self._pool.send(request, timeouts)

    async def close(self) -> None:
        """Close all connections, also those in use, and wait until they are closed."""
        self._closed = True
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

    def _open(self) -> Pool:
        from gateway.upstream_pool import Pool  # noqa: PLC0415  # aiohttp takes a third of a second

        if self._closed:
            raise UpstreamUnreachable(f"The connections to {self._heads.where} are closed.")
        return Pool(self._heads, self.options)


def preload() -> None:
    """Import what sending needs, so that the first request does not wait for it."""
    from gateway import upstream_pool  # noqa: F401, PLC0415  # for its effect
