"""Reads the audit log's file, without ever writing to it."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from gateway_plugins.logs.audit_store import BUSY_SECONDS, check_version

Row = dict[str, Any]


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls are wanted. ``model`` and ``key`` are patterns with ``*``; ``since`` is in Unix seconds."""

    errors: bool = False
    model: str | None = None
    key: str | None = None
    since: float | None = None


@contextmanager
def open_reader(path: Path) -> Iterator[AuditReader]:
    """A reader of the file at ``path``; raises FileNotFoundError, ``sqlite3.Error`` or WrongFile."""
    if not path.exists():
        raise FileNotFoundError(path)
    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    try:
        connection.row_factory = sqlite3.Row
        check_version(connection.execute("PRAGMA user_version").fetchone()[0])
        yield AuditReader(connection)
    finally:
        connection.close()


class AuditReader:
    """Answers what ``gateway logs`` asks. A row is a dict of the columns of ``calls``, with ``rowid``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def latest(self, filters: Filters, count: int) -> list[Row]:
        """The last ``count`` calls that pass, the newest last."""
        where, values = _where(filters)
        return self._calls(f"{where} ORDER BY time DESC, rowid DESC LIMIT ?", [*values, count])[::-1]

    def after(self, rowid: int, filters: Filters) -> list[Row]:
        """The calls that were written behind ``rowid``, in the order of writing."""
        where, values = _where(filters)
        return self._calls(f"{where} AND rowid > ? ORDER BY rowid", [*values, rowid])

    def last_rowid(self) -> int:
        """The rowid written last; 0 in an empty file."""
        found: int | None = self._connection.execute("SELECT max(rowid) FROM calls").fetchone()[0]
        return found or 0

    def find(self, id: str) -> list[Row]:
        """The calls of this id, or else those whose id begins with it: at most 20."""
        exact = self._calls("id = ? OR (id > ? AND id < ?) ORDER BY rowid LIMIT 20", [id, f"{id}~", f"{id}~\x7f"])
        return exact or self._calls("id >= ? AND id < ? ORDER BY rowid LIMIT 20", [id, f"{id}\x7f"])

    def attempts(self, id: str) -> list[Row]:
        """A call's attempts, in order."""
        rows = self._connection.execute("SELECT * FROM attempts WHERE call_id = ? ORDER BY n", [id])
        return [{name: value for name, value in dict(row).items() if name != "call_id"} for row in rows]

    def payloads(self, id: str) -> Row | None:
        """A call's bodies where they were kept: ``request``, ``reply`` as bytes, and their full sizes."""
        row = self._connection.execute("SELECT * FROM payloads WHERE call_id = ?", [id]).fetchone()
        if row is None:
            return None
        found = {name: value for name, value in dict(row).items() if name != "call_id"}
        for name in ("request", "reply"):
            if found[name] is not None:
                found[name] = zlib.decompress(found[name])
        return found

    def _calls(self, condition: str, values: list[Any]) -> list[Row]:
        query = f"SELECT rowid, * FROM calls WHERE {condition}"  # noqa: S608  # conditions of this file alone
        return [dict(row) for row in self._connection.execute(query, values)]


def _where(filters: Filters) -> tuple[str, list[Any]]:
    conditions, values = ["1"], list[Any]()
    if filters.errors:
        conditions.append("outcome <> 'ok'")
    if filters.model is not None:
        conditions.append("model GLOB ?")
        values.append(filters.model)
    if filters.key is not None:
        conditions.append("tenant GLOB ?")
        values.append(filters.key)
    if filters.since is not None:
        conditions.append("time >= ?")
        values.append(round(filters.since * 1_000_000))
    return " AND ".join(conditions), values
