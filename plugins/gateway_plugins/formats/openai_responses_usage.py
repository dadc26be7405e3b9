"""Tokens, finish and annotations of the responses API, both ways."""

from __future__ import annotations

from typing import Any

from gateway.protocol import FinishReason, Usage
from gateway_plugins.formats.json_fields import count_of
from gateway_plugins.formats.openai_chat_finish import annotations_of

_INPUT = "input_tokens_details"
_OUTPUT = "output_tokens_details"
_INCOMPLETE: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_messages": "pause",
    "max_tool_calls": "pause",
    "steered": "pause",
    "content_filter": "content_filter",
}


def read_usage(value: Any) -> Usage | None:
    """Tokens counted by a provider; None where there is no usage object. What has no place is kept in ``extra``."""
    if not isinstance(value, dict):
        return None
    rest = dict(value)
    inputs, outputs = _object(rest, _INPUT), _object(rest, _OUTPUT)
    prompt, completion = _take(rest, "input_tokens"), _take(rest, "output_tokens")
    total = _take(rest, "total_tokens")
    if prompt is None and completion is None and total is not None:
        prompt = total
    usage = Usage(
        prompt_tokens=prompt or 0,
        completion_tokens=completion or 0,
        reasoning_tokens=_take(outputs, "reasoning_tokens") or 0,
        cache_read_tokens=_take(inputs, "cached_tokens") or 0,
        cache_write_tokens=_take(inputs, "cache_write_tokens") or 0,
        audio_input_tokens=_take(inputs, "audio_tokens") or 0,
        audio_output_tokens=_take(outputs, "audio_tokens") or 0,
    )
    rest |= {key: details for key, details in ((_INPUT, inputs), (_OUTPUT, outputs)) if details}
    if rest:
        usage.extra = rest
    return usage


def write_usage(usage: Usage, *, own: bool) -> dict[str, Any]:
    """The usage object; ``own`` says that ``extra`` was read by this format and may go back."""
    inputs: dict[str, Any] = {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens}
    outputs: dict[str, Any] = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.audio_input_tokens:
        inputs["audio_tokens"] = usage.audio_input_tokens
    if usage.audio_output_tokens:
        outputs["audio_tokens"] = usage.audio_output_tokens
    out: dict[str, Any] = {
        "input_tokens": usage.prompt_tokens,
        _INPUT: inputs,
        "output_tokens": usage.completion_tokens,
        _OUTPUT: outputs,
        "total_tokens": usage.total_tokens,
    }
    for key, value in usage.extra.items() if own else ():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] |= value
        else:
            out[key] = value
    return out


def read_status(response: dict[str, Any], *, calls: bool) -> tuple[FinishReason, str | None]:
    """Why a response ended, and the provider's own word where it says more; ``calls``: it asks for a tool."""
    if response.get("status") == "incomplete":
        details = response.get("incomplete_details")
        word = details.get("reason") if isinstance(details, dict) else None
        if not isinstance(word, str):
            return "length", None
        reason = _INCOMPLETE.get(word, "length")
        return reason, None if word in ("max_output_tokens", "content_filter") else word
    return ("tool_calls" if calls else "stop"), None


def write_status(reason: FinishReason, native: str | None, *, refused: bool) -> tuple[str, str | None]:
    """The status of a response, and why it is incomplete."""
    if reason == "length":
        return "incomplete", "max_output_tokens"
    if reason == "content_filter" or (reason == "refusal" and not refused):
        return "incomplete", "content_filter"
    if reason == "pause" and native in _INCOMPLETE:
        return "incomplete", native
    return ("failed" if reason == "error" else "completed"), None


def write_annotation(citation: dict[str, Any], start: int, end: int) -> dict[str, Any] | None:
    """A citation as an annotation of the text from ``start`` to ``end``; None where it has no place here."""
    if citation.get("type") in ("file_citation", "container_file_citation", "file_path"):
        return citation
    inner = citation.get("url_citation")
    if isinstance(inner, dict):
        # Chat completions: the same, one level down.
        said = {"start_index": start, "end_index": end, "title": "", "url": "", **inner}
        return {"type": "url_citation", **said}
    if citation.get("type") == "url_citation" and "start_index" in citation:
        return citation
    found, _ = annotations_of([citation], start, end)
    return {"type": "url_citation", **found[0]["url_citation"]} if found else None


def read_logprobs(value: Any) -> dict[str, Any] | None:
    """Logprobs of a piece of text, as every format here has them; None for none."""
    return {"content": value, "refusal": None} if isinstance(value, list) and value else None


def write_logprobs(logprobs: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Logprobs of a piece of text, with every key that OpenAI promises."""
    content = None if logprobs is None else logprobs.get("content")
    return [
        {**_with_bytes(entry), "top_logprobs": [_with_bytes(top) for top in _dicts(entry.get("top_logprobs"))]}
        for entry in _dicts(content)
    ]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _with_bytes(entry: dict[str, Any]) -> dict[str, Any]:
    if isinstance(entry.get("bytes"), list):
        return entry
    token = entry.get("token")
    return {**entry, "bytes": list(token.encode("utf-8", "replace")) if isinstance(token, str) else []}


def _object(holder: dict[str, Any], key: str) -> dict[str, Any]:
    found = holder.pop(key, None)
    return dict(found) if isinstance(found, dict) else {}


def _take(holder: dict[str, Any], key: str) -> int | None:
    """A count, taken out of ``holder``; null and what is no number count as absent."""
    found = holder.get(key)
    if found is None:
        holder.pop(key, None)
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    del holder[key]
    return count_of(found)
