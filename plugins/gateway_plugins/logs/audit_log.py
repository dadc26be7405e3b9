"""A row for each call in an SQLite file: who asked for what, who answered, how it went and what it used."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, ClassVar, Literal

import msgspec

from gateway import Call, Plugin, PluginConfig, PluginContext, Reply, Unavailable, hookimpl
from gateway.errors import ConfigError
from gateway.logged import LoggedCall
from gateway.plugin import Stage
from gateway_plugins.logs.audit_commands import add_commands
from gateway_plugins.logs.audit_reader import Filters, open_reader
from gateway_plugins.logs.audit_rows import AuditRow, Payload, row_of
from gateway_plugins.logs.audit_store import AuditStore, WrongFile
from gateway_plugins.logs.batch_thread import BatchThread, Reporter

log = logging.getLogger("gateway.audit_log")

ROWS_PER_TRANSACTION = 300
PRUNED_AT_ONCE = 500
PRUNE_STEPS = 4
"""Old calls go in short transactions, a few between two batches, so that no other worker waits long."""
PRUNE_SECONDS = 600.0
TICK_SECONDS = 1.0
QUEUED_PAYLOAD_BYTES = 64 * 1024 * 1024
"""How many bytes of bodies may wait for the disk; beyond it rows are kept without theirs."""

_Positive = Annotated[int, msgspec.Meta(ge=1)]


class AuditLogConfig(PluginConfig, frozen=True, kw_only=True):
    """``[plugins.audit_log]``.

    ``payloads`` keeps bodies too, up to ``max_payload_bytes`` of each. ``keep_days`` deletes older calls; without it
    all are kept. A finished call is in the file within ``flush_seconds``. ``queue_rows`` is how many rows may wait for
    the disk, and ``overflow`` what happens to calls beyond: they are served and their rows dropped, or refused.
    """

    path: Annotated[str, msgspec.Meta(min_length=1)] = "audit.sqlite"
    payloads: bool = False
    max_payload_bytes: _Positive = 64 * 1024
    keep_days: Annotated[float, msgspec.Meta(gt=0)] | None = None
    flush_seconds: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.05
    queue_rows: _Positive = 10_000
    overflow: Literal["drop", "refuse"] = "drop"


class AuditLog(Plugin):
    """Keeps the books. A disk that is full or a file that is locked does not stop the calls, unless told to."""

    stage: ClassVar[Stage] = "observe"
    Config = AuditLogConfig

    def __init__(self, config: AuditLogConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self.path = context.folder / config.path
        self._store = AuditStore(self.path)
        self._reporter = Reporter(log)
        self._admitted = 0
        self._queued_bytes = 0
        self._written_bytes = 0
        self._told_unwritable = 0
        self._next_prune = 0.0
        self._thread: BatchThread[AuditRow] = BatchThread(
            context.name,
            self._write,
            capacity=config.queue_rows,
            batch=ROWS_PER_TRANSACTION,
            linger=config.flush_seconds,
            tick=TICK_SECONDS if config.keep_days is not None else None,
        )

    def warnings(self) -> list[str]:
        if self.config.payloads and self.config.keep_days is None:
            return ["payloads are kept for ever: set keep_days"]
        return []

    @property
    def dropped(self) -> int:
        """How many rows found the queue full."""
        return self._thread.dropped

    @hookimpl
    async def startup(self) -> None:
        try:
            await asyncio.to_thread(self._store.open)
        except (OSError, sqlite3.Error, WrongFile) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError([f"[plugins.{self.name}] path: cannot use {self.path}: {reason}"]) from None
        self._thread.start()

    @hookimpl
    async def shutdown(self) -> None:
        await asyncio.to_thread(self._thread.stop)
        await asyncio.to_thread(self._store.close)

    @hookimpl
    def register_commands(self, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        word = "logs" if "logs" not in commands.choices else self.name
        add_commands(commands, word, self.path)

    def logged(self, count: int, *, since: float | None = None, model: str | None = None) -> list[LoggedCall]:
        """The last calls that were routed, to be replayed; raises ConfigError where the file cannot be read."""
        try:
            with open_reader(self.path) as reader:
                return list(reader.routed(Filters(since=since, model=model), count))
        except FileNotFoundError:
            return []
        except (sqlite3.Error, WrongFile) as error:
            raise ConfigError([f"[plugins.{self.name}] path: cannot read {self.path}: {error}"]) from None

    @hookimpl
    async def on_request(self, call: Call) -> None:
        if self.config.overflow != "refuse":
            return
        # A call that is let in has its place in the queue, however many others end before it.
        if len(self._thread) + self._admitted >= self.config.queue_rows:
            raise Unavailable(
                "The audit log cannot take more calls at the moment. Try again soon.",
                code="audit_log_full",
                retry_after=1.0,
            )
        self._admitted += 1
        self._state(call).admitted = True

    @hookimpl
    async def on_response(self, call: Call, reply: Reply) -> None:
        if self.config.payloads and reply.stream is not None:
            reply.stream = self._state(call).capture = _Capture(reply.stream, self.config.max_payload_bytes)

    @hookimpl
    def on_complete(self, call: Call, reply: Reply | None) -> None:
        state: _State | None = call.state.get(self.name)
        if state is None:
            state = self._state(call)
        elif state.done:
            return
        state.done = True
        if state.admitted:
            self._admitted -= 1
        request = answer = None
        if self.config.payloads and self._queued_bytes - self._written_bytes < QUEUED_PAYLOAD_BYTES:
            most = self.config.max_payload_bytes
            request = Payload(call.body[:most], len(call.body)) if call.body else None
            answer = state.capture.payload() if state.capture is not None else None
            if answer is None and reply is not None and reply.body:
                answer = Payload(reply.body[:most], len(reply.body))
        row = row_of(call, reply, request, answer)
        if self._thread.put(row, force=state.admitted):
            self._queued_bytes += row.weight

    def _state(self, call: Call) -> _State:
        state: _State = call.state.setdefault(self.name, _State())
        return state

    def _write(self, rows: Sequence[AuditRow]) -> bool:
        """Write a batch on the writer's thread; False keeps it for another try."""
        weight = sum(row.weight for row in rows)
        try:
            if rows:
                self._store.write(rows)
        except (OSError, sqlite3.Error, WrongFile) as error:
            self._store.close()
            self._reporter.warn("cannot write to %s: %s; %d rows wait", self.path, error, len(self._thread))
            return False
        except BaseException:
            self._written_bytes += weight
            raise
        self._written_bytes += weight
        if self._store.unwritable != self._told_unwritable and self._reporter.warn(
            "%d rows since the start held what SQLite cannot keep, and are lost", self._store.unwritable
        ):
            self._told_unwritable = self._store.unwritable
        if self._store.moved():
            self._reporter.warn("%s was moved or deleted while in use: restart to begin a new file", self.path)
        self._prune()
        return True

    def _prune(self) -> None:
        if self.config.keep_days is None or time.monotonic() < self._next_prune:
            return
        before = time.time() - self.config.keep_days * 86_400
        try:
            for _ in range(PRUNE_STEPS):
                if self._store.prune(round(before * 1_000_000), PRUNED_AT_ONCE) < PRUNED_AT_ONCE:
                    break
            else:
                return
        except (OSError, sqlite3.Error, WrongFile) as error:
            self._reporter.warn("cannot delete old calls in %s: %s", self.path, error)
        self._next_prune = time.monotonic() + PRUNE_SECONDS


class _State:
    """What the plugin knows of a call until it ends."""

    __slots__ = ("admitted", "capture", "done")

    def __init__(self) -> None:
        self.admitted = False
        self.done = False
        self.capture: _Capture | None = None


class _Capture:
    """Passes a stream on and keeps its first ``most`` bytes."""

    __slots__ = ("_chunks", "_kept", "_most", "_size", "_stream")

    def __init__(self, stream: AsyncIterator[bytes], most: int) -> None:
        self._stream = stream
        self._most = most
        self._chunks: list[bytes] = []
        self._kept = 0
        self._size = 0

    def __aiter__(self) -> _Capture:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._stream)
        self._size += len(chunk)
        if self._kept < self._most:
            piece = chunk[: self._most - self._kept]
            self._chunks.append(piece)
            self._kept += len(piece)
        return chunk

    def payload(self) -> Payload | None:
        """What was kept; None where nothing came."""
        return Payload(b"".join(self._chunks), self._size) if self._size else None
