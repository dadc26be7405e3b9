"""Guesses the tokens of a request before it is sent, from its bytes alone."""

from __future__ import annotations

from typing import Any

from gateway.jsonbody import JsonObject

BYTES_PER_TOKEN = 4
"""The usual rule of thumb for English text and JSON; the real usage replaces the guess when the call ends."""
TOKENS_PER_ATTACHMENT = 1000
"""What an image or sound counts for, about a full-size image of OpenAI (1105) or Anthropic (1600)."""
MOST_ATTACHMENTS = 256
"""How many are looked for: a bound to the work that a hostile body can ask for."""
SHORTEST_ATTACHMENT = 1024

_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def prompt_tokens(body: bytes) -> int:
    """The prompt, at four bytes a token, where encoded images and sounds count as attachments, not as text."""
    attachments = 0
    binary = 0
    for marker in (b";base64,", b'"data"'):
        at = 0
        while attachments < MOST_ATTACHMENTS and (at := body.find(marker, at)) >= 0:
            at += len(marker)
            # A data URL runs to the string's end; a member named data has its string behind the colon.
            start = at if marker[-1:] == b"," else body.find(b'"', at, at + 16) + 1
            if start <= 0:
                continue
            end = body.find(b'"', start)
            if end - start >= SHORTEST_ATTACHMENT:
                attachments += 1
                binary += end - start
            at = max(at, end)
    return -(-(len(body) - binary) // BYTES_PER_TOKEN) + attachments * TOKENS_PER_ATTACHMENT


def completion_tokens(members: JsonObject, default: int) -> int:
    """The most that the caller allows for the answer, all choices together; ``default`` where it sets no limit."""
    asked: Any = next((value for name in _LIMITS if (value := _count(members.get(name))) is not None), None)
    if asked is None and isinstance(config := members.get("generationConfig"), dict):
        asked = _count(config.get("maxOutputTokens"))
    choices = _count(members.get("n")) or 1
    return (default if asked is None else asked) * choices


def _count(value: Any) -> int | None:
    """A positive whole number, or None: what else a caller writes there is the provider's to refuse."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
