"""How a chat completions caller wrote what the normalised protocol has another name or another place for."""

from __future__ import annotations

import re

from gateway.protocol import ChatRequest, Message, Part, Refusal, Text, Thinking, ToolCall
from gateway_plugins.formats.openai_chat_reasoning import is_plain
from gateway_plugins.formats.openai_chat_tools import WEB_SEARCH

_MESSAGE = re.compile(r"(messages\[(\d+)\])\.content\[(\d+)\](.*)", re.DOTALL)
_TOOL = re.compile(r"tools\[(\d+)\](.*)", re.DOTALL)
_REASONING = {
    "reasoning": {
        "effort": "reasoning.effort",
        "budget_tokens": "reasoning.max_tokens",
        "mode": "reasoning.enabled",
        "display": "reasoning.exclude",
        "summary": "reasoning.summary",
    },
    "thinking": {"effort": "reasoning_effort", "budget_tokens": "thinking.budget_tokens", "mode": "thinking.type"},
    "": {"effort": "reasoning_effort"},
}
"""How the caller asked for reasoning → normalised field → the caller's."""


def caller_field(field: str, request: ChatRequest) -> str:
    """The path of a field in the caller's own body."""
    found = _MESSAGE.fullmatch(field)
    if found is not None and int(found[2]) < len(request.messages):
        return found[1] + _in_message(request.messages[int(found[2])], int(found[3]), found[4])
    found = _TOOL.fullmatch(field)
    if found is not None and int(found[1]) < len(request.tools):
        return _in_tools(request, int(found[1]), found[2])
    if field == "reasoning" or field.startswith(("reasoning.", "reasoning_effort")):
        return _in_reasoning(request, field)
    if field.startswith(("response_format.schema", "response_format.name", "response_format.strict")):
        return field.replace("response_format.", "response_format.json_schema.", 1)
    if field == "max_tokens":
        return request.spelling.get("max_tokens", "max_completion_tokens")
    return request.spelling.get(field, field) if field in ("user", "seed", "max_tokens") else field


def _in_message(message: Message, index: int, rest: str) -> str:
    parts = message.content
    if index >= len(parts):
        return f".content[{index}]{rest}"
    part = parts[index]
    if message.role == "tool":
        return rest or ".content"  # the result is the message itself
    if isinstance(part, ToolCall):
        if message.spelling.get("tool_calls") == "function_call":
            return f".function_call{rest}"
        return f".tool_calls[{_number(parts, index, ToolCall)}]{rest}"
    if isinstance(part, Thinking) and message.spelling.get("reasoning") != "thinking":
        if is_plain(part):
            return f".{message.spelling.get('reasoning', 'reasoning_content')}{rest}"
        return f".reasoning_details[{_number(parts, index, Thinking)}]{rest}"
    if isinstance(part, Refusal) and message.role == "assistant":
        return f".refusal{rest}"
    beside = [item for item in parts if not isinstance(item, ToolCall | Thinking | Refusal)]
    if len(beside) == 1 and isinstance(part, Text) and not part.extra and part.cache_control is None:
        return f".content{rest}"  # a string, as a rule
    place = sum(not isinstance(item, ToolCall | Thinking) for item in parts[:index])
    return f".content[{place}]{rest}"


def _number(parts: list[Part], index: int, kind: type[Part]) -> int:
    return sum(isinstance(item, kind) for item in parts[:index])


def _in_tools(request: ChatRequest, index: int, rest: str) -> str:
    tool = request.tools[index]
    if tool.type == WEB_SEARCH:
        return f"{WEB_SEARCH}{rest}"
    if request.spelling.get("tools") == "functions":
        return f"functions[{index}]{rest.replace('.function', '', 1)}"
    inner = {"function": ".function", "custom": ".custom"}.get(tool.kind, "")
    if inner and rest.startswith((".strict", ".parameters", ".format", ".description")):
        rest = inner + rest
    return f"tools[{index}]{rest}"


def _in_reasoning(request: ChatRequest, field: str) -> str:
    words = _REASONING[request.spelling.get("reasoning", "")]
    if field == "reasoning":
        return "reasoning_effort" if words is _REASONING[""] else request.spelling["reasoning"]
    if field == "reasoning_effort":
        field = "reasoning.effort"
    if "effort" in request.spelling and field == "reasoning.effort":
        return "reasoning_effort"
    return words.get(field.partition(".")[2], field)
