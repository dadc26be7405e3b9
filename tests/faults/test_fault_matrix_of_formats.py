"""The telling faults for the other formats: callers of responses, Gemini and completions; providers of six more wires.

The fallback speaks another format than the provider that breaks, so what is told on was begun in a foreign tongue.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.bench import Bench, Cell, running_bench
from tests.faults.format_faults import FORMAT_FAULTS, FormatFault
from tests.faults.more_wires import EVERY

PAIRS = (
    # (the caller's dialect, the wire of the provider that breaks, that of the fallback)
    ("responses", "responses", "gemini"),
    ("responses", "openai", "anthropic"),
    ("responses", "anthropic", "gemini"),
    ("responses", "gemini", "responses"),
    ("responses", "converse", "cohere"),
    ("gemini", "gemini", "openai"),
    ("gemini", "anthropic", "converse"),
    ("gemini", "openai", "ollama"),
    ("array", "gemini", "gemini"),
    ("array", "responses", "openai"),
    ("array", "ollama", "anthropic"),
    ("completions", "completions", "openai"),
    ("completions", "anthropic", "completions"),
    ("openai", "responses", "gemini"),
    ("openai", "gemini", "invoke"),
    ("openai", "converse", "openai"),
    ("openai", "invoke", "converse"),
    ("openai", "cohere", "responses"),
    ("openai", "ollama", "cohere"),
    ("anthropic", "responses", "anthropic"),
    ("anthropic", "gemini", "anthropic"),
    ("anthropic", "converse", "gemini"),
    ("anthropic", "invoke", "ollama"),
    ("anthropic", "cohere", "openai"),
    ("anthropic", "ollama", "converse"),
)
SAME = {("responses", "responses"), ("gemini", "gemini"), ("array", "gemini"), ("completions", "completions")}
REASON_LOST = ("no_end_behind_the_reason", "cut_behind_the_reason", "silence_behind_the_reason")


def cells_of(told: FormatFault) -> list[Cell]:
    """All cells of a fault."""
    found: list[Cell] = []
    for caller, wire, second in PAIRS:
        fault = told.fault
        if not told.happens_in(EVERY[wire]) or (fault.tools and "completions" in (caller, wire)):
            continue
        if fault.name in REASON_LOST and EVERY[wire].ends_with_reason:
            fault = fault._replace(stream="late")
        for stream in (True, False):
            if (fault.tools or told.wires is not None) and not stream:
                continue
            ways = [(False, "error"), (True, "resume" if stream else "error")]
            if stream and fault.stream == "late" and (caller, wire) in SAME:
                ways += [(True, "error"), (True, "hold")]
            found += [Cell(fault, stream, caller, wire, fallback, rescue, second) for fallback, rescue in ways]
    return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The gateway with all models."""
    cells = [cell for told in FORMAT_FAULTS.values() for cell in cells_of(told)]
    with running_bench(cells, tmp_path_factory.mktemp("formats")) as running:
        yield running


@pytest.fixture(scope="module")
def callers() -> Iterator[ThreadPoolExecutor]:
    """Callers that ask at the same time."""
    with ThreadPoolExecutor(12) as pool:
        yield pool


@pytest.mark.parametrize("name", FORMAT_FAULTS)
def test_a_caller_of_any_dialect_sees_the_answer_or_an_error_and_the_books_match(
    name: str, bench: Bench, callers: ThreadPoolExecutor
) -> None:
    cells = cells_of(FORMAT_FAULTS[name])
    problems = [problem for found in callers.map(bench.run, cells) for problem in found]
    assert not problems, f"{len(problems)} of {len(cells)}:\n" + "\n".join(problems)
