"""What callers of the responses API, of Gemini and of legacy completions saw."""

from __future__ import annotations

import json
from typing import Any

from gateway.sse import decode_events
from tests.faults.verdicts import OWN_DEFECTS, Seen, Verdict, judge, verdict_of
from tests.faults.wires import TEXT


def judge_any(seen: Seen, dialect: str, *, stream: bool) -> Verdict:
    """Put a name to what a caller of any dialect saw."""
    if dialect not in _STREAMS:
        return judge(seen, dialect, stream=stream)
    if seen.broke is not None:
        return Verdict(f"the connection broke: {seen.broke}")
    if any(word.encode() in seen.body for word in OWN_DEFECTS):
        return Verdict(f"a defect of the gateway's own: {seen.body[:300]!r}")
    try:
        if stream and seen.status < 400:
            return _STREAMS[dialect](seen.body)
        return _whole(seen, dialect)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return Verdict(f"unreadable ({type(error).__name__}: {error}): {seen.body[:300]!r}")


def _whole(seen: Seen, dialect: str) -> Verdict:
    value = json.loads(seen.body)
    if seen.status >= 400:
        error = value["error"]
        word = error["status" if dialect in ("gemini", "array") else "type"]
        if not (isinstance(error["message"], str) and error["message"] and isinstance(word, str)):
            return Verdict(f"an error in no dialect: {seen.body[:200]!r}")
        if seen.status in (429, 503, 529) and not 0 <= int(seen.headers["retry-after"]) <= 86_400:
            return Verdict(f"retry-after: {seen.headers['retry-after']}")
        return Verdict("error")
    if seen.status != 200:
        return Verdict(f"status {seen.status}")
    if dialect == "responses":
        text, _ = _said(value)
        reason = value["status"]
        whole = reason == "completed"
    elif dialect == "completions":
        text, reason = value["choices"][0]["text"], value["choices"][0]["finish_reason"]
        whole = bool(reason)
    else:
        (candidate,) = value["candidates"]
        text, reason = "".join(part["text"] for part in candidate["content"]["parts"]), candidate["finishReason"]
        whole = bool(reason)
    if text != TEXT or not whole:
        return Verdict(f"a partial answer that looks whole: {text!r}, {reason!r}")
    return Verdict("complete", text, value["modelVersion" if dialect in ("gemini", "array") else "model"])


def _said(response: dict[str, Any]) -> tuple[str, str]:
    """The text and the arguments of a whole response."""
    text = arguments = ""
    for item in response["output"]:
        if item["type"] == "message":
            text += "".join(part["text"] for part in item["content"])
        elif item["type"] == "function_call":
            arguments += item["arguments"]
    return text, arguments


def _responses(body: bytes) -> Verdict:
    events = [(event.event, json.loads(event.data)) for event in decode_events(body)]
    values = [value for _, value in events]
    kinds = [value["type"] for value in values]
    deltas = ("response.output_text.delta", "response.function_call_arguments.delta")
    text = "".join(value["delta"] for value in values if value["type"] in deltas)
    completed = [value["response"] for value in values if value["type"] == "response.completed"]
    failed = kinds.count("error") or kinds.count("response.failed")  # the one goes with the other
    wrong = _disorder(events, bool(failed))
    if wrong is not None:
        return Verdict(wrong, text)
    if kinds.count("response.created") != 1 and not (failed and not text):
        return Verdict("not one response", text)
    if completed and "".join(_said(completed[-1])) != text:
        return Verdict(f"response.completed holds {_said(completed[-1])}, not {text!r}", text)
    last = kinds[-1] in ("error", "response.failed", "response.completed")
    model = next((value["response"]["model"] for value in values if "response" in value), None)
    return verdict_of(text, [item["status"] for item in completed], failed, bool(completed), last, model)


def _disorder(events: list[tuple[str, Any]], failed: bool) -> str | None:
    """What is wrong with the names and numbers of a response's events."""
    odd = [f"an event {name!r} of type {value['type']!r}" for name, value in events if name != value["type"]]
    if odd:
        return odd[0]
    ids = {value["response"]["id"] for _, value in events if "response" in value}
    items = {value["item_id"] for _, value in events if "item_id" in value}
    items |= {value["item"]["id"] for _, value in events if "item" in value}
    if len(ids) > 1 or len(items) > 1:
        return f"several ids: {ids} {items}"
    numbers = [value["sequence_number"] for _, value in events]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))) or (numbers[0] != 0 and not failed):
        return f"sequence numbers: {numbers}"
    return None


def _chunks(body: bytes) -> Verdict:
    return _gemini([json.loads(event.data) for event in decode_events(body)])


def _array(body: bytes) -> Verdict:
    # Behind an error the array stays open: nothing may make it look whole.
    open_end = b'"error"' in body and not body.endswith(b"]")
    return _gemini(json.loads(body + b"]" if open_end else body))


def _gemini(values: list[dict[str, Any]]) -> Verdict:
    text, ends, errors, ids, model = "", [], 0, set(), None
    for value in values:
        if "error" in value:
            errors += 1
            if not isinstance(value["error"]["status"], str):
                return Verdict(f"an error in no dialect: {value}", text)
            continue
        if not value:
            continue
        ids.add(value["responseId"])
        model = value["modelVersion"]
        for candidate in value.get("candidates", ()):
            for part in candidate.get("content", {}).get("parts", ()):
                text += part.get("text", "")
                if "functionCall" in part:
                    text += json.dumps(part["functionCall"]["args"], separators=(",", ":"))
            if candidate.get("finishReason"):
                ends.append(candidate["finishReason"])
    if len(ids) > 1:
        return Verdict(f"several ids: {ids}", text)
    last = not errors or "error" in values[-1]
    return verdict_of(text, ends, errors, bool(ends), last, model)


def _completions(body: bytes) -> Verdict:
    text, ends, errors, ids, model = "", [], 0, set(), None
    events = [event.data for event in decode_events(body)]
    for data in events:
        if data == b"[DONE]":
            continue
        value = json.loads(data)
        if "error" in value:
            errors += 1
            continue
        if not value.get("choices") and not value.get("usage"):
            continue
        ids.add(value["id"])
        model = value["model"]
        for choice in value["choices"]:
            text += choice["text"]
            if choice.get("finish_reason"):
                ends.append(choice["finish_reason"])
    if len(ids) > 1:
        return Verdict(f"several ids: {ids}", text)
    done = events.count(b"[DONE]")
    if not errors and done > 1:
        return Verdict("several end marks", text)
    last = b'"error"' in events[-1] if errors else events[-1] == b"[DONE]"
    return verdict_of(text, ends, errors, bool(done), last, model)


_STREAMS = {"responses": _responses, "gemini": _chunks, "array": _array, "completions": _completions}
