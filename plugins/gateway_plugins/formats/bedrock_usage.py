"""Tokens and stop reasons of Converse.

==================================  ==================
``stopReason``                      normalised
==================================  ==================
``end_turn``                        ``stop``
``stop_sequence``                   ``stop``
``tool_use``                        ``tool_calls``
``max_tokens``                      ``length``
``model_context_window_exceeded``   ``length``
``guardrail_intervened``            ``content_filter``
``content_filtered``                ``content_filter``
``refusal``                         ``refusal``
``pause_turn``                      ``pause``
``malformed_model_output``          ``error``
``malformed_tool_use``              ``error``
any other                           ``stop``
==================================  ==================
"""

from __future__ import annotations

from typing import Any

from gateway.protocol import FinishReason, Usage
from gateway_plugins.formats.json_fields import count_of

_READ: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
_COUNTED = frozenset(
    (
        "inputTokens",
        "outputTokens",
        "totalTokens",
        "cacheReadInputTokens",
        "cacheWriteInputTokens",
        # The same counts under their older names.
        "cacheReadInputTokenCount",
        "cacheWriteInputTokenCount",
        "cacheDetails",
    )
)


def read_stop(word: Any) -> tuple[FinishReason | None, str | None]:
    """The finish reason and Bedrock's own word; (None, None) where there is none."""
    if not isinstance(word, str):
        return None, None
    return _READ.get(word, "stop"), word


def read_usage(value: Any) -> Usage | None:
    """Tokens as Bedrock counts them: ``inputTokens`` are those neither read from nor written to its cache."""
    if not isinstance(value, dict):
        return None
    read = _count(value, "cacheReadInputTokens") or _count(value, "cacheReadInputTokenCount")
    written = _count(value, "cacheWriteInputTokens") or _count(value, "cacheWriteInputTokenCount")
    details = value.get("cacheDetails")
    by_ttl = [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    hour = sum(_count(item, "inputTokens") for item in by_ttl if item.get("ttl") == "1h")
    written = written or sum(_count(item, "inputTokens") for item in by_ttl)
    return Usage(
        prompt_tokens=_count(value, "inputTokens") + read + written,
        completion_tokens=_count(value, "outputTokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(hour, written),
        extra={key: item for key, item in value.items() if key not in _COUNTED and item not in (None, {}, [])},
    )


def _count(holder: dict[str, Any], key: str) -> int:
    return count_of(holder.get(key))
