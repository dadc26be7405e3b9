"""The ``usage`` object of OpenAI's formats, with the places where other providers put the same numbers; tiers."""

from __future__ import annotations

from typing import Any

from gateway.protocol import Usage
from gateway_plugins.formats.json_fields import count_of

_PROMPT = "prompt_tokens_details"
_COMPLETION = "completion_tokens_details"
_BY_TTL = "cache_creation_token_details"  # LiteLLM's word
# Others' words for a service tier that OpenAI has too: Anthropic's, Groq's.
_TIERS = {"standard": "default", "on_demand": "default"}
_OPENAI_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")


def read_usage(value: Any) -> Usage | None:
    """Tokens counted by a provider; None where there is no usage object. What has no place is kept in ``extra``.

    Cached reads are looked for where OpenAI, DeepSeek, Moonshot, Together, Mistral and Bedrock's Claude put them,
    cache writes where OpenRouter, LiteLLM and Bedrock's Claude do. Where the total exceeds the sum of its parts by the
    reasoning that is told (xAI), or none is told (Gemini), the rest is reasoning, and part of the completion.
    """
    if not isinstance(value, dict):
        return None
    if len(value) == 3:
        # What most servers of open models say, and nothing more: read without looking for others' words.
        prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
        total = value.get("total_tokens")
        if (
            type(prompt) is int
            and type(completion) is int
            and total == prompt + completion
            and prompt >= 0 <= completion
        ):
            return Usage(prompt_tokens=prompt, completion_tokens=completion)
    rest = dict(value)
    prompt_details, completion_details = _object(rest, _PROMPT), _object(rest, _COMPLETION)
    prompt, completion = _take(rest, "prompt_tokens"), _take(rest, "completion_tokens")
    total = _take(rest, "total_tokens")
    reasoning = _take(completion_details, "reasoning_tokens")
    if prompt is None and completion is None:
        prompt = total
    elif total is not None and _apart(total - (prompt or 0) - (completion or 0), reasoning):
        reasoning = total - (prompt or 0) - (completion or 0)
        completion = (completion or 0) + reasoning
    cached = _first(
        _take(prompt_details, "cached_tokens"),
        _take(rest, "prompt_cache_hit_tokens"),
        _take(rest, "cached_tokens"),
        _take(rest, "num_cached_tokens"),
        _take(rest, "cache_read_input_tokens"),
    )
    _take(rest, "prompt_cache_miss_tokens")  # what is left of the prompt
    written = _first(
        _take(prompt_details, "cache_write_tokens"),
        _take(prompt_details, "cache_creation_tokens"),
        _take(rest, "cache_creation_input_tokens"),
    )
    by_ttl = _object(prompt_details, _BY_TTL)
    hour = _take(by_ttl, "ephemeral_1h_input_tokens") or 0
    _take(by_ttl, "ephemeral_5m_input_tokens")  # what is left of the writes
    if by_ttl:
        prompt_details[_BY_TTL] = by_ttl
    usage = Usage(
        prompt_tokens=prompt or 0,
        completion_tokens=completion or 0,
        reasoning_tokens=reasoning or 0,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(hour, written),
        audio_input_tokens=_take(prompt_details, "audio_tokens") or 0,
        audio_output_tokens=_take(completion_details, "audio_tokens") or 0,
    )
    if prompt_details:
        rest[_PROMPT] = prompt_details
    if completion_details:
        rest[_COMPLETION] = completion_details
    if rest:
        usage.extra = rest
    return usage


def write_usage(usage: Usage, *, own: bool) -> dict[str, Any]:
    """OpenAI's usage object; ``own`` says that ``extra`` was read by this format and may go back."""
    out: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    prompt: dict[str, Any] = {"cached_tokens": usage.cache_read_tokens, "audio_tokens": usage.audio_input_tokens}
    if usage.cache_write_tokens:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    if usage.cache_write_1h_tokens:
        rest = usage.cache_write_tokens - usage.cache_write_1h_tokens
        hour = usage.cache_write_1h_tokens
        prompt[_BY_TTL] = {"ephemeral_5m_input_tokens": max(0, rest), "ephemeral_1h_input_tokens": hour}
    completion: dict[str, Any] = {
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_tokens": usage.audio_output_tokens,
    }
    if own and usage.extra:
        for key, value in usage.extra.items():
            if key == _PROMPT:
                prompt |= value
            elif key == _COMPLETION:
                completion |= value
            else:
                out[key] = value
    out[_PROMPT] = prompt
    out[_COMPLETION] = completion
    return out


def written_tier(tier: str | None, *, own: bool) -> str | None:
    """The service tier in OpenAI's words, None where it has none; ``own`` lets an unknown word pass as it is."""
    if tier is None:
        return None
    word = _TIERS.get(tier, tier)
    return word if own or word in _OPENAI_TIERS else None


def _apart(beyond: int, reasoning: int | None) -> bool:
    """Whether what the total has beyond its parts is the reasoning."""
    return beyond > 0 and reasoning in (None, 0, beyond)


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


def _first(*counts: int | None) -> int:
    """The first count that is not zero."""
    return next((count for count in counts if count), 0)
