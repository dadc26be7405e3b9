"""The load: what is asked, and two clients. One asks again as soon as it is answered, the other at given moments.

An open loop asks at its moments whatever comes back, so that a late answer delays nobody's next question. That is how
independent callers behave; a closed loop would ask less when answers are slow, and hide it. Every run ends by itself.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import re
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

import proc

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


def chat_body(model: str, *, stream: bool, padding: int = 0) -> bytes:
    """A chat completion request of about 300 bytes, and ``padding`` more."""
    asked: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Say something of about four hundred characters." + "." * padding},
        ],
        "temperature": 0.5,
        "max_tokens": 100,
    }
    if stream:
        asked["stream"] = True
    return json.dumps(asked).encode()


def messages_body(model: str) -> bytes:
    """The same as an Anthropic message that streams."""
    asked = {
        "model": model,
        "system": "You are a helpful assistant.",
        "messages": [{"role": "user", "content": "Say something of about four hundred characters."}],
        "temperature": 0.5,
        "max_tokens": 100,
        "stream": True,
    }
    return json.dumps(asked).encode()


def request(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request, head and body."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{fields}content-length: {len(body)}\r\n\r\n".encode() + body


PATIENCE = 30.0  # seconds that answers may take once all is asked


class LoadError(Exception):
    """A run cannot be counted: answers failed, or did not come. The text says which."""


class Closed(NamedTuple):
    """A run of wrk: answers, and the seconds that it took."""

    requests: int
    seconds: float


def parse_wrk(text: str) -> Closed:
    """Read wrk's report; raises LoadError if an answer failed."""
    errors = re.findall(r"(?:Socket errors|Non-2xx or 3xx responses): .*", text)
    found = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", text)
    if errors or not found or found[1] == "0":
        raise LoadError("; ".join(errors) or "no answers")
    return Closed(int(found[1]), float(found[2]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[found[3]])


def closed_loop(
    port: int, headers: Mapping[str, str], body: bytes, connections: int, seconds: float, folder: Path
) -> Closed:
    """Ask from ``connections``, each again as soon as it is answered, for whole seconds."""
    script = folder / "post.lua"
    fields = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items())
    script.write_text(f"wrk.method = 'POST'\nwrk.body = [==[{body.decode()}]==]\n{fields}")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(script)]
    command.append(f"http://127.0.0.1:{port}/v1/chat/completions")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + PATIENCE)
    return parse_wrk(done.stdout)


AT_ONCE = 20
"""So many idle streams are opened together: how many fit into a server's queue is not the question."""


class Connection(asyncio.Protocol):
    """One connection, one question at a time."""

    def __init__(self) -> None:
        self.done: Callable[[Connection], None] = _ignore
        self.received: list[bytes] = []
        self.asked = 0.0
        self.failed = ""
        self.begun = False
        self._head = b""
        self._left: int | None = 0
        self._tail = b""

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.Transport = transport

    def ask(self, question: bytes, done: Callable[[Connection], None], asked: float = 0.0) -> None:
        """Send a request; ``done`` is called with this connection once it is answered, or cannot be any more."""
        self.done, self.asked, self.failed, self.begun = done, asked, "", False
        self._head, self._left, self._tail = b"", 0, b""
        self.received.clear()
        if self.transport.is_closing():
            self._end("the connection was closed between two requests")
        else:
            self.transport.write(question)

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        if not self.begun:
            self._head += data
            head, blank, data = self._head.partition(b"\r\n\r\n")
            if not blank:
                return
            self.begun = True
            if head[9:12] != b"200":
                self._end(f"answered with {head[9:12].decode()}: {data[:200].decode(errors='replace')}")
                return
            length = head.lower().partition(b"\r\ncontent-length:")[2]
            self._left = int(length.partition(b"\r\n")[0]) if length else None
        if self._left is None:  # chunked: no event of ours looks like the last chunk
            self._tail = (self._tail + data)[-7:]
            if self._tail == b"\r\n0\r\n\r\n":
                self._end("")
        else:
            self._left -= len(data)
            if self._left <= 0:
                self._end("")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"the connection broke off: {exc or 'closed'}")

    def drop(self) -> None:
        """Close it at once, and tell nobody."""
        self.done = _ignore
        self.transport.abort()

    def _end(self, failed: str) -> None:
        done, self.done = self.done, _ignore
        self.failed = failed
        done(self)


def _ignore(connection: Connection) -> None:
    """What is done with news that nobody waits for."""


async def connect(port: int, count: int) -> list[Connection]:
    """Open connections to a server on this machine."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]


def steady(rate: float, seconds: float) -> list[float]:
    """Moments at equal distances."""
    return [number / rate for number in range(max(1, round(rate * seconds)))]


def scattered(rate: float, seconds: float, seed: int = 1) -> list[float]:
    """Moments as independent callers would choose them: exponential gaps. The same for the same seed."""
    chance, moment, moments = random.Random(seed), 0.0, []
    for _ in range(max(1, round(rate * seconds))):
        moment += chance.expovariate(rate)
        moments.append(moment)
    return moments


class OpenLoop:
    """One run. Afterwards:

    - ``latencies``: seconds from when each question was due to the end of its answer. The loop's timers keep to a
      millisecond; by how much they are late is not counted;
    - ``answer``: the last answer;
    - ``cpu``: seconds of CPU time that the process ``pid`` had, from when the connections were open to the last answer.
    """

    def __init__(self, port: int, question: bytes, moments: Sequence[float], connections: int, pid: int = 0) -> None:
        self.latencies: list[float] = []
        self.answer = b""
        self.cpu = 0.0
        self._port = port
        self._question = question
        self._moments = moments
        self._connections = connections
        self._pid = pid
        self._idle: list[Connection] = []
        self._waiting: deque[float] = deque()
        self._finished: asyncio.Future[None]

    def run(self) -> OpenLoop:
        """Ask at all moments; raises LoadError at the first answer that is none. Returns this object."""
        uvloop.run(self._run())
        return self

    async def _run(self) -> None:
        self._finished = asyncio.get_running_loop().create_future()
        self._idle = await connect(self._port, self._connections)
        everyone = tuple(self._idle)
        await asyncio.sleep(0.02)  # the subject accepts them
        gc.collect()
        gc.disable()  # our own pauses are not the subject's
        try:
            before = proc.cpu(self._pid)
            await self._ask_all()
            self.cpu = proc.cpu(self._pid) - before
        except TimeoutError:
            raise LoadError(f"{len(self.latencies)} of {len(self._moments)} answers came in time") from None
        finally:
            gc.enable()
            for connection in everyone:
                connection.drop()

    async def _ask_all(self) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time() + 0.01
        for moment in self._moments:
            loop.call_at(begin + moment, self._due)
        async with asyncio.timeout(self._moments[-1] + PATIENCE):
            await self._finished

    def _due(self) -> None:
        """Ask on a connection that is free; a question that finds none waits, and that counts."""
        if self._idle:
            self._idle.pop().ask(self._question, self._answered, time.perf_counter())
        else:
            self._waiting.append(time.perf_counter())

    def _answered(self, connection: Connection) -> None:
        if self._finished.done():
            return
        if connection.failed:
            self._finished.set_exception(LoadError(connection.failed))
            return
        self.latencies.append(time.perf_counter() - connection.asked)
        if len(self.latencies) == len(self._moments):
            self.answer = b"".join(connection.received)
            self._finished.set_result(None)
        elif self._waiting:
            connection.ask(self._question, self._answered, self._waiting.popleft())
        else:
            self._idle.append(connection)


def hold_open(port: int, question: bytes, streams: int, then: Callable[[], None]) -> None:
    """Open this many streams, wait until each has begun, call ``then``, and drop them; raises LoadError."""
    uvloop.run(_hold_open(port, question, streams, then))


async def _hold_open(port: int, question: bytes, streams: int, then: Callable[[], None]) -> None:
    held: list[Connection] = []
    failures: list[str] = []
    try:
        while len(held) < streams:
            some = await connect(port, min(AT_ONCE, streams - len(held)))
            held += some
            for connection in some:
                connection.ask(question, lambda ended: failures.append(ended.failed))
            async with asyncio.timeout(PATIENCE):
                while not failures and not all(one.begun for one in some):  # noqa: ASYNC110  # an event would burden all runs
                    await asyncio.sleep(0.005)
            if failures:
                raise LoadError(failures[0])
        await asyncio.sleep(1.0)
        then()
    except TimeoutError:
        raise LoadError(f"{sum(one.begun for one in held)} of {streams} streams began in time") from None
    finally:
        for connection in held:
            connection.drop()
