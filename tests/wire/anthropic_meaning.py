"""What a messages request or reply means, freed from the wordings that say the same.

The differences that are forgiven, each with its reason: null and absence; a string or one plain text block; consecutive
turns of one role, which Anthropic combines; ``is_error: false``, ``stream: false``, a custom tool's type and empty
lists, which are the defaults; the deprecated ``output_format``; counts that are zero, and ``not_available``; cache
writes without a split by ttl, all of which are of five minutes.
"""

from __future__ import annotations

from typing import Any

_KEPT_WHOLE = ("input", "input_schema", "schema")


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: item if key in _KEPT_WHOLE else without_nulls(item) for key, item in value.items() if item is not None
        }
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def request_meaning(request: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = without_nulls(request)
    out["messages"] = _turns(out["messages"])
    if "system" in out:
        out["system"] = _blocks(out["system"])
    for tool in out.get("tools", []):
        if tool.get("type") == "custom":
            del tool["type"]
    if "output_format" in out:
        wanted = out.pop("output_format")
        out["output_config"] = {"format": wanted, **out.get("output_config", {})}
    for key in ("system", "tools", "stop_sequences", "metadata", "output_config", "tool_choice", "thinking", "stream"):
        if not out.get(key):
            out.pop(key, None)
    return out


def _turns(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for message in messages:
        turn = {**message, "content": _blocks(message.get("content"))}
        if turns and turns[-1]["role"] == turn["role"] and turn.keys() == {"role", "content"}:
            turns[-1]["content"] += turn["content"]
        else:
            turns.append(turn)
    return turns


def _blocks(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [_block(block) for block in content or []]


def _block(block: dict[str, Any]) -> dict[str, Any]:
    out = dict(block)
    if not out.get("citations", True):
        del out["citations"]
    if out["type"] == "tool_use":
        out["input"] = {} if out.get("input") is None else out["input"]
    if out["type"] == "tool_result":
        out["content"] = _blocks(out.get("content"))
        if not out.get("is_error"):
            out.pop("is_error", None)
    return out


def reply_meaning(reply: dict[str, Any]) -> dict[str, Any]:
    """The meaning of a whole reply."""
    out: dict[str, Any] = without_nulls(reply)
    out["content"] = [_block(block) for block in out["content"]]
    out["usage"] = split_by_ttl(usage_meaning(out["usage"]))
    return out


def split_by_ttl(usage: dict[str, Any]) -> dict[str, Any]:
    """Usage whose cache writes are split by ttl, as Anthropic has said it since there is more than one."""
    written = usage.get("cache_creation_input_tokens")
    if not written or "cache_creation" in usage:
        return usage
    return {**usage, "cache_creation": {"ephemeral_5m_input_tokens": written}}


def usage_meaning(usage: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in usage.items():
        kept = usage_meaning(value) if isinstance(value, dict) else value
        if kept not in (0, {}, None, "not_available"):
            found[key] = kept
    return found
