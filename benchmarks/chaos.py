"""What callers see while providers die, stall and slow down under load: a gateway of two workers, for a minute.

    make chaos            writes docs/chaos.svg; exits 1 if a caller got a part of an answer that looked whole

Two providers, each a process of its own, stream the same answer; a script kills one, stops one, slows one, and at last
kills both. Everything is on 127.0.0.1, and stops by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from chaos_plot import draw

SELF = str(Path(__file__).resolve())
ROOT = Path(SELF).parent.parent
WORDS = [f"word{number} " for number in range(40)]
TEXT = "".join(WORDS)
KINDS = ("ok", "rescued", "explicit error", "clean-looking partial")
ASK = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Say it."}]}
TOML = """
[server]
bind = "127.0.0.1:{port}"
admin_bind = "127.0.0.1:0"
workers = 2
[plugins.audit_log]
path = "audit.sqlite"
[plugins.a]
use = "openai_compatible"
base_url = "http://127.0.0.1:{a}/v1"
[plugins.b]
use = "openai_compatible"
base_url = "http://127.0.0.1:{b}/v1"
[models.m]
targets = ["a/m"]
fallbacks = ["b/m"]
retries = 1
rescue = "resume"
timeouts = {{ connect = 1, first_token = 1, idle = 1, total = 15 }}
"""


class Act(NamedTuple):
    """What is done to a provider, at which part of the whole time."""

    at: float
    what: str
    who: str


ACTS = [
    Act(0.08, "kill", "a"),
    Act(0.20, "start", "a"),
    Act(0.28, "stall", "a"),
    Act(0.40, "go on", "a"),
    Act(0.48, "slow", "a"),
    Act(0.60, "fast", "a"),
    Act(0.68, "kill", "b"),
    Act(0.74, "kill", "a"),
    Act(0.80, "start", "a"),
    Act(0.84, "start", "b"),
]
SIGNALS = {
    "kill": signal.SIGKILL,
    "stall": signal.SIGSTOP,
    "go on": signal.SIGCONT,
    "slow": signal.SIGUSR1,
    "fast": signal.SIGUSR2,
}


# -- a provider ------------------------------------------------------------------------------------------------------


async def provide(port: int) -> None:
    """Stream TEXT to whoever asks; SIGUSR1 makes it slower than the gateway's limits allow, SIGUSR2 quick again."""
    pause = [0.02]
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, pause.__setitem__, 0, 1.5)
    loop.add_signal_handler(signal.SIGUSR2, pause.__setitem__, 0, 0.02)

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        data = b"data: " + json.dumps(value).encode() + b"\n\n"
        return b"%x\r\n%b\r\n" % (len(data), data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
                await reader.readexactly(int(length.partition(b":")[2]))
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                for word in WORDS:
                    await asyncio.sleep(pause[0])
                    writer.write(chunk({"content": word}))
                    await writer.drain()
                writer.write(chunk({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024) as server:
        await server.serve_forever()


# -- the callers -----------------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """What one caller saw, and in which second its answer ended."""

    call_id: str
    second: int
    kind: str


async def ask(port: int, call_id: str, began: float) -> Seen:
    """One call, read to its end, and what it was."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(ASK).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-request-id: {call_id}\r\nconnection: close\r\n"
    writer.write(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    got = b""
    try:
        async with asyncio.timeout(20):
            got = await reader.read(-1)
    except (ConnectionError, TimeoutError):
        got += b"broken"
    writer.close()
    return Seen(call_id, int(time.monotonic() - began), kind_of(got))


def kind_of(got: bytes) -> str:
    """Put a name to an answer's bytes."""
    status = int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/1.1 ") else 0
    if status >= 400 or b'"error"' in got:
        return "explicit error"
    text, finished = "", False
    for line in got.split(b"\n"):
        if line.startswith(b"data: {"):
            choice = json.loads(line[6:])["choices"][0]
            text += choice["delta"].get("content") or ""
            finished = finished or choice["finish_reason"] == "stop"
    return "ok" if text == TEXT and finished and b"data: [DONE]" in got else "clean-looking partial"


async def load(port: int, seconds: float, rate: float, began: float) -> list[Seen]:
    """Calls at an even rate, whatever becomes of those before."""
    calls = []
    for number in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        calls.append(asyncio.create_task(ask(port, f"chaos-{number:05}", began)))
    return list(await asyncio.gather(*calls))


# -- the play --------------------------------------------------------------------------------------------------------


class Play:
    """The processes: two providers and the gateway."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(("a", "b", "gateway"), free_ports(3), strict=True))
        self.providers: dict[str, asyncio.subprocess.Process] = {}
        self.gateway: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        for who in ("a", "b"):
            await self.start(who)
        ports = {"port": self.ports["gateway"], "a": self.ports["a"], "b": self.ports["b"]}
        (self.folder / "gateway.toml").write_text(TOML.format(**ports))
        program = Path(sys.executable).with_name("gateway")
        with (self.folder / "gateway.log").open("wb") as log:
            self.gateway = await asyncio.create_subprocess_exec(program, "serve", cwd=self.folder, stderr=log)
        await reachable(self.ports["gateway"])
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.gateway is not None:
            self.gateway.terminate()
            await self.gateway.wait()
        for process in self.providers.values():
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def start(self, who: str) -> None:
        """Start a provider, and wait until it answers."""
        port = self.ports[who]
        command = (sys.executable, SELF, "--provide", str(port))
        self.providers[who] = await asyncio.create_subprocess_exec(*command)
        await reachable(port)

    async def run(self, seconds: float, began: float) -> None:
        """Do to the providers what ACTS says."""
        for act in ACTS:
            await asyncio.sleep(max(0.0, began + act.at * seconds - time.monotonic()))
            if act.what == "start":
                await self.start(act.who)
            else:
                os.kill(self.providers[act.who].pid, SIGNALS[act.what])
                if act.what == "kill":
                    await self.providers[act.who].wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


async def reachable(port: int) -> None:
    """Wait until something listens."""
    async with asyncio.timeout(20):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


def with_books(seen: list[Seen], audit: Path) -> tuple[list[Seen], int]:
    """The same with what was rescued told apart, and how many calls the audit log tells otherwise, or not at all."""
    with sqlite3.connect(audit) as db:
        rows = {row[0]: row[1:] for row in db.execute("SELECT id, outcome, attempts FROM calls")}
    db.close()
    told, wrong = [], 0
    for one in seen:
        outcome, attempts = rows.get(one.call_id, ("missing", 0))
        wrong += (outcome == "ok") != (one.kind == "ok")
        told.append(one._replace(kind="rescued") if one.kind == "ok" and attempts > 1 else one)
    return told, wrong


async def play(folder: Path, seconds: float, rate: float) -> list[Seen]:
    """Run it all; what the callers saw."""
    async with Play(folder) as stage:
        began = time.monotonic()
        acting = asyncio.create_task(stage.run(seconds, began))
        seen = await load(stage.ports["gateway"], seconds, rate, began)
        await acting
    return seen


def tell(told: list[Seen], wrong: int, seconds: float, out: Path) -> int:
    """Write the plot, and say what was seen; the exit code."""
    counts = Counter(one.kind for one in told)
    each = [Counter(one.kind for one in told if one.second == second) for second in range(int(seconds) + 1)]
    acts = [(act.at * seconds, f"{act.what} {act.who}") for act in ACTS]
    out.write_text(draw([[second[kind] for kind in KINDS] for second in each], KINDS, acts), encoding="utf-8")
    print(f"{len(told)} calls in {seconds:g} s: " + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS))
    print(f"{wrong} of them are told otherwise in the audit log; the plot is {out}")
    return 1 if counts["clean-looking partial"] or wrong else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="What callers see while providers break.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=20.0, help="calls a second")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "chaos.svg")
    parser.add_argument("--provide", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.provide is not None:
        asyncio.run(provide(given.provide))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        seen = asyncio.run(play(Path(folder), given.seconds, given.rate))
        told, wrong = with_books(seen, Path(folder) / "audit.sqlite")
    return tell(told, wrong, given.seconds, given.out)


if __name__ == "__main__":
    sys.exit(main())
