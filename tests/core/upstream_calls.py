"""How the tests of upstreams run: on asyncio's loop and on uvloop, against sockets on this machine."""

from __future__ import annotations

import asyncio
import functools
import inspect
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
import uvloop

from gateway.config import Timeouts
from gateway.testing import ScriptedProvider
from gateway.upstream import DEFAULT_OPTIONS, Upstream, UpstreamOptions, UpstreamReply, UpstreamRequest, preload

preload()
QUICK = Timeouts(connect=2.0, first_token=2.0, idle=2.0, total=5.0)


def on_each_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test once on asyncio's own loop and once on uvloop."""

    @functools.wraps(test)
    def run(loop_factory: Callable[[], asyncio.AbstractEventLoop], **arguments: Any) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(asyncio.wait_for(test(**arguments), 20))

    signature = inspect.signature(test)
    loop = inspect.Parameter("loop_factory", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), loop])  # type: ignore[attr-defined]
    loops = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]
    marked: Callable[..., None] = pytest.mark.parametrize("loop_factory", loops)(run)
    return marked


@asynccontextmanager
async def upstream(
    place: ScriptedProvider | str, options: UpstreamOptions = DEFAULT_OPTIONS
) -> AsyncIterator[Upstream]:
    """An Upstream that is closed at the end."""
    made = Upstream(place if isinstance(place, str) else place.url, options)
    try:
        yield made
    finally:
        await made.close()


def post(path: str = "/v1/x", body: bytes = b"{}", *, stream: bool = False) -> UpstreamRequest:
    """A request."""
    return UpstreamRequest(path=path, headers=[("content-type", "application/json")], body=body, stream=stream)


async def answer(to: Upstream, request: UpstreamRequest | None = None, limits: Timeouts = QUICK) -> bytes:
    """Send a request and read its whole answer."""
    reply = await to.send(request or post(), limits)
    try:
        return await reply.read()
    finally:
        reply.close()


async def collect(reply: UpstreamReply) -> list[bytes]:
    """All chunks of a reply."""
    try:
        return [chunk async for chunk in reply.chunks()]
    finally:
        reply.close()


async def seconds_to_disconnect(provider: ScriptedProvider, since: float) -> float:
    """How long after ``since`` (``time.monotonic()``) the provider saw the latest request's connection close."""
    closed = await asyncio.to_thread(provider.wait_for_disconnect, 2.0)
    assert closed is not None, "the connection was not closed"
    return closed - since


async def arrived(provider: ScriptedProvider, count: int) -> None:
    """Wait until the provider has had so many requests."""
    assert await asyncio.to_thread(provider.wait_for_requests, count, 2.0)


@asynccontextmanager
async def serving(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]],
) -> AsyncIterator[str]:
    """A base URL where each connection is handled so, for what must happen before a request is complete."""
    tasks: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(handle(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait_for(asyncio.gather(*tasks), 5)


@contextmanager
def full_backlog() -> Iterator[str]:
    """A base URL to which connections are never established: its queue of connections is full."""
    listener = socket.socket()
    fillers = [socket.socket() for _ in range(4)]
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for sock in [listener, *fillers]:
            sock.close()


@contextmanager
def deaf_listener() -> Iterator[str]:
    """A base URL where connections are established and nothing is ever read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
