"""Finished calls, and an audit log that runs, for the tests of both its sides."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway import Attempt, Call, PluginContext, Target
from gateway.protocol import Usage
from gateway_plugins.logs.audit_log import AuditLog, AuditLogConfig
from tests.plugins.made_calls import made_call

FIRST = Target(provider="down", model="gpt-4o")
SECOND = Target(provider="up", model="claude")


def finished(**facts: Any) -> Call:
    """A good call at its second target."""
    given: dict[str, Any] = {
        "target": SECOND,
        "attempts": [
            Attempt(target=FIRST, started=0.001, ended=0.2, status=503, error="too busy", error_kind="overloaded"),
            Attempt(target=SECOND, started=0.25, first_byte=0.4, ended=1.2, status=200, cost=180_000),
        ],
        "usage": Usage(prompt_tokens=12, completion_tokens=34, cache_read_tokens=5, reasoning_tokens=6),
        "answered_model": "claude-2026",
        "finish_reason": "stop",
        "cost": 180_000,
        "service_tier": "default",
        "status": 200,
        "outcome": "ok",
        "started_at": 1767225600.123456,
        "first_byte": 0.5,
        "ended": 1.25,
        "upstream_seconds": 0.4985,
        "response_bytes": 99,
        "tags": ("t1", "t2"),
    }
    return made_call(**{**given, **facts})


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[AuditLog]:
    """An audit log that is started, and stopped behind the block."""
    plugin = AuditLog(AuditLogConfig(**settings), PluginContext(name="audit", use="audit_log", folder=folder))
    asyncio.run(plugin.startup())
    try:
        yield plugin
    finally:
        asyncio.run(plugin.shutdown())


def rows(folder: Path, query: str = "SELECT * FROM calls ORDER BY rowid") -> list[dict[str, Any]]:
    """What is in the file now."""
    connection = sqlite3.connect(folder / "audit.sqlite")
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]
    finally:
        connection.close()


def wait_for(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)
