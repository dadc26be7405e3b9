"""``gateway serve``: the parent process. It holds the sockets and the configuration; its workers take the calls.

It imports little, answers no call and keeps no state that a crash could spoil, so that it outlives its workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from gateway.config import GatewayConfig
from gateway.errors import ConfigError
from gateway.serving.cores import worker_count
from gateway.serving.document import Document, Standing, read_document, standing, watched_files
from gateway.serving.generation import END_WITHIN, KILL_AFTER, SWITCH_LINGER, Generation, Slots
from gateway.serving.log_lines import log_to_stderr
from gateway.serving.notify import notify, notify_reloading
from gateway.serving.process import COMMAND
from gateway.serving.sockets import Listener, open_listener
from gateway.serving.watch import PERIOD, Watch
from gateway.version import __version__

log = logging.getLogger("gateway.serving")

STOP_LINGER = 0.25  # seconds that an accepted connection has for its call to arrive when the gateway stops
ENDED_BY_SIGNAL = 130


def serve(path: Path | None, *, bind: str | None = None, command: Sequence[str] = COMMAND) -> int:
    """Serve until a signal ends it; returns the exit code.

    ``path`` is the TOML file, ``bind`` beats its ``[server] bind``, ``command`` starts a worker. Returns 0 after a
    drain, 1 if it cannot start (the problems are on stderr), 130 if a second signal cut the drain short.
    """
    log_to_stderr()
    listeners: list[Listener] = []
    try:
        document, config = read_document(path, bind)
        listeners.append(open_listener(config.server.bind))
        return asyncio.run(Supervisor(document, config, listeners, command).run())
    except ConfigError as error:
        _say("the gateway cannot start:", *(f"  {problem}" for problem in error.problems))
        return 1
    finally:
        for listener in listeners:
            listener.close()


class Supervisor:
    """The current generation of workers, those that still drain, and what signals and file changes do to them."""

    def __init__(
        self, document: Document, config: GatewayConfig, listeners: list[Listener], command: Sequence[str]
    ) -> None:
        self._document = document
        self._config = config
        self._listeners = listeners
        self._command = command
        self._slots = Slots()
        self._generation: Generation
        self._retired: dict[asyncio.Task[None], Generation] = {}
        self._watch = Watch(watched_files(config))
        self._signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()

    async def run(self) -> int:
        """Serve until a signal ends it; returns the exit code. Raises ConfigError if the first start fails."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        for number in (signal.SIGHUP, signal.SIGUSR2):
            loop.add_signal_handler(number, self._signals.put_nowait, number)
        if not await self._unless_stopped(self._first_start()):
            return 0
        await self._unless_stopped(self._work())
        return await self._shut_down()

    def _stop(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            log.warning("second signal (%s): open calls are ended", number.name)
            self._hurrying.set()
        else:
            log.info("%s: no new connections; open calls have %g s", number.name, self._config.server.drain_seconds)
            self._stopping.set()

    async def _unless_stopped(self, coroutine: Coroutine[Any, Any, None]) -> bool:
        """Run it to its end, or cancel it when a signal wants us to stop; returns whether it ran to its end."""
        work, stop = asyncio.create_task(coroutine), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        finished = work.done()
        if not finished:
            work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        return finished

    async def _first_start(self) -> None:
        self._generation = self._make(self._document, self._config, standing(self._config), self._listeners)
        await self._generation.start()
        tls = self._config.server.tls is not None
        count = self._generation.count
        source = self._config.path.name if self._config.path else "no file"
        workers = f"{count} worker{'' if count == 1 else 's'}"
        for listener in self._listeners:
            _say(f"gateway {__version__} serves {listener.url(tls=tls)} ({workers}, {source})")
        _say(f"try: curl {self._listeners[0].curl(tls=tls)}/v1/models")
        self._report()

    async def _work(self) -> None:
        """Answer signals and file changes, one after the other, for ever."""
        while True:
            try:
                number = await asyncio.wait_for(self._signals.get(), PERIOD)
            except TimeoutError:
                if self._config.server.reload and self._watch.changed():
                    await self._reload("a file changed")
            else:
                await self._reload(number.name, renew=number == signal.SIGUSR2)

    async def _reload(self, reason: str, *, renew: bool = False) -> None:
        """Read the file again and take it over as a whole, or keep what serves. ``renew`` asks for new workers."""
        log.info("%s: reading the configuration", reason)
        notify_reloading()
        self._watch.mark()
        try:
            # Without plugins: one whose import hangs or dies is a worker's trouble, never ours.
            document, config = read_document(self._config.path, self._document.bind, plugins=False)
            # Also the files of a configuration that is refused: mending one of them is a reason to try again.
            self._watch.follow([*watched_files(config), *watched_files(self._config)])
            fixed = standing(config)
            if renew or fixed != self._generation.standing or not self._generation.serving:
                await self._switch(document, config, fixed)
            else:
                await self._generation.adopt(document, config.server.drain_seconds)
        except ConfigError as error:
            problems = "; ".join(error.problems)
            log.error("configuration refused, the old one serves on: %s", problems)  # noqa: TRY400  # they say it all
        except Exception:
            log.exception("the configuration could not be changed, the old one serves on")
        else:
            self._document, self._config = document, config
            log.info("configuration taken over by %d workers", self._generation.count)
        self._report()

    async def _switch(self, document: Document, config: GatewayConfig, fixed: Standing) -> None:
        """Replace all workers: the old ones drain once the new ones serve, or serve on if ConfigError is raised."""
        listeners = self._listeners
        if fixed.bind != self._generation.standing.bind:
            listeners = [self._open_beside(fixed.bind)]
        generation = self._make(document, config, fixed, listeners)
        try:
            await generation.start()
        except BaseException:
            if listeners is not self._listeners:
                listeners[0].close()
            raise
        old, self._generation = self._generation, generation
        seconds = self._config.server.drain_seconds
        old.drain(seconds, SWITCH_LINGER)
        waiting = asyncio.create_task(old.gone(seconds + KILL_AFTER))
        self._retired[waiting] = old
        waiting.add_done_callback(self._retired.pop)
        if listeners is not self._listeners:
            for listener in self._listeners:
                listener.close()
            self._listeners[:] = listeners
            log.info("serving %s", listeners[0].url(tls=fixed.tls is not None))

    def _make(
        self, document: Document, config: GatewayConfig, fixed: Standing, listeners: Sequence[Listener]
    ) -> Generation:
        return Generation(
            document, fixed, tuple(listeners), worker_count(config.server.workers), self._slots, self._command
        )

    def _open_beside(self, bind: str) -> Listener:
        try:
            return open_listener(bind)
        except ConfigError as error:
            own = self._generation.standing.bind
            if own.rpartition(":")[2] != bind.rpartition(":")[2]:
                raise
            problem = f"{error.problems[0]} (this gateway itself listens on {own}: to change to {bind}, restart it)"
            raise ConfigError([problem]) from None

    def _report(self) -> None:
        """Tell the operator what the workers warn of, and the service manager that we serve."""
        for warning in self._generation.warnings:
            log.warning("%s", warning)
        notify("READY=1", f"STATUS=serving with {self._generation.count} workers")

    async def _shut_down(self) -> int:
        notify("STOPPING=1")
        for listener in self._listeners:
            listener.close()
        seconds = self._config.server.drain_seconds
        generations = [self._generation, *self._retired.values()]
        for generation in generations:
            generation.drain(seconds, STOP_LINGER)
        ending = asyncio.create_task(_all_gone(generations, seconds + KILL_AFTER))
        hurry = asyncio.create_task(self._hurrying.wait())
        await asyncio.wait({ending, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if ending.done():
            return 0
        ending.cancel()
        for generation in generations:
            generation.end()
        await _all_gone(generations, END_WITHIN)
        return ENDED_BY_SIGNAL


async def _all_gone(generations: Sequence[Generation], seconds: float) -> None:
    """Wait for the last worker's end; those that live after ``seconds`` are killed."""
    await asyncio.gather(*(generation.gone(seconds) for generation in generations))


def _say(*lines: str) -> None:
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
