"""What the benchmark reads of a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proc import TICK, Cpu, cpu, forget_peak, memory, on, parse_kilobytes, parse_stat, peak, tree

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc on this platform")

STAT = "4242 (a (b) c: d) S 17 4242 4242 0 -1 4194304 100 200 0 0 70 30 5 2 20 0 3 0 12345 1000 250 1844674407"
BUSY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; block = bytearray(40_000_000); time.sleep(60)"])
end = time.process_time() + 0.2
while time.process_time() < end: pass
print("done", flush=True)
time.sleep(60)
"""


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that has used 0.2 s of CPU and has a child of 40 MB."""
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        family = tree(process.pid)
        while memory(process.pid).largest < 40_000_000:
            time.sleep(0.01)
        yield process.pid
        for pid in family:
            os.kill(pid, 9)


def test_a_name_with_brackets_and_blanks_does_not_shift_the_fields() -> None:
    stat = parse_stat(STAT)
    assert stat.parent == 17
    assert stat.ticks == 70 + 30 + 5 + 2


def test_sizes_are_read_in_bytes() -> None:
    assert parse_kilobytes("Name:\tpython\nVmHWM:\t    1536 kB\nVmRSS:\t 1024 kB\n", "VmHWM") == 1536 * 1024
    with pytest.raises(KeyError):
        parse_kilobytes("VmRSS:\t 1024 kB\n", "VmHWM")


def test_cpu_time_is_counted_to_the_nanosecond() -> None:
    before = Cpu({1: 1_000_000}, {1: 10})
    after = Cpu({1: 51_500_000, 2: 2_000_000}, {1: 15})
    assert after - before == pytest.approx(0.0525)


def test_the_time_of_a_thread_that_ended_is_not_lost() -> None:
    before = Cpu({1: 0, 2: 900_000_000}, {1: 100})
    after = Cpu({1: 10_000_000}, {1: 200})
    assert after - before == pytest.approx(100 * TICK)


def test_descendants_count(busy: int) -> None:
    family = tree(busy)
    assert family[0] == busy
    assert len(family) == 2
    assert 0.15 <= cpu(busy) - Cpu({}, {}) < 5
    assert memory(busy).largest >= 40_000_000
    assert memory(busy).all >= 40_000_000


def test_a_peak_can_be_forgotten(busy: int) -> None:
    forget_peak(busy)
    assert memory(busy).largest * 0.9 < peak(busy) < memory(busy).largest * 1.5


def test_no_process_has_had_no_time() -> None:
    assert cpu(0) - cpu(0) == 0.0


def test_a_block_runs_on_the_cores_that_it_names() -> None:
    before = os.sched_getaffinity(0)
    with on({min(before)}):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before
