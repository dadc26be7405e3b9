"""A provider's answers, and the table that leads to it."""

from __future__ import annotations

import json
from typing import Any

from gateway.testing import ScriptedProvider

ASK: dict[str, Any] = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-2026",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42},
}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One event of a chat completion's stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026", "choices": choices, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


STREAM = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "yo"}),
    chunk({}, "stop"),
    chunk(usage=ANSWER["usage"]),
    b"data: [DONE]\n\n",
]


def provider_table(provider: ScriptedProvider) -> str:
    """TOML for a provider named ``up``."""
    return f'\n[plugins.up]\nuse = "openai_compatible"\nbase_url = "{provider.url}/v1"\n'
