"""Why a model stopped: the words of chat completions, and of those who imitate it, both ways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.protocol import FinishReason

# What providers say on OpenAI-compatible paths. A word that is not here counts as ``stop`` and is kept beside it.
_READ: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "tool_use": "tool_calls",  # Claude behind Bedrock, Databricks and Snowflake
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "refusal": "refusal",
    "pause_turn": "pause",
    "model_length": "length",  # Mistral
    "eos": "stop",  # Together
    "safety": "content_filter",  # Gemini
    "recitation": "content_filter",
    "sensitive": "content_filter",  # Z.ai
    "network_error": "error",
    "insufficient_system_resource": "error",  # DeepSeek
    "abort": "error",  # vLLM
    "error": "error",
}

_WRITE: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    # An answer that broke off is cut short; chat completions has no nearer word.
    "error": "length",
}


def read_finish(word: Any) -> tuple[FinishReason | None, str | None]:
    """The finish reason, and the provider's own word where it is not OpenAI's; (None, None) for null and ``""``."""
    if not isinstance(word, str) or not word:
        return None, None
    reason = _READ.get(word.lower(), "stop")
    return reason, None if word in (_WRITE[reason], "function_call") else word


def native_word(choice: dict[str, Any], native: str | None) -> str | None:
    """What OpenRouter says of its own upstream's word, where it is another than the finish reason; else ``native``."""
    word = choice.get("native_finish_reason")
    return word if isinstance(word, str) and word != choice.get("finish_reason") else native


def write_finish(reason: FinishReason | None, *, calls: bool, refused: bool = False, functions: bool = False) -> str:
    """OpenAI's word. ``refused``: the model's refusal is shown as such, so that the turn ended well.

    A provider that gave no reason is understood by whether it called a tool.
    """
    if reason is None:
        reason = "tool_calls" if calls else "stop"
    if reason == "tool_calls" and functions:
        return "function_call"
    return "stop" if reason == "refusal" and refused else _WRITE[reason]


def annotations_of(citations: Iterable[dict[str, Any]], start: int, end: int) -> tuple[list[dict[str, Any]], int]:
    """``annotations`` for a text at ``start`` to ``end`` of the message, and how many citations have no place there.

    OpenAI's own pass; any other that names a URL becomes a ``url_citation`` of the part of the text that it names, or
    of the whole text.
    """
    found: list[dict[str, Any]] = []
    lost = 0
    for citation in citations:
        url = citation.get("url")
        if isinstance(citation.get("url_citation"), dict):
            found.append(citation)
        elif isinstance(url, str):
            title = citation.get("title")
            first, last = citation.get("start_index"), citation.get("end_index")
            place = (start + first, start + last) if isinstance(first, int) and isinstance(last, int) else (start, end)
            cited: dict[str, Any] = {"url": url, "title": title if isinstance(title, str) else ""}
            cited.update(zip(("start_index", "end_index"), place, strict=True))
            found.append({"type": "url_citation", "url_citation": cited})
        else:
            lost += 1
    return found, lost


_OF_A_PAGE = frozenset(("type", "url", "title", "start_index", "end_index"))


def unsaid_of(citations: Iterable[dict[str, Any]]) -> list[str]:
    """What other providers say of a page that they cite and an annotation has no place for."""
    foreign = (item for item in citations if not isinstance(item.get("url_citation"), dict) and item.get("url"))
    return list(dict.fromkeys(key for item in foreign for key in item if key not in _OF_A_PAGE))
