"""``make bench-quick`` runs to its end, and its figures are figures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bench


@pytest.mark.skipif(bool(bench.missing_programs()), reason="nginx and wrk are not installed")
def test_the_quick_benchmark_measures_whole_answers_and_both_kinds_of_streams(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, bench.__file__, "--quick", "--subjects", "gateway", "--rounds", "1"]
    command += ["--seconds", "0.1", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    gateway = json.loads(out.read_text())["subjects"]["gateway"]
    assert not gateway["missing"]
    assert gateway["figures"]["stream translated"] > gateway["figures"]["whole"] > 1e-6
    assert gateway["figures"]["stream"] > gateway["figures"]["whole"]
    assert "CPU of a translated stream, to one passed through" in done.stdout


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert shutil.which("wrk") is None
    assert "wrk" in bench.missing_programs()


def test_an_unknown_part_is_told_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match="--only: hole: not one of whole"):
        bench.chosen("hole", bench.PARTS, "--only")
