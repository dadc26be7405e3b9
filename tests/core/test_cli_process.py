"""The gateway program as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gateway.version import __version__

GATEWAY = str(Path(sys.executable).with_name("gateway"))
HEAVY = ("aiohttp", "hypercorn", "starlette", "uvloop", "gateway.registry", "gateway.app", "gateway_plugins")


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=cwd, check=False)


def test_the_program_and_the_module_are_the_same(tmp_path: Path) -> None:
    for command in ([GATEWAY], [sys.executable, "-m", "gateway"]):
        done = run(*command, "version", cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"gateway {__version__}\n", "")


def test_a_bad_configuration_is_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text('[plugins.openai]\napi_key = { env = "NO_SUCH_KEY" }\n')
    done = run(GATEWAY, "check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "gateway.toml:2: [plugins.openai] api_key: "
        "the environment variable NO_SUCH_KEY is not set; export it before the start\n"
    )


def test_a_file_in_the_folder_does_not_stand_in_for_a_module_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "gateway.py").write_text("raise SystemExit(9)")
    assert run(GATEWAY, "check", cwd=tmp_path).returncode == 0


def test_version_and_help_load_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from gateway.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    for word in ("version", "--help"):
        assert run(sys.executable, "-c", code, word, cwd=tmp_path).stdout.endswith("\n[]\n")


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [GATEWAY, "plugins"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            cwd=tmp_path,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
