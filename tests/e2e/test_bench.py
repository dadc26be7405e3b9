"""``make bench`` runs to its end, and its figures are figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "benchmarks" / "bench.py"


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the kernel does not count the threads' CPU time")
def test_the_benchmark_measures_the_gateway_beside_its_yardstick(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, str(BENCH), "--quick", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    assert {"byte relay", "gateway"} <= set(rows)
    assert rows["byte relay"]["whole_ratio"] == 1.0
    assert rows["gateway"]["whole_us"] > rows["byte relay"]["whole_us"] > 0
    assert rows["gateway"]["stream_us"] > rows["gateway"]["whole_us"]
    assert "gateway" in done.stdout
