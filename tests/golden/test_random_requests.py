"""For any request that a dialect can say: through another wire format it loses only what is named."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.format import Dropped
from tests.golden.cells import SAID_ANYWAY, chat_formats, read, silent_losses, wires, written
from tests.plugins.formats.test_anthropic_round_trip import REQUEST as MESSAGES
from tests.plugins.formats.test_openai_chat_round_trip import REQUEST as CHAT

REQUESTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {"anthropic_messages": MESSAGES, "openai_chat": CHAT}
PAIRS = [(dialect, wire) for dialect in REQUESTS for wire in ("anthropic_messages", "openai_chat") if dialect != wire]

# Beside what is said anyway: what holds for random requests only.
TRIVIAL = {
    **SAID_ANYWAY,
    r"parallel_tool_calls|tool_choice\..*|tools|web_search_options": "without a tool that may be called, no choice",
    r"tool_choice": "auto, or none where there is no tool",
    r"stream_options.*": "it is for streams",
    r"response_format\.json_schema\.strict": "Anthropic is always strict",
    r"reasoning_effort|max_tokens": "said twice: the other one counts",
}
_TRIVIAL = re.compile("|".join(f"(?:{path})" for path in TRIVIAL))
_WORDS: tuple[Any, ...] = (None, False, 0, 1, "", "auto", "text", "medium")
_OBJECT = {"type": "object"}
_NOTHING: tuple[Any, ...] = (*_WORDS, [], {}, {"type": "text"}, ["text"], _OBJECT, {**_OBJECT, "properties": {}})
"""Values that ask for what happens anyway."""


@pytest.mark.parametrize(("dialect", "wire"), PAIRS)
@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_only_what_is_named_is_lost(dialect: str, wire: str, data: st.DataObject) -> None:
    body = json.loads(json.dumps(data.draw(REQUESTS[dialect])))
    source, target = chat_formats()[dialect], wires()[wire]
    dropped = Dropped()
    try:
        request = read(source, body)
        written(target, request, dropped)
    except InvalidRequest:
        return  # refused aloud
    named = [shape(source.caller_field(field, request)) for field in dropped.reasons]
    lost = [
        path
        for path in silent_losses(source, target, body)
        if not says_nothing(path, body) and not told(shape(path), named)
    ]
    assert not lost, dropped.reasons


def says_nothing(path: str, body: Any) -> bool:
    """Whether a member of a request asks for what happens anyway."""
    reasoning = body.get("reasoning") or {}
    off = reasoning.get("enabled") is False or "none" in (reasoning.get("effort"), body.get("reasoning_effort"))
    trivial = _TRIVIAL.fullmatch(path) or (off and path.startswith("reasoning."))
    return bool(trivial) or value_at(body, path) in _NOTHING


def shape(path: str) -> str:
    """A path without numbers: a reader may count messages and parts in its own way."""
    return re.sub(r"\[\d+\]", "[]", path)


def told(path: str, named: list[str]) -> bool:
    """Whether it is named itself, or as part of what is; reasoning is given up as one."""
    family = re.match(r"reasoning|thinking|output_config|tool_choice|metadata", path)
    return any(
        path == other or path.startswith((f"{other}.", f"{other}[")) or (family and other.startswith(family.group()))
        for other in named
    )


def value_at(body: Any, path: str) -> Any:
    """The value at a path such as ``messages[0].content``; ``""`` for what holds no words."""
    for key in re.findall(r"[^.\[\]]+", path):
        body = body[int(key)] if isinstance(body, list) else body[key]
    return "" if _wordless(body) else body


def _wordless(value: Any) -> bool:
    """Whether a text, a part of text, a message or a list of these says nothing."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, list):
        return all(map(_wordless, value))
    if not isinstance(value, dict):
        return False
    inner = next((value[key] for key in ("text", "content", "source", "data") if key in value), None)
    return _wordless(inner)
