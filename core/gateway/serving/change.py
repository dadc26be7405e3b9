"""A worker's part in a change of the configuration: prepare, then commit or give up, as the parent says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.errors import ConfigError
from gateway.serving.control import Channel, Committed, Prepared

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.config import GatewayConfig
    from gateway.serving.document import Document
    from gateway.state import Gateway

log = logging.getLogger("gateway.serving")

CANCEL_SECONDS = 1.0  # for a plugin to stop starting


class Change:
    """At most one change at a time. ``read`` makes a configuration of a document."""

    def __init__(self, app: App, channel: Channel, read: Callable[[Document], GatewayConfig]) -> None:
        self._app = app
        self._channel = channel
        self._read = read
        self._prepared: tuple[int, Gateway] | None = None
        self._task: asyncio.Task[None] | None = None

    def prepare(self, number: int, document: Document) -> None:
        """Build and start a configuration beside the one that serves, and say Prepared."""
        self._task = asyncio.create_task(self._prepare(number, document))

    def commit(self, number: int) -> None:
        """Swap in what was prepared, and say Committed."""
        self._task = asyncio.create_task(self._commit(number))

    async def give_up(self) -> None:
        """Discard what is prepared, or is being prepared."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_SECONDS)
        if self._prepared is not None:
            gateway, self._prepared = self._prepared[1], None
            await self._app.discard(gateway)

    async def _prepare(self, number: int, document: Document) -> None:
        try:
            gateway = await self._app.prepare(self._read(document))
        except Exception as error:  # noqa: BLE001  # logged, and told to the parent
            self._channel.send(Prepared(number, problems_of(error, "the configuration cannot be used"), []))
            return
        self._prepared = number, gateway
        self._channel.send(Prepared(number, [], list(gateway.warnings)))

    async def _commit(self, number: int) -> None:
        problems: list[str] = []
        if self._prepared is None or self._prepared[0] != number:
            problems = ["nothing of this number is prepared"]
        else:
            gateway, self._prepared = self._prepared[1], None
            try:
                await self._app.commit(gateway)
            except Exception as error:  # noqa: BLE001  # logged, and told to the parent
                problems = problems_of(error, "the change failed")
        self._channel.send(Committed(number, problems))


def problems_of(error: Exception, what: str) -> list[str]:
    """The lines for the operator; an error that is not the configuration's own is logged with its traceback."""
    if isinstance(error, ConfigError):
        return error.problems
    log.error("%s", what, exc_info=error)
    return [f"{what}: {type(error).__name__}: {error}"]
