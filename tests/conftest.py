"""What holds for all tests: they do not depend on whose machine they run on, and leave no process behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine is slow at times, and a time limit of a single example says nothing about the code. CI tries the same
# examples every time: new ones are found where somebody looks at them.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session", autouse=True)
def _environment_of_nobody() -> Iterator[None]:
    """Take away what a developer's shell may hold: keys, proxies, and settings that change what Python does."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("PYTHON") or name.endswith(("_API_KEY", "_BASE_URL", "_PROXY", "_proxy")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_process_is_left_behind(_environment_of_nobody: None) -> Iterator[None]:
    """Fail the last test of a session that leaves a child running."""
    before = children()
    yield
    end = time.monotonic() + 5
    while (left := children() - before) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left, [command(pid) for pid in left]


def children() -> set[int]:
    """The processes that this one has started and that still run; empty where there is no /proc."""
    found: set[int] = set()
    for listed in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            found.update(pid for pid in map(int, listed.read_text().split()) if command(pid))
    return found


def command(pid: int) -> str:
    """A process's command line, empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
