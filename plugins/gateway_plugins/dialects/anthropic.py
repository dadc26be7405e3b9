"""Anthropic's dialect: messages, and the count of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gateway.dialect import Dialect, Endpoint


class AnthropicDialect(Dialect):
    """What the anthropic package, Claude Code, and whoever imitates them, send to their ``base_url``."""

    endpoints: ClassVar[Sequence[Endpoint]] = (
        Endpoint(path="/v1/messages", format="anthropic_messages"),
        Endpoint(path="/v1/messages/count_tokens", format="anthropic_count_tokens", stream=False),
    )
    request_id_headers: ClassVar[tuple[bytes, ...]] = (b"request-id", b"x-request-id")
