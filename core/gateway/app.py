"""The ASGI application: routes of the configuration in force, health, and the swap to another configuration."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from gateway.config import GatewayConfig
from gateway.endpoint import CallEndpoint, Exchange
from gateway.errors import GatewayError, MethodNotAllowed, RouteNotFound, Unavailable
from gateway.loading import load_format
from gateway.registry import build
from gateway.response import request_id_of
from gateway.state import Gateway

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger("gateway")


class App:
    """One worker's application. ``current`` is the Gateway that new calls begin with.

    A request keeps the Gateway that it began with; one that was replaced is stopped when its last request ends.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.current = gateway
        self.draining = False
        self.exchanges: set[Exchange] = set()
        self._routes = _Routes(gateway, self.exchanges)
        self._prepared: dict[Gateway, _Routes] = {}
        self._retired: WeakSet[Gateway] = WeakSet()

    @property
    def active(self) -> int:
        """How many calls are in progress."""
        return len(self.exchanges)

    async def startup(self) -> None:
        """Start the plugins of the first Gateway; raises what the failing one raised."""
        await self.current.start()

    async def prepare(self, config: GatewayConfig) -> Gateway:
        """Build and start another Gateway beside the current one; raises ConfigError, or what a plugin raised."""
        gateway = build(config, self.current)
        routes = _Routes(gateway, self.exchanges)
        await gateway.start()
        self._prepared[gateway] = routes
        return gateway

    async def commit(self, gateway: Gateway) -> None:
        """Let new calls begin with ``gateway``; the old one is stopped when its calls are done."""
        old, self.current, self._routes = self.current, gateway, self._prepared.pop(gateway)
        old.retired = True
        self._retired.add(old)
        if old.calls == 0:
            await old.stop()

    async def discard(self, gateway: Gateway) -> None:
        """Stop a Gateway that was prepared and is not wanted."""
        del self._prepared[gateway]
        await gateway.stop()

    def begin_drain(self) -> None:
        """Say in /readyz that no more calls should come; those that come are still served."""
        self.draining = True

    def abort_calls(self) -> None:
        """End every open call now: a stream with an error event, a whole answer with 503."""
        for exchange in list(self.exchanges):
            exchange.abort(Unavailable("The gateway is shutting down and its time for open calls has passed."))

    async def wait_idle(self) -> None:
        """Wait until the calls that are open now have ended."""
        tasks = [exchange.task for exchange in self.exchanges if exchange.task is not None]
        if tasks:
            await asyncio.wait(tasks)

    async def shutdown(self) -> None:
        """Stop the plugins; call it when no call is open. Copies of calls may be, of older configurations too."""
        for gateway in (*self._retired, self.current):
            await gateway.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await _lifespan(receive, send)
            elif scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        # The pair is read at once: a swap in between cannot give a request to two configurations.
        gateway, routes = self.current, self._routes
        gateway.calls += 1
        try:
            endpoint = routes.exact.get(scope["path"])
            if endpoint is not None:
                await endpoint(scope, receive, send)
            else:
                scope["gateway.app"] = self
                await routes.starlette(scope, receive, send)
        finally:
            gateway.calls -= 1
            if gateway.retired and gateway.calls == 0:
                await gateway.stop()


class _Routes:
    """The paths of one Gateway. Exact ones are found in a table; the rest goes through Starlette's router."""

    def __init__(self, gateway: Gateway, exchanges: set[Exchange]) -> None:
        self.exact: dict[str, ASGIApp] = {}
        routes: list[BaseRoute] = [Route("/livez", _livez), Route("/readyz", _readyz), Route("/", _root)]
        for dialect in gateway.dialects:
            for endpoint in dialect.endpoints:
                app = CallEndpoint(gateway, dialect, load_format(endpoint.format), exchanges, stream=endpoint.stream)
                if "{" in endpoint.path:
                    routes.append(Route(endpoint.path, app))
                else:
                    self.exact[endpoint.path] = app
        added: list[Sequence[Any]] = gateway.manager.hook.register_routes(gateway=gateway)
        for more in reversed(added):
            routes += more
        self.starlette = Starlette(routes=routes)
        self.starlette.router.redirect_slashes = False
        self.starlette.router.default = _Nowhere(gateway)


class _Nowhere:
    """Answers for a path that nobody owns."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error: GatewayError = RouteNotFound(f"There is no {scope['path']} here.")
        await answer_error(self.gateway, error, scope, send)


async def answer_error(gateway: Gateway, error: GatewayError, scope: Scope, send: Send) -> None:
    """Send an error outside of a call, in the shape of the nearest dialect."""
    request_id = request_id_of(dict(scope["headers"]))
    body = gateway.render_error(scope["path"], error, request_id)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode("latin-1")),
        *error.response_headers(),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class _Plain:
    """A path without a key that answers GET and HEAD with a line of text."""

    def __init__(self, *, ready: bool) -> None:
        self.ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: App = scope["gateway.app"]
        if scope["method"] not in ("GET", "HEAD"):
            error = MethodNotAllowed(f"{scope['path']} takes GET.", headers=(("allow", "GET, HEAD"),))
            await answer_error(app.current, error, scope, send)
            return
        draining = self.ready and app.draining
        body = b"draining\n" if draining else b"ok\n"
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 503 if draining else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


_livez = _Plain(ready=False)
_readyz = _Plain(ready=True)
_root = _Plain(ready=False)


async def _lifespan(receive: Receive, send: Send) -> None:
    """Acknowledge the server's life-cycle messages; the worker starts and stops plugins itself."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
