"""A place at a target for each call: at most so many at a time, and a bounded queue for the others."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

from gateway.errors import Unavailable
from gateway.resilience.concurrency import Turnstile


class Slot:
    """One call's place at a target: ``async with`` waits for it, and gives it back however the call ends.

    Raises Unavailable where the queue is full, or the place would come too late for the deadline.
    """

    __slots__ = ("_deadline", "_entered", "_gate", "_target")

    def __init__(self, gate: Gate, target: str, deadline: float | None) -> None:
        self._gate = gate
        self._target = target
        self._deadline = deadline
        self._entered = 0.0

    async def __aenter__(self) -> None:
        await self._gate.enter(self._target, self._deadline)
        self._entered = time.monotonic()

    def release(self) -> None:
        """Give the place back; safe to call twice, and without having had one."""
        entered, self._entered = self._entered, 0.0
        if entered:
            self._gate.leave(time.monotonic() - entered)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class NoSlot:
    """A place at a target without a limit."""

    __slots__ = ()

    async def __aenter__(self) -> None:
        return

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    def release(self) -> None:
        """As Slot."""


NO_SLOT = NoSlot()


class Gate:
    """A target's turnstile, with the calls that wait at it."""

    __slots__ = ("_next", "_waiters", "turnstile")

    def __init__(self, limit: int, queue: int) -> None:
        self.turnstile = Turnstile(limit, queue)
        self._waiters: dict[int, asyncio.Future[None]] = {}
        self._next = 0

    async def enter(self, target: str, deadline: float | None) -> None:
        """Wait for a place; ``deadline`` is on the clock of ``time.monotonic``."""
        self._next += 1
        ticket, now = self._next, time.monotonic()
        word = self.turnstile.enter(ticket, now, deadline)
        if word == "go":
            return
        if word != "wait":
            raise self._refusal(target, word)
        waiter = self._waiters[ticket] = asyncio.get_running_loop().create_future()
        end = self.turnstile.waiting[ticket]
        try:
            async with asyncio.timeout(end - now):
                await waiter
        except BaseException as error:
            # A place may have been given in the very moment in which the call stopped waiting: it goes on to the next.
            if not self.turnstile.give_up(ticket) and waiter.done() and not waiter.cancelled():
                self._wake(self.turnstile.leave(time.monotonic()))
            if isinstance(error, TimeoutError):
                raise self._refusal(target, "late") from None
            raise
        finally:
            del self._waiters[ticket]

    def leave(self, held: float) -> None:
        """Give a place back after ``held`` seconds."""
        self._wake(self.turnstile.leave(time.monotonic(), held))

    def resize(self, limit: int, queue: int) -> None:
        """Take other settings on."""
        self._wake(self.turnstile.resize(limit, queue, time.monotonic()))

    def _wake(self, tickets: list[int]) -> None:
        for ticket in tickets:
            waiter = self._waiters.get(ticket)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
            else:
                self._wake(self.turnstile.leave(time.monotonic()))  # it was cancelled, and has yet to run

    def _refusal(self, target: str, word: str) -> Unavailable:
        seconds = max(self.turnstile.expected_wait(), 1.0)
        if word == "full":
            text = f"{target} has as many calls as it may, and {len(self.turnstile.waiting)} wait already."
        else:
            text = f"{target} has as many calls as it may, and a place would come too late."
        return Unavailable(text, code="target_busy", retry_after=seconds)
