"""docs/configuration.md shows what the program prints: its examples are run, and their output is compared."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import main
from tests.docs.documents import files_in, page

PAGE = page("configuration.md")
CONSOLE = re.findall(r"^```console\n\$ gateway ([^\n]*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SERVED = [(command, shown) for command, shown in CONSOLE if command.startswith("serve")]
WITH_MISTAKES = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's file, to stand in."""
    (tmp_path / "gateway.toml").write_text(files_in("configuration.md")["gateway.toml"], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("command", "shown"), [example for example in CONSOLE if example not in SERVED])
def test_a_command_prints_what_the_page_shows(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, shown: str
) -> None:
    bad = "problems\n" in shown
    if bad:
        (mistakes,) = WITH_MISTAKES
        (folder / "gateway.toml").write_text(mistakes, encoding="utf-8")
    code = main(shlex.split(command))
    printed = capsys.readouterr()
    assert (code, printed.err if bad else printed.out, printed.out if bad else printed.err) == (int(bad), shown, "")


def test_serve_says_what_the_page_shows(folder: Path) -> None:
    ((command, shown),) = SERVED
    arguments = [sys.executable, "-m", "gateway", *shlex.split(command), "--bind", "127.0.0.1:0"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stderr is not None
        said = process.stderr.readline() + process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(20) == 0
    assert re.sub(r":\d{4,5}", ":8080", said) == shown


def test_each_of_the_programs_own_commands_has_an_example() -> None:
    shown = {command.split()[0] for command, _ in CONSOLE}
    assert shown == {"serve", "check", "plugins", "models", "new-plugin", "version"}
