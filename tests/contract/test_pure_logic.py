"""The router's control logic is told the time and its chance, and does no I/O: so a simulation can replay it."""

from __future__ import annotations

from tests.contract.checkout import CORE, imports, shown, source_files

BANNED = {"time", "random", "asyncio", "datetime", "os", "secrets", "socket", "threading", "uuid", "logging", "lmdb"}


def test_the_state_machines_import_neither_clock_nor_chance_nor_loop() -> None:
    sources = [path for path in source_files(CORE) if path.parent.name == "resilience"]
    assert len(sources) > 10
    found = [f"{shown(path)}: {name}" for path in sources for name in imports(path) if name.partition(".")[0] in BANNED]
    assert not found


def test_the_state_machines_know_nothing_of_the_rest_of_the_gateway() -> None:
    sources = [path for path in source_files(CORE) if path.parent.name == "resilience"]
    found = [
        f"{shown(path)}: {name}"
        for path in sources
        for name in imports(path)
        if name.startswith("gateway") and not name.startswith("gateway.resilience")
    ]
    assert not found
