"""A worker process: builds the application of the configuration it is given, and serves it on inherited sockets."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from gateway.serving.change import Change, problems_of
from gateway.serving.control import (
    Abort,
    Channel,
    Commit,
    Drain,
    End,
    Failed,
    Leaving,
    Prepare,
    Ready,
    Serve,
    Start,
    ToWorker,
)
from gateway.serving.log_lines import log_to_stderr

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.config import GatewayConfig
    from gateway.serving.document import Document
    from gateway.serving.front import Connections

log = logging.getLogger("gateway.serving")

ABORT_SECONDS = 0.8  # for the error events of calls that are ended to reach their clients
SHUTDOWN_SECONDS = 5.0  # for plugins to flush and close
SETTLE_SECONDS = 0.25  # for connections that were accepted, or waited to be, when the listening socket was closed
ORPHAN_LINGER = 0.25


def make_app(config: GatewayConfig) -> App:
    """Build the application of a configuration; opens nothing. Raises ConfigError."""
    from gateway.app import App  # noqa: PLC0415  # after the first message: it takes most of the start
    from gateway.registry import build  # noqa: PLC0415

    return App(build(config))


class Worker:
    """The life of a worker: start, serve, drain, end."""

    def __init__(self, channel: Channel, make: Callable[[GatewayConfig], App]) -> None:
        self._channel = channel
        self._make = make
        self._start: Start
        self._app: App
        self._server: Connections
        self._sockets: list[socket.socket] = []
        self._change: Change
        self._serving = False
        self._draining = asyncio.Event()
        self._deadline = float("inf")
        self._linger_until = float("inf")

    async def run(self) -> int:
        """Live; returns the exit code."""
        start = await self._channel.from_parent()
        if not isinstance(start, Start):
            return 0  # the parent is gone
        self._start = start
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        build = asyncio.create_task(self._build())
        listening = asyncio.create_task(self._listen(build))
        try:
            if not await build:
                return 1
            self._channel.send(Ready(list(self._app.current.warnings)))
            await self._draining.wait()
            await self._drain()
        except asyncio.CancelledError:  # the parent is gone, or has changed its mind
            return 0
        finally:
            listening.cancel()
            await self._channel.flush()
        return 0

    async def _build(self) -> bool:
        from gateway.serving.front import open_front  # noqa: PLC0415  # after the first message: it takes a while
        from gateway.serving.tls import server_context  # noqa: PLC0415

        try:
            config = self._read(self._start.document)
            tls = config.server.tls
            context: ssl.SSLContext | None = None if tls is None else server_context(tls, config.folder)
            self._sockets = [_inherited(number) for number in self._start.listeners]
            self._app = self._make(config)
            await self._app.startup()
        except Exception as error:  # noqa: BLE001  # logged, and told to the parent
            self._channel.send(Failed(problems_of(error, "the gateway cannot start")))
            return False
        self._server = open_front(self._app, config.server, context)
        self._change = Change(self._app, self._channel, self._read)
        return True

    def _read(self, document: Document) -> GatewayConfig:
        config = document.config()
        # Plugins share limits by the number of workers: they are told how many there are, not "one per core".
        server = msgspec.structs.replace(config.server, workers=self._start.workers)
        return msgspec.structs.replace(config, server=server)

    async def _listen(self, build: asyncio.Task[bool]) -> None:
        """Do what the parent says, until it is gone."""
        try:
            while (message := await self._channel.from_parent()) is not None:
                await self._obey(message)
        except Exception:
            log.exception("a word of the parent cannot be followed")
        build.cancel()
        self._begin_drain(self._drain_seconds(), ORPHAN_LINGER)

    async def _obey(self, message: ToWorker) -> None:
        match message:
            case Serve() if not self._draining.is_set():
                self._serving = True
                await self._server.listen(self._sockets)
            case Prepare(number, document):
                self._change.prepare(number, document)
            case Commit(number):
                self._change.commit(number)
            case Abort():
                await self._change.give_up()
            case Drain(seconds, linger):
                self._begin_drain(seconds, linger)
            case End():
                self._begin_drain(0.0, 0.0)

    def _leave(self) -> None:
        """SIGTERM from someone else than the parent: end in good order, and have the parent start a successor."""
        self._channel.send(Leaving())
        self._begin_drain(self._drain_seconds(), ORPHAN_LINGER)

    def _drain_seconds(self) -> float:
        return self._app.current.config.server.drain_seconds if self._serving else 0.0

    def _begin_drain(self, seconds: float, linger: float) -> None:
        """Set the limits of the drain; a second word can only make them shorter."""
        now = asyncio.get_running_loop().time()
        self._deadline = min(self._deadline, now + seconds)
        self._linger_until = min(self._linger_until, now + linger)
        self._draining.set()
        if self._serving:
            self._server.changed.set()

    async def _drain(self) -> None:
        """Let the open calls end, then end the rest, then stop the plugins."""
        self._app.begin_drain()
        self._server.stop_listening()
        await self._until_calls_end()
        if self._server.connections:
            log.warning("%d calls are still open and are ended", self._app.active)
            await self._server.close_idle()
            self._app.abort_calls()
            limit = asyncio.get_running_loop().time() + ABORT_SECONDS
            while self._server.connections and asyncio.get_running_loop().time() < limit:
                self._server.changed.clear()
                await self._event(limit)
            self._server.cut()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._app.wait_idle(), ABORT_SECONDS)
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await self._change.give_up()
                await self._app.shutdown()
        except TimeoutError:
            log.error("the plugins did not stop within %g s", SHUTDOWN_SECONDS)  # noqa: TRY400  # the cause is known

    async def _until_calls_end(self) -> None:
        """Wait for the last connection, closing the idle ones when their time has come; at the latest the deadline."""
        loop = asyncio.get_running_loop()
        # Connections that were accepted at the last moment are not known yet.
        settled = min(loop.time() + SETTLE_SECONDS, self._linger_until)
        closing = False
        while True:
            self._server.changed.clear()
            now = loop.time()
            if now >= self._deadline or (now >= settled and not self._server.connections):
                return
            if now >= self._linger_until and not closing:
                closing = True
                await self._server.close_idle()
            moments = (settled, self._linger_until, self._deadline)
            await self._event(min(moment for moment in moments if moment > now))

    async def _event(self, until: float) -> None:
        """Wait until a connection ends, the limits change, or ``until`` on the loop's clock."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.changed.wait(), max(0.0, until - asyncio.get_running_loop().time()))


def _inherited(number: int) -> socket.socket:
    sock = socket.socket(fileno=number)
    # Not for programs that a plugin may start: they would keep the port open after us.
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


async def _live(control: int, make: Callable[[GatewayConfig], App]) -> int:
    os.set_inheritable(control, False)
    asyncio.get_running_loop().set_exception_handler(_handle_exception)
    channel = await Channel.over(socket.socket(fileno=control))
    return await Worker(channel, make).run()


def _handle_exception(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Say nothing of failed handshakes and broken connections: anyone can cause them, as often as they like."""
    if not isinstance(context.get("exception"), (ssl.SSLError, ConnectionError)):
        loop.default_exception_handler(context)


def main(make: Callable[[GatewayConfig], App] = make_app) -> int:
    """Run a worker on the control channel that the parent has opened; returns the exit code."""
    # Ctrl-C and a terminal's hang-up go to the whole process group; what they mean is the parent's to decide.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2))
    parser = argparse.ArgumentParser(prog="python -m gateway.serving.worker", description="Started by gateway serve.")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--slot", type=int, required=True)
    options = parser.parse_args()
    log_to_stderr(f"worker {options.slot}")
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_live(options.control, make))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415  # not on every platform
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
