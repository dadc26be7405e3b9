"""A bounded queue and one thread that writes what is in it, in batches: how a log keeps its I/O off the event loop."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

REPORT_SECONDS = 10.0
"""How often, at most, a trouble that lasts is told again."""
RETRY_SECONDS = 0.5
"""The pause before a batch that could not be written is tried again."""


class Reporter:
    """Says a thing at once, and says it again no sooner than ``REPORT_SECONDS`` later."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._next = 0.0

    def warn(self, message: str, *arguments: object) -> bool:
        """Log a warning, unless one was logged a moment ago; whether it was logged."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + REPORT_SECONDS
        self._log.warning(message, *arguments)
        return True


class BatchThread(Generic[T]):
    """Hands queued items to ``write`` in order, on a thread of its own.

    ``write`` returns whether it is done with the batch; if not, it gets the same batch again after a pause, while new
    items wait. With ``tick`` seconds set it is also called without items when nothing came for that long. An item that
    finds ``capacity`` others in front of it is dropped and counted; the count goes to the log.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[T]], bool],
        *,
        capacity: int,
        batch: int = 300,
        linger: float = 0.05,
        tick: float | None = None,
    ) -> None:
        """``linger`` is how many seconds a first item waits for company; ``batch`` items do not wait."""
        self.dropped = 0
        self.lost = 0
        self._write = write
        self._capacity = capacity
        self._batch = batch
        self._linger = linger
        self._tick = tick
        self._queue: deque[T] = deque()
        self._in_hand = 0
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._stopping = threading.Event()
        self._give_up_at = float("inf")
        self._log = logging.getLogger(f"gateway.{name}")
        self._reporter = Reporter(self._log)
        self._reported = 0
        self._name = name
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """How many items are not yet written."""
        return len(self._queue) + self._in_hand

    def put(self, item: T, *, force: bool = False) -> bool:
        """Queue an item; False if the queue is full and ``force`` is not set. Never waits."""
        if len(self) >= self._capacity and not force:
            self.dropped += 1
            return False
        self._queue.append(item)
        if not self._wake.is_set():
            self._wake.set()
        elif len(self._queue) >= self._batch and not self._hurry.is_set():
            self._hurry.set()
        return True

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name=f"gateway-{self._name}", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Write what is queued and end; what cannot be written within ``timeout`` seconds is lost, and counted.

        It blocks, so a coroutine calls it in a thread.
        """
        if self._thread is None:
            return
        self._give_up_at = time.monotonic() + timeout
        self._stopping.set()
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout + 1)
        self._thread = None

    def _run(self) -> None:
        while True:
            unreported = self.dropped != self._reported
            woken = self._wake.wait(REPORT_SECONDS if unreported and self._tick is None else self._tick)
            if woken and len(self._queue) < self._batch:
                self._hurry.wait(self._linger)
            self._wake.clear()
            # Read behind the clearing: a stop that comes later sets the event again.
            stopping = self._stopping.is_set()
            if not stopping:
                self._hurry.clear()
            if not woken and self._tick is not None:
                self._attempt([])
            while self._queue:
                self._write_one(min(len(self._queue), self._batch))
            self._report(last=stopping)
            if stopping:
                return

    def _write_one(self, count: int) -> None:
        self._in_hand = count
        items = [self._queue.popleft() for _ in range(count)]
        while not self._attempt(items):
            if time.monotonic() >= self._give_up_at:
                self.lost += len(items) + len(self._queue)
                self._queue.clear()
                break
            self._report()
            if self._stopping.wait(RETRY_SECONDS):
                time.sleep(0.05)
        self._in_hand = 0

    def _attempt(self, items: Sequence[T]) -> bool:
        try:
            return self._write(items)
        except Exception:  # noqa: BLE001  # a plugin's write may fail in any way; it is logged
            # A defect: the same items would fail again, and the thread must live for those behind them.
            self._log.exception("%d entries could not be written and are lost", len(items))
            self.lost += len(items)
            return True

    def _report(self, *, last: bool = False) -> None:
        dropped = self.dropped
        message, *arguments = (
            "%d entries were dropped since the start: the queue of %d was full",
            dropped,
            self._capacity,
        )
        if last:
            if dropped != self._reported:
                self._log.warning(message, *arguments)
            if self.lost:
                self._log.error("%d entries are lost: they could not be written", self.lost)
        elif dropped != self._reported and self._reporter.warn(message, *arguments):
            self._reported = dropped
