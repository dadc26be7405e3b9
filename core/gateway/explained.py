"""The decision on a call, told: as JSON for a log, and as one bounded line for the head of the answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.decision import Candidate
from gateway.needs import needs_of

if TYPE_CHECKING:
    from gateway.call import Call

LONGEST_LINE = 2048
"""Bytes of ``x-gateway-decision``; what does not fit is left out, the least important first."""
NEEDS = ("tokens", "max_tokens", "images", "audio", "documents", "tools", "schema")
"""The names of ``gateway.needs`` that are told."""
_LONGEST_TEXT = 200
_MOST_ENTRIES = 32


class Explanation(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The record of a decision: ``gateway.decision``'s, with what was found out of the request and noted on the way."""

    strategy: str = ""
    rule: str | None = None
    split: str | None = None
    candidates: list[Candidate] = []
    needs: dict[str, Any] = {}
    notes: list[str] = []


_encode = msgspec.json.Encoder().encode


def explanation_of(call: Call) -> Explanation | None:
    """What is to tell of a call; None where nothing was decided: one target, taken as declared."""
    decision = call.decision
    if decision is None:
        return Explanation(strategy=_strategy(call), notes=call.notes) if call.notes else None
    return Explanation(
        strategy=decision.strategy,
        rule=decision.rule,
        split=decision.split,
        candidates=decision.candidates,
        needs=found_needs(call),
        notes=[*decision.notes, *call.notes],
    )


def explanation_json(call: Call) -> str | None:
    """The same as JSON."""
    found = explanation_of(call)
    if found is None:
        return None
    try:
        return _encode(found).decode()
    except UnicodeEncodeError:  # a lone surrogate in what the caller named, which UTF-8 cannot hold
        return json.dumps(msgspec.to_builtins(found))


def found_needs(call: Call) -> dict[str, Any]:
    """What was found out of a request so far: ``tokens``, ``images``, ``tools`` …; what nobody asked for is not."""
    known = needs_of(call).memory
    return {name: value for name in NEEDS if (value := known.get(name))}


def wants_explanation(call: Call) -> bool:
    """Whether the caller asked for ``x-gateway-decision``."""
    return call.headers.get(b"x-gateway-explain") in (b"1", b"true")


def decision_line(call: Call) -> bytes | None:
    """The decision and the attempts so far as one line of ASCII JSON; None for a call that was not routed.

    At most LONGEST_LINE bytes: notes go first, then the reasons, then the candidates; ``cut`` says that some went.
    """
    if call.decision is None and not call.attempts:
        return None
    found = explanation_of(call)
    line: dict[str, Any] = {"model": call.model, "strategy": found.strategy if found else _strategy(call)}
    if found is not None:
        line |= {key: value for key in ("rule", "split") if (value := getattr(found, key)) is not None}
    line["candidates"] = [_brief(entry) for entry in found.candidates] if found and found.candidates else _only(call)
    line["attempts"] = _attempts(call)
    if found is not None:
        line |= {key: value for key in ("needs", "notes") if (value := getattr(found, key))}
    return _bounded(line)


def _strategy(call: Call) -> str:
    return "" if call.model_config is None else call.model_config.strategy


def _only(call: Call) -> list[dict[str, Any]]:
    return [{"target": str(target)} for target in call.targets[:1]]


def _brief(entry: Candidate) -> dict[str, Any]:
    brief: dict[str, Any] = {"target": entry.target}
    if not entry.kept:
        brief["kept"] = False
    if entry.score is not None:
        brief["score"] = entry.score
    if entry.why is not None:
        brief["why"] = entry.why[:_LONGEST_TEXT]
    return brief


def _attempts(call: Call) -> list[dict[str, Any]]:
    """Each try so far: when it began and ended in milliseconds, and what came of it."""
    told = []
    for attempt in call.attempts[:_MOST_ENTRIES]:
        entry: dict[str, Any] = {"target": str(attempt.target), "at_ms": round(attempt.started * 1000, 1)}
        if attempt.first_byte is not None:
            entry["first_byte_ms"] = round(attempt.first_byte * 1000, 1)
        if attempt.ended is not None:
            entry["ended_ms"] = round(attempt.ended * 1000, 1)
        if attempt.status is not None:
            entry["status"] = attempt.status
        if attempt.error_kind is not None:
            entry["error"] = attempt.error_kind
        told.append(entry)
    return told


def _bounded(line: dict[str, Any]) -> bytes:
    text = _ascii(line)
    if len(text) <= LONGEST_LINE:
        return text
    line["cut"] = True
    line.pop("notes", None)
    for shorten in (_without_reasons, _without_candidates, _without_attempts):
        if len(text := _ascii(line)) <= LONGEST_LINE:
            return text
        shorten(line)
    return _ascii(line)


def _without_reasons(line: dict[str, Any]) -> None:
    for entry in line["candidates"]:
        entry.pop("why", None)
    if "rule" in line:
        line["rule"] = line["rule"][:_LONGEST_TEXT]


def _without_candidates(line: dict[str, Any]) -> None:
    line["candidates"] = line["candidates"][:3]


def _without_attempts(line: dict[str, Any]) -> None:
    line.pop("candidates")
    line["attempts"] = line["attempts"][-3:]
    for key in ("model", "strategy", "rule", "split"):
        if key in line:
            line[key] = _plain(line[key])
    for attempt in line["attempts"]:
        attempt["target"] = _plain(attempt["target"])


def _plain(text: str) -> str:
    """The beginning of a text, in characters that JSON writes as they are."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "?" for c in text[:64])


def _ascii(line: dict[str, Any]) -> bytes:
    """JSON that a header may carry: ASCII on one line, each other character written as an escape."""
    return json.dumps(line, separators=(",", ":")).replace("\x7f", "\\u007f").encode("ascii")
