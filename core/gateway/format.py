"""What a format is: one codec between bytes and the normalised protocol, usable on either side of the gateway.

On the caller's side (a dialect) a format reads requests and writes replies, streams and errors. On the upstream side
(a provider's wire format) it writes requests and reads replies, streams and errors. All of it is sans-IO and free of
clocks and randomness, so every provider is tested with recorded bytes and no server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import msgspec

from gateway.errors import GatewayError, UpstreamRejected
from gateway.jsonbody import JsonObject
from gateway.protocol import (
    ChatReply,
    ChatRequest,
    EmbeddingsReply,
    EmbeddingsRequest,
    Event,
    RerankReply,
    RerankRequest,
    TokenCount,
    Usage,
)

AnyRequest = ChatRequest | EmbeddingsRequest | RerankRequest
AnyReply = ChatReply | EmbeddingsReply | RerankReply | TokenCount


class Dropped:
    """Collects what a translation could not carry: the field as the caller wrote it (``messages[2].name``), and why."""

    __slots__ = ("reasons",)

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def add(self, field: str, why: str) -> None:
        """Name one loss; the first reason for a field is kept."""
        self.reasons.setdefault(field, why)

    def __bool__(self) -> bool:
        return bool(self.reasons)


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider or model differs from its wire format's documentation, as data.

    ``unsupported`` maps a normalised request field to the reason it is dropped, ``while_reasoning`` does so unless the
    request turns reasoning off, or says nothing of it and ``reasons_unasked`` is false; ``renames`` maps a wire field
    to the provider's name for it; ``defaults`` are wire fields sent when absent; ``roles`` maps a role to the one to
    send (``{"developer": "system"}``); ``max_tokens_default`` is sent where the format demands a limit and the caller
    set none; ``options`` holds what only one format understands.
    """

    unsupported: dict[str, str] = {}
    while_reasoning: dict[str, str] = {}
    reasons_unasked: bool = True
    renames: dict[str, str] = {}
    defaults: dict[str, Any] = {}
    roles: dict[str, str] = {}
    max_tokens_default: int | None = None
    options: dict[str, Any] = {}

    def resolved(self, request: AnyRequest) -> Traits:
        """These traits with ``while_reasoning`` settled for one request."""
        if not self.while_reasoning or (isinstance(request, ChatRequest) and self._reasons_not(request)):
            return self
        return msgspec.structs.replace(self, unsupported={**self.while_reasoning, **self.unsupported})

    def _reasons_not(self, request: ChatRequest) -> bool:
        reasoning = request.reasoning
        if reasoning is None:
            return not self.reasons_unasked
        return reasoning.effort == "none" or reasoning.mode == "disabled"


class StreamReader(ABC):
    """Upstream bytes → events. Byte boundaries never matter.

    ``fault`` is what was found wrong behind the events that ``feed`` returned last; the next call raises it.
    """

    fault: GatewayError | None = None

    @abstractmethod
    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return the events that are complete by now."""

    @abstractmethod
    def close(self) -> list[Event]:
        """The upstream closed. Returns what is still due; includes End only if the stream was complete."""


class StreamWriter(ABC):
    """Events → bytes for the caller."""

    @abstractmethod
    def write(self, event: Event) -> bytes:
        """The bytes for one event; empty where the dialect has nothing to say for it."""

    @abstractmethod
    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        """An error event; nothing may follow it, and no clean end does."""

    def stand_behind(self, sent: bytes) -> None:
        """Go on behind events that another hand wrote: ``sent``, of which this writer was given the meaning.

        For a dialect that numbers its events, or names what they are about.
        """
        return


class StreamWatch(ABC):
    """Looks at a same-dialect stream as it passes, without decoding every event.

    ``feed`` returns whole events only, so that an error event can always follow what was sent. ``complete`` turns
    true at the dialect's own end mark; ``usage`` holds the last usage seen; ``error`` an error event of the stream.
    """

    complete: bool = False
    usage: Usage | None = None
    error: GatewayError | None = None
    model: str | None = None
    finish_reason: str | None = None
    service_tier: str | None = None

    @abstractmethod
    def feed(self, data: bytes) -> bytes:
        """Take the next upstream bytes; return what may go to the caller now."""

    @abstractmethod
    def close(self) -> bytes:
        """The upstream closed: the bytes still due; sets ``complete``."""

    def writer(self) -> StreamWriter | None:
        """What writes an error behind the events that passed, in a dialect that numbers them; None in any other."""
        return None


class ReplyFacts(msgspec.Struct, kw_only=True):
    """What the books need from a whole reply that passes unread: the model that answered, usage, finish reason.

    ``error`` is set when the body is an error despite its good status, ``is_answer`` is False for what is neither.
    """

    is_answer: bool = True
    model: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    error: GatewayError | None = None
    service_tier: str | None = None
    search_units: int | None = None


class Format(ABC):
    """One codec. Instances are stateless and shared; streams have a reader or writer object each."""

    name: ClassVar[str]
    """The name that TOML and plugins use, such as ``openai_chat``."""
    operation: ClassVar[str]
    """What it carries: ``chat``, ``embeddings``, ``count_tokens`` (a ChatRequest, a TokenCount) or ``rerank``."""
    patches_whole: ClassVar[bool] = False
    """Whether ``lane_patches`` has something to set in requests that ask for no stream, too."""
    stream_content_type: ClassVar[bytes] = b"text/event-stream; charset=utf-8"
    telemetry: ClassVar[frozenset[str]] = frozenset()
    """Fields of a reply that say how long the provider took, or under which number: no part of the answer.

    A caller of another format does not get them, and they are not named as a loss.
    """

    @abstractmethod
    def read_request(self, body: bytes) -> AnyRequest:
        """A caller's request; raises InvalidRequest, naming the field, for what the dialect does not allow."""

    @abstractmethod
    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        """The upstream request body. ``request.model`` is already the target's; losses are named in ``dropped``."""

    def caller_field(self, field: str, request: Any) -> str:
        """How a caller of this format wrote a normalised request's ``field``, which a wire format named as dropped.

        Wire formats name fields, messages and parts as the normalised protocol numbers them; a format whose words or
        places differ says its own here (``messages[1].content[2]`` may be ``messages[0].tool_calls[0]``).
        """
        return field

    @abstractmethod
    def read_reply(self, body: bytes) -> AnyReply:
        """A provider's whole reply; raises UpstreamProtocolError when it is none."""

    @abstractmethod
    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        """The caller's whole reply; ``request`` is the caller's own, where there is one (custom tools matter)."""

    @abstractmethod
    def stream_reader(self) -> StreamReader:
        """A reader for one upstream stream."""

    @abstractmethod
    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        """A writer for one caller's stream; ``request`` is the caller's own (``include_usage`` matters).

        What it cannot say is named in ``dropped`` as it comes: by then the head is sent, so the audit log has it.
        """

    @abstractmethod
    def stream_watch(self, *, hide_usage: bool) -> StreamWatch:
        """A watch for one same-dialect stream; ``hide_usage`` removes the usage that only we asked for."""

    def lane_patches(self, body: JsonObject, traits: Traits) -> dict[str, bytes]:
        """Top-level members (as JSON) to set in a caller's request (for a stream) that otherwise passes as it is."""
        return {}

    def hides_usage(self, body: JsonObject) -> bool:
        """Whether the caller did not ask for the usage that ``lane_patches`` made the provider send."""
        return False

    @abstractmethod
    def read_facts(self, body: bytes) -> ReplyFacts:
        """Model, usage and finish reason of a whole reply, by a partial decode."""

    @abstractmethod
    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        """A provider's error answer (``headers`` with lower-case names); never raises, whatever the body is."""

    @abstractmethod
    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        """The caller's error body."""
