"""An audit log that an older version began: read as it is, and brought up to date by the next start."""

from __future__ import annotations

import argparse
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway_plugins.logs.audit_commands import show_call
from gateway_plugins.logs.audit_reader import Filters, open_reader
from gateway_plugins.logs.audit_rows import AuditRow
from gateway_plugins.logs.audit_store import MIGRATIONS, TABLES, VERSION, AuditStore, WrongFile, prepare

NEW = ("cost_nano", "service_tier", "cache_write_1h_tokens", "decision", "copy_of", "score")


def second_version() -> str:
    """The tables as version 2 made them."""
    text = re.sub(r",  -- of cache_write_tokens\n.*?\n\);", "\n);", TABLES, count=1, flags=re.DOTALL)
    return re.sub(r"CREATE INDEX copies .*\n", "", text)


def first_version() -> str:
    """The tables as version 1 made them."""
    text = re.sub(r",\n    cost_nano INTEGER,.*?\n\);", "\n);", second_version(), count=1, flags=re.DOTALL).replace(
        "reply_bytes INTEGER NOT NULL,", "reply_bytes INTEGER NOT NULL"
    )
    return text.replace("    cost_nano INTEGER,\n", "")


def facts(id: str, **more: str | int | None) -> dict[str, str | int | float | None]:
    return {
        "id": id, "time": 1, "tenant": "t", "client": "", "method": "POST", "path": "/", "dialect": "d", "format": "f",
        "operation": "chat", "model": "m", "stream": 0, "status": 200, "outcome": "ok", "attempts": 0,
        "duration_us": 1, "upstream_us": 1, "request_bytes": 1, "reply_bytes": 1, **more,
    }  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "audit.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(first_version())
        row = facts("old")
        marks = ", ".join(f":{name}" for name in row)
        connection.execute(f"INSERT INTO calls ({', '.join(row)}) VALUES ({marks})", row)
        connection.execute("INSERT INTO attempts VALUES ('old', 1, 'p', 'm', 1, 2, 3, 200, NULL, NULL)")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    return path


def columns(path: Path, table: str) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    finally:
        connection.close()


def test_an_old_file_can_be_read_before_it_is_migrated(old: Path) -> None:
    assert not set(NEW) & set(columns(old, "calls"))
    with open_reader(old) as reader:
        assert [row["id"] for row in reader.latest(Filters(), 5)] == ["old"]
        assert reader.attempts("old")[0]["provider"] == "p"
        assert reader.copies("old") == []


def test_opening_it_for_writing_adds_the_columns_and_keeps_the_rows(old: Path, tmp_path: Path) -> None:
    store = AuditStore(old)
    store.open()
    more: dict[str, Any] = {"decision": "{}", "copy_of": "old", "score": 0.5}
    new = facts("new", cost_nano=180_000, service_tier="flex", cache_write_1h_tokens=7, **more)
    store.write([AuditRow(new, ((1, "p", "m", 1, 2, 3, 200, None, None, 180_000),))])
    store.close()
    fresh = AuditStore(tmp_path / "fresh.sqlite")
    fresh.open()
    fresh.close()
    for table in ("calls", "attempts", "payloads"):
        assert set(columns(old, table)) == set(columns(fresh.path, table))
    with open_reader(old) as reader:
        rows = {row["id"]: row for row in reader.latest(Filters(), 5)}
        assert rows["old"]["cost_nano"] is None
        assert [rows["new"][name] for name in NEW] == [180_000, "flex", 7, "{}", "old", 0.5]
        assert reader.copies("old") == ["new"]
        assert reader.attempts("old")[0]["cost_nano"] is None
        assert reader.attempts("new")[0]["cost_nano"] == 180_000


def test_a_file_of_the_second_version_is_shown_and_brought_up_to_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "audit.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(second_version())
        row = facts("req_second", cost_nano=5, tags='["a"]', attempts=1)
        marks = ", ".join(f":{name}" for name in row)
        connection.execute(f"INSERT INTO calls ({', '.join(row)}) VALUES ({marks})", row)
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    assert "decision" not in columns(path, "calls")
    assert "cost_nano" in columns(path, "calls")
    with open_reader(path) as reader:
        assert show_call(reader, argparse.Namespace(id="req_second", json=False)) == 0
        assert [call.id for call in reader.routed(Filters(), 5)] == ["req_second"]
    assert "req_second" in capsys.readouterr().out
    store = AuditStore(path)
    store.open()
    store.close()
    assert "decision" in columns(path, "calls")


def test_a_second_worker_finds_the_migration_done(old: Path) -> None:
    for _ in range(2):
        store = AuditStore(old)
        store.open()
        store.close()
    connection = sqlite3.connect(old)
    prepare(connection)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == VERSION
    connection.close()
    assert sorted(MIGRATIONS) == list(range(1, VERSION))


def test_a_newer_file_is_left_alone(old: Path) -> None:
    connection = sqlite3.connect(old)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(WrongFile, match="version 99"):
        AuditStore(old).open()
