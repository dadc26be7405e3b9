"""Where the gateway's CPU goes: samples of py-spy while it is under load, as microseconds of a call for each part.

    make .venvs/bench-tools/.installed
    .venv/bin/python benchmarks/hotspots.py whole|stream|translated [--full] [--lines N]

A sample belongs to the line of Python that ran, and so to what that line called in C. Lines that write to a socket are
told apart; what ran without a line of ours is the event loop.
"""

from __future__ import annotations

import argparse
import collections
import linecache
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import proc
from load import CHAT, MESSAGES, OpenLoop, chat_body, closed_loop, messages_body, request, steady
from measure import CONNECTIONS, STREAM_CONNECTIONS
from rounds import Plan, split_cores, started, upstream
from servers import free_port
from subjects import BARE, ENVIRONMENTS, FULL, all_subjects

SECONDS = 8.0
RATE = 500  # samples in a second
STREAMS_A_SECOND = 120.0

WRITES = re.compile(r"\.(?:write|writelines|sendall|send)\(")
WAITS = re.compile(r"/threading\.py|/concurrent/futures/thread\.py")
"""Where threads of plugins wait for work; py-spy takes that for work."""
PARTS = (
    ("the client's side", r"/gateway/(?:serving/|response|app)"),
    ("the provider's side: ours", r"/gateway/upstream"),
    ("the provider's side: aiohttp", r"/aiohttp/"),
    ("formats", r"/gateway_plugins/formats/|/gateway/protocol/|/gateway/(?:translation|sse|format)\.py"),
    ("plugins", r"/gateway_plugins/"),
    ("the path between", r"/gateway/"),
)
THE_LOOP = "the event loop: epoll, reads, callbacks, accepting"
THE_WRITES = "the writes"


class Frame(NamedTuple):
    """A line of a stack: ``name (path:line)`` in py-spy's raw output."""

    name: str
    path: str
    line: int

    @property
    def part(self) -> str:
        """Which part of the gateway it belongs to."""
        if WRITES.search(linecache.getline(self.path, self.line)):
            return THE_WRITES
        return next((part for part, pattern in PARTS if re.search(pattern, self.path)), THE_LOOP)


def parse_raw(text: str) -> collections.Counter[Frame]:
    """Self time: innermost frame → samples, from lines of ``frame;frame;… count``."""
    counts: collections.Counter[Frame] = collections.Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        found = re.fullmatch(r"(.+) \((.+):(\d+)\)", stack.rpartition(";")[2])
        if found and not WAITS.search(found[2]):
            counts[Frame(found[1], found[2], int(found[3]))] += int(count)
    return counts


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Where the gateway's CPU goes, by part.")
    parser.add_argument("kind", choices=["whole", "stream", "translated"])
    parser.add_argument("--full", action="store_true", help="with keys, rate limit and logs")
    parser.add_argument("--lines", type=int, default=15, help="how many lines to show")
    return parser.parse_args()


def main() -> None:
    """Profile one kind of call."""
    options = arguments()
    py_spy = ENVIRONMENTS / "bench-tools/bin/py-spy"
    if not py_spy.exists():
        sys.exit("py-spy is missing: make .venvs/bench-tools/.installed")
    subject = next(one for one in all_subjects() if one.name == (FULL if options.full else BARE))
    os.sched_setaffinity(0, split_cores()[1])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        plan = Plan(folder=Path(folder))
        with upstream(plan, streams=options.kind != "whole") as behind:
            port = free_port()
            with started(subject.command(port, behind), port, plan, split_cores()[0]) as server:
                worker = proc.tree(server.pid)[-1]
                headers, out = subject.headers_for(behind), Path(folder) / "samples.txt"
                ask(options.kind, port, headers, plan, 1.0)
                command = [str(py_spy), "record", "--format", "raw", "--full-filenames", "--rate", str(RATE)]
                command += ["--pid", str(worker), "--duration", str(round(SECONDS - 2)), "--output", str(out)]
                with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as recording:
                    time.sleep(0.5)
                    cost = ask(options.kind, port, headers, plan, SECONDS, worker)
                    told = recording.communicate()[1]
                    if recording.returncode:
                        sys.exit(f"py-spy: {told.decode()}")
        tell(parse_raw(out.read_text()), cost, options.lines)


def ask(kind: str, port: int, headers: dict[str, str], plan: Plan, seconds: float, pid: int = 0) -> float:
    """Ask for so many seconds; returns the CPU seconds of a call."""
    if kind == "whole":
        before = proc.cpu(pid)
        done = closed_loop(port, headers, chat_body("bench/bench", stream=False), CONNECTIONS, seconds, plan.folder)
        return (proc.cpu(pid) - before) / done.requests
    path = CHAT if kind == "stream" else MESSAGES
    body = chat_body("bench/bench", stream=True) if kind == "stream" else messages_body("bench/bench")
    moments = steady(STREAMS_A_SECOND, seconds)
    return OpenLoop(port, request(path, headers, body), moments, STREAM_CONNECTIONS, pid).run().cpu / len(moments)


def tell(frames: collections.Counter[Frame], cost: float, lines: int) -> None:
    """Print the parts, and the lines that took most."""
    total = sum(frames.values())
    parts: collections.Counter[str] = collections.Counter()
    for frame, count in frames.items():
        parts[frame.part] += count
    print(f"{cost * 1e6:.0f} µs of CPU for a call (with py-spy looking on), {total} samples")
    for part, count in parts.most_common():
        print(f"{count / total * cost * 1e6:8.1f} µs  {count / total:6.1%}  {part}")
    print()
    for frame, count in frames.most_common(lines):
        source = linecache.getline(frame.path, frame.line).strip()[:80]
        print(f"{count / total:6.1%}  {Path(frame.path).name}:{frame.line} {frame.name}: {source}")


if __name__ == "__main__":
    main()
