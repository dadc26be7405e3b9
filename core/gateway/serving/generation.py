"""A generation: the workers that serve under one set of ``[server]`` settings, kept at their number."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from gateway.errors import ConfigError
from gateway.serving.control import Abort, Start
from gateway.serving.document import Document, Standing
from gateway.serving.process import COMMAND, Worker
from gateway.serving.sockets import Listener

log = logging.getLogger("gateway.serving")

HEALTHY_AFTER = 10.0  # seconds of service after which a worker's death is no longer part of a series
KILL_AFTER = 10.0  # seconds beyond the drain limit: time for the last error events and for plugins to flush
END_WITHIN = 2.0  # seconds that workers have when they are told to end at once
SWITCH_LINGER = 5.0  # seconds that an idle connection may still bring a call to a worker that is being replaced

_numbers = itertools.count(1)


class Slots:
    """Numbers for workers: the lowest that no living worker has, so that what is kept for each number stays bounded."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self) -> int:
        """Take the lowest free number."""
        slot = next(number for number in itertools.count() if number not in self._taken)
        self._taken.add(slot)
        return slot

    def free(self, slot: int) -> None:
        """Give a number back."""
        self._taken.discard(slot)


class Generation:
    """``count`` workers on shared listening sockets. ``document`` is what a worker started now is given."""

    def __init__(
        self,
        document: Document,
        standing: Standing,
        listeners: Sequence[Listener],
        count: int,
        slots: Slots,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.document = document
        self.standing = standing
        self.listeners = listeners
        self.count = count
        self._slots = slots
        self._command = command
        self._living: set[Worker] = set()
        self._leaving = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def serving(self) -> list[Worker]:
        """The workers that take new connections."""
        return [worker for worker in self._living if worker.serving and not worker.departing.is_set()]

    @property
    def warnings(self) -> list[str]:
        """What the workers had to say about their configuration, once each."""
        return list(dict.fromkeys(text for worker in self._living for text in worker.warnings))

    async def start(self) -> None:
        """Start all workers and let them serve once all are built; if one fails, end them and raise ConfigError."""
        try:
            workers = [await self._spawn() for _ in range(self.count)]
            problems = _distinct(await asyncio.gather(*(worker.ready() for worker in workers)))
            if problems:
                raise ConfigError(problems)
        except BaseException:
            self._leaving.set()
            for worker in self._living:
                worker.kill()
            await self._all_gone()
            raise
        for worker in workers:
            worker.serve()
            self._keep(self._tend(worker))

    async def adopt(self, document: Document, drain_seconds: float) -> None:
        """Change the configuration of all workers, or of none: raises ConfigError with the problems of any."""
        number = next(_numbers)
        workers = self.serving
        try:
            problems = _distinct(await asyncio.gather(*(worker.prepare(number, document) for worker in workers)))
            if problems:
                raise ConfigError(problems)
        except BaseException:
            for worker in workers:
                worker.send(Abort(number))
            raise
        self.document = document
        for worker, complaints in zip(
            workers, await asyncio.gather(*(worker.commit(number, document) for worker in workers)), strict=True
        ):
            if complaints:
                log.error("%s could not change its configuration and is replaced: %s", worker, "; ".join(complaints))
        # Those that could not, and those that began to serve meanwhile: their successors are given the new document.
        for worker in self.serving:
            if worker.document is not document:
                worker.drain(drain_seconds, SWITCH_LINGER)

    def drain(self, seconds: float, linger: float) -> None:
        """Have the workers end after their open calls, at the latest in ``seconds``; none is replaced any more."""
        self._leaving.set()
        for worker in self._living:
            worker.drain(seconds, linger)

    def end(self) -> None:
        """Have the workers end their open calls with an error and exit."""
        self._leaving.set()
        for worker in self._living:
            worker.end()

    async def gone(self, seconds: float) -> None:
        """Wait until no worker lives; those that do after ``seconds`` are killed."""
        try:
            async with asyncio.timeout(seconds):
                await self._all_gone()
        except TimeoutError:
            for worker in self._living:
                log.error("%s did not end in time and is killed", worker)  # noqa: TRY400  # the cause is known
                worker.kill()
            await self._all_gone()

    async def _all_gone(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _spawn(self) -> Worker:
        slot = self._slots.take()
        descriptors = [listener.sock.fileno() for listener in self.listeners]
        try:
            worker = await Worker.spawn(self._command, Start(slot, self.count, descriptors, self.document))
        except BaseException:
            self._slots.free(slot)
            raise
        self._living.add(worker)
        self._keep(self._see_off(worker))
        if self._leaving.is_set():
            worker.kill()
        return worker

    async def _see_off(self, worker: Worker) -> None:
        await worker.wait()
        self._living.discard(worker)
        self._slots.free(worker.slot)

    async def _tend(self, worker: Worker) -> None:
        """Keep one place filled: when its worker dies or drains, start another."""
        failures = 0
        while True:
            await worker.departing.wait()
            if worker.gone and not self._leaving.is_set():
                failures = 1 if time.monotonic() - worker.spawned > HEALTHY_AFTER else failures + 1
                delay = restart_delay(failures)
                log.error("%s ended by %s; a new one starts %s", worker, await worker.wait(), _when(delay))
                await self._pause(delay)
            if self._leaving.is_set():
                return
            try:
                worker = await self._spawn()
            except OSError as error:
                failures += 1
                log.error("no worker can be started: %s", error)  # noqa: TRY400  # the cause is known
                await self._pause(restart_delay(failures + 1))
                continue
            problems = await worker.ready()
            while not problems and worker.document is not self.document:
                problems = await worker.adopt(next(_numbers), self.document)
            if self._leaving.is_set():
                worker.kill()
            elif problems:
                log.error("%s cannot serve: %s", worker, "; ".join(problems))
                worker.kill()
            else:
                worker.serve()
                log.info("%s serves", worker)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), seconds)

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def restart_delay(failures: int) -> float:
    """Seconds before the successor of the ``failures``-th death in a series: 0, 0.5, 1, 2, 4, … 30."""
    return 0.0 if failures <= 1 else min(30.0, 0.5 * 2.0 ** min(failures - 2, 10))


def _when(delay: float) -> str:
    return f"in {delay:g} s" if delay else "now"


def _distinct(answers: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(text for answer in answers for text in answer))
