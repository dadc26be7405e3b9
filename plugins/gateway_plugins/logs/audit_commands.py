"""``gateway logs``: the audit log's file as a table, as JSON, or one call whole."""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from gateway_plugins.logs.access_record import rfc3339
from gateway_plugins.logs.audit_reader import AuditReader, Filters, Row, open_reader
from gateway_plugins.logs.audit_store import WrongFile

POLL_SECONDS = 0.5

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_JSON_COLUMNS = ("dropped", "tags", "decision")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser], word: str, path: Path) -> None:
    """Add ``gateway logs`` and ``gateway logs show ID`` for the file at ``path``."""
    parser = commands.add_parser(word, help="show the calls in the audit log", description="Show the latest calls.")
    parser.add_argument("-n", type=_count, default=20, metavar="N", help="how many calls (default: 20)")
    parser.add_argument("--json", action="store_true", help="print JSON; with --follow, a line for each call")
    parser.add_argument("--errors", action="store_true", help="only calls that did not end well")
    parser.add_argument("--model", metavar="M", help="only this model, as asked for; * stands for anything")
    parser.add_argument("--key", metavar="K", help="only this key's name; * stands for anything")
    parser.add_argument(
        "--since", type=moment, metavar="T", help="only since then: 90s, 30m, 1h, 2d, or 2026-01-31T12:00"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on and show new calls as they end")
    parser.set_defaults(run=partial(_safely, list_calls, path))
    show = parser.add_subparsers(metavar="").add_parser("show", help="show one call whole")
    show.add_argument("id", help="the request id (x-request-id), or its beginning")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=partial(_safely, show_call, path))


def _safely(command: Callable[[AuditReader, argparse.Namespace], int], path: Path, args: argparse.Namespace) -> int:
    """Run a command on the file; 1 and a sentence where that does not work."""
    try:
        with open_reader(path) as reader:
            return command(reader, args)
    except FileNotFoundError:
        sys.stderr.write(f"There is no audit log at {path} yet: it is made when the gateway starts.\n")
    except (sqlite3.Error, WrongFile) as error:
        sys.stderr.write(f"Cannot read {path}: {error}\n")
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # The reader of our output, such as head, has seen enough.
        sys.stderr.close()
        return 0
    return 1


def list_calls(reader: AuditReader, args: argparse.Namespace) -> int:
    """Print the latest calls, and with ``--follow`` those that come, until interrupted."""
    filters = Filters(errors=args.errors, model=args.model, key=args.key, since=args.since)
    seen = reader.last_rowid()
    rows = reader.latest(filters, args.n)
    seen = max([seen, *(row["rowid"] for row in rows)])
    if args.json and not args.follow:
        _print(json.dumps([_readable(row) for row in rows], indent=2))
        return 0
    table = Table()
    _print_rows(rows, table, as_json=args.json)
    while args.follow:
        time.sleep(POLL_SECONDS)
        fresh = reader.after(seen, filters)
        if fresh:
            seen = fresh[-1]["rowid"]
            _print_rows(fresh, table, as_json=args.json)
    return 0


def show_call(reader: AuditReader, args: argparse.Namespace) -> int:
    """Print all that is known of one call."""
    rows = reader.find(args.id)
    if not rows:
        sys.stderr.write(f"No call has the id {_clean(args.id)}.\n")
        return 1
    # A copy's id begins as that of its call.
    rows = [row for row in rows if row["id"] == args.id or row.get("copy_of") is None] or rows
    if len(rows) > 1 and rows[0]["id"] != args.id:
        sys.stderr.write("Several calls have ids that begin so:\n")
        sys.stderr.writelines(f"  {row['id']}\n" for row in rows)
        return 1
    row = rows[0]
    attempts, payloads = reader.attempts(row["id"]), reader.payloads(row["id"])
    others, copies = [other["id"] for other in rows[1:]], reader.copies(row["id"])
    if args.json:
        whole = _readable(row) | {"attempts": attempts, "payloads": _texts(payloads)}
        more = {name: ids for name, ids in (("same_id", others), ("copies", copies)) if ids}
        _print(json.dumps(whole | more, indent=2))
        return 0
    _print_whole(row, attempts, payloads)
    if others:
        _print(f"\nThe same id came again: {', '.join(others)}")
    if copies:
        _print(f"\nIt was copied as: {', '.join(copies)}")
    return 0


def _print_whole(row: Row, attempts: list[Row], payloads: Row | None) -> None:
    """A call for people: its columns, the decision on it, the attempts, the bodies."""
    width = max(map(len, row))
    readable = _readable(row)
    decision = readable.pop("decision", None)
    for name, value in readable.items():
        if value is not None and value != "":
            _print(f"{name.ljust(width)}  {_clean(value if isinstance(value, str) else json.dumps(value))}")
    for line in (*decision_lines(decision or {}), *map(_attempt_line, attempts)):
        _print(_clean(line))
    for name, text in (_texts(payloads) or {}).items():
        _print(f"\n--- {name}\n{_clean_text(text)}" if isinstance(text, str) else "")


class Table:
    """Rows of text in columns; once a line was printed the columns only grow."""

    head = ("TIME", "STATUS", "OUTCOME", "KEY", "MODEL", "TARGET", "TOKENS", "MS", "ID")

    def __init__(self) -> None:
        self._widths: list[int] | None = None

    def lines(self, rows: Iterable[Row]) -> list[str]:
        """The rows as lines; the first time with the head above them."""
        cells = [_cells(row) for row in rows]
        if self._widths is None:
            cells.insert(0, self.head)
            self._widths = [0] * len(self.head)
        self._widths = [max(width, *map(len, column), 0) for width, *column in zip(self._widths, *cells, strict=True)]
        return ["  ".join(c.ljust(w) for c, w in zip(line, self._widths, strict=True)).rstrip() for line in cells]


def moment(text: str) -> float:
    """A time as Unix seconds, from ``90s``, ``30m``, ``1h``, ``2d``, ``1w`` (ago) or an ISO date or time (UTC)."""
    if (ago := _AGO.fullmatch(text)) is not None:
        return time.time() - float(ago[1]) * _UNITS[ago[2]]
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected 90s, 30m, 1h, 2d or 2026-01-31T12:00, not {text!r}") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number, not {text!r}")
    return int(text)


def _print_rows(rows: list[Row], table: Table, *, as_json: bool) -> None:
    for line in [json.dumps(_readable(row)) for row in rows] if as_json else table.lines(rows):
        _print(line)
    sys.stdout.flush()


def _cells(row: Row) -> tuple[str, ...]:
    target = "-" if row["provider"] is None else f"{row['provider']}/{row['upstream_model']}"
    counted = row["prompt_tokens"] is not None
    return tuple(
        _clean(cell)
        for cell in (
            rfc3339(row["time"] / 1_000_000),
            str(row["status"]),
            row["error_code"] or row["error_kind"] or row["outcome"],
            row["tenant"],
            row["model"] or "-",
            "cache" if row["source"] == "cache" else target,
            f"{row['prompt_tokens']}+{row['completion_tokens']}" if counted else "-",
            f"{row['duration_us'] / 1000:.1f}",
            row["id"],
        )
    )


def _readable(row: Row) -> Row:
    """A row for people and programs: the time in RFC 3339, JSON columns decoded, no rowid."""
    # A file of an older version lacks some columns.
    decoded = {name: json.loads(row[name]) for name in _JSON_COLUMNS if row.get(name) is not None}
    plain = {name: value for name, value in row.items() if name != "rowid"}
    return plain | decoded | {"time": rfc3339(row["time"] / 1_000_000), "stream": bool(row["stream"])}


def decision_lines(decision: Row) -> list[str]:
    """A decision as lines for people: what it went by, each candidate with its reason, and what was noted."""
    lines = [f"decision: {decision['strategy']}"] if decision.get("strategy") else []
    lines += [f"  {name}: {decision[name]}" for name in ("rule", "split") if decision.get(name)]
    if needs := decision.get("needs"):
        told = (name if value is True else f"{name} {value}" for name, value in needs.items())
        lines.append(f"  needs: {', '.join(told)}")
    place = 0
    for entry in decision.get("candidates", ()):
        kept = entry.get("kept", True)
        place += kept
        score, detail = entry.get("score"), entry.get("detail")
        said = detail if score is None else f"{score:g} {detail or ''}".strip()
        words = "; ".join(word for word in (said, entry.get("why")) if word)
        mark = f"{place}." if kept else "not tried:"
        lines.append(f"  {mark} {entry['target']}{f' ({words})' if words else ''}")
    return lines + [f"  {note}" for note in decision.get("notes", ())]


def _attempt_line(attempt: Row) -> str:
    ended = "" if attempt["ended_us"] is None else f" {(attempt['ended_us'] - attempt['started_us']) / 1000:.1f} ms"
    said = "" if attempt["status"] is None else f" status {attempt['status']}"
    error = "" if attempt["error"] is None else f" {attempt['error_kind']}: {attempt['error']}"
    target = f"{attempt['provider']}/{attempt['model']}"
    return _clean(f"attempt {attempt['n']}: {target} at {attempt['started_us'] / 1000:.1f} ms{ended}{said}{error}")


def _texts(payloads: Row | None) -> dict[str, Any] | None:
    """The bodies as text; where less was kept than there was, they say so."""
    if payloads is None:
        return None
    texts: dict[str, Any] = {}
    for name in ("request", "reply"):
        data: bytes | None = payloads[name]
        if data is not None:
            missing = payloads[f"{name}_size"] - len(data)
            cut = f"\n[{missing} more bytes were not kept]" if missing > 0 else ""
            texts[name] = data.decode("utf-8", "replace") + cut
    return texts


def _clean(text: str) -> str:
    """Text without what would move the cursor, colour the terminal or begin a line: callers choose some of it."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _clean_text(text: str) -> str:
    return "\n".join(map(_clean, text.splitlines()))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
