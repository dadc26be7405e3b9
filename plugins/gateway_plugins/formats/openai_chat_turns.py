"""What some who imitate chat completions demand of the turns of a conversation, beyond OpenAI's own rules."""

from __future__ import annotations

import hashlib
import re
from typing import Any

OPTIONS = frozenset(("tool_call_ids", "prefix", "thinking_chunks"))
"""The ``traits.options`` that ``fit_turns`` heeds."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALPHANUMERIC = re.compile(r"[0-9A-Za-z]+")


def fit_turns(messages: list[dict[str, Any]], options: dict[str, Any]) -> None:
    """Change written messages in place as ``traits.options`` demand.

    ``tool_call_ids`` (a number): ids of tool calls must be that many letters and digits; others get one that is the
    same for the same id. ``prefix`` (True): a conversation that ends with the assistant says ``prefix: true``, for the
    model goes on from there. ``thinking_chunks`` (True): thinking is a chunk of the content.
    """
    length = options.get("tool_call_ids")
    for message in messages:
        if isinstance(length, int):
            _fit_ids(message, length)
        if options.get("thinking_chunks") and message.get("role") == "assistant":
            _fit_thinking(message)
    last = messages[-1] if messages else {}
    if options.get("prefix") and last.get("role") == "assistant" and not last.get("tool_calls"):
        last.setdefault("prefix", True)


def short_id(call_id: str, length: int) -> str:
    """An id of ``length`` letters and digits that stands for ``call_id``: itself, where it is one."""
    if len(call_id) == length and _ALPHANUMERIC.fullmatch(call_id):
        return call_id
    number = int.from_bytes(hashlib.blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "big")
    digits: list[str] = []
    for _ in range(length):
        number, rest = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[rest])
    return "".join(digits)


def _fit_ids(message: dict[str, Any], length: int) -> None:
    if isinstance(message.get("tool_call_id"), str):
        message["tool_call_id"] = short_id(message["tool_call_id"], length)
    for call in message.get("tool_calls") or ():
        if isinstance(call.get("id"), str):
            call["id"] = short_id(call["id"], length)


def _fit_thinking(message: dict[str, Any]) -> None:
    text = message.pop("reasoning_content", None)
    if not isinstance(text, str) or not text:
        return
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}] if content else []
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
    message["content"] = [chunk, *(content or [])]
