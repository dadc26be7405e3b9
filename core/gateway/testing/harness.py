"""A gateway from TOML text, in this process, on a real socket: for the tests of plugins."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from gateway.app import App
from gateway.config import GatewayConfig, parse_config
from gateway.registry import build
from gateway.serving.front import open_front
from gateway.sse import SSEEvent, decode_events

T = TypeVar("T")


class Answer(msgspec.Struct, kw_only=True):
    """A whole HTTP answer; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)

    def events(self) -> list[SSEEvent]:
        """The body as server-sent events."""
        return decode_events(self.body)


class RunningGateway:
    """A gateway that answers at ``url``. ``app`` is its application, on a loop of its own thread."""

    def __init__(self, url: str, app: App, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        self.url = url
        self.app = app
        self._loop = loop
        self._folder = folder

    def post(
        self,
        path: str,
        json: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Answer:
        """POST ``json`` (or ``body`` as it is) and read the whole answer; seconds for ``timeout``."""
        data = msgspec.json.encode(json) if body is None else body
        return self.request("POST", path, data, {"content-type": "application/json", **(headers or {})}, timeout)

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """GET a path."""
        return self.request("GET", path, None, headers or {})

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float = 30.0
    ) -> Answer:
        """Any request, on a connection of its own."""
        place = urlsplit(self.url)
        assert place.hostname is not None
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            got = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(status=answer.status, headers=got, body=answer.read())
        finally:
            connection.close()

    def reload(self, toml: str) -> None:
        """Validate, build and swap in another configuration; raises ConfigError and keeps the old one if it is bad."""
        config = parse_config(toml, path=self._folder / "gateway.toml", folder=self._folder)

        async def swap() -> None:
            await self.app.commit(await self.app.prepare(config))

        self.run(swap())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the gateway's own loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


@contextmanager
def running_gateway(
    toml: str, *, folder: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[RunningGateway]:
    """Run a gateway of this TOML until the block ends. ``env`` is set while the configuration is read.

    Raises ConfigError, or what a plugin's startup raised. ``folder`` is what relative paths are relative to.
    """
    place = folder or Path.cwd()
    with _environment(env or {}):
        config = parse_config(toml, path=place / "gateway.toml", folder=place)
        app = App(build(config))
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = _Server(app, config, listener)
    server.start()
    try:
        host, port = listener.getsockname()[:2]
        yield RunningGateway(f"http://{host}:{port}", app, server.loop, place)
    finally:
        server.stop()


class _Server:
    def __init__(self, app: App, config: GatewayConfig, listener: socket.socket) -> None:
        self.app = app
        self.config = config
        self.listener = listener
        self.loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="gateway-under-test", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(30)
        if self._failure is not None:
            self._thread.join(10)
            raise self._failure

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the gateway under test did not stop within 30 s"

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._serve())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        except BaseException as error:  # noqa: BLE001  # handed to the thread that started us
            self._failure = error
        finally:
            self._ready.set()
            self.loop.close()
            self.listener.close()

    async def _serve(self) -> None:
        await self.app.startup()
        try:
            front = open_front(self.app, self.config.server, None)
            await front.listen([self.listener])
            self._ready.set()
            await self._stop.wait()
            front.stop_listening()
            await front.close_idle()
            self.app.abort_calls()
            await self.app.wait_idle()
            front.cut()
        finally:
            await self.app.shutdown()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
