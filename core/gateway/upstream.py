"""The only file that opens a connection to a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from gateway.config import Timeouts


class UpstreamRequest(msgspec.Struct, kw_only=True):
    """A request to a provider. ``path`` is appended to the base URL; ``headers`` have lower-case names, no host, no length."""

    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    method: str = "POST"
    stream: bool = False


class UpstreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to hold connections to one provider. Durations in seconds, sizes in bytes; ``limit`` 0 is none."""

    limit: int = 0
    keepalive: float = 30.0
    max_age: float = 300.0
    max_head: int = 64 * 1024
    max_body: int = 64 * 1024 * 1024
    max_error_body: int = 64 * 1024


DEFAULT_OPTIONS = UpstreamOptions()


class UpstreamReply:
    """A provider's answer whose head has arrived. Exactly one of ``read`` and ``chunks`` is used, then ``close``."""

    status: int
    headers: dict[str, str]
    """Lower-case names; the last value of a repeated one."""

    async def read(self) -> bytes:
        """The whole body, at most ``max_body`` (``max_error_body`` cuts an error's)."""
        raise NotImplementedError

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives: one read, one chunk."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else abort it at once. Safe to call twice."""


class Upstream:
    """Connections to one base URL."""

    def __init__(self, base_url: str, options: UpstreamOptions = DEFAULT_OPTIONS) -> None:
        self.base_url = base_url
        self.options = options

    async def send(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError
