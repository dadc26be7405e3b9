"""How a caller of Gemini's dialect wrote what a wire format could not carry."""

from __future__ import annotations

import re
from typing import Any

from gateway.protocol import ChatRequest

_CONFIG = {
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
    "modalities": "responseModalities",
    "stop": "stopSequences",
    "reasoning": "thinkingConfig",
    "reasoning.effort": "thinkingConfig.thinkingLevel",
    "reasoning.budget_tokens": "thinkingConfig.thinkingBudget",
    "reasoning.mode": "thinkingConfig.thinkingBudget",
    "reasoning.display": "thinkingConfig.includeThoughts",
    "reasoning.summary": "thinkingConfig.includeThoughts",
}
_OTHERS = {
    "metadata": "labels",
    "service_tier": "serviceTier",
    "tool_choice": "toolConfig.functionCallingConfig",
    "dimensions": "outputDimensionality",
    "input_type": "taskType",
}
_MESSAGE = re.compile(r"messages\[(\d+)\](?:\.content\[(\d+)\])?(.*)", re.DOTALL)
_NAME = re.compile(r"[a-z_]+(?:\.(?:effort|budget_tokens|mode|display|summary)\b)?")
_SCHEMA = re.compile(r"response_format(?:\.json_schema)?(?:\.schema)?")


def caller_field(field: str, request: Any) -> str:
    """The field's path in a generateContent request; one that is not known here stays as it is."""
    found = _MESSAGE.fullmatch(field)
    if found is not None:
        return _place(request, int(found[1]), found[2], found[3]) if isinstance(request, ChatRequest) else field
    schema = _SCHEMA.match(field)
    if schema is not None:
        return f"generationConfig.responseSchema{field[schema.end() :]}"
    name = _NAME.match(field)
    ends = () if name is None else (name.end(), len(field.partition(".")[0].partition("[")[0]))
    for end in ends:
        word, rest = field[:end], field[end:]
        if word in _CONFIG:
            return f"generationConfig.{_CONFIG[word]}{rest}"
        if word in _OTHERS:
            return f"{_OTHERS[word]}{rest}"
    return field


def _place(request: ChatRequest, index: int, part: str | None, rest: str) -> str:
    """The place of a message's part: the system instruction stands apart, and one content may be two messages."""
    content, before, last = -1, 0, 0
    for message in request.messages[: index + 1]:
        if message.role in ("system", "developer"):
            continue
        if message.spelling.get("content") == "same":
            before += last
        else:
            content, before = content + 1, 0
        last = len(message.content)
    own = index < len(request.messages) and request.messages[index].role in ("system", "developer")
    base = "systemInstruction" if own else f"contents[{max(content, 0)}]"
    return f"{base}{rest}" if part is None else f"{base}.parts[{int(part) + (0 if own else before)}]{rest}"
