"""A worker process as its parent sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence

from gateway.serving.control import (
    Channel,
    Commit,
    Committed,
    Drain,
    End,
    Failed,
    Leaving,
    Prepare,
    Prepared,
    Ready,
    Serve,
    Start,
    ToWorker,
)
from gateway.serving.document import Document
from gateway.serving.notify import VARIABLE as NOTIFY_SOCKET

log = logging.getLogger("gateway.serving")

# -P: the current folder is not on the path, so that a file in it cannot stand in for a module of ours.
COMMAND = (sys.executable, "-P", "-m", "gateway.serving.worker")
START_TIMEOUT = 120.0
ANSWER_TIMEOUT = 60.0

# Blocked while a worker starts, until it has decided what they mean: Ctrl-C reaches the whole process group.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


class Worker:
    """One worker process, from its start to its exit."""

    def __init__(self, slot: int, document: Document, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.slot = slot
        self.document = document
        self.spawned = time.monotonic()
        self.serving = False
        self.gone = False
        self.departing = asyncio.Event()
        """Set when it needs a successor: it is gone, or drains."""
        self.warnings: list[str] = []
        self._process = process
        self._channel = channel
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[list[str]] = loop.create_future()
        self._answers: dict[int, asyncio.Future[list[str]]] = {}
        self._life = asyncio.create_task(self._live())

    @classmethod
    async def spawn(cls, command: Sequence[str], start: Start) -> Worker:
        """Start a process and tell it what to build."""
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as failing, theirs:
            failing.callback(ours.close)
            environment = {name: value for name, value in os.environ.items() if name != NOTIFY_SOCKET}
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    f"--control={theirs.fileno()}",
                    f"--slot={start.slot}",
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), *start.listeners),
                    env=environment,
                )
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            worker = cls(start.slot, start.document, process, await Channel.over(ours))
            failing.pop_all()
        worker.send(start)
        return worker

    def __str__(self) -> str:
        return f"worker {self.slot} (pid {self._process.pid})"

    def send(self, message: ToWorker) -> None:
        """Tell it something."""
        self._channel.send(message)

    def serve(self) -> None:
        """Let it accept connections."""
        self.serving = True
        self.send(Serve())

    def drain(self, seconds: float, linger: float) -> None:
        """Have it end after its open calls; one that does not serve yet is killed, for it has none."""
        self.departing.set()
        if self.serving:
            self.send(Drain(seconds, linger))
        else:
            self.kill()

    def end(self) -> None:
        """Have it end its open calls and exit."""
        self.departing.set()
        self.send(End())

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            self._process.kill()

    async def ready(self) -> list[str]:
        """Wait until it is built; returns the problems, or an empty list."""
        return await self._answer(self._ready, START_TIMEOUT, "was not ready")

    async def prepare(self, number: int, document: Document) -> list[str]:
        """Have it build another configuration; returns the problems, or an empty list."""
        return await self._ask(Prepare(number, document))

    async def commit(self, number: int, document: Document) -> list[str]:
        """Have it swap in what it prepared; returns the problems, or an empty list."""
        problems = await self._ask(Commit(number))
        if not problems:
            self.document = document
        return problems

    async def adopt(self, number: int, document: Document) -> list[str]:
        """Prepare and commit in one."""
        return await self.prepare(number, document) or await self.commit(number, document)

    async def wait(self) -> str:
        """Wait for its exit; returns the cause in words."""
        await asyncio.shield(self._life)
        return cause(self._process.returncode)

    async def _ask(self, message: Prepare | Commit) -> list[str]:
        answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._answers[message.number] = answer
        self.send(message)
        if self.gone:
            return [f"{self} is gone"]
        try:
            return await self._answer(answer, ANSWER_TIMEOUT, "did not answer")
        finally:
            del self._answers[message.number]

    async def _answer(self, answer: asyncio.Future[list[str]], seconds: float, what: str) -> list[str]:
        try:
            return await asyncio.wait_for(asyncio.shield(answer), seconds)
        except TimeoutError:
            return [f"{self} {what} within {seconds:g} s"]

    async def _live(self) -> None:
        """Listen to it until it is gone."""
        reading = asyncio.create_task(self._listen())
        await self._process.wait()
        # Its last words may still be on their way; a child that it forked may hold the channel open for ever.
        await asyncio.wait({reading}, timeout=1.0)
        reading.cancel()
        self._channel.close()
        self.gone = True
        problems = [f"{self} ended by {cause(self._process.returncode)}"]
        for answer in (self._ready, *self._answers.values()):
            _resolve(answer, problems)
        self.departing.set()

    async def _listen(self) -> None:
        try:
            while (message := await self._channel.from_worker()) is not None:
                self._take(message)
        except Exception:
            log.exception("%s said something unreadable and is ended", self)
            self.kill()

    def _take(self, message: Ready | Failed | Prepared | Committed | Leaving) -> None:
        match message:
            case Ready(warnings):
                self.warnings = warnings
                _resolve(self._ready, [])
            case Failed(problems):
                _resolve(self._ready, problems)
            case Prepared(number, problems, warnings):
                self.warnings = warnings
                _resolve(self._answers.get(number), problems)
            case Committed(number, problems):
                _resolve(self._answers.get(number), problems)
            case Leaving():
                if not self.departing.is_set():
                    log.info("%s was told to end from outside and drains", self)
                self.departing.set()


def cause(code: int | None) -> str:
    """An exit status in words: ``signal 9 (SIGKILL)`` or ``exit code 1``."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def _resolve(answer: asyncio.Future[list[str]] | None, problems: list[str]) -> None:
    if answer is not None and not answer.done():
        answer.set_result(problems)
