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

from gateway.logged import LoggedCall
from gateway.protocol import Usage
from gateway_plugins.logs.audit_store import BUSY_SECONDS, check_version

Row = dict[str, Any]

_COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
)


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

    def copies(self, id: str) -> list[str]:
        """The ids of the copies of a call that were sent for comparison; none in a file of an older version."""
        if not self._is_current():
            return []
        return [row["id"] for row in self._connection.execute("SELECT id FROM calls WHERE copy_of = ? LIMIT 20", [id])]

    def routed(self, filters: Filters, count: int) -> Iterator[LoggedCall]:
        """The last ``count`` calls that were routed, the newest first; no copies, and none that a cache answered."""
        where, values = _where(filters)
        was_routed = "attempts > 0 OR decision IS NOT NULL" if self._is_current() else "attempts > 0"
        own = "copy_of IS NULL" if self._is_current() else "1"
        condition = f"{where} AND model <> '' AND ({was_routed}) AND {own} ORDER BY time DESC, rowid DESC LIMIT ?"
        for row in self._calls(condition, [*values, count]):
            yield _logged(row, self.payloads(row["id"]))

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

    def _is_current(self) -> bool:
        """Whether the file has the columns of version 3."""
        columns = self._connection.execute("PRAGMA table_info(calls)")
        return any(column["name"] == "copy_of" for column in columns)

    def _calls(self, condition: str, values: list[Any]) -> list[Row]:
        query = f"SELECT rowid, * FROM calls WHERE {condition}"  # noqa: S608  # conditions of this file alone
        return [dict(row) for row in self._connection.execute(query, values)]


def _logged(row: Row, payloads: Row | None) -> LoggedCall:
    """A row as what can be replayed."""
    usage: Usage | None = None
    if row["prompt_tokens"] is not None:
        counts: dict[str, Any] = {name: row.get(name) or 0 for name in _COUNTS}
        usage = Usage(**counts)
    decision = row.get("decision")
    body = None if payloads is None else payloads["request"]
    whole = body is not None and payloads is not None and payloads["request_size"] == len(body)
    return LoggedCall(
        id=row["id"],
        time=row["time"] / 1_000_000,
        key=None if row["tenant"] == "anonymous" else row["tenant"],
        dialect=row["dialect"],
        format=row["format"],
        model=row["model"],
        stream=bool(row["stream"]),
        tags=() if row["tags"] is None else tuple(msgspec.json.decode(row["tags"])),
        target=None if row["provider"] is None else f"{row['provider']}/{row['upstream_model']}",
        usage=usage,
        service_tier=row.get("service_tier"),
        needs={} if decision is None else msgspec.json.decode(decision).get("needs", {}),
        body=body if whole else None,
        request_bytes=row["request_bytes"],
    )


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
