"""Tokens and stop reasons, both ways.

========================================  =================  ==================================
Anthropic's ``stop_reason``               normalised         written for
========================================  =================  ==================================
``end_turn``                              ``stop``           ``stop``
``stop_sequence``                         ``stop``           ``stop`` with a stop sequence
``max_tokens``                            ``length``         ``length``
``model_context_window_exceeded``         ``length``         itself, as the native word
``tool_use``                              ``tool_calls``     ``tool_calls``
``refusal``                               ``refusal``        ``refusal`` and ``content_filter``
``pause_turn``                            ``pause``          ``pause``
``compaction`` and any other              ``stop``           itself, as the native word
========================================  =================  ==================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.errors import UpstreamProtocolError
from gateway.protocol import FinishReason, Part, Refusal, ToolCall, Usage
from gateway_plugins.formats.json_fields import count_of

_READ: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "stop",
}
_WRITE: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}
_COUNTED = frozenset(("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"))
# Values that say nothing.
_EMPTY: tuple[Any, ...] = (None, "not_available", [], {})


def read_stop(word: Any) -> tuple[FinishReason | None, str | None]:
    """The finish reason and Anthropic's own word; (None, None) where there is none yet."""
    if not isinstance(word, str):
        return None, None
    return _READ.get(word, "stop"), word


def write_stop(
    reason: FinishReason | None, native: str | None, stop_sequence: str | None, parts: Iterable[Part]
) -> str:
    """Anthropic's word. Raises UpstreamProtocolError for an answer that the provider did not finish.

    Some servers say that they stopped where they called a tool, or refused: what they said in ``parts`` counts.
    """
    if reason == "error":
        raise UpstreamProtocolError(f"The provider broke off its answer: {native or 'error'}.")
    if native in _READ and _READ[native] == (reason or "stop"):
        return native
    if stop_sequence is not None and reason in ("stop", None):
        return "stop_sequence"
    if reason in ("stop", None):
        kinds = {type(part) for part in parts}
        if ToolCall in kinds:
            return "tool_use"
        if Refusal in kinds:
            return "refusal"
    return _WRITE[reason or "stop"]


def read_usage(value: Any) -> Usage | None:
    """Tokens counted by Anthropic, whose ``input_tokens`` are those neither read from nor written to its cache."""
    if not isinstance(value, dict):
        return None
    fresh, output = _count(value, "input_tokens"), _count(value, "output_tokens")
    read, written = _count(value, "cache_read_input_tokens"), _count(value, "cache_creation_input_tokens")
    by_ttl = value.get("cache_creation")
    hour = _count(by_ttl, "ephemeral_1h_input_tokens")
    if not written:
        written = hour + _count(by_ttl, "ephemeral_5m_input_tokens")
    usage = Usage(
        prompt_tokens=fresh + read + written,
        completion_tokens=output,
        reasoning_tokens=_count(value.get("output_tokens_details"), "thinking_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
    )
    rest = {key: item for key, item in value.items() if key not in _COUNTED and key != "service_tier"}
    _keep(rest, "cache_creation", ("ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens"))
    _keep(rest, "output_tokens_details", ("thinking_tokens",))
    tools = rest.get("server_tool_use")
    if isinstance(tools, dict):
        # Older answers lack one of the two, which newer clients demand.
        counts = {"web_search_requests": 0, "web_fetch_requests": 0, **tools}
        rest["server_tool_use"] = counts if any(counts.values()) else {}
    rest = {key: item for key, item in rest.items() if item not in _EMPTY}
    if rest:
        usage.extra = rest
    return usage


def _count(holder: Any, key: str) -> int:
    return count_of(holder.get(key)) if isinstance(holder, dict) else 0


def _keep(rest: dict[str, Any], key: str, taken: tuple[str, ...]) -> None:
    """Leave of an inner object what has not been taken."""
    inner = rest.get(key)
    if isinstance(inner, dict):
        rest[key] = {name: value for name, value in inner.items() if name not in taken and value is not None}


def write_usage(usage: Usage, tier: str | None, *, own: bool) -> dict[str, Any]:
    """The whole ``usage`` object, with every count that Anthropic gives."""
    counts = write_counts(usage)
    written = counts["cache_creation_input_tokens"]
    hour = min(usage.cache_write_1h_tokens, written)
    out: dict[str, Any] = {
        **counts,
        "cache_creation": {"ephemeral_5m_input_tokens": written - hour, "ephemeral_1h_input_tokens": hour},
    }
    word = tier if own else {"default": "standard", "standard": "standard", "priority": "priority"}.get(tier or "")
    if word is not None:
        out["service_tier"] = word
    return restore(out, usage) if own else out


def write_counts(usage: Usage) -> dict[str, Any]:
    """The counts that the last event of a stream repeats."""
    # OpenRouter counts tokens twice that were both read and written.
    read = min(usage.cache_read_tokens, usage.prompt_tokens)
    written = min(usage.cache_write_tokens, usage.prompt_tokens - read)
    out: dict[str, Any] = {
        "input_tokens": usage.prompt_tokens - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning_tokens:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return out


def restore(out: dict[str, Any], usage: Usage) -> dict[str, Any]:
    """Put back what Anthropic said beyond its counts."""
    for key, value in usage.extra.items():
        there = out.get(key)
        out[key] = {**value, **there} if isinstance(there, dict) and isinstance(value, dict) else value
    return out
