"""Every fault, streamed and whole, same-dialect and translated, with and without a fallback, in each mode of rescue.

A caller sees a complete answer or an explicit error of its dialect, in time, and the books say what the providers saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from tests.faults.bench import Bench, Cell, running_bench
from tests.faults.faults import FAULTS, Fault
from tests.faults.wires import WIRES


def cells_of(fault: Fault) -> list[Cell]:
    """All cells of a fault; of a costly one, those that differ in the gateway's code."""
    found = []
    for stream, caller, wire in product((True, False), WIRES, WIRES):
        if (fault.tools and not stream) or (fault.costly and wire != "openai"):
            continue
        ways = [(False, "error"), (True, "error")]
        if stream and fault.stream in ("late", "any"):
            ways += [(True, "resume"), (True, "hold")]
        if fault.costly:
            ways = [(True, "resume" if stream else "error")]
        found += [Cell(fault, stream, caller, wire, fallback, rescue) for fallback, rescue in ways]
    return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The gateway with all models."""
    cells = [cell for fault in FAULTS.values() for cell in cells_of(fault)]
    with running_bench(cells, tmp_path_factory.mktemp("faults")) as running:
        yield running


@pytest.fixture(scope="module")
def callers() -> Iterator[ThreadPoolExecutor]:
    """Callers that ask at the same time."""
    with ThreadPoolExecutor(12) as pool:
        yield pool


@pytest.mark.parametrize("name", FAULTS)
def test_a_caller_sees_the_answer_or_an_error_and_the_books_match(
    name: str, bench: Bench, callers: ThreadPoolExecutor
) -> None:
    cells = cells_of(FAULTS[name])
    problems = [problem for found in callers.map(bench.run, cells) for problem in found]
    assert not problems, "\n".join(problems)
