"""Counts a prompt's tokens where no target of the model offers to: by a rule of thumb, and marked as such."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from gateway import Call, Plugin, Reply, hookimpl
from gateway.needs import ASCII_PER_TOKEN, OTHER_BYTES_PER_TOKEN, TOKENS_PER_ATTACHMENT
from gateway.plugin import Stage
from gateway.protocol import (
    ChatRequest,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    TokenCount,
    ToolCall,
    ToolResult,
)

ESTIMATED = b"x-gateway-estimated"
"""The response header of a count that nobody counted."""

TOKENS_PER_MESSAGE = 4
"""What a turn's own marks cost."""


class EstimatedCount(Plugin):
    """Answers count_tokens for models whose targets cannot, with an estimate that says so in a header."""

    stage: ClassVar[Stage] = "route"

    @hookimpl
    async def on_request(self, call: Call) -> Reply | None:
        if call.operation != "count_tokens" or not isinstance(call.request, ChatRequest) or _offered(call):
            return None
        count = TokenCount(prompt_tokens=estimated_tokens(call.request))
        body = call.format.write_reply(count, call.dropped, call.request)
        headers = [(b"content-type", b"application/json"), (ESTIMATED, b"1")]
        return Reply(200, body=body, headers=headers, source=self.name)


def _offered(call: Call) -> bool:
    lanes = call.gateway.lanes
    return any((call.format.name, target.provider) in lanes for target in call.targets)


def estimated_tokens(request: ChatRequest) -> int:
    """The tokens of a prompt: its texts by their length, attachments at a flat rate."""
    total = sum(TOKENS_PER_MESSAGE + sum(map(_part, message.content)) for message in request.messages)
    for tool in request.tools:
        total += TOKENS_PER_MESSAGE + _text(tool.name) + _text(tool.description or "")
        total += _json(tool.parameters) + _json(tool.grammar)
    if request.response_format is not None:
        total += _json(request.response_format.schema)
    return max(1, total)


def _part(part: Part) -> int:
    if isinstance(part, Text | Refusal):
        return _text(part.text)
    if isinstance(part, Thinking):
        return _text(part.text) + _text(part.encrypted or "")
    if isinstance(part, ToolCall):
        return TOKENS_PER_MESSAGE + _text(part.name) + _text(part.arguments)
    if isinstance(part, ToolResult):
        return TOKENS_PER_MESSAGE + sum(map(_part, part.content))
    if isinstance(part, Media):
        return TOKENS_PER_ATTACHMENT if part.text is None else _text(part.text)
    return _json(part.value) if isinstance(part, Opaque) else 0


def _json(value: Any) -> int:
    return 0 if value is None else _text(msgspec.json.encode(value).decode())


def _text(text: str) -> int:
    if text.isascii():
        return -(-len(text) // ASCII_PER_TOKEN)
    narrow = len(text.encode("ascii", "ignore"))
    wide = len(text.encode("utf-8", "replace")) - narrow
    return -(-narrow // ASCII_PER_TOKEN) - (-wide // OTHER_BYTES_PER_TOKEN)
