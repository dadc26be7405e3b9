"""The configurations in examples/ can be used as they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("name", sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.toml")))
def test_gateway_check_accepts_the_example(name: str) -> None:
    command = [str(Path(sys.executable).with_name("gateway")), "check", "-c", str(EXAMPLES / name)]
    secrets = dict.fromkeys(
        re.findall(r'env = "(\w+)"', (EXAMPLES / name).read_text(encoding="utf-8")), "an-invented-key"
    )
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **secrets}
    )
    assert done.returncode == 0, done.stdout + done.stderr
