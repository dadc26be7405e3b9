"""The faults that tell most, against the real program with two workers and many callers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.testing import ScriptedProvider
from tests.core.serving.served import served
from tests.faults.bench import Cell, configuration
from tests.faults.faults import FAULTS
from tests.faults.test_fault_matrix import cells_of
from tests.faults.verdicts import judge
from tests.faults.wall import Wall, ask, row_of
from tests.faults.wires import WIRES

NAMES = (
    "reset_before_the_head",
    "cut",
    "stalled",
    "malformed_event",
    "an_error_event_among_words",
    "no_end_mark",
    "silent",
)
CELLS = [cell for name in NAMES for cell in cells_of(FAULTS[name]) if cell.rescue != "hold"]


class Front:
    """A gateway of two workers, and the providers behind it."""

    def __init__(self, url: str, ones: dict[str, Wall], audit: Path) -> None:
        self.url = url
        self.ones = ones
        self.audit = audit

    def run(self, cell: Cell) -> str | None:
        """Ask once; what was wrong, if anything."""
        self.ones[cell.wire].behaviours[cell.model] = cell.fault.run
        seen = ask(self.url, WIRES[cell.caller], cell.model, stream=cell.stream, call_id=cell.model, timeout=10)
        verdict = judge(seen, cell.caller, stream=cell.stream)
        if verdict.what not in cell.expected:
            return f"{cell.model}: {verdict.what}, not {cell.expected}: {seen.status} {seen.body[-300:]!r}"
        row = row_of(self.audit, cell.model)
        outcome = "ok" if verdict.what == "complete" else "error" if seen.status >= 400 else "interrupted"
        if row is None or row.call["outcome"] != outcome:
            return f"{cell.model}: {outcome}, and in the books {row and row.call['outcome']}"
        return None


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("workers")
    audit = folder / "audit.sqlite"
    with ExitStack() as stack:
        ones = {name: Wall(stack.enter_context(ScriptedProvider()), wire) for name, wire in WIRES.items()}
        twos = {name: Wall(stack.enter_context(ScriptedProvider()), wire) for name, wire in WIRES.items()}
        urls = {f"one_{name}": wall.provider.url for name, wall in ones.items()}
        urls |= {f"two_{name}": wall.provider.url for name, wall in twos.items()}
        server = '[server]\nbind = "127.0.0.1:0"\nadmin_bind = "127.0.0.1:0"\nworkers = 2\n[health]\npath = "health"\n'
        gateway = stack.enter_context(served(folder, server + configuration(urls, CELLS, audit)))
        yield Front(f"http://127.0.0.1:{gateway.port}", ones, audit)


def test_two_workers_under_faults_give_answers_or_errors(front: Front) -> None:
    with ThreadPoolExecutor(8) as callers:
        problems = [problem for problem in callers.map(front.run, CELLS) if problem is not None]
    assert not problems, "\n".join(problems)
