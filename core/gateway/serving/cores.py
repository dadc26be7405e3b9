"""How many workers this machine, or this container, can keep busy."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def worker_count(configured: int) -> int:
    """``[server] workers`` resolved: 0 is one for each core that this process may use."""
    return configured or available_cores()


def available_cores(cgroup: Path = CGROUP) -> int:
    """The cores of the affinity mask, cut to the container's CPU quota (half a core counts as one)."""
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, mask if quota is None else min(mask, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    """The CPU quota of the control group in cores; None where there is none."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()[:2]
    except (OSError, ValueError):
        try:
            limit, period = ((cgroup / f"cpu/cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return None
    try:
        cores = int(limit) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return cores if cores > 0 else None  # -1: no limit, in v1
