"""The response object around the output: what it repeats of the request, and how it ended."""

from __future__ import annotations

import re
from typing import Any

from gateway.protocol import ChatRequest, Start
from gateway_plugins.formats.json_fields import merge
from gateway_plugins.formats.openai_chat_usage import written_tier
from gateway_plugins.formats.openai_responses_fields import NAME
from gateway_plugins.formats.openai_responses_write import settings

ECHOED = frozenset(
    (
        "background",
        "completed_at",
        "conversation",
        "created_at",
        "error",
        "frequency_penalty",
        "id",
        "incomplete_details",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "object",
        "output",
        "output_text",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "status",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "usage",
        "user",
    )
)
"""Keys of a response that repeat the request, or have a place of their own in the normalised protocol."""

_UNSAFE = re.compile(r"[^A-Za-z0-9]+")
_PREFIX = re.compile(r"^(?:resp|chatcmpl|msg|gen)[-_]")


def response_id(reply_id: str) -> str:
    """A response's id in OpenAI's manner, of whatever id the provider gave."""
    return reply_id if reply_id.startswith("resp_") else f"resp_{stem(reply_id)}"


def stem(reply_id: str) -> str:
    """What the ids of a response's items have in common; OpenAI takes up to 64 characters in all."""
    return _UNSAFE.sub("", _PREFIX.sub("", reply_id))[-48:] or "0"


def envelope(start: Start, request: Any) -> dict[str, Any]:
    """The response object as it stands when it begins."""
    asked = settings(request) if isinstance(request, ChatRequest) and request.model else {}
    for tool in asked.get("tools", ()):
        if tool.get("type") == "function":
            tool.setdefault("parameters", None)
            tool.setdefault("strict", None)
    text: dict[str, Any] = {"format": {"type": "text"}, **asked.get("text", {})}
    # By the request, for a stream of another format says nothing of it.
    own_words = request.reasoning if isinstance(request, ChatRequest) else None
    reasoning = {
        "effort": None if own_words is None else own_words.effort,
        "summary": None if own_words is None else own_words.summary,
    }
    spelling = request.spelling if asked else {}
    out: dict[str, Any] = {
        "id": start.id if start.origin == NAME else response_id(start.id),
        "object": "response",
        "created_at": start.created or 0,
        "status": "in_progress",
        "background": bool(asked.get("background")),
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "max_tool_calls": asked.get("max_tool_calls"),
        "model": start.model,
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": asked.get("previous_response_id") or spelling.get("previous_response_id"),
        "prompt_cache_key": asked.get("prompt_cache_key"),
        "reasoning": reasoning,
        "safety_identifier": asked.get("safety_identifier"),
        "service_tier": written_tier(start.service_tier, own=start.origin == NAME),
        "store": asked.get("store", True),
        "temperature": asked.get("temperature"),
        "text": text,
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": asked.get("tools", []),
        "top_logprobs": asked.get("top_logprobs", 0),
        "top_p": asked.get("top_p"),
        "truncation": asked.get("truncation", "disabled"),
        "usage": None,
        "user": asked.get("user"),
        "metadata": asked.get("metadata") or {},
    }
    if start.origin == NAME:
        merge(out, start.extra)
    return out
