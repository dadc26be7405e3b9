"""docs/explain.md shows what the programs print, and names all of their arguments."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gateway.cli import main
from tests.docs.documents import page

PAGE = page("explain.md")
FILES = dict(re.findall(r'^```(?:json|toml) title="([^"]+)"\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE))
CONSOLE = dict(re.findall(r"^```console\n\$ gateway ([^\n]*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's files, to stand in."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_route_is_what_the_page_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = next(command for command in CONSOLE if command.startswith("route"))
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == CONSOLE[command]


def test_the_plan_begins_as_the_page_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = FILES["gateway.toml"].replace('"openai/gpt-4o-mini", ', "")
    (folder / "new.toml").write_text(new)
    assert main(["plan", "new.toml", "-n", "0"]) == 0
    printed = capsys.readouterr().out
    assert printed
    assert CONSOLE["plan new.toml"].startswith(printed)


@pytest.mark.parametrize("command", ["route", "plan"])
def test_every_argument_is_on_the_page(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    assert options <= set(re.findall(r"`(--[a-z]+)", PAGE))
