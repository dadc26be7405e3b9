"""What a chat completions request or reply means, freed from the wordings that say the same.

The differences that are forgiven when our writing is compared with what a vendor's SDK sent, each with its reason:
null and absence; content as a string or as one plain text part; the ``index`` of a call or of a reasoning detail, which
is its place in the list; a call's default type; Mistral's ``any`` for ``required``; ``stream: false``; usage asked on
streams, which we always do.
"""

from __future__ import annotations

import json
from typing import Any

_KEPT_WHOLE = ("parameters", "schema", "logit_bias", "metadata")


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: item if key in _KEPT_WHOLE else without_nulls(item) for key, item in value.items() if item is not None
        }
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def request_meaning(request: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = without_nulls(request)
    out["messages"] = [_message(message) for message in out["messages"]]
    for key in ("tools", "functions", "stop"):
        if out.get(key) == []:
            del out[key]
    for tool in out.get("tools", []):
        tool.setdefault("type", "function")
    if out.get("tool_choice") == "any":
        out["tool_choice"] = "required"
    if isinstance(out.get("tool_choice"), dict):
        out["tool_choice"].setdefault("type", "function")
    if out.get("stream"):
        out["stream_options"] = {**out.get("stream_options", {}), "include_usage": True}
    else:
        out.pop("stream", None)
        out.pop("stream_options", None)
    return out


def _message(message: dict[str, Any]) -> dict[str, Any]:
    out = dict(message)
    content = out.get("content")
    if isinstance(content, list) and len(content) == 1 and content[0].keys() == {"type", "text"}:
        content = content[0]["text"]
    out["content"] = content or ""
    for detail in out.get("reasoning_details", []):
        detail.pop("index", None)
    calls = out.pop("tool_calls", None)
    if calls:
        out["tool_calls"] = [
            {"type": "function", **{key: item for key, item in call.items() if key != "index"}} for call in calls
        ]
    return out


def reply_meaning(reply: dict[str, Any]) -> dict[str, Any]:
    """The meaning of a whole reply that has a place in the normalised protocol, in one wording."""
    out: dict[str, Any] = without_nulls(reply)
    out["choices"] = [_choice(choice) for choice in out["choices"]]
    if "usage" in out:
        out["usage"] = _usage(out["usage"])
    if not out.get("service_tier"):
        out.pop("service_tier", None)
    elif out["service_tier"] == "on_demand":
        out["service_tier"] = "default"
    return out


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    out = {key: value for key, value in choice.items() if key != "logprobs" or any(value.values())}
    message = {"role": "assistant", **out.get("message", {})}
    out["message"] = message
    message["content"] = _content(message.get("content"))
    reasoning = message.pop("reasoning", None) or message.pop("reasoning_content", None)
    message.pop("reasoning_content", None)
    details = message.pop("reasoning_details", [])
    shown = "".join(detail.get("text") or detail.get("summary") or "" for detail in details)
    message["reasoning"] = reasoning or shown
    message["signed"] = [
        (detail["format"], detail.get("signature"), detail.get("data"))
        for detail in details
        if detail.get("signature") or detail.get("data")
    ]
    for key in ("refusal", "annotations", "tool_calls"):
        if not message.get(key):
            message.pop(key, None)
    if not (message.get("audio") or {}).get("data"):
        message.pop("audio", None)
    if not (message.get("function_call") or {}).get("name"):
        message.pop("function_call", None)
    if "function_call" in message:
        # Written as the tool call that it is; the id is ours.
        message["tool_calls"] = [{"function": message.pop("function_call")}]
    if "tool_calls" in message:
        message["tool_calls"] = [
            ({"arguments": "", **(call.get("function") or call["custom"])}, call.get("extra_content"))
            for call in message["tool_calls"]
        ]
    if choice["finish_reason"] not in ("stop", "length", "tool_calls", "content_filter", "function_call", ""):
        out.setdefault("native_finish_reason", choice["finish_reason"])
    words = {"function_call": "tool_calls", "": "tool_calls" if "tool_calls" in message else "stop", "eos": "stop"}
    out["finish_reason"] = words.get(out["finish_reason"], out["finish_reason"])
    if out.get("native_finish_reason") == out["finish_reason"] or choice["finish_reason"] == "":
        out.pop("native_finish_reason", None)
    return out


def _content(content: Any) -> Any:
    if isinstance(content, str):
        try:
            # Cloudflare gives an answer in JSON mode as the object itself; any such text is compared as JSON.
            return json.loads(content)
        except ValueError:
            return content
    return content or ""


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    """Counts under OpenAI's names; a zero is as good as silence."""
    out = dict(usage)
    prompt, completion = out.pop("prompt_tokens_details", {}), out.pop("completion_tokens_details", {})
    for alias in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"):
        prompt["cached_tokens"] = prompt.get("cached_tokens") or out.pop(alias, 0)
        out.pop(alias, None)
    prompt["cache_write_tokens"] = prompt.get("cache_write_tokens") or out.pop("cache_creation_input_tokens", 0)
    out.pop("cache_creation_input_tokens", None)
    out.pop("prompt_cache_miss_tokens", None)
    hidden = out["total_tokens"] - out["prompt_tokens"] - out["completion_tokens"]
    if hidden:
        # Gemini leaves its thoughts out of the completion.
        out["completion_tokens"] += hidden
        completion["reasoning_tokens"] = hidden
    out["prompt"] = {key: count for key, count in prompt.items() if count}
    out["completion"] = {key: count for key, count in completion.items() if count}
    return out
