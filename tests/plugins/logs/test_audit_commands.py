"""``gateway logs``: what operators read."""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway import PluginContext, RateLimited, Reply
from gateway.decision import decision_of
from gateway.needs import needs_of
from gateway_plugins.logs.audit_commands import Table, list_calls, moment
from gateway_plugins.logs.audit_log import AuditLog, AuditLogConfig
from gateway_plugins.logs.audit_reader import AuditReader, Filters, open_reader
from tests.plugins.logs.audit_calls import FIRST, SECOND, finished, running
from tests.plugins.made_calls import made_call

NOW = time.time()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an audit log of 30 calls, one of them refused, one from a cache."""
    place = tmp_path_factory.mktemp("audit")
    with running(place, payloads=True, max_payload_bytes=60) as plugin:
        for number in range(28):
            call = finished(id=f"req_{number:08}", started_at=NOW - 7200 + number, key="ab"[number % 2])
            plugin.on_complete(call, Reply(body=b'{"answer":%d}' % number))
        refused = made_call(id="req_refused1", model="openai/x\x1b[31m", status=429, outcome="error", started_at=NOW)
        refused.error, refused.ended = RateLimited("wait\na second"), 0.002
        plugin.on_complete(refused, None)
        hit = finished(id="req_fromcache", target=None, attempts=[], usage=None, started_at=NOW)
        plugin.on_complete(hit, Reply(body=b"x" * 100, source="cache"))
        plugin.on_complete(finished(id="req_00000003", status=500, outcome="error", started_at=NOW - 7000), None)
    return place


def run(place: Path, *arguments: str) -> int:
    plugin = AuditLog(AuditLogConfig(), PluginContext(name="audit", use="audit_log", folder=place))
    parser = argparse.ArgumentParser()
    plugin.register_commands(parser.add_subparsers())
    args = parser.parse_args(["logs", *arguments])
    code: int = args.run(args)
    return code


def ids(place: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run(place, "--json", *arguments) == 0
    return [row["id"] for row in json.loads(capsys.readouterr().out)]


def test_the_latest_calls_come_last_in_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "-n", "3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["TIME", "STATUS", "OUTCOME", "KEY", "MODEL", "TARGET", "TOKENS", "MS", "ID"]
    assert len(lines) == 4
    assert lines[-1].split()[1:] == ["200", "ok", "team-a", "fast", "cache", "-", "1250.0", "req_fromcache"]
    assert lines[-2].split()[1:4] == ["429", "rate_limit_exceeded", "team-a"]
    assert "12+34" in lines[1]
    assert "up/claude" in lines[1]
    assert "\x1b" not in "".join(lines)


def test_calls_can_be_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(ids(folder, capsys)) == 20
    assert len(ids(folder, capsys, "-n", "100")) == 31
    assert len(ids(folder, capsys, "-n", "100", "--key", "a")) == 14
    assert len(ids(folder, capsys, "-n", "100", "--key", "[ab]", "--model", "fa*")) == 28
    assert ids(folder, capsys, "--model", "openai/*") == ["req_refused1"]
    assert len(ids(folder, capsys, "--errors")) == 2
    assert ids(folder, capsys, "--since", "1h") == ["req_refused1", "req_fromcache"]


def test_json_rows_are_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--json", "-n", "1") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["tags"] == ["t1", "t2"]
    assert row["stream"] is False
    assert row["time"].endswith("Z")
    assert "rowid" not in row


def test_show_tells_one_call_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "show", "req_00000007") == 0
    text = capsys.readouterr().out
    assert "answered_model  " in text
    assert "attempt 1: down/gpt-4o at 1.0 ms 199.0 ms status 503 overloaded: too busy" in text
    assert "attempt 2: up/claude at 250.0 ms 950.0 ms status 200" in text
    assert '--- request\n{"model":"fast",' in text
    assert '--- reply\n{"answer":7}' in text


def test_show_says_what_was_not_kept_of_a_body(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "show", "req_fromcache") == 0
    assert "[40 more bytes were not kept]" in capsys.readouterr().out


def test_show_takes_a_beginning_and_names_what_is_ambiguous(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "show", "req_ref", "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["id"], row["attempts"], row["payloads"]["request"][:9]) == ("req_refused1", [], '{"model":')
    assert run(folder, "show", "req_0000000") == 1
    assert "req_00000001\n" in capsys.readouterr().err
    assert run(folder, "show", "req_none") == 1
    assert "No call has the id req_none." in capsys.readouterr().err


def test_show_names_the_calls_that_came_with_the_same_id(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "show", "req_00000003") == 0
    assert "The same id came again: req_00000003~" in capsys.readouterr().out


def test_without_a_file_the_reason_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 1
    assert "There is no audit log at" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "audit.sqlite").write_bytes(b"no database" * 100)
    assert run(tmp_path) == 1
    assert "Cannot read" in capsys.readouterr().err


def test_follow_shows_new_calls_once_in_the_order_of_writing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(*names: str) -> None:
        with running(tmp_path) as plugin:
            for name in names:
                plugin.on_complete(finished(id=name), Reply())

    class Watched(AuditReader):
        """Calls end while the first are printed, and again before the first look; the second look is interrupted."""

        looks = 0

        def latest(self, filters: Filters, count: int) -> list[dict[str, Any]]:
            write("req_meanwhile")
            return super().latest(filters, count)

        def after(self, rowid: int, filters: Filters) -> list[dict[str, Any]]:
            self.looks += 1
            if self.looks == 2:
                raise KeyboardInterrupt
            write("req_second-1", "req_third-12")
            return super().after(rowid, filters)

    write("req_before-it")
    args = argparse.Namespace(errors=False, model=None, key=None, since=None, n=5, json=True, follow=True)
    with closing(sqlite3.connect(tmp_path / "audit.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        with pytest.raises(KeyboardInterrupt):
            list_calls(Watched(connection), args)
    printed = [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]
    assert printed == ["req_before-it", "req_meanwhile", "req_second-1", "req_third-12"]


def test_the_file_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    with running(tmp_path, flush_seconds=0.0) as plugin, open_reader(tmp_path / "audit.sqlite") as reader:
        for number in range(3):
            plugin.on_complete(finished(id=f"req_{number:08}"), Reply())
        end = time.monotonic() + 5
        while reader.last_rowid() < 3:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_table_keeps_its_columns_and_prints_its_head_once() -> None:
    table = Table()
    assert len(table.lines([])) == 1
    assert table.lines([]) == []


@pytest.mark.parametrize(
    ("text", "ago"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172_800), ("1w", 604_800)]
)
def test_moments_are_told_as_ago(text: str, ago: float) -> None:
    assert abs(time.time() - ago - moment(text)) < 1


def test_moments_are_told_as_dates_in_utc() -> None:
    assert moment("2026-01-01") == 1767225600
    assert moment("2026-01-01T01:00+01:00") == 1767225600
    with pytest.raises(argparse.ArgumentTypeError, match="expected 90s"):
        moment("yesterday")


def test_show_tells_how_the_targets_were_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = finished(id="req_decided1", strategy="cheapest")
    decision = decision_of(call)
    decision.rule, decision.split = "tokens > 5", "canary"
    decision.scored(SECOND, 0.25, "dollars expected")
    decision.candidate("blind/m").why = "takes no images\x1b[31m"
    decision.order((SECOND, FIRST))
    call.note("down/gpt-4o was passed over: open")
    assert needs_of(call).tokens == 15
    with running(tmp_path) as plugin:
        plugin.on_complete(call, None)
        plugin.on_complete(finished(id="req_decided1~copy", copy_of="req_decided1"), None)
    assert run(tmp_path, "show", "req_decided1") == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    lines = [
        "decision: cheapest",
        "  rule: tokens > 5",
        "  split: canary",
        "  needs: tokens 15",
        "  1. up/claude (0.25 dollars expected)",
        "  2. down/gpt-4o",
        "  not tried: blind/m (takes no images?[31m)",
        "  down/gpt-4o was passed over: open",
        "attempt 1: down/gpt-4o at 1.0 ms",
    ]
    assert "\n".join(lines) in text
    assert text.endswith("It was copied as: req_decided1~copy\n")
    assert "came again" not in text
    assert run(tmp_path, "show", "req_deci", "--json") == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole["decision"]["candidates"][0] == {
        "target": "up/claude",
        "score": 0.25,
        "detail": "dollars expected",
    }
    assert whole["copies"] == ["req_decided1~copy"]
