"""The findings of ``gateway route`` as a person reads them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

_LIMITS = {"connect": "connect", "first_token": "first token", "idle": "between tokens", "total": "whole"}
_NEEDS = {"images": "images", "audio": "audio", "documents": "documents", "tools": "tools", "schema": "a JSON schema"}


def text_of(found: dict[str, Any]) -> str:
    """All of it as lines."""
    lines = [_named("model", _model(found))]
    if found.get("key") is not None:
        lines.append(_named("key", found["key"]))
    lines.append(_named("time", datetime.fromtimestamp(found["time"], UTC).isoformat(timespec="seconds")))
    if "needs" in found:
        lines.append(_named("needs", _needs(found["needs"])))
    lines += [_named(name, found[name]) for name in ("rule", "split") if found.get(name)]
    lines += [_named("option", f"{key} = {json.dumps(value, default=str)}") for key, value in found["options"].items()]
    lines += [_named("note", note) for note in found["notes"]]
    lines.append(_named("state", found["state"]["text"]))
    if found["order"]:
        lines.append("")
    for place, entry in enumerate(found["order"], 1):
        lines += _target(place, entry, found["chances"])
    listed = {entry["target"] for entry in found["order"]}
    lines += [
        f"   by chance {share:.1%} of such calls ask {target} first"
        for target, share in found["chances"].items()
        if target not in listed
    ]
    if found["not_tried"]:
        lines += ["", "not tried"]
        lines += [f"  {entry['target']}: {entry['why'] or 'not chosen'}" for entry in found["not_tried"]]
    lines += ["", *_end(found)]
    return "".join(f"{_clean(line)}\n" for line in lines)


def _named(name: str, value: str) -> str:
    return f"{name.ljust(9)}{value}"


def _model(found: dict[str, Any]) -> str:
    words = [found.get("model") or "(none)"]
    if found["settings_of"] not in (None, found.get("model")):
        words.append(f"goes on as {found['settings_of']}")
    if found["strategy"]:
        words.append(f"strategy {found['strategy']}")
    words.append(f"asked by {found['dialect']}")
    words.append("streamed" if found.get("stream") else "whole")
    return ", ".join(words)


def _needs(needs: dict[str, Any]) -> str:
    words = [f"about {needs['tokens']} tokens of prompt"]
    words += [word for name, word in _NEEDS.items() if needs[name]]
    if needs["max_tokens"] is not None:
        words.append(f"an answer of {needs['max_tokens']} tokens at most")
    return ", ".join(words)


def _target(place: int, entry: dict[str, Any], chances: dict[str, float]) -> list[str]:
    """A target's heading, and below it what is known of it."""
    head = f"{place}. {entry['target']}"
    if entry["fallback"]:
        head += "  (fallback)"
    if len(chances) > 1 and entry["target"] in chances:
        head += f"  (first in {chances[entry['target']]:.1%} of rehearsals)"
    lines = [head]
    if entry["passed_over"] is not None:
        lines.append(f"   passed over: {entry['passed_over']}")
    if entry["score"] is not None:
        lines.append(f"   score: {entry['score']:g} {entry['detail'] or ''}".rstrip())
    elif entry["detail"]:
        lines.append(f"   score: not known ({entry['detail']})")
    if entry["why"]:
        lines.append(f"   why: {entry['why']}")
    lines.append(f"   health: {_health(entry['health'])}")
    if "price" in entry:
        lines.append(f"   price: {_price(entry['price'])}")
        limits = entry["time_limits"]
        told = [f"{word} {limits[name]:g} s" for name, word in _LIMITS.items() if limits[name] is not None]
        lines.append(f"   time limits: {', '.join(told) or 'none'}")
        lines += [f"   dropped: {loss['field']} ({loss['why']})" for loss in entry["dropped"]]
    return lines


def _health(health: dict[str, Any]) -> str:
    if health["state"] == "ok":
        return "ok"
    words = f"{health['state']}, {health['reason']}" if health["reason"] else str(health["state"])
    return words + (f"; {health['seconds_left']:g} s left" if health["seconds_left"] else "")


def _price(price: dict[str, Any] | None) -> str:
    if price is None:
        return "not known"
    words = f"${price['input_per_million']:g} in"
    if price["output_per_million"] is not None:
        words += f", ${price['output_per_million']:g} out"
    words += f" per million tokens; this prompt about ${price['prompt']}"
    if price["answer_at_most"] is not None:
        words += f", its answer ${price['answer_at_most']} at most"
    return words


def _end(found: dict[str, Any]) -> list[str]:
    error = found["error"]
    if error is not None:
        return [f"refused: {error['status']} {error['code']}: {error['message']}"]
    words = f"goes to {found['goes_to']}; {found['retries']} retries at a target, under the retry budget"
    words += f"; a stream that breaks: {found['rescue']}"
    if (kinds := found["fallback_on"]) is not None:
        words += f"; another target is asked only after {', '.join(kinds) or 'nothing'}"
    if (hedge := found["hedge"]) is not None:
        when = f"{hedge['after']:g} s" if hedge.get("after") else f"its percentile {hedge['percentile']:g}"
        words += f"; a second target is asked when the first token is later than {when}"
    return [words, "Limits, caches and guards were not asked, and nothing was sent."]


def _clean(line: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in line)
