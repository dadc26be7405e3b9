"""Guesses the tokens of a request before it is sent, from its bytes alone."""

from __future__ import annotations

from typing import Any

from gateway import Call
from gateway.needs import ASCII_PER_TOKEN, TOKENS_PER_ATTACHMENT, estimated_tokens, needs_of

MOST_ATTACHMENTS = 256
"""How many are looked for: a bound to the work that a hostile body can ask for."""
SHORTEST_ATTACHMENT = 1024


def prompt_tokens(body: bytes) -> int:
    """The prompt's tokens, where encoded images and sounds count as attachments, not as text.

    Unlike ``Needs.tokens`` it decodes no request, however large: it is asked before a caller may cost anything.
    """
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
    return max(1, estimated_tokens(body) - binary // ASCII_PER_TOKEN) + attachments * TOKENS_PER_ATTACHMENT


def completion_tokens(call: Call, default: int) -> int:
    """The most that the caller allows for the answer, all choices together; ``default`` where it sets no limit."""
    return (_count(needs_of(call).max_tokens) or default) * (_count(call.json.get("n")) or 1)


def _count(value: Any) -> int | None:
    """A positive whole number, or None: what else a caller writes there is the provider's to refuse."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
