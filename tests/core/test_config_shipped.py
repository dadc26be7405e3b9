"""The shipped gateway.toml: it serves as it stands, and what is commented out in it works when it is not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from gateway.registry import Gateway
from gateway.testing import running_gateway
from tests.core.config_texts import built

ROOT = Path(__file__).parents[2]
TOML = (ROOT / "gateway.toml").read_text(encoding="utf-8")
OFF = re.compile(r"^#(?=[^\s#])", re.MULTILINE)
BLOCK = re.compile(r"(?:^#[^\s#].*\n)+", re.MULTILINE)
BLOCKS = BLOCK.findall(TOML)


def switched_on(*blocks: str) -> str:
    """The file without the comment marks of these blocks."""
    text = TOML
    for block in blocks:
        text = text.replace(block, OFF.sub("", block), 1)
    return text


def build_in(folder: Path, toml: str, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """Build with the files and variables that the tables name."""
    for variable in re.findall(r'env = "(\w+)"', toml):
        monkeypatch.setenv(variable, f"gw-{variable.lower()}-0123456789abcdef")
    for name in ("server.pem", "server.key", "clients.pem"):
        (folder / name).touch()
    shutil.copytree(ROOT / "examples" / "plugins", folder / "examples" / "plugins")
    return built(toml, folder)


def first_line(block: str) -> str:
    return block.partition("\n")[0]


def test_it_serves_a_useful_answer_as_it_stands() -> None:
    with running_gateway(TOML, folder=ROOT) as gateway:
        body = {"model": "echo", "messages": [{"role": "user", "content": "Hello, gateway!"}]}
        answer = gateway.post("/v1/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == "Hello, gateway!"


def test_as_it_stands_there_is_nothing_to_warn_of() -> None:
    assert built(TOML, ROOT).warnings == []


@pytest.mark.parametrize("block", BLOCKS, ids=first_line)
def test_each_block_works_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: str) -> None:
    needed = [block]
    if first_line(block).startswith(("#[models.", "#[catalogue.")):  # it names providers
        needed += [other for other in BLOCKS if first_line(other).startswith("#[plugins.") and other != block]
    gateway = build_in(tmp_path, switched_on(*needed), monkeypatch)
    assert gateway.warnings == []
    if first_line(block).startswith("#[plugins.") and "enabled = false" not in block:
        name = first_line(block).removeprefix("#[plugins.").rstrip("]")
        assert name in [record.name for record in gateway.records]


def test_everything_works_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = build_in(tmp_path, OFF.sub("", TOML), monkeypatch)
    assert gateway.config.server.strict
    assert {"echo", "smart", "fast", "quick", "cheap", "assistant", "trial"} <= set(gateway.config.models)


def test_every_plugin_that_ships_is_shown_or_named() -> None:
    from importlib.metadata import entry_points

    names = {point.name for group in ("gateway.plugins", "gateway.defaults") for point in entry_points(group=group)}
    assert not [name for name in sorted(names) if not re.search(rf"\b{name}\b", TOML)]
