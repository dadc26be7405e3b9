"""Token counts, finish reasons, log probabilities and citations, both ways."""

from __future__ import annotations

from typing import Any

from gateway.protocol import FinishReason, Usage
from gateway_plugins.formats.json_fields import count_of

# https://ai.google.dev/api/generate-content#FinishReason and Vertex's. One that is not here counts as ``error``.
_READ: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "JAILBREAK": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "CONTINUATION": "pause",
}
_WRITE: dict[FinishReason, str] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "OTHER",
    "error": "OTHER",
}
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
# Some servers say an enum's number: these are Vertex's.
_NUMBERS = ("", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")
_AUDIO = ("AUDIO", 4)
_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}
_COUNTS = (
    "promptTokenCount",
    "candidatesTokenCount",
    "totalTokenCount",
    "cachedContentTokenCount",
    "thoughtsTokenCount",
)


def finish_word(value: Any) -> str | None:
    """The word of a ``finishReason``; None where none is given yet."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return _NUMBERS[value] if value < len(_NUMBERS) else "OTHER"
    return value if isinstance(value, str) and value not in ("", _UNSPECIFIED) else None


def read_finish(word: str, *, calls: bool) -> FinishReason:
    """The finish reason of a candidate; Gemini says STOP behind a call as well."""
    reason = _READ.get(word, "error")
    return "tool_calls" if calls and reason == "stop" else reason


def write_finish(reason: FinishReason | None, native: str | None, *, own: bool) -> str:
    """Gemini's word."""
    return native if own and native is not None else _WRITE[reason or "stop"]


def read_usage(value: Any) -> Usage | None:
    """``usageMetadata``. What tools put into the prompt counts beside it, thoughts beside the answer."""
    if not isinstance(value, dict):
        return None
    thoughts = _count(value.get("thoughtsTokenCount"))
    return Usage(
        prompt_tokens=_count(value.get("promptTokenCount")) + _count(value.get("toolUsePromptTokenCount")),
        completion_tokens=_count(value.get("candidatesTokenCount")) + thoughts,
        reasoning_tokens=thoughts,
        cache_read_tokens=_count(value.get("cachedContentTokenCount")),
        audio_input_tokens=_of_audio(value.get("promptTokensDetails")),
        audio_output_tokens=_of_audio(value.get("candidatesTokensDetails")),
        extra={key: item for key, item in value.items() if key not in _COUNTS and item is not None},
    )


def read_tier(value: Any) -> str | None:
    """The service tier in OpenAI's word for it."""
    tier = value.get("serviceTier") if isinstance(value, dict) else None
    return _TIERS.get(tier.lower()) if isinstance(tier, str) else None


def write_usage(usage: Usage, *, own: bool) -> dict[str, Any]:
    """``usageMetadata``; ``own`` restores what this format has read beyond the counts."""
    extra = usage.extra if own else {}
    by_tools = _count(extra.get("toolUsePromptTokenCount"))
    out: dict[str, Any] = {
        "promptTokenCount": usage.prompt_tokens - by_tools,
        "candidatesTokenCount": usage.completion_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.total_tokens,
    }
    if usage.cache_read_tokens:
        out["cachedContentTokenCount"] = usage.cache_read_tokens
    if usage.reasoning_tokens:
        out["thoughtsTokenCount"] = usage.reasoning_tokens
    out.update(extra)
    if not own:
        _write_audio(out, usage)
    return out


def unsaid_counts(usage: Usage) -> list[str]:
    """What of another format's counts has no place in ``usageMetadata``."""
    writes = ("cache_write_tokens", "cache_write_1h_tokens")
    return [f"usage.{name}" for name in writes if getattr(usage, name)] + [f"usage.{key}" for key in usage.extra]


def _write_audio(out: dict[str, Any], usage: Usage) -> None:
    kinds = (
        ("promptTokensDetails", usage.prompt_tokens, usage.audio_input_tokens),
        ("candidatesTokensDetails", usage.completion_tokens - usage.reasoning_tokens, usage.audio_output_tokens),
    )
    for name, total, audio in kinds:
        if audio:
            out[name] = [
                {"modality": "TEXT", "tokenCount": max(0, total - audio)},
                {"modality": "AUDIO", "tokenCount": audio},
            ]


def _of_audio(details: Any) -> int:
    found = [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    return sum(_count(item.get("tokenCount")) for item in found if item.get("modality") in _AUDIO)


def _count(value: Any) -> int:
    return count_of(value)


def read_logprobs(value: Any) -> dict[str, Any] | None:
    """``logprobsResult`` in the shape of chat completions."""
    if not isinstance(value, dict) or not isinstance(value.get("chosenCandidates"), list):
        return None
    tops = value.get("topCandidates")
    content: list[dict[str, Any]] = []
    for index, chosen in enumerate(value["chosenCandidates"]):
        top = tops[index] if isinstance(tops, list) and index < len(tops) else None
        others = top.get("candidates") if isinstance(top, dict) else None
        entry = _logprob(chosen)
        entry["top_logprobs"] = [_logprob(other) for other in others] if isinstance(others, list) else []
        content.append(entry)
    return {"content": content}


def _logprob(value: Any) -> dict[str, Any]:
    found = value if isinstance(value, dict) else {}
    token = found.get("token")
    token = token if isinstance(token, str) else ""
    number = found.get("logProbability")
    logprob = number if isinstance(number, int | float) else 0.0
    return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "surrogatepass"))}


def write_logprobs(value: dict[str, Any]) -> dict[str, Any] | None:
    """``logprobsResult`` for log probabilities in the shape of chat completions; None for another shape."""
    content = value.get("content")
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        return None
    tops = [entry["top_logprobs"] if isinstance(entry.get("top_logprobs"), list) else [] for entry in content]
    return {
        "chosenCandidates": [_candidate(entry) for entry in content],
        "topCandidates": [
            {"candidates": [_candidate(top) for top in found if isinstance(top, dict)]} for found in tops
        ],
    }


def _candidate(entry: dict[str, Any]) -> dict[str, Any]:
    return {"token": entry.get("token", ""), "logProbability": entry.get("logprob", 0.0)}
