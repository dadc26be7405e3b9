"""The audit log's file: SQLite in WAL mode, written by one thread of each worker, read by ``gateway logs``."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gateway_plugins.logs.audit_rows import AuditRow, Payload, Value

VERSION = 3
"""The schema's number, kept in ``user_version``."""
BUSY_SECONDS = 1.0
"""How long a transaction waits for another process's before it is tried again later."""

OPEN_TRIES = 10
OPEN_PAUSE = 0.05

TABLES = """
CREATE TABLE calls (
    id TEXT PRIMARY KEY,            -- the request id; a second call of the same id has ~ and eight digits behind it
    time INTEGER NOT NULL,          -- when it began, in microseconds since 1970
    tenant TEXT NOT NULL,           -- the key's name, or anonymous
    client TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    dialect TEXT NOT NULL,
    format TEXT NOT NULL,
    operation TEXT NOT NULL,
    model TEXT NOT NULL,            -- as asked for; empty where the request was refused before it was read
    provider TEXT,                  -- the last target that was tried
    upstream_model TEXT,
    answered_model TEXT,            -- as the provider calls itself
    stream INTEGER NOT NULL,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,          -- ok, error, interrupted, cancelled
    source TEXT,                    -- who answered: upstream, cache, gateway, or a plugin
    cache TEXT,                     -- hit, miss, bypass
    error_kind TEXT,
    error_code TEXT,
    error TEXT,
    finish_reason TEXT,
    prompt_tokens INTEGER,          -- with cached ones
    completion_tokens INTEGER,      -- with reasoning
    reasoning_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    usage_source TEXT,              -- upstream or estimated
    attempts INTEGER NOT NULL,
    dropped TEXT,                   -- JSON: field -> why a translation could not carry it
    tags TEXT,                      -- JSON
    duration_us INTEGER NOT NULL,
    first_byte_us INTEGER,
    upstream_us INTEGER NOT NULL,
    request_bytes INTEGER NOT NULL,
    reply_bytes INTEGER NOT NULL,
    cost_nano INTEGER,              -- nano-dollars, of all billed attempts; null where a price is not known
    service_tier TEXT,              -- as the provider says
    cache_write_1h_tokens INTEGER,  -- of cache_write_tokens
    decision TEXT,                  -- JSON: how the targets were chosen; null where there was nothing to choose
    copy_of TEXT,                   -- of a copy sent for comparison, the id of the call that it repeats
    score REAL                      -- how good the answer is, from 0 to 1, where a plugin said so
);
CREATE INDEX calls_by_time ON calls (time);
CREATE INDEX copies ON calls (copy_of) WHERE copy_of IS NOT NULL;
CREATE TABLE attempts (
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,             -- from 1
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    started_us INTEGER NOT NULL,    -- this and the next two since the call began
    first_byte_us INTEGER,
    ended_us INTEGER,
    status INTEGER,
    error_kind TEXT,
    error TEXT,
    cost_nano INTEGER,
    PRIMARY KEY (call_id, n)
) WITHOUT ROWID;
CREATE TABLE payloads (
    call_id TEXT PRIMARY KEY REFERENCES calls (id) ON DELETE CASCADE,
    request BLOB,                   -- zlib; the beginning, where request_size says that there was more
    request_size INTEGER,
    reply BLOB,
    reply_size INTEGER
);
"""

MIGRATIONS: dict[int, str] = {
    1: """
ALTER TABLE calls ADD COLUMN cost_nano INTEGER;
ALTER TABLE calls ADD COLUMN service_tier TEXT;
ALTER TABLE calls ADD COLUMN cache_write_1h_tokens INTEGER;
ALTER TABLE attempts ADD COLUMN cost_nano INTEGER;
""",
    2: """
ALTER TABLE calls ADD COLUMN decision TEXT;
ALTER TABLE calls ADD COLUMN copy_of TEXT;
ALTER TABLE calls ADD COLUMN score REAL;
CREATE INDEX copies ON calls (copy_of) WHERE copy_of IS NOT NULL;
""",
}
"""What makes of a file of one version one of the next. Columns are only added: an older reader's queries still work."""

_ATTEMPT_COLUMNS = (
    "call_id, n, provider, model, started_us, first_byte_us, ended_us, status, error_kind, error, cost_nano"
)
_ATTEMPT = f"INSERT INTO attempts ({_ATTEMPT_COLUMNS}) VALUES ({', '.join('?' * 11)})"  # noqa: S608  # our own names
_UNWRITABLE = (
    OverflowError,
    UnicodeEncodeError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


class WrongFile(Exception):
    """A file that is no audit log, or one of a newer version; the text names the mend."""


class AuditStore:
    """Writes rows. Each method is called by one thread at a time; ``write`` and ``prune`` raise ``sqlite3.Error``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unwritable = 0
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def open(self) -> None:
        """Open the file, and make it where it is absent; raises OSError, ``sqlite3.Error`` or WrongFile."""
        self.close()
        # Made here, because SQLite would let everybody read what callers wrote.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for tries_left in reversed(range(OPEN_TRIES)):
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                prepare(connection)
                break
            except BaseException as error:
                connection.close()
                if not isinstance(error, sqlite3.OperationalError) or not tries_left:
                    raise
                # Of two workers that turn WAL on at once, one may be told "locked" without being let wait.
                time.sleep(OPEN_PAUSE)
        status = self.path.stat()
        self._connection, self._identity = connection, (status.st_dev, status.st_ino)

    def write(self, rows: Sequence[AuditRow]) -> None:
        """Write rows in one transaction: all of them, or none."""
        connection = self._usable()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                try:
                    _insert(connection, row)
                except _UNWRITABLE:
                    # Such a row would fail for ever, and hold up all that come behind it.
                    self.unwritable += 1
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise

    def prune(self, before: int, limit: int) -> int:
        """Delete up to ``limit`` calls that began before ``before`` (microseconds); returns how many."""
        connection = self._usable()
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = connection.execute(
                "DELETE FROM calls WHERE rowid IN (SELECT rowid FROM calls WHERE time < ? ORDER BY time LIMIT ?)",
                (before, limit),
            ).rowcount
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise
        if found:
            connection.execute("PRAGMA incremental_vacuum(1000)").fetchall()
        return found

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def moved(self) -> bool:
        """Whether the path leads to another file than the open one, or to none.

        Only told, never mended: two connections to what SQLite takes for one file, by its name, destroy each other's
        log.
        """
        try:
            status = self.path.stat()
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != self._identity

    def _usable(self) -> sqlite3.Connection:
        if self._connection is None:
            self.open()
        assert self._connection is not None
        return self._connection


def prepare(connection: sqlite3.Connection) -> None:
    """Set a connection up for writing and make the tables of a new file; raises WrongFile."""
    connection.execute("PRAGMA foreign_keys = ON")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if version < VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Read again: another worker may have been first.
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise WrongFile("it is another program's database; name a file of its own for the audit log")
                for statement in TABLES.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            elif version < VERSION:
                _migrate(connection, version)
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise
    check_version(max(version, VERSION))


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring an older file to this version, within the transaction that is open."""
    for step in range(version, VERSION):
        for statement in MIGRATIONS[step].split(";\n"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _roll_back(connection: sqlite3.Connection) -> None:
    # SQLite has already rolled back by itself after some errors, such as a full disk.
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def check_version(version: int) -> None:
    """Raise WrongFile for a schema that this version does not know. An older one can be read as it is."""
    if not 1 <= version <= VERSION:
        raise WrongFile(f"its schema has the version {version}, this gateway knows {VERSION}; move it away or upgrade")


def _insert(connection: sqlite3.Connection, row: AuditRow) -> None:
    names = ", ".join(row.call)
    marks = ", ".join(f":{name}" for name in row.call)
    insert = f"INSERT INTO calls ({names}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"  # noqa: S608  # our own names
    facts: dict[str, Value] = row.call
    if connection.execute(insert, facts).rowcount == 0:
        # Callers choose request ids: a second call of one id must neither vanish nor overwrite the first.
        facts = {**facts, "id": f"{facts['id']}~{secrets.token_hex(4)}"}
        connection.execute(insert, facts)
    connection.executemany(_ATTEMPT, [(facts["id"], *attempt) for attempt in row.attempts])
    if row.request is not None or row.reply is not None:
        connection.execute(
            "INSERT INTO payloads VALUES (?, ?, ?, ?, ?)", (facts["id"], *_packed(row.request), *_packed(row.reply))
        )


def _packed(payload: Payload | None) -> tuple[bytes | None, int | None]:
    return (None, None) if payload is None else (zlib.compress(payload.data, 1), payload.size)
