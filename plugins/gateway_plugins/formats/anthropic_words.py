"""How a messages caller wrote what the normalised protocol has another name or another place for."""

from __future__ import annotations

import re

from gateway.protocol import ChatRequest
from gateway_plugins.formats.anthropic_request_reader import IN_MESSAGES

_MESSAGE = re.compile(r"messages\[(\d+)\](?:\.content\[(\d+)\])?(.*)", re.DOTALL)
_WORDS = (
    ("reasoning_effort", "output_config.effort"),
    ("reasoning.effort", "output_config.effort"),
    ("reasoning.budget_tokens", "thinking.budget_tokens"),
    ("reasoning.mode", "thinking.type"),
    ("reasoning.display", "thinking.display"),
    ("reasoning.summary", "thinking.display"),
    ("reasoning", "thinking"),
    ("response_format.json_schema", "output_config.format"),
    ("response_format", "output_config.format"),
    ("stop", "stop_sequences"),
    ("user", "metadata.user_id"),
    ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
)
"""Normalised field → Anthropic's; the first that begins a name counts."""


def caller_field(field: str, request: ChatRequest) -> str:
    """The path of a field in the caller's own body."""
    found = _MESSAGE.fullmatch(field)
    if found is not None:
        return _in_messages(request, int(found[1]), None if found[2] is None else int(found[2]), found[3])
    if field.startswith("tools["):
        return re.sub(r"^(tools\[\d+\])\.(function\.)?parameters", r"\1.input_schema", field)
    for ours, theirs in _WORDS:
        if field == ours or field.startswith((f"{ours}.", f"{ours}[")):
            return theirs + field[len(ours) :]
    return field


def _in_messages(request: ChatRequest, index: int, part: int | None, rest: str) -> str:
    """A place in the caller's turns: a user's results and other parts were one turn, the system prompt was none."""
    turn, before, last = -1, 0, ""
    for at, message in enumerate(request.messages[: index + 1]):
        if message.role == "system" and message.spelling.get("place") != IN_MESSAGES:
            if at == index:
                return f"system{'' if part is None else f'[{part}]'}{'' if rest == '.role' else rest}"
            continue
        group = "user" if message.role == "tool" else message.role
        if group != last or group == "system":
            turn, before, last = turn + 1, 0, group
        if at < index:
            before += len(message.content)
    place = "" if part is None else f".content[{before + part}]"
    return f"messages[{turn}]{place}{re.sub(r'^.arguments', '.input', rest)}"
