"""What the kernel knows of a process and its descendants: CPU time, memory, cores. Linux only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds, the unit of /proc/PID/stat
SLACK = 0.03  # seconds by which ticks and nanoseconds of one process may differ without anything missing


class Stat(NamedTuple):
    """What is used of ``/proc/PID/stat``. ``ticks`` is user and system time, of ended threads and children as well."""

    parent: int
    ticks: int


def parse_stat(text: str) -> Stat:
    """Read a line of ``/proc/PID/stat``; the name in it may hold spaces and brackets."""
    fields = text.rpartition(")")[2].split()
    return Stat(int(fields[1]), sum(int(field) for field in fields[11:15]))


def parse_kilobytes(text: str, name: str) -> int:
    """One figure of ``status`` or ``smaps_rollup``, in bytes; raises KeyError if it is not there."""
    for line in text.splitlines():
        label, _, value = line.partition(":")
        if label == name:
            return int(value.split()[0]) * 1024
    raise KeyError(name)


def tree(pid: int) -> list[int]:
    """A process and its descendants, each behind its parent; those that end meanwhile are left out."""
    children: dict[int, list[int]] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(parse_stat((folder / "stat").read_text()).parent, []).append(int(folder.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


@dataclass(frozen=True)
class Cpu:
    """CPU time that a process and its descendants have had. Subtract an earlier one to have seconds.

    The scheduler counts each thread's time to the nanosecond, but forgets it with the thread. A process's own time
    comes in ticks of 10 ms and forgets nothing. So the first is taken unless the second shows that it lacks something.
    """

    nanoseconds: dict[int, int]
    ticks: dict[int, int]

    def __sub__(self, earlier: Cpu) -> float:
        exact = sum(time - earlier.nanoseconds.get(thread, 0) for thread, time in self.nanoseconds.items()) / 1e9
        coarse = sum(time - earlier.ticks.get(pid, 0) for pid, time in self.ticks.items()) * TICK
        return exact if abs(coarse - exact) <= SLACK + coarse / 50 else coarse


def cpu(pid: int) -> Cpu:
    """What a process and its descendants have had until now; nothing for the number 0."""
    nanoseconds, ticks = {}, {}
    for one in tree(pid) if pid else ():
        with contextlib.suppress(OSError):
            ticks[one] = parse_stat((PROC / str(one) / "stat").read_text()).ticks
        for thread in threads(one):
            with contextlib.suppress(OSError):
                nanoseconds[int(thread.name)] = int((thread / "schedstat").read_text().split()[0])
    return Cpu(nanoseconds, ticks)


def threads(pid: int) -> list[Path]:
    """The folders of a process's threads; none if it has ended."""
    try:
        return list((PROC / str(pid) / "task").iterdir())
    except OSError:
        return []


class Memory(NamedTuple):
    """Bytes of a process tree. ``largest`` is the resident memory of its largest process, ``all`` what all use
    together, each shared page counted once."""

    largest: int
    all: int


def memory(pid: int) -> Memory:
    """The memory of a process and its descendants now."""
    texts = []
    for one in tree(pid):
        with contextlib.suppress(OSError):
            texts.append((PROC / str(one) / "smaps_rollup").read_text())
    return Memory(
        max(parse_kilobytes(text, "Rss") for text in texts), sum(parse_kilobytes(text, "Pss") for text in texts)
    )


def forget_peak(pid: int) -> None:
    """Let the peak of resident memory begin anew, for a process and its descendants."""
    for one in tree(pid):
        with contextlib.suppress(OSError):
            (PROC / str(one) / "clear_refs").write_text("5")


def peak(pid: int) -> int:
    """The most resident memory in bytes that the largest of a process and its descendants has had."""
    peaks = []
    for one in tree(pid):
        with contextlib.suppress(OSError):
            peaks.append(parse_kilobytes((PROC / str(one) / "status").read_text(), "VmHWM"))
    return max(peaks)


_CORES = sorted(os.sched_getaffinity(0))


def cores() -> list[int]:
    """The cores that we were given at our start."""
    return list(_CORES)


@contextlib.contextmanager
def on(wanted: set[int]) -> Iterator[None]:
    """Run a block, and what it starts, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
