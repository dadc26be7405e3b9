"""Active health checks: a provider with ``health_check`` is asked now and then, by one worker for all."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from typing import TYPE_CHECKING

from gateway.call import Call
from gateway.errors import GatewayError
from gateway.loading import load_format
from gateway.settings import Timeouts
from gateway.upstream import UpstreamRequest
from gateway.version import __version__

if TYPE_CHECKING:
    from gateway.health_settings import HealthCheck
    from gateway.provider import Provider
    from gateway.state import Gateway

log = logging.getLogger("gateway")

MISSED = 3.0
"""A bad word holds for so many intervals: if nobody checks any more, calls try for themselves."""


class HealthChecks:
    """One task for each provider that wants it. The worker that holds the store's lease asks; all hear of it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._tasks: list[asyncio.Task[None]] = []
        self._owner = os.getpid()

    def start(self) -> None:
        """Begin; needs a running loop."""
        for provider in self._gateway.providers.values():
            check: HealthCheck | None = getattr(provider.config, "health_check", None)
            if check is not None and provider.connects:
                self._tasks.append(asyncio.create_task(self._watch(provider, check)))

    async def stop(self) -> None:
        """End, and wait for the end."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, provider: Provider, check: HealthCheck) -> None:
        health, failures = self._gateway.health, 0
        # Not all at the same moment, and soon after the start.
        await asyncio.sleep(random.uniform(0.0, min(1.0, check.every)))  # noqa: S311  # a spread, not a secret
        while True:
            now = health.now()
            # The lease outlives the pause, so that as long as it asks the same worker goes on.
            if health.lease(f"check/{provider.name}", self._owner, now, 1.5 * check.every + check.timeout):
                problem = await self._ask(provider, check)
                failures = 0 if problem is None else failures + 1
                if problem is None or failures >= check.failures:
                    until = health.now() + MISSED * check.every + check.timeout
                    health.checked(provider.name, problem is None, until, f"the health check failed: {problem}")
                if failures == check.failures:
                    log.warning("%s: the health check failed %d times: %s", provider.name, failures, problem)
            await asyncio.sleep(check.every)

    async def _ask(self, provider: Provider, check: HealthCheck) -> str | None:
        """What is wrong with it, or None. Any answer but a 5xx shows it alive: a refusal is no fault of its health."""
        gateway = self._gateway
        call = Call(
            gateway=gateway,
            dialect=gateway.dialects[0],
            format=load_format(gateway.dialects[0].endpoints[0].format),
            id="health-check",
            method="GET",
            headers={},
        )
        try:
            headers = [("accept-encoding", "identity"), ("user-agent", f"gateway/{__version__}")]
            headers += provider.credentials(call)
            own = {name.lower(): value.value for name, value in provider.config.headers.items()}
            headers = [pair for pair in headers if pair[0] not in own] + list(own.items())
            request = UpstreamRequest(path=check.path, headers=headers, method="GET")
            limits = Timeouts(connect=check.timeout, first_token=check.timeout, idle=check.timeout, total=check.timeout)
            answer = await provider.send(call, request, limits)
            try:
                await answer.read()
            finally:
                answer.close()
        except GatewayError as error:
            return error.message
        except Exception as error:  # noqa: BLE001  # a provider of somebody's own; the watch goes on
            return type(error).__name__
        return f"status {answer.status}" if answer.status >= 500 else None
