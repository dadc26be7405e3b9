"""Log probabilities: legacy completions' parallel lists, and the list of objects that chat completions has."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

_BYTES = re.compile(r"\\x([0-9a-fA-F]{2})")
OFFSETS = "text_offset"
"""Where each token begins, kept beside ``content``: chat completions does not say it."""


def read_logprobs(value: Any) -> dict[str, Any] | None:
    """The normalised shape (chat completions' own) of a choice's ``logprobs``; None where there are none."""
    tokens = value.get("tokens") if isinstance(value, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return None
    tops = value.get("top_logprobs")
    content: list[dict[str, Any]] = []
    for at, token in enumerate(tokens):
        top = _at(tops, at)
        found = [_one(other, prob) for other, prob in top.items()] if isinstance(top, dict) else []
        content.append({**_one(token, _at(value.get("token_logprobs"), at)), "top_logprobs": found})
    out: dict[str, Any] = {"content": content}
    if isinstance(value.get(OFFSETS), list):
        out[OFFSETS] = value[OFFSETS]
    return out


def write_logprobs(value: dict[str, Any] | None, start: int = 0) -> dict[str, Any] | None:
    """The legacy shape; ``start`` is where the text begins, used where no offsets were kept."""
    content = value.get("content") if value is not None else None
    if value is None or not isinstance(content, list):
        return None
    items = [item for item in content if isinstance(item, dict)]
    tokens = [str(item.get("token", "")) for item in items]
    offsets = value.get(OFFSETS)
    if not isinstance(offsets, list):
        offsets = list(accumulate((len(token) for token in tokens[:-1]), initial=start)) if tokens else []
    tops = [_alternatives(item.get("top_logprobs")) for item in items]
    return {
        "tokens": tokens,
        "token_logprobs": [item.get("logprob") for item in items],
        "top_logprobs": tops if any(tops) else None,
        OFFSETS: offsets,
    }


def _alternatives(found: Any) -> dict[str, Any] | None:
    items = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    return {str(item.get("token", "")): item.get("logprob") for item in items} or None


def _one(token: Any, logprob: Any) -> dict[str, Any]:
    text = token if isinstance(token, str) else str(token)
    # OpenAI spells a token that is no whole character as bytes:\xe2\x80.
    raw = [int(pair, 16) for pair in _BYTES.findall(text)] if text.startswith("bytes:") else []
    return {"token": text, "logprob": logprob, "bytes": raw or list(text.encode("utf-8", "surrogatepass"))}


def _at(items: Any, at: int) -> Any:
    return items[at] if isinstance(items, list) and at < len(items) else None
