"""What a message is made of: parts, as a superset of what every format can say.

A part keeps whatever its format said beyond the named fields in ``extra``, keyed by the format's own field name. A
writer of the same format puts it back; a writer of another format names it as dropped. Nothing is lost in silence.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class CacheControl(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt-cache breakpoint after this part. ``ttl`` is a provider's own word: ``"5m"``, ``"1h"`` or None."""

    type: str = "ephemeral"
    ttl: str | None = None


class Part(msgspec.Struct, kw_only=True):
    """The base of every content part; never constructed itself."""

    cache_control: CacheControl | None = None
    extra: dict[str, Any] = {}


class Text(Part, kw_only=True):
    """Plain text. ``citations`` are in the shape of the format named by the reply or request that holds them."""

    text: str
    citations: list[dict[str, Any]] = []


class Refusal(Part, kw_only=True):
    """The model's own words when it declines."""

    text: str


class Media(Part, kw_only=True):
    """An image, document, audio clip or video: exactly one of ``data``, ``url``, ``file_id`` and ``text`` is set.

    ``data`` is base64 without a ``data:`` prefix; ``media_type`` is a MIME type (``image/png``), None if unknown.
    ``text`` is a document given as plain text. ``detail`` is OpenAI's image resolution hint.
    """

    kind: Literal["image", "document", "audio", "video"]
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    text: str | None = None
    name: str | None = None
    detail: str | None = None


class Thinking(Part, kw_only=True):
    """Reasoning that a model showed, with what lets it be replayed on the next turn.

    ``signature`` and ``encrypted`` are opaque and valid only with the provider family named by ``origin`` (a format
    name such as ``"anthropic_messages"``). ``redacted`` thinking has no text, only ``encrypted`` data.
    """

    text: str = ""
    signature: str | None = None
    encrypted: str | None = None
    redacted: bool = False
    id: str | None = None
    origin: str | None = None


class ToolCall(Part, kw_only=True):
    """The model asks for a tool. ``arguments`` is JSON text for a function, free text for a custom tool.

    ``signature`` carries an opaque thought signature (Gemini) that must come back with the call.
    """

    id: str
    name: str
    arguments: str = ""
    kind: Literal["function", "custom"] = "function"
    signature: str | None = None


class ToolResult(Part, kw_only=True):
    """The answer to the tool call ``tool_call_id``; ``content`` may hold text, images and documents."""

    tool_call_id: str
    content: list[Part] = []
    is_error: bool = False
    name: str | None = None


class Opaque(Part, kw_only=True):
    """A part that only the format ``origin`` understands (a server-side tool's call or result, say), kept whole."""

    origin: str
    type: str
    value: dict[str, Any]


Role = Literal["system", "developer", "user", "assistant", "tool"]


class Message(msgspec.Struct, kw_only=True):
    """One turn. A ``tool`` message holds only ``ToolResult`` parts.

    ``spelling`` notes which of several equal wordings the origin used (normalised field → its word), so that a writer
    of the same format can use it again; it carries no meaning, and other writers ignore it.
    """

    role: Role
    content: list[Part] = []
    name: str | None = None
    extra: dict[str, Any] = {}
    spelling: dict[str, str] = {}

    def text(self) -> str:
        """The message's text parts, joined; empty when it has none."""
        return "".join(part.text for part in self.content if isinstance(part, Text))
