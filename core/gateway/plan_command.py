"""``gateway plan NEW.toml``: what another configuration would change, by its text and for the logged calls."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.catalogue import dollars
from gateway.config import DEFAULT_FILE, built_in
from gateway.config_changes import Change, changes
from gateway.logged import LoggedCall, Replayed, replay
from gateway.registry import build
from gateway.translate_command import lenient_config, read_file

if TYPE_CHECKING:
    from gateway.registry import Gateway

EXAMPLES = 3
"""How many ids of calls are shown of those that would go another way."""


def plan(args: argparse.Namespace) -> int:
    """Print the differences; 1 where one of the two configurations cannot be used."""
    old_path = args.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    old, new = _built(old_path), _built(args.new)
    configs = {record.name: type(record.plugin).Config for gateway in (old, new) for record in gateway.records}
    found: dict[str, Any] = {
        "old": "the built-in configuration" if old_path is None else str(old_path),
        "new": str(args.new),
        "changes": [msgspec.to_builtins(change) for change in changes(_text(old_path), _text(args.new), configs)],
        # Stand-ins for secrets that are not here look like plain ones; "gateway check" tells of those.
        "warnings": [text for text in new.warnings if text not in old.warnings and "secret stands in" not in text],
        "traffic": None,
    }
    if args.n:
        calls = _logged(old, args)
        found["traffic"] = None if calls is None else traffic(old, new, calls)
    sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n" if args.json else text_of(found, args.n))
    return 0


def _built(path: Path | None) -> Gateway:
    config = lenient_config(path)
    # A plan is made with all targets well, and must not write to what a running gateway shares.
    alone = msgspec.structs.replace(config.health, store="memory")
    return build(msgspec.structs.replace(config, health=alone))


def _text(path: Path | None) -> str:
    return built_in() if path is None else read_file(path).decode("utf-8-sig", "replace")


def _logged(gateway: Gateway, args: argparse.Namespace) -> list[LoggedCall] | None:
    """The calls of the first plugin that keeps some; None where none does."""
    for record in gateway.records:
        logged = getattr(record.plugin, "logged", None)
        if logged is not None:
            calls: list[LoggedCall] = logged(args.n, since=args.since, model=args.model)
            return calls
    return None


def traffic(old: Gateway, new: Gateway, calls: Sequence[LoggedCall]) -> dict[str, Any]:
    """What would become of the calls under each of two configurations, as plain data; costs in dollars."""
    groups: dict[tuple[str, str, str], dict[str, Any]] = {}
    before = after = compared = as_logged = 0
    for call in calls:
        one, other = replay(old, call), replay(new, call)
        as_logged += one.target == call.target
        if one.cost is not None and other.cost is not None:
            compared += 1
            before, after = before + one.cost, after + other.cost
        if one.target == other.target and (one.target is not None or one.error == other.error):
            continue
        _add(groups, call, one, other)
    moved = sorted(groups.values(), key=lambda group: -group["calls"])
    for group in moved:
        nano = group.pop("nano")
        group["cost_difference"] = None if nano is None else _signed(nano)
    return {
        "calls": len(calls),
        "without_body": sum(call.body is None for call in calls),
        "as_logged": as_logged,
        "moved": sum(group["calls"] for group in moved),
        "refused": sum(group["calls"] for group in moved if group["to"] is None),
        "groups": moved,
        "cost": {
            "calls": compared,
            "old": dollars(before),
            "new": dollars(after),
            "difference": _signed(after - before),
        },
    }


def _add(groups: dict[tuple[str, str, str], dict[str, Any]], call: LoggedCall, one: Replayed, other: Replayed) -> None:
    """Count a call that would go elsewhere among those of its kind."""
    key = (call.model, one.target or f"- {one.error}", other.target or f"- {other.error}")
    group = groups.setdefault(
        key,
        {
            "model": call.model,
            "from": one.target,
            "to": other.target,
            "calls": 0,
            "old_error": one.error,
            "error": other.error,
            "why": other.why,
            "examples": [],
            "nano": None,
        },
    )
    group["calls"] += 1
    if len(group["examples"]) < EXAMPLES:
        group["examples"].append(call.id)
    if one.cost is not None and other.cost is not None:
        group["nano"] = (group["nano"] or 0) + other.cost - one.cost


def _signed(nano: int) -> str:
    return f"-{dollars(-nano)}" if nano < 0 else dollars(nano)


def text_of(found: dict[str, Any], count: int) -> str:
    """The findings as a person reads them."""
    lines = [f"{found['old']} → {found['new']}", ""]
    lines += _change_lines([msgspec.convert(change, Change) for change in found["changes"]])
    lines += [f"warning: {warning}" for warning in found["warnings"]]
    if count:
        lines += ["", *_traffic_lines(found["traffic"])]
    return "".join("".join(c if c.isprintable() else "?" for c in line) + "\n" for line in lines)


def _change_lines(found: Sequence[Change]) -> list[str]:
    if not found:
        return ["No setting differs."]
    lines: list[str] = []
    heading = ""
    whole = {change.table: change.what for change in found if not change.key}
    marks = {"added": "+", "removed": "-", "changed": "~"}
    for change in found:
        if change.table != heading:
            heading = change.table
            word = whole.get(heading, "changed")
            lines.append(f"{marks[word]} {heading}" + ("" if word == "changed" else f" {word}"))
        if not change.key:
            continue
        values = " → ".join(value for value in (change.old, change.new) if value is not None)
        if change.old == change.new:
            values = f"another value ({change.new})"
        lines.append(f"    {marks[change.what]} {change.key}: {values}")
    return lines


def _traffic_lines(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return ["No audit log is on, so nothing is known of the traffic."]
    if not found["calls"]:
        return ["The audit log has no such call that was routed."]
    lines = [f"of {_calls(found['calls'])} in the audit log, {found['moved']} would go another way:"]
    if not found["moved"]:
        lines = [f"all of {_calls(found['calls'])} in the audit log would go where they go now."]
    for group in found["groups"]:
        source = group["from"] or f"refused ({group['old_error']})"
        goal = group["to"] or f"refused ({group['error']})"
        line = f"  {group['calls']} of {group['model']}: {source} → {goal}"
        if group["cost_difference"] is not None:
            line += f"; cost {_plus(group['cost_difference'])} dollars"
        lines.append(line)
        if group["why"] and group["to"]:
            lines.append(f"      {group['why']}")
        lines.append(f"      such as {', '.join(group['examples'])}")
    cost = found["cost"]
    if cost["calls"]:
        lines.append(
            f"cost by the catalogue, of {_calls(cost['calls'])} whose prices and tokens are known: "
            f"${cost['old']} → ${cost['new']} ({_plus(cost['difference'])})"
        )
    else:
        lines.append("cost: not known, for no price or no token count is.")
    lines.append(
        f"Replayed with all targets well; the old configuration gives the logged target for {found['as_logged']}"
        f" of {found['calls']} (fallbacks, health and chance make the others)."
    )
    if found["without_body"]:
        lines.append(
            f"{_calls(found['without_body'])} kept no body: their size, key, model and tags are known, the rest of "
            "their needs only where a decision noted it (payloads = true keeps bodies). Headers are never kept."
        )
    return lines


def _calls(count: int) -> str:
    return f"{count} call" if count == 1 else f"{count} calls"


def _plus(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"
