"""Starting servers, and ending them: each on the cores it is given, on 127.0.0.1, with its output in a file."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import proc

POLL = 0.004  # seconds between two looks whether a server answers


class StartError(Exception):
    """A server did not start; the text says why in a line."""


@dataclass(frozen=True)
class Command:
    """How to start a server. ``files`` are written first, into the folder in which it runs."""

    arguments: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    health: str = "/"
    seconds: float = 30.0
    """How long the start may take."""
    grace: float = 4.0
    """How long it has to end in good order."""


@dataclass(frozen=True)
class Server:
    """A server that runs. ``ready`` is in seconds from its start to its first answer."""

    pid: int
    port: int
    ready: float


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def running(command: Command, port: int, folder: Path, cores: set[int]) -> Iterator[Server]:
    """Run a server until the block ends, from its first answer on; raises StartError."""
    for name, text in command.files.items():
        (folder / name).write_text(text)
    environment = {**os.environ, **command.environment}
    with (folder / "output.log").open("wb") as output:
        start = time.monotonic()
        try:
            with proc.on(cores):  # from its first instruction on: some programs count the cores to size their pools
                process = subprocess.Popen(
                    command.arguments,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for us; we end what we started
                )
        except OSError as error:
            raise StartError(str(error.strerror)) from error
    try:
        while not answers(port, command.health):
            if process.poll() is not None:
                raise StartError(f"it ended with exit code {process.returncode}: {last_line(folder / 'output.log')}")
            if time.monotonic() - start > command.seconds:
                raise StartError(f"no answer within {command.seconds:g} s")
            time.sleep(POLL)
        yield Server(process.pid, port, time.monotonic() - start)
    finally:
        end(process, command.grace)


def end(process: subprocess.Popen[bytes], grace: float) -> None:
    """End a process that we started, and what is left of its descendants."""
    family = proc.tree(process.pid)
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in family[1:]:
        with contextlib.suppress(OSError):
            if os.getpgid(pid) == process.pid:  # ours still: the number has not gone to somebody else
                os.kill(pid, 9)


def answers(port: int, path: str) -> bool:
    """Whether a GET is answered with success."""
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), 2.0) as probe:
            probe.sendall(request)
            return probe.recv(64).split()[1:2] == [b"200"]
    except OSError:
        return False


def last_line(path: Path) -> str:
    """The last line of a server's output that says something."""
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "no output")[:200]
