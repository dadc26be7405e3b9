"""Where responses are kept for their next turn: in memory, or in a SQLite file that all workers share."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
Key = tuple[str, str]
"""A tenant, and the id of a response or an item of its own."""

BUSY_SECONDS = 5.0


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One answered response. ``input`` holds this turn's items alone, ``previous`` the id of the turn before.

    ``native`` is true where the provider named gave the response its id and keeps it as well.
    """

    id: str
    provider: str
    native: bool
    previous: str | None
    input: list[dict[str, Any]]
    response: dict[str, Any]

    def item_ids(self) -> list[str]:
        """The ids by which an ``item_reference`` may name an item of this response's output."""
        items = self.response.get("output")
        found = (item.get("id") for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
        return [item_id for item_id in found if isinstance(item_id, str) and item_id]


class ResponsesStore(ABC):
    """Keeps responses, each for the tenant who asked; what is too old, or the oldest of too much, goes."""

    async def open(self) -> None:  # noqa: B027  # memory needs neither
        """Make ready; raises OSError or sqlite3.Error where that is not possible."""

    async def close(self) -> None:  # noqa: B027
        """Let go."""

    @abstractmethod
    async def put(self, tenant: str, kept: Kept) -> None:
        """Keep a response, in place of one with the same id."""

    @abstractmethod
    async def get(self, tenant: str, response_id: str) -> Kept | None:
        """A response that is there and not too old."""

    @abstractmethod
    async def holder_of(self, tenant: str, item_id: str) -> Kept | None:
        """The response whose output has an item of this id."""

    @abstractmethod
    async def delete(self, tenant: str, response_id: str) -> bool:
        """Forget a response; whether it was there."""


class MemoryStore(ResponsesStore):
    """Up to ``max_bytes`` of responses in this process, the least recently used out first."""

    def __init__(self, max_bytes: int, ttl: float) -> None:
        self.max_bytes = max_bytes
        self.ttl = ttl
        self.bytes = 0
        self._rows: OrderedDict[Key, tuple[float, bytes]] = OrderedDict()
        self._items: dict[Key, str] = {}

    async def put(self, tenant: str, kept: Kept) -> None:
        data = msgspec.json.encode(kept)
        self._drop((tenant, kept.id))
        if len(data) > self.max_bytes:
            return
        self._rows[tenant, kept.id] = (time.monotonic(), data)
        self.bytes += len(data)
        for item_id in kept.item_ids():
            self._items[tenant, item_id] = kept.id
        while self.bytes > self.max_bytes:
            self._drop(next(iter(self._rows)))

    async def get(self, tenant: str, response_id: str) -> Kept | None:
        row = self._rows.get((tenant, response_id))
        if row is None:
            return None
        stored, data = row
        if time.monotonic() - stored >= self.ttl:
            self._drop((tenant, response_id))
            return None
        self._rows.move_to_end((tenant, response_id))
        return msgspec.json.decode(data, type=Kept)

    async def holder_of(self, tenant: str, item_id: str) -> Kept | None:
        holder = self._items.get((tenant, item_id))
        return None if holder is None else await self.get(tenant, holder)

    async def delete(self, tenant: str, response_id: str) -> bool:
        return self._drop((tenant, response_id))

    def _drop(self, key: Key) -> bool:
        row = self._rows.pop(key, None)
        if row is None:
            return False
        self.bytes -= len(row[1])
        tenant, response_id = key
        for item_id in msgspec.json.decode(row[1], type=Kept).item_ids():
            if self._items.get((tenant, item_id)) == response_id:
                del self._items[tenant, item_id]
        return True


_TABLES = """
CREATE TABLE IF NOT EXISTS responses (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    stored REAL NOT NULL,           -- seconds since 1970
    size INTEGER NOT NULL,
    kept BLOB NOT NULL,             -- JSON
    PRIMARY KEY (tenant, id)
);
CREATE INDEX IF NOT EXISTS responses_by_age ON responses (stored);
CREATE TABLE IF NOT EXISTS items (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    response TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_by_response ON items (tenant, response);
"""


class SqliteStore(ResponsesStore):
    """Up to ``max_bytes`` of responses in a file, the oldest out first. All work is done on one thread of its own."""

    def __init__(self, path: Path, max_bytes: int, ttl: float) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.ttl = ttl
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="responses_state")
        await self._run(self._open)

    async def close(self) -> None:
        if self._thread is None:
            return
        await self._run(self._close)
        self._thread.shutdown()
        self._thread = None

    async def put(self, tenant: str, kept: Kept) -> None:
        await self._run(lambda: self._put(tenant, kept))

    async def get(self, tenant: str, response_id: str) -> Kept | None:
        return await self._run(lambda: self._get(tenant, response_id))

    async def holder_of(self, tenant: str, item_id: str) -> Kept | None:
        return await self._run(lambda: self._holder_of(tenant, item_id))

    async def delete(self, tenant: str, response_id: str) -> bool:
        return await self._run(lambda: self._delete(tenant, response_id))

    async def _run(self, work: Callable[[], T]) -> T:
        assert self._thread is not None
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_TABLES)
        self._connection = connection
        # Conversations are private: the file is its owner's alone.
        self.path.chmod(0o600)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        assert self._connection is not None
        return self._connection.execute(statement, values)

    def _put(self, tenant: str, kept: Kept) -> None:
        data = msgspec.json.encode(kept)
        if len(data) > self.max_bytes:
            return
        now = time.time()
        self._execute("BEGIN IMMEDIATE")
        try:
            self._forget(tenant, kept.id)
            self._execute(
                "INSERT INTO responses (tenant, id, stored, size, kept) VALUES (?, ?, ?, ?, ?)",
                (tenant, kept.id, now, len(data), data),
            )
            for item_id in kept.item_ids():
                self._execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", (tenant, item_id, kept.id))
            for old in self._execute(
                "SELECT tenant, id FROM responses WHERE stored < ? ORDER BY stored LIMIT 100", (now - self.ttl,)
            ).fetchall():
                self._forget(*old)
            self._make_room()
            self._execute("COMMIT")
        except BaseException:
            self._execute("ROLLBACK")
            raise

    def _make_room(self) -> None:
        (total,) = self._execute("SELECT coalesce(sum(size), 0) FROM responses").fetchone()
        while total > self.max_bytes:
            tenant, response_id, size = self._execute(
                "SELECT tenant, id, size FROM responses ORDER BY stored, rowid LIMIT 1"
            ).fetchone()
            self._forget(tenant, response_id)
            total -= size

    def _get(self, tenant: str, response_id: str) -> Kept | None:
        row = self._execute(
            "SELECT kept FROM responses WHERE tenant = ? AND id = ? AND stored >= ?",
            (tenant, response_id, time.time() - self.ttl),
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Kept)

    def _holder_of(self, tenant: str, item_id: str) -> Kept | None:
        row = self._execute("SELECT response FROM items WHERE tenant = ? AND id = ?", (tenant, item_id)).fetchone()
        return None if row is None else self._get(tenant, row[0])

    def _delete(self, tenant: str, response_id: str) -> bool:
        found = self._get(tenant, response_id) is not None
        self._forget(tenant, response_id)
        return found

    def _forget(self, tenant: str, response_id: str) -> None:
        self._execute("DELETE FROM responses WHERE tenant = ? AND id = ?", (tenant, response_id))
        self._execute("DELETE FROM items WHERE tenant = ? AND response = ?", (tenant, response_id))
