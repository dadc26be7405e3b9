"""The access log: what a line says, and that lines reach the file whatever happens to it."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import Attempt, Call, PluginContext, RateLimited, Target
from gateway.errors import ConfigError
from gateway.protocol import Usage
from gateway_plugins.logs.access_log import AccessLog, AccessLogConfig
from gateway_plugins.logs.access_record import json_line, record_of, safe_query, text_line
from tests.plugins.made_calls import made_call

TARGET = Target(provider="up", model="gpt-4o")


def finished(**facts: Any) -> Call:
    given: dict[str, Any] = {
        "target": TARGET,
        "attempts": [Attempt(target=TARGET, started=0.0)],
        "usage": Usage(prompt_tokens=12, completion_tokens=34, cache_read_tokens=5),
        "cost": 180_000,
        "status": 200,
        "outcome": "ok",
        "started_at": 1767225600.1234,
        "first_byte": 0.5,
        "ended": 1.25,
        "upstream_seconds": 0.4985,
        "response_bytes": 99,
    }
    return made_call(**{**given, **facts})


def lines_of(*calls: Call) -> list[dict[str, Any]]:
    return [json.loads(json_line(record_of(call))) for call in calls]


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[AccessLog]:
    plugin = AccessLog(AccessLogConfig(**settings), PluginContext(name="log", use="access_log", folder=folder))
    asyncio.run(plugin.startup())
    try:
        yield plugin
    finally:
        asyncio.run(plugin.shutdown())


def test_a_line_tells_the_whole_call() -> None:
    call = finished()
    call.dropped.add("seed", "the target has none")
    assert lines_of(call) == [
        {
            "time": "2026-01-01T00:00:00.123Z",
            "id": "req_0123456789",
            "client": "127.0.0.1",
            "key": "team-a",
            "method": "POST",
            "path": "/v1/chat/completions",
            "query": None,
            "dialect": "openai_dialect",
            "model": "fast",
            "provider": "up",
            "upstream_model": "gpt-4o",
            "status": 200,
            "outcome": "ok",
            "stream": False,
            "attempts": 1,
            "prompt_tokens": 12,
            "completion_tokens": 34,
            "cached_tokens": 5,
            "cost": "0.00018",
            "request_bytes": len(call.body),
            "bytes": 99,
            "duration_ms": 1250.0,
            "first_byte_ms": 500.0,
            "overhead_ms": 1.5,
            "cache": None,
            "dropped": ["seed"],
            "error": None,
        }
    ]


def test_a_call_that_was_refused_early_has_a_line_too() -> None:
    call = made_call(
        key=None, model="", status=429, outcome="error", error=RateLimited("wait"), ended=0.001, first_byte=None
    )
    (line,) = lines_of(call)
    assert (line["status"], line["error"], line["key"], line["provider"]) == (429, "rate_limit_exceeded", None, None)
    assert line["overhead_ms"] is None


def test_the_caches_verdict_is_told() -> None:
    miss = finished(cache="miss")
    assert record_of(miss).cache == "miss"
    assert record_of(finished(cache="hit")).cache == "hit"
    assert record_of(finished()).cache is None


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"", ""),
        (b"alt=sse&key=SECRET", "alt=sse"),
        (b"KEY=SECRET&a=1&api-key=SECRET", "a=1"),
        (b"k%65y=SECRET&access_token=SECRET", ""),
        (b"key", ""),
        (b"monkey=1", "monkey=1"),
    ],
)
def test_a_query_string_is_kept_without_keys(query: bytes, kept: str) -> None:
    assert safe_query(query) == kept


def test_no_body_and_no_credential_is_in_a_line() -> None:
    call = finished(
        body={"model": "fast", "messages": "SECRET"},
        headers={b"authorization": b"Bearer SECRET", b"cookie": b"SECRET"},
        credential="SECRET",
        query=b"key=SECRET",
    )
    record = record_of(call)
    assert b"SECRET" not in json_line(record) + text_line(record)


def test_text_lines_begin_with_what_happened_and_leave_out_what_is_unknown() -> None:
    text = text_line(record_of(finished(client="", cache="miss"))).decode()
    assert text.startswith("2026-01-01T00:00:00.123Z 200 ok POST /v1/chat/completions id=req_0123456789 key=team-a ")
    assert " provider=up upstream_model=gpt-4o attempts=1 prompt_tokens=12 " in text
    assert "client=" not in text
    assert text.endswith(" cache=miss\n")


@pytest.mark.parametrize("evil", ["a\nb", "x\x1b[31m", 'say "hi"', "a=b c", "\u2028", "\ud800", "é"])
def test_no_value_can_forge_a_line_or_a_field(evil: str) -> None:
    record = record_of(finished(body={}, model=evil, path=evil))
    for line in (json_line(record), text_line(record)):
        assert line.count(b"\n") == 1
        assert b"\x1b" not in line
    assert json.loads(json_line(record))["model"] == evil
    (quoted,) = re.findall(r" model=(\"(?:[^\"\\]|\\.)*\")", text_line(record).decode())
    assert json.loads(quoted) == evil


def test_lines_are_in_the_file_when_the_plugin_has_stopped(tmp_path: Path) -> None:
    with running(tmp_path, path="access.jsonl") as plugin:
        for number in range(500):
            plugin.on_complete(finished(id=f"req_{number:08}"))
    lines = (tmp_path / "access.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"req_{number:08}" for number in range(500)]


def test_the_file_is_appended_to_and_only_its_owner_writes(tmp_path: Path) -> None:
    for _ in range(2):
        with running(tmp_path, path="access.log", format="text") as plugin:
            plugin.on_complete(finished())
    assert len((tmp_path / "access.log").read_text().splitlines()) == 2
    assert (tmp_path / "access.log").stat().st_mode & 0o027 == 0


@pytest.mark.parametrize("made_by_others", [False, True])
def test_a_rotated_file_is_opened_anew(tmp_path: Path, made_by_others: bool) -> None:
    path = tmp_path / "access.jsonl"
    with running(tmp_path, path="access.jsonl") as plugin:
        plugin.on_complete(finished(id="req_before-it"))
        wait_for(lambda: path.stat().st_size > 0)
        path.rename(tmp_path / "access.jsonl.1")
        if made_by_others:
            path.touch()
        plugin.on_complete(finished(id="req_after-it-"))
        wait_for(lambda: path.exists() and path.stat().st_size > 0)
    assert "req_before-it" in (tmp_path / "access.jsonl.1").read_text()
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["req_after-it-"]


def test_dash_writes_to_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path) as plugin:
        plugin.on_complete(finished())
    assert json.loads(capfd.readouterr().out)["id"] == "req_0123456789"


def test_a_path_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    expected = r"\[plugins.log\] path: cannot open .*/absent/access.log: No such file"
    with pytest.raises(ConfigError, match=expected), running(tmp_path, path="absent/access.log"):
        pass


def test_a_disk_that_takes_nothing_drops_lines_and_counts_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with running(tmp_path, path=str(full), queue_lines=10) as plugin:
        for _ in range(25):
            plugin.on_complete(finished())
        assert plugin.dropped == 15
        wait_for(lambda: "No space left" in caplog.text)
    assert "15 entries were dropped" in caplog.text
    assert "10 entries are lost" in caplog.text


def wait_for(condition: Any) -> None:
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("not within 5 s")
