"""Every TOML block of the documentation is a configuration that works."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import parse_config
from gateway.registry import build
from tests.docs.documents import ROOT

BLOCK = re.compile(r'^```toml(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.DOTALL | re.MULTILINE)
FILES = ("server.pem", "server.key", "clients.pem")


def examples() -> Iterator[tuple[str, str]]:
    """All blocks: where it stands, and its text."""
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]):
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            if match["text"].startswith("[project"):
                continue  # a pyproject.toml
            line = text.count("\n", 0, match.start()) + 1
            yield f"{page.relative_to(ROOT).as_posix()}:{line}", match["text"]


EXAMPLES = dict(examples())


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 10


@pytest.mark.parametrize("place", EXAMPLES)
def test_an_example_is_a_configuration_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    text = EXAMPLES[place]
    for variable in re.findall(r'env = "(\w+)"', text):
        monkeypatch.setenv(variable, f"gw-{variable.lower()}-0123456789abcdef")
    for secret in re.findall(r'file = "([^"]+)"', text):
        name = secret.strip("/").replace("/", "-")
        (tmp_path / name).write_text("gw-0123456789abcdef\n")
        text = text.replace(f'"{secret}"', f'"{name}"')
    for name in FILES:
        (tmp_path / name).touch()
    for file in (ROOT / "examples" / "plugins").glob("*.py"):
        shutil.copy(file, tmp_path)
    if "[plugins.api_keys]" not in text:
        text += "\n[plugins.api_keys]\n"  # an example of [server] may show an address that others reach
    build(parse_config(text, path=tmp_path / "gateway.toml", folder=tmp_path))
