"""One line for each call, to a file or standard output."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import msgspec

from gateway import Call, Plugin, PluginConfig, PluginContext, hookimpl
from gateway.errors import ConfigError
from gateway.plugin import Stage
from gateway_plugins.logs.access_record import AccessRecord, json_line, record_of, text_line
from gateway_plugins.logs.batch_thread import BatchThread, Reporter
from gateway_plugins.logs.line_file import LineFile

log = logging.getLogger("gateway.access_log")

STOP_SECONDS = 1.0
"""How long a stop waits for a disk or pipe that takes nothing: the lines are then lost, and counted."""


class AccessLogConfig(PluginConfig, frozen=True, kw_only=True):
    """``[plugins.access_log]``. ``path`` is a file, or ``-`` for standard output.

    ``queue_lines`` is how many lines may wait for a slow disk; more are dropped, and their number is reported.
    """

    path: Annotated[str, msgspec.Meta(min_length=1)] = "-"
    format: Literal["json", "text"] = "json"
    queue_lines: Annotated[int, msgspec.Meta(ge=1)] = 10_000


class AccessLog(Plugin):
    """Writes a line when a call has ended, whatever its end."""

    stage: ClassVar[Stage] = "observe"
    Config = AccessLogConfig

    def __init__(self, config: AccessLogConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self._file = LineFile(None if config.path == "-" else context.folder / config.path)
        self._line = json_line if config.format == "json" else text_line
        self._pending = b""
        self._reporter = Reporter(log)
        self._thread: BatchThread[AccessRecord] = BatchThread(
            context.name, self._write, capacity=config.queue_lines, batch=1000
        )

    @property
    def dropped(self) -> int:
        """How many lines found the queue full."""
        return self._thread.dropped

    @hookimpl
    async def startup(self) -> None:
        try:
            self._file.open()
        except OSError as error:
            raise ConfigError(
                [f"[plugins.{self.name}] path: cannot open {self._file.path}: {error.strerror}"]
            ) from None
        self._thread.start()

    @hookimpl
    async def shutdown(self) -> None:
        await asyncio.to_thread(self._thread.stop, STOP_SECONDS)
        self._file.close()

    @hookimpl
    def on_complete(self, call: Call) -> None:
        if call.copy_of is None:  # nobody asked for a copy
            self._thread.put(record_of(call))

    def _write(self, records: Sequence[AccessRecord]) -> bool:
        """Write a batch on the writer's thread; False keeps what is left of it for another try."""
        if not self._pending:
            self._pending = b"".join(map(self._line, records))
        try:
            while self._pending:
                self._pending = self._file.write(self._pending)
        except OSError as error:
            self._reporter.warn("cannot write to %s: %s", self._file.path or "standard output", error.strerror)
            return False
        return True
