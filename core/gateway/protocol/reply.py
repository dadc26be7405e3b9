"""What a provider answers, in no wire format's words: whole replies, and the events of a streamed one."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gateway.protocol.content import Part

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error"]
"""Why the model stopped. ``pause`` is a long server-side turn that the caller may continue."""


class Usage(msgspec.Struct, kw_only=True):
    """Tokens of one call. ``prompt_tokens`` includes cached reads and writes, ``completion_tokens`` includes reasoning.

    ``cache_write_tokens`` counts all writes; ``cache_write_1h_tokens`` is its part with a one-hour ttl.
    ``source`` says whether the provider counted (``upstream``) or we estimated (``estimated``).
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    source: Literal["upstream", "estimated"] = "upstream"
    extra: dict[str, Any] = {}

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Choice(msgspec.Struct, kw_only=True):
    """One answer. ``stop_sequence`` is the stop string that ended it, ``native_finish_reason`` the provider's word."""

    index: int = 0
    content: list[Part] = []
    finish_reason: FinishReason | None = None
    native_finish_reason: str | None = None
    stop_sequence: str | None = None
    logprobs: dict[str, Any] | None = None
    extra: dict[str, Any] = {}


class ChatReply(msgspec.Struct, kw_only=True):
    """A whole chat completion. ``created`` is in Unix seconds, None where the provider does not say.

    ``spelling`` is the caller's request's, set before the reply is written for it.
    """

    id: str
    model: str
    choices: list[Choice] = []
    usage: Usage | None = None
    created: int | None = None
    service_tier: str | None = None
    origin: str = ""
    extra: dict[str, Any] = {}
    spelling: dict[str, str] = {}


class Embedding(msgspec.Struct, kw_only=True):
    """One vector: ``vector`` as floats, or ``base64`` of little-endian float32 as OpenAI packs it."""

    index: int
    vector: list[float] | None = None
    base64: str | None = None


class EmbeddingsReply(msgspec.Struct, kw_only=True):
    """The vectors of an embeddings request, in the order of its input.

    ``encoding_format`` is what the caller's request asked for, set before the reply is written for it; None leaves
    each vector as the provider packed it.
    """

    model: str
    embeddings: list[Embedding] = []
    usage: Usage | None = None
    encoding_format: Literal["float", "base64"] | None = None
    origin: str = ""
    extra: dict[str, Any] = {}


class RerankResult(msgspec.Struct, kw_only=True):
    """A document by its ``index`` in the request, and its ``score`` (higher is better)."""

    index: int
    score: float
    document: str | None = None


class RerankReply(msgspec.Struct, kw_only=True):
    """The documents, the best first. ``search_units`` is what Cohere bills."""

    id: str = ""
    model: str = ""
    results: list[RerankResult] = []
    usage: Usage | None = None
    search_units: int | None = None
    origin: str = ""
    extra: dict[str, Any] = {}


class TokenCount(msgspec.Struct, kw_only=True):
    """How many tokens a request's prompt has; ``cached_tokens`` of them from a cache, where the provider says so."""

    prompt_tokens: int
    cached_tokens: int | None = None
    origin: str = ""
    extra: dict[str, Any] = {}


class Event(msgspec.Struct, kw_only=True):
    """The base of every stream event; never constructed itself.

    A good stream is: Start, then for each choice PartStart / PartDelta … / PartStop (parts may overlap only where
    their ``part`` indexes differ), Finish once for each choice, UsageUpdate when known, End. An ErrorEvent ends it
    instead of End. ``part`` counts from 0 within a choice, in the order of first appearance.
    """


class Start(Event, kw_only=True):
    """The reply begins; ``usage`` is what is known so far (Anthropic counts the prompt here).

    ``origin`` is the format that was read: only its own writer restores the ``extra`` of this and later events.
    """

    id: str
    model: str
    created: int | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    origin: str = ""
    extra: dict[str, Any] = {}


class PartStart(Event, kw_only=True):
    """A part begins. ``content`` is the part as known now: a ToolCall has its id and name, text is often empty."""

    choice: int = 0
    part: int
    content: Part


DeltaKind = Literal["text", "thinking", "signature", "encrypted", "arguments", "refusal", "citation"]


class PartDelta(Event, kw_only=True):
    """More of a part. ``value`` is text to append, but for ``citation``, where ``data`` is one whole citation."""

    choice: int = 0
    part: int
    kind: DeltaKind
    value: str = ""
    data: dict[str, Any] | None = None
    logprobs: dict[str, Any] | None = None


class PartStop(Event, kw_only=True):
    """A part is complete. ``extra`` is what the provider said of it only then."""

    choice: int = 0
    part: int
    extra: dict[str, Any] = {}


class Finish(Event, kw_only=True):
    """A choice is complete."""

    choice: int = 0
    finish_reason: FinishReason
    native_finish_reason: str | None = None
    stop_sequence: str | None = None
    extra: dict[str, Any] = {}


class UsageUpdate(Event, kw_only=True):
    """The tokens counted so far; a later one replaces an earlier one."""

    usage: Usage


class Ping(Event, kw_only=True):
    """A keep-alive."""


class ErrorEvent(Event, kw_only=True):
    """The provider reported an error inside the stream. ``kind`` is of the taxonomy in ``gateway.errors``."""

    kind: str
    message: str
    code: str | None = None
    status: int | None = None
    data: dict[str, Any] | None = None


class End(Event, kw_only=True):
    """The provider said, in its own way, that the stream is complete. Without it a stream was cut."""
