"""Coverage-guided fuzzing of the HTTP/1.1 front for a bounded time: ``make fuzz`` (SECONDS=60).

The same bytes, whole and cut, must give the same answers; h11 must read no request otherwise than we do; nothing may be
raised, left running, or written behind the end. The bytes that break this are written to ``crash-…`` in the current
folder; ``python -m tests.fuzz.fuzz_http1 --repeat crash-…`` runs them once more.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 60
LONGEST = 2048

WORDS = (
    *(
        "GET ",
        "POST ",
        "HEAD ",
        "OPTIONS ",
        "CONNECT ",
        "TRACE ",
        "PRI * HTTP/2.0",
        " HTTP/1.1\\x0d\\x0a",
        " HTTP/1.0\\x0d\\x0a",
    ),
    *(
        "Host: h\\x0d\\x0a",
        "Content-Length: 5\\x0d\\x0a",
        "Transfer-Encoding: chunked\\x0d\\x0a",
        "Expect: 100-continue\\x0d\\x0a",
    ),
    *(
        "Connection: close\\x0d\\x0a",
        "Connection: keep-alive\\x0d\\x0a",
        "Connection: Upgrade\\x0d\\x0a",
        "Upgrade: h2c\\x0d\\x0a",
    ),
    *(
        "0\\x0d\\x0a\\x0d\\x0a",
        "5\\x0d\\x0ahello\\x0d\\x0a",
        "\\x0d\\x0a",
        "\\x0a",
        "\\x0d",
        "\\x00",
        "\\x09",
        ";a=b",
        "http://h/",
        "%00",
        "chunked",
    ),
)


def run_target(folder: str, seconds: str) -> None:
    """The fuzzer itself, in a process of its own: libFuzzer ends the process that it runs in."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["gateway.serving"]):
        check = importlib.import_module("tests.fuzz.http1_talk").check
    logging.disable(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-dict={folder}/words",
        "-timeout=10",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, f"{folder}/seeds"], lambda data: check(loop, data) and None)
    atheris.Fuzz()


def main() -> int:
    """Fuzz for the seconds that the argument names, or repeat a finding; returns the exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--target"]:
        run_target(*arguments[1:])
        return 0
    if arguments[:1] == ["--repeat"]:
        from tests.fuzz.http1_talk import check

        logging.disable(logging.CRITICAL)
        sys.stdout.write(f"{check(asyncio.new_event_loop(), Path(arguments[1]).read_bytes())}\n")
        return 0
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write(
            "fuzz: atheris is not installed, so nothing was fuzzed. It has wheels for CPython on Linux:\n"
            "fuzz:     .venv/bin/python -m pip install atheris\n"
        )
        return 1
    seconds = int(arguments[0]) if arguments else SECONDS
    from tests.core.serving.http1_corpus import CASES

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        (folder / "words").write_text("".join(f'"{word}"\n' for word in WORDS))
        for number, case in enumerate(case for case in CASES if len(case.data) <= LONGEST):
            (folder / "seeds" / f"{number}").write_bytes(case.data)
        command = [sys.executable, "-m", "tests.fuzz.fuzz_http1", "--target", name, str(seconds)]
        try:
            return subprocess.run(command, timeout=seconds + 60, check=False).returncode
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"fuzz: not ended {seconds + 60} s after its start\n")
            return 1


if __name__ == "__main__":
    sys.exit(main())
