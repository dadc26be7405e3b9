"""docs/translate.md shows what the program prints."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from gateway.cli import main
from tests.docs.documents import page

PAGE = page("translate.md")
FILES = dict(re.findall(r'^```json title="([^"]+)"\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE))
CONSOLE = re.findall(r"^```console\n\$ gateway ([^\n]*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's files, to stand in."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_request_is_shown_as_the_page_shows_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, shown = CONSOLE[0]
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == shown


def test_the_reply_is_what_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, _ = CONSOLE[1]
    assert main(shlex.split(command)) == 0
    reply = json.loads(capsys.readouterr().out)["reply"]
    assert reply["body"]["choices"][0]["message"]["content"] == "Hello."
    assert reply["usage"]["prompt_tokens"] == 10
    assert reply["finish_reason"] == "stop"
    assert reply["dropped"] == []


def test_every_argument_is_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["translate", "--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    assert options <= set(re.findall(r"`(--[a-z]+)", PAGE))
