"""What a responses request or reply means, freed from the wordings that say the same.

The differences that are forgiven, each with its reason: null and absence; an item's default type; content as a string
or as one plain part; empty lists of tools, annotations, logprobs and of a reasoning item's content; ``stream: false``;
ids and states of a reply's items, which are ours when we write it; what the response repeats of the request.
"""

from __future__ import annotations

from typing import Any

_KEPT_WHOLE = ("parameters", "schema", "metadata", "arguments")
_OURS = ("message", "function_call", "custom_tool_call", "reasoning", "tool_search_call")


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: item if key in _KEPT_WHOLE else without_nulls(item) for key, item in value.items() if item is not None
        }
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def request_meaning(request: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = without_nulls(request)
    if not out.get("stream"):
        out.pop("stream", None)
    if out.get("tools") == []:
        del out["tools"]
    if isinstance(out.get("input"), list):
        out["input"] = [_item(item) for item in out["input"]]
    return out


def _item(item: dict[str, Any]) -> dict[str, Any]:
    out = {"type": "message", **item} if "role" in item else dict(item)
    if out["type"] == "reasoning":
        if out.get("content") == []:
            del out["content"]
        return out
    for key in ("content", "output"):
        if isinstance(out.get(key), list):
            out[key] = _content(out[key])
    return out


def _content(content: list[dict[str, Any]]) -> Any:
    parts = [{key: item for key, item in part.items() if key != "logprobs" or item} for part in content]
    for part in parts:
        if part["type"] == "output_text":
            part.setdefault("annotations", [])
    plain = ({"type", "text"}, {"type", "text", "annotations"})
    if len(parts) == 1 and parts[0].keys() in plain and not parts[0].get("annotations"):
        return parts[0]["text"]
    return parts or ""


def output_meaning(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items of a reply's output."""
    found: list[dict[str, Any]] = []
    for item in without_nulls(output):
        left = {key: value for key, value in item.items() if not (item["type"] in _OURS and key in ("id", "status"))}
        if left.get("content") == []:
            del left["content"]
        if item["type"] == "message":
            left["content"] = [
                {key: value for key, value in part.items() if key != "logprobs" or value} for part in left["content"]
            ]
        found.append(left)
    return found
