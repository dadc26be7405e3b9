"""The README's first screen, done as a reader would: serve gateway.toml, paste the curl line, compare the answer."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo import free_port, gateway

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, mark: str) -> str:
    """The first code block of this language that holds ``mark``."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(text for text in blocks if mark in text)


@pytest.fixture
def url() -> Iterator[str]:
    """A real ``gateway serve`` of the shipped gateway.toml, on a free port."""
    port = free_port()
    toml = (ROOT / "gateway.toml").read_text(encoding="utf-8")
    bind = 'bind = "127.0.0.1:8080"'
    assert bind in toml
    with gateway(toml.replace(bind, f'bind = "127.0.0.1:{port}"'), port) as address:
        yield address


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_line_gets_the_answer_that_the_readme_shows(url: str) -> None:
    command = block("sh", "curl").replace("http://127.0.0.1:8080", url)
    done = subprocess.run(shlex.split(command.replace("\\\n", " ")), capture_output=True, timeout=20, check=True)
    shown, got = json.loads(block("json", "chat.completion")), json.loads(done.stdout)
    assert shape(got) == shape(shown)
    assert got["choices"][0]["message"] == shown["choices"][0]["message"]
    assert got["model"] == shown["model"]
    assert got["usage"] == shown["usage"]


def shape(value: Any) -> Any:
    """Keys and types of a JSON value, without its content."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def test_every_make_command_that_is_named_is_a_target_of_the_makefile() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE))
    assert {"serve", "test"} <= named <= targets
