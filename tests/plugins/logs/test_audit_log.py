"""The audit log: each call has its row, whatever happens to the disk."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import resource
import sqlite3
import threading
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import RateLimited, Reply, Unavailable
from gateway.decision import decision_of
from gateway.errors import ConfigError
from gateway_plugins.logs.audit_log import AuditLog, AuditLogConfig
from tests.plugins.logs.audit_calls import FIRST, SECOND, finished, rows, running, wait_for
from tests.plugins.made_calls import CONTEXT, made_call


def test_a_row_tells_the_whole_call(tmp_path: Path) -> None:
    call = finished()
    call.dropped.add("seed", "the target has none")
    with running(tmp_path) as plugin:
        plugin.on_complete(call, Reply())
    (row,) = rows(tmp_path)
    assert row == {
        "id": "req_0123456789",
        "time": 1767225600123456,
        "tenant": "team-a",
        "client": "127.0.0.1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "dialect": "openai_dialect",
        "format": "openai_chat",
        "operation": "chat",
        "model": "fast",
        "provider": "up",
        "upstream_model": "claude",
        "answered_model": "claude-2026",
        "stream": 0,
        "status": 200,
        "outcome": "ok",
        "source": "upstream",
        "cache": None,
        "error_kind": None,
        "error_code": None,
        "error": None,
        "finish_reason": "stop",
        "prompt_tokens": 12,
        "completion_tokens": 34,
        "reasoning_tokens": 6,
        "cache_read_tokens": 5,
        "cache_write_tokens": 0,
        "cache_write_1h_tokens": 0,
        "usage_source": "upstream",
        "attempts": 2,
        "cost_nano": 180_000,
        "service_tier": "default",
        "dropped": '{"seed":"the target has none"}',
        "tags": '["t1","t2"]',
        "duration_us": 1_250_000,
        "first_byte_us": 500_000,
        "upstream_us": 498_500,
        "request_bytes": len(call.body),
        "reply_bytes": 99,
        "decision": None,
        "copy_of": None,
        "score": None,
    }


def test_each_attempt_has_a_row(tmp_path: Path) -> None:
    with running(tmp_path) as plugin:
        plugin.on_complete(finished(), Reply())
    assert [tuple(row.values()) for row in rows(tmp_path, "SELECT * FROM attempts ORDER BY n")] == [
        ("req_0123456789", 1, "down", "gpt-4o", 1000, None, 200_000, 503, "overloaded", "too busy", None),
        ("req_0123456789", 2, "up", "claude", 250_000, 400_000, 1_200_000, 200, None, None, 180_000),
    ]


def test_a_refused_call_has_a_row_with_its_error(tmp_path: Path) -> None:
    call = made_call(key=None, model="", status=429, outcome="error", error=RateLimited("wait a second"), ended=0.001)
    with running(tmp_path) as plugin:
        plugin.on_complete(call, None)
    (row,) = rows(tmp_path)
    assert (row["tenant"], row["model"], row["status"], row["attempts"]) == ("anonymous", "", 429, 0)
    assert (row["error_kind"], row["error_code"], row["error"]) == (
        "rate_limit",
        "rate_limit_exceeded",
        "wait a second",
    )


def test_a_call_is_in_the_file_soon_after_it_ended_and_only_once(tmp_path: Path) -> None:
    with running(tmp_path, flush_seconds=0.05) as plugin:
        call = finished()
        begun = time.monotonic()
        for _ in range(3):
            plugin.on_complete(call, Reply())
        wait_for(lambda: rows(tmp_path))
        assert time.monotonic() - begun < 4.0
    assert len(rows(tmp_path)) == 1


def test_everything_queued_is_written_at_shutdown(tmp_path: Path) -> None:
    with running(tmp_path, flush_seconds=10) as plugin:
        for number in range(1000):
            plugin.on_complete(finished(id=f"req_{number:08}"), Reply())
    assert [row["id"] for row in rows(tmp_path)] == [f"req_{number:08}" for number in range(1000)]


def test_a_request_id_that_comes_twice_neither_vanishes_nor_overwrites(tmp_path: Path) -> None:
    with running(tmp_path) as plugin:
        for status in (200, 500, 200):
            plugin.on_complete(finished(status=status), Reply())
    found = rows(tmp_path)
    assert [row["status"] for row in found] == [200, 500, 200]
    assert found[0]["id"] == "req_0123456789"
    assert all(row["id"].startswith("req_0123456789~") for row in found[1:])
    assert len(rows(tmp_path, "SELECT * FROM attempts")) == 6


def test_without_payloads_no_body_is_kept(tmp_path: Path) -> None:
    secret = b"SECRET-PROMPT"
    call = finished(
        body={"messages": secret.decode()}, headers={b"authorization": b"Bearer SECRET-PROMPT"}, query=b"key=" + secret
    )
    call.credential = secret.decode()
    with running(tmp_path) as plugin:
        plugin.on_complete(call, Reply(body=secret))
    assert rows(tmp_path, "SELECT * FROM payloads") == []
    assert not any(secret in path.read_bytes() for path in tmp_path.iterdir())


def test_payloads_are_kept_compressed_and_bounded(tmp_path: Path) -> None:
    with running(tmp_path, payloads=True, max_payload_bytes=100) as plugin:
        plugin.on_complete(finished(body=b"q" * 250, id="req_long-one"), Reply(body=b"a" * 100))
        plugin.on_complete(finished(body=b"", id="req_empty-one"), None)
    (row,) = rows(tmp_path, "SELECT * FROM payloads")
    assert (zlib.decompress(row["request"]), row["request_size"]) == (b"q" * 100, 250)
    assert (zlib.decompress(row["reply"]), row["reply_size"]) == (b"a" * 100, 100)


def test_the_payload_of_a_stream_is_what_passed(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(4):
            yield b"data: %d\n\n" % number

    async def read(plugin: AuditLog, most: int) -> list[bytes]:
        call, reply = finished(id=f"req_read-{most:04}"), Reply(stream=pieces())
        await plugin.on_response(call, reply)
        assert reply.stream is not None
        got: list[bytes] = []
        async for chunk in reply.stream:
            got.append(chunk)
            if len(got) == most:
                break
        plugin.on_complete(call, reply)
        return got

    with running(tmp_path, payloads=True, max_payload_bytes=15) as plugin:
        assert len(asyncio.run(read(plugin, 9))) == 4
        assert len(asyncio.run(read(plugin, 1))) == 1
    whole, left = rows(tmp_path, "SELECT * FROM payloads ORDER BY call_id DESC")
    assert (zlib.decompress(whole["reply"]), whole["reply_size"]) == (b"data: 0\n\ndata: ", 36)
    assert (zlib.decompress(left["reply"]), left["reply_size"]) == (b"data: 0\n\n", 9)


def test_a_full_queue_drops_rows_and_counts_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path, queue_rows=10, flush_seconds=0.2) as plugin, caplog.at_level(logging.WARNING):
        for number in range(25):
            call = finished(id=f"req_{number:08}")
            asyncio.run(plugin.on_request(call))
            plugin.on_complete(call, Reply())
        assert plugin.dropped == 15
    assert len(rows(tmp_path)) == 10
    assert "15 entries were dropped" in caplog.text


def test_where_told_to_calls_are_refused_rather_than_unrecorded(tmp_path: Path) -> None:
    with running(tmp_path, queue_rows=10, flush_seconds=0.3, overflow="refuse") as plugin:
        calls = [finished(id=f"req_{number:08}") for number in range(10)]
        for call in calls:
            asyncio.run(plugin.on_request(call))
        with pytest.raises(Unavailable) as caught:
            asyncio.run(plugin.on_request(finished()))
        assert (b"retry-after", b"1") in caught.value.response_headers()
        # Calls that never came to on_request, such as those without a key, do not take the admitted ones' places.
        for number in range(20):
            plugin.on_complete(made_call(id=f"req_early_{number:02}", outcome="error", ended=0.0), None)
        for call in calls:
            plugin.on_complete(call, Reply())
        wait_for(lambda: len(rows(tmp_path)) == 20)
        asyncio.run(plugin.on_request(finished()))
    assert {call.id for call in calls} <= {row["id"] for row in rows(tmp_path)}


def test_a_locked_file_delays_rows_and_loses_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path) as plugin, caplog.at_level(logging.WARNING):
        lock = sqlite3.connect(tmp_path / "audit.sqlite", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        for number in range(5):
            plugin.on_complete(finished(id=f"req_{number:08}"), Reply())
        assert time.monotonic() - begun < 0.9, "on_complete does not wait for the file"
        wait_for(lambda: "database is locked; 5 rows wait" in caplog.text)
        lock.execute("COMMIT")
        lock.close()
        wait_for(lambda: len(rows(tmp_path)) == 5)
    assert plugin.dropped == 0


def test_a_full_disk_is_told_and_writing_resumes_by_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path, payloads=True, max_payload_bytes=1 << 20) as plugin, caplog.at_level(logging.WARNING):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        try:
            noise = random.Random(1).randbytes(600_000)
            plugin.on_complete(finished(body=noise, id="req_the-large-one"), Reply())
            wait_for(lambda: "cannot write to" in caplog.text)
            plugin.on_complete(finished(id="req_the-next-one"), Reply())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        wait_for(lambda: len(rows(tmp_path)) == 2)
    assert caplog.text.count("cannot write to") == 1


def test_a_row_that_cannot_be_kept_does_not_hold_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path) as plugin, caplog.at_level(logging.WARNING):
        plugin.on_complete(finished(path="/\ud800", id="req_bad-text"), Reply())
        plugin.on_complete(finished(response_bytes=1 << 70, id="req_bad-number"), Reply())
        plugin.on_complete(finished(id="req_good-one"), Reply())
    assert [row["id"] for row in rows(tmp_path)] == ["req_good-one"]
    assert "2 rows since the start" in caplog.text


def test_several_workers_start_at_once_and_share_the_file(tmp_path: Path) -> None:
    failures: list[BaseException] = []
    gate = threading.Barrier(4)

    def work(worker: int) -> None:
        try:
            gate.wait(5)
            with running(tmp_path, flush_seconds=0.0) as plugin:
                for number in range(100):
                    plugin.on_complete(finished(id=f"req_{worker}_{number:06}"), Reply())
        except BaseException as error:  # noqa: BLE001  # told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=[worker]) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert len({row["id"] for row in rows(tmp_path)}) == 400


def test_old_calls_are_deleted_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    with running(tmp_path, payloads=True) as plugin:
        for number in range(700):
            plugin.on_complete(finished(id=f"req_old_{number:06}", started_at=time.time() - 40 * 86_400), Reply())
        for number in range(5):
            plugin.on_complete(finished(id=f"req_new_{number:06}", started_at=time.time() - 86_400), Reply())
    with running(tmp_path, payloads=True, keep_days=30):
        wait_for(lambda: len(rows(tmp_path)) == 5)
    assert {row["id"][:7] for row in rows(tmp_path)} == {"req_new"}
    assert len(rows(tmp_path, "SELECT * FROM attempts")) == 10
    assert len(rows(tmp_path, "SELECT * FROM payloads")) == 5


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with running(tmp_path) as plugin:
        plugin.on_complete(finished(), Reply())
        wait_for(lambda: rows(tmp_path))
        assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_a_file_that_is_something_else_stops_the_start_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    path.write_bytes(b"not a database, but somebody's notes" * 30)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"\[plugins.audit\] path: cannot use .*not a database"), running(tmp_path):
        pass
    assert path.read_bytes() == before
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (text)")
    other.close()
    with pytest.raises(ConfigError, match="another program's database"), running(tmp_path):
        pass


def test_a_file_of_a_newer_version_stops_the_start(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    newer = sqlite3.connect(tmp_path / "audit.sqlite")
    newer.execute("PRAGMA user_version = 9")
    newer.close()
    with pytest.raises(ConfigError, match="its schema has the version 9"), running(tmp_path):
        pass


def test_a_folder_that_is_absent_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"), running(tmp_path, path="absent/audit.sqlite"):
        pass


def test_a_file_that_was_moved_away_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path) as plugin, caplog.at_level(logging.WARNING):
        (tmp_path / "audit.sqlite").rename(tmp_path / "moved.sqlite")
        plugin.on_complete(finished(), Reply())
        wait_for(lambda: "moved or deleted while in use" in caplog.text)


def test_payloads_that_are_kept_for_ever_draw_a_warning() -> None:
    assert AuditLog(AuditLogConfig(payloads=True), CONTEXT).warnings() == ["payloads are kept for ever: set keep_days"]
    assert AuditLog(AuditLogConfig(payloads=True, keep_days=30), CONTEXT).warnings() == []
    assert AuditLog(AuditLogConfig(), CONTEXT).warnings() == []


def test_the_dropped_fields_are_json(tmp_path: Path) -> None:
    call = finished()
    call.dropped.add("messages[0].näme", 'said "no"')
    with running(tmp_path) as plugin:
        plugin.on_complete(call, Reply())
    assert json.loads(rows(tmp_path)[0]["dropped"]) == {"messages[0].näme": 'said "no"'}


def test_a_row_tells_how_the_targets_were_chosen(tmp_path: Path) -> None:
    call = finished(targets=(FIRST, SECOND), copy_of="req_original", score=0.75)
    decision_of(call).scored(SECOND, 2.0, "calls in flight")
    decision_of(call).order((SECOND, FIRST))
    call.note("down/gpt-4o was passed over: open")
    with running(tmp_path) as plugin:
        plugin.on_complete(call, None)
    (row,) = rows(tmp_path)
    assert (row["copy_of"], row["score"]) == ("req_original", 0.75)
    assert json.loads(row["decision"]) == {
        "strategy": "ordered",
        "candidates": [{"target": "up/claude", "score": 2.0, "detail": "calls in flight"}, {"target": "down/gpt-4o"}],
        "notes": ["down/gpt-4o was passed over: open"],
    }
