"""What a caller saw: a complete answer, an explicit error in its dialect, or something that must never be."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from gateway.sse import decode_events
from tests.faults.wires import TEXT

ARGUMENTS = '{"x":1,"y":2}'
OWN_DEFECTS = ("internal_error", "plugin_failed")


class Seen(NamedTuple):
    """A caller's view of one call. ``broke`` is what the connection itself did wrong, None where it ended well."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    broke: str | None = None


class Verdict(NamedTuple):
    """``what`` is complete or error; anything else is a fault of the gateway's, in words."""

    what: str
    text: str = ""
    model: str | None = None


def judge(seen: Seen, dialect: str, *, stream: bool) -> Verdict:
    """Put a name to what a caller saw."""
    if seen.broke is not None:
        return Verdict(f"the connection broke: {seen.broke}")
    if any(word.encode() in seen.body for word in OWN_DEFECTS):
        return Verdict(f"a defect of the gateway's own: {seen.body[:300]!r}")
    if "set-cookie" in seen.headers:
        return Verdict("a provider's cookie came through")
    try:
        if not stream or seen.status >= 400:
            return _whole(seen, dialect)
        events = [(item.event, item.data) for item in decode_events(seen.body.removeprefix(b"\xef\xbb\xbf"))]
        return _messages(events) if dialect == "anthropic" else _chunks(events)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return Verdict(f"unreadable ({type(error).__name__}: {error}): {seen.body[:300]!r}")


def _whole(seen: Seen, dialect: str) -> Verdict:
    value = json.loads(seen.body)
    if seen.status >= 400:
        error = value["error"]
        shaped = isinstance(error["message"], str) and error["message"] and isinstance(error["type"], str)
        if not shaped or (dialect == "anthropic" and value["type"] != "error"):
            return Verdict(f"an error in no dialect: {seen.body[:200]!r}")
        if seen.status in (429, 503, 529) and not 0 <= int(seen.headers["retry-after"]) <= 86_400:
            return Verdict(f"retry-after: {seen.headers['retry-after']}")
        return Verdict("error")
    if seen.status != 200:
        return Verdict(f"status {seen.status}")
    if dialect == "anthropic":
        text, reason = "".join(block["text"] for block in value["content"]), value["stop_reason"]
    else:
        text, reason = value["choices"][0]["message"]["content"], value["choices"][0]["finish_reason"]
    if text != TEXT or not reason:
        return Verdict(f"a partial answer that looks whole: {text!r}, {reason!r}")
    return Verdict("complete", text, value["model"])


def verdict_of(text: str, ends: list[str], errors: int, closed: bool, last_is_end: bool, model: str | None) -> Verdict:
    """The verdict of a stream of any dialect: ``ends`` are the reasons told, ``closed`` that the end mark came."""
    if errors:
        if errors > 1 or closed or not last_is_end:
            return Verdict(f"an error that is not the end ({errors} errors, end mark: {closed})", text)
        return Verdict("error", text, model) if TEXT.startswith(text) or ARGUMENTS.startswith(text) else _wrong(text)
    if not closed or len(ends) != 1:
        return Verdict(f"neither an end nor an error (reasons {ends}, end mark: {closed})", text)
    if text not in (TEXT, ARGUMENTS):
        return _wrong(text)
    return Verdict("complete", text, model) if last_is_end else Verdict("more behind the end", text)


def _wrong(text: str) -> Verdict:
    return Verdict(f"a text that is not the answer's: {text!r}", text)


def _chunks(events: list[tuple[str, bytes]]) -> Verdict:
    text, ends, errors, ids, model = "", [], 0, set(), None
    done = [number for number, (_, data) in enumerate(events) if data == b"[DONE]"]
    last = -1
    for number, (_, data) in enumerate(events):
        if data == b"[DONE]":
            continue
        value = json.loads(data)
        if "error" in value:
            errors += 1
            last = number
            continue
        if not value.get("choices") and not value.get("usage"):
            continue
        ids.add(value["id"])
        model = value["model"]
        for choice in value["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or ""
            text += "".join(call["function"].get("arguments", "") for call in delta.get("tool_calls") or ())
            if choice.get("finish_reason"):
                ends.append(choice["finish_reason"])
    if len(ids) > 1:
        return Verdict(f"several ids: {ids}")
    if not errors and len(done) > 1:
        return Verdict("several end marks", text)
    at = last if errors else (done[0] if done else -1)
    return verdict_of(text, ends, errors, bool(done), at == len(events) - 1, model)


def _messages(events: list[tuple[str, bytes]]) -> Verdict:  # noqa: C901  # a case for each type of event
    text, ends, model = "", [], None
    kinds: list[str] = []
    open_blocks: set[int] = set()
    for name, data in events:
        value: dict[str, Any] = json.loads(data)
        if value == {} or value["type"] == "ping":
            continue
        kind = value["type"]
        if name != kind:
            return Verdict(f"an event {name!r} of type {kind!r}")
        kinds.append(kind)
        if kind == "message_start":
            model = value["message"]["model"]
        elif kind == "content_block_start":
            open_blocks.add(value["index"])
        elif kind == "content_block_delta":
            if value["index"] not in open_blocks:
                return Verdict("a delta of a block that is not open", text)
            delta = value["delta"]
            text += delta.get("text") or delta.get("partial_json") or ""
        elif kind == "content_block_stop":
            open_blocks.remove(value["index"])
        elif kind == "message_delta" and value["delta"].get("stop_reason"):
            ends.append(value["delta"]["stop_reason"])
    errors, stops = kinds.count("error"), kinds.count("message_stop")
    if not errors and (open_blocks or stops > 1):
        return Verdict(f"{stops} ends with {len(open_blocks)} open blocks", text)
    if kinds and kinds[0] != "error" and (kinds[0] != "message_start" or kinds.count("message_start") != 1):
        return Verdict("not one message", text)
    return verdict_of(text, ends, errors, bool(stops), bool(kinds) and kinds[-1] in ("error", "message_stop"), model)
