"""``gateway serve`` as a process of its own, and a client that speaks bytes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

START = (
    "import sys; from pathlib import Path; from gateway.serving.supervisor import serve; "
    "sys.exit(serve(Path(sys.argv[1]), bind=sys.argv[2] if len(sys.argv) > 2 else None))"
)

# A plugin beside the TOML with routes that show what a worker does: which one it is, what it was configured with, and
# streams of a known length.
PULSE = """
import asyncio, os
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from gateway import Plugin, PluginConfig, hookimpl

class Settings(PluginConfig):
    word: str = "one"
    broken: bool = False
    exit_code: int | None = None

class Pulse(Plugin):
    Config = Settings

    @hookimpl
    async def startup(self):
        if self.config.broken:
            raise RuntimeError("the pulse is broken")
        if self.config.exit_code is not None:
            os._exit(self.config.exit_code)

    @hookimpl
    def register_routes(self):
        return [Route("/word", self.word), Route("/pid", self.pid), Route("/pulse", self.pulse)]

    async def word(self, request):
        return PlainTextResponse(self.config.word)

    async def pid(self, request):
        await asyncio.sleep(float(request.query_params.get("after", "0")))
        return PlainTextResponse(str(os.getpid()))

    async def pulse(self, request):
        return StreamingResponse(self.beats(int(request.query_params["beats"])), media_type="text/event-stream")

    async def beats(self, count):
        for number in range(count):
            yield b"data: %d\\n\\n" % number
            await asyncio.sleep(0.1)
        yield b"data: [DONE]\\n\\n"
"""


def pulse_toml(*, server: str = "", plugin: str = "", more: str = "") -> str:
    """A configuration with the pulse plugin on a free port; ``server`` and ``plugin`` are more lines of the tables."""
    bind = "" if "bind" in server else 'bind = "127.0.0.1:0"\n'
    return f'[server]\n{bind}{server}\n[plugins.pulse]\nuse = "./pulse.py:Pulse"\n{plugin}\n{more}\n'


class Served:
    """A running ``gateway serve``."""

    def __init__(self, folder: Path, toml: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.file = folder / "gateway.toml"
        self.file.write_text(toml)
        (folder / "pulse.py").write_text(PULSE)
        self._log = folder / "stderr.txt"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, str(self.file), *arguments],
                stderr=log,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self.port = 0

    def log(self) -> str:
        """What it has written to stderr so far."""
        return self._log.read_text()

    def wait_for(self, text: str, *, times: int = 1, seconds: float = 10.0) -> float:
        """Wait until stderr has ``text``; returns how long it took."""
        start = time.monotonic()
        while self.log().count(text) < times:
            assert time.monotonic() - start < seconds, f"no {text!r} within {seconds} s in:\n{self.log()}"
            time.sleep(0.01)
        return time.monotonic() - start

    def ready(self) -> Served:
        """Wait until it serves."""
        self.wait_for("try: curl")
        found = re.search(r"serves https?://[^ ]*:(\d+) ", self.log())
        self.port = int(found.group(1)) if found else 0
        return self

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def signal(self, number: signal.Signals) -> None:
        """Send the parent a signal."""
        self.process.send_signal(number)

    def exit_code(self, seconds: float = 10.0) -> int:
        """Wait for its end."""
        return self.process.wait(seconds)

    def close(self) -> None:
        """End what is left of it."""
        workers = self.workers() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for pid in workers:
            wait_until_gone(pid)


@contextmanager
def served(folder: Path, toml: str, *arguments: str, env: dict[str, str] | None = None) -> Iterator[Served]:
    """Run ``gateway serve`` until the block ends."""
    gateway = Served(folder, toml, *arguments, env=env)
    try:
        yield gateway.ready()
    finally:
        gateway.close()


def wait_until_gone(pid: int, seconds: float = 5.0) -> None:
    """Wait until a process has ended, at the latest ``seconds`` from now."""
    start = time.monotonic()
    while is_alive(pid):
        assert time.monotonic() - start < seconds, f"process {pid} lives on"
        time.sleep(0.01)


def descriptors(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


_clients: ContextVar[list[Client]] = ContextVar("_clients")


def play(scene: Coroutine[Any, Any, None]) -> None:
    """Run a test's scene on a loop, and close the connections that it leaves open."""

    async def stage() -> None:
        clients: list[Client] = []
        _clients.set(clients)
        try:
            async with asyncio.timeout(20):
                await scene
        finally:
            for client in clients:
                client.close()
            for client in clients:
                with suppress(ConnectionError):
                    await client.writer.wait_closed()

    asyncio.run(stage())


class Client:
    """One connection that speaks HTTP/1.1 as bytes; for use in ``play``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        _clients.get().append(self)

    @classmethod
    async def connect(cls, port: int) -> Client:
        """Open a connection."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, path: str, *, method: str = "GET", headers: str = "", body: bytes = b"") -> None:
        """Send a request."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{length}{headers}\r\n".encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """The head of an answer: status, and headers with lower-case names."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = [line.partition(":") for line in lines[1:] if line]
        return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in fields}

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """A whole answer; raises IncompleteReadError if it is cut."""
        status, headers = await self.head()
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, await self.body()
        return status, headers, await self.reader.readexactly(int(headers.get("content-length", "0")))

    async def body(self) -> bytes:
        """A chunked body to its end; raises IncompleteReadError if it is cut."""
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")
        return body

    async def at_eof(self) -> bool:
        """Wait for the server to close; False if it sends something instead."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def rest(self) -> bytes:
        """All that is still sent; ends with ``broken`` if the connection breaks."""
        received = b""
        try:
            while data := await self.reader.read(65536):
                received += data
        except ConnectionError:
            return received + b"broken"
        return received

    def close(self) -> None:
        """Close the connection."""
        self.writer.close()


async def get(port: int, path: str, *, headers: str = "") -> tuple[int, str]:
    """GET on a connection of its own; returns status and body."""
    client = await Client.connect(port)
    try:
        client.send(path, headers=f"Connection: close\r\n{headers}")
        status, _, body = await client.answer()
        return status, body.decode()
    finally:
        client.close()


async def open_streams(port: int, count: int, beats: int) -> list[Client]:
    """Streams of ``beats`` events, one each 0.1 s, whose head has arrived."""
    clients = [await Client.connect(port) for _ in range(count)]
    for client in clients:
        client.send(f"/pulse?beats={beats}")
    for client in clients:
        status, _ = await client.head()
        assert status == 200
    return clients


def fetch(port: int, path: str) -> tuple[int, str]:
    """GET, for tests that do one thing at a time."""
    answers: list[tuple[int, str]] = []

    async def scene() -> None:
        answers.append(await get(port, path))

    play(scene())
    return answers[0]


async def refuses_connections(port: int, seconds: float = 2.0) -> float:
    """Wait until connects are refused; returns how long it took."""
    start = time.monotonic()
    while True:
        try:
            client = await Client.connect(port)
        except ConnectionRefusedError:
            return time.monotonic() - start
        except ConnectionResetError:
            pass  # the listener was closed within this very handshake; from the next one on it is refused
        else:
            client.close()
        assert time.monotonic() - start < seconds, f"connections are still accepted after {seconds} s"
        await asyncio.sleep(0.01)


class Load:
    """Requests in a steady stream, each on a connection of its own, until ``stop``."""

    def __init__(self, port: int, path: str, clients: int = 8) -> None:
        self.answers: list[tuple[int, str]] = []
        self.refused = 0
        self.broken = 0
        self._stop = False
        self._port, self._path, self._clients = port, path, clients

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)

    async def _ask(self) -> None:
        while not self._stop:
            try:
                self.answers.append(await get(self._port, self._path))
            except ConnectionRefusedError:
                self.refused += 1
            except (ConnectionError, asyncio.IncompleteReadError):
                self.broken += 1
            await asyncio.sleep(0.005)
