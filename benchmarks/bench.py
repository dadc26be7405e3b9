"""What a call costs: CPU of the gateway for a whole answer and for a streamed one, beside proxies that do less.

    make bench            about half a minute
    make bench ARGS=--quick

Every subject stands in front of the same upstream and gets the same load from 16 connections, in turns (A B C A B C …).
Counted is the CPU time of its processes, from /proc, not the time on the clock: others on the machine disturb it less.
Read the ratios; the microseconds are this machine's. Prints a table and writes build/bench.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from upstream import EVENTS

HERE = Path(__file__).resolve().parent
CONNECTIONS = 16
ROUNDS = 5
WHOLE_CALLS = 1600
STREAMS = 96

GATEWAY = """
[server]
bind = "127.0.0.1:{port}"
workers = 1

[plugins.bench]
use = "openai_compatible"
base_url = "http://127.0.0.1:{upstream}/v1"
"""

NGINX = """
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream bench {{ server 127.0.0.1:{upstream}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    keepalive_requests 1000000;
    location / {{
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


@dataclass
class Subject:
    """A proxy under measurement. ``ready`` is in seconds from its start to its first answer.

    CPU is in seconds for each call, one figure a round.
    """

    name: str
    pid: int
    port: int
    ready: float
    whole: list[float] = field(default_factory=list)
    stream: list[float] = field(default_factory=list)


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def pids_below(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(FileNotFoundError):
            for children in Path(f"/proc/{parent}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants: the nanoseconds that the scheduler gave their threads."""
    threads = [thread for one in pids_below(pid) for thread in Path(f"/proc/{one}/task").iterdir()]
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def resident_bytes(pid: int) -> int:
    """Memory of the largest process among a process and its descendants."""
    pages = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in pids_below(pid)]
    return max(pages) * os.sysconf("SC_PAGE_SIZE")


def pin(pid: int, core: int) -> None:
    """Keep a process and its descendants on one core, where there are two or more."""
    cores = sorted(os.sched_getaffinity(0))
    for one in pids_below(pid) if len(cores) > 1 else ():
        for thread in Path(f"/proc/{one}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {cores[core]})


@contextlib.contextmanager
def running(name: str, command: list[str], port: int, *, answers: bool = True) -> Iterator[Subject]:
    """Run a server until the block ends, once it has given its first answer on ``port``."""
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not listens(port):
                if process.poll() is not None or time.monotonic() - start > 20:
                    sys.exit(f"{name} did not start: {' '.join(command)}")
                time.sleep(0.005)
            if answers:
                uvloop.run(load(port, 1, stream=False))
            yield Subject(name, process.pid, port, time.monotonic() - start)
        finally:
            process.terminate()


def listens(port: int) -> bool:
    """Whether a connection to ``port`` is accepted."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def request(*, stream: bool, port: int) -> bytes:
    """A chat completion request of about 300 bytes."""
    asked: dict[str, object] = {
        "model": "bench/bench",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Say something of about four hundred characters."},
        ],
        "temperature": 0.5,
        "max_tokens": 100,
    }
    if stream:
        asked["stream"] = True
    body = json.dumps(asked).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer sk-bench\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def load(port: int, calls: int, *, stream: bool) -> None:
    """Ask ``calls`` times from 16 connections, each after its own last answer; every answer is checked."""
    asking = request(stream=stream, port=port)
    left = iter(range(calls))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for _ in left:
            writer.write(asking)
            check(await answer(reader), stream=stream)
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(client())


async def answer(reader: asyncio.StreamReader) -> bytes:
    """One answer: its head and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    if length:
        return head + await reader.readexactly(int(length))
    parts = [head]
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readuntil(b"\r\n")
    return b"".join(parts)


def check(received: bytes, *, stream: bool) -> None:
    """Stop everything at an answer that is not the upstream's."""
    complete = received.count(b"data: ") == EVENTS + 1 if stream else b'"finish_reason": "stop"' in received
    if not (received.startswith(b"http/1.1 200") and complete):
        sys.exit(f"unexpected answer: {received[:500]!r}")


def measure(subject: Subject, calls: int, *, stream: bool) -> float:
    """CPU seconds of the subject for one call."""
    before = cpu_seconds(subject.pid)
    uvloop.run(load(subject.port, calls, stream=stream))
    return (cpu_seconds(subject.pid) - before) / calls


@contextlib.contextmanager
def subjects(folder: Path) -> Iterator[list[Subject]]:
    """Run the upstream and everything that is measured in front of it."""
    with contextlib.ExitStack() as stack:
        upstream = free_port()
        command = [sys.executable, str(HERE / "upstream.py"), str(upstream)]
        pin(stack.enter_context(running("upstream", command, upstream, answers=False)).pid, 1)
        pin(os.getpid(), 1)
        found = []
        port = free_port()
        command = [sys.executable, str(HERE / "relay.py"), str(port), str(upstream)]
        found.append(stack.enter_context(running("byte relay", command, port)))
        if shutil.which("nginx"):
            port = free_port()
            (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
            command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
            found.append(stack.enter_context(running("nginx", command, port)))
        port = free_port()
        (folder / "gateway.toml").write_text(GATEWAY.format(port=port, upstream=upstream))
        command = [str(Path(sys.executable).with_name("gateway")), "serve", "-c", str(folder / "gateway.toml")]
        found.append(stack.enter_context(running("gateway", command, port)))
        for subject in found:
            pin(subject.pid, 0)
        yield found


def median_ratio(those: list[float], these: list[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(those, these, strict=True))


def report(found: list[Subject]) -> dict[str, object]:
    """Print the table; what is written to the file."""
    print(f"{'':<12}{'whole, µs':>12}{'ratio':>8}{'50 events, µs':>16}{'ratio':>8}{'resident':>12}{'ready':>9}")
    first, rows = found[0], []
    for subject in found:
        whole, stream = statistics.median(subject.whole) * 1e6, statistics.median(subject.stream) * 1e6
        whole_ratio, stream_ratio = median_ratio(subject.whole, first.whole), median_ratio(subject.stream, first.stream)
        resident = resident_bytes(subject.pid)
        print(
            f"{subject.name:<12}{whole:>12.0f}{whole_ratio:>8.1f}{stream:>16.0f}{stream_ratio:>8.1f}"
            f"{resident / 1e6:>9.0f} MB{subject.ready:>7.2f} s"
        )
        rows.append(
            {
                "name": subject.name,
                "whole_us": whole,
                "whole_ratio": whole_ratio,
                "stream_us": stream,
                "stream_ratio": stream_ratio,
                "resident_bytes": resident,
                "ready_seconds": subject.ready,
                "whole_us_rounds": [seconds * 1e6 for seconds in subject.whole],
                "stream_us_rounds": [seconds * 1e6 for seconds in subject.stream],
            }
        )
    print(f"CPU of one call, median of {len(first.whole)} rounds; ratios to {first.name}.")
    return {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(), "rows": rows}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="CPU of a call through the gateway, beside proxies that do less.")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it runs")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "bench.json", help="file to write")
    arguments = parser.parse_args()
    rounds, whole_calls, streams = (1, 200, 32) if arguments.quick else (ROUNDS, WHOLE_CALLS, STREAMS)
    with tempfile.TemporaryDirectory() as folder, subjects(Path(folder)) as found:
        for subject in found:
            measure(subject, CONNECTIONS * 4, stream=False)  # opens the connections, fills the caches
            measure(subject, CONNECTIONS, stream=True)
        for _ in range(rounds):
            for subject in found:
                subject.whole.append(measure(subject, whole_calls, stream=False))
            for subject in found:
                subject.stream.append(measure(subject, streams, stream=True))
        result = report(found)
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
