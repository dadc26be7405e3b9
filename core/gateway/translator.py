"""What carries calls between a caller's format and a provider's: the contract of translators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import msgspec

from gateway.dialect import Dialect
from gateway.errors import GatewayError
from gateway.format import Format, StreamWriter
from gateway.jsonbody import Spliced
from gateway.protocol import Usage
from gateway.provider import Provider

if TYPE_CHECKING:
    from gateway.call import Call, Target


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Who talks to whom: a dialect's format ``source`` and a provider's ``wire`` format."""

    dialect: Dialect
    provider: Provider
    source: Format
    wire: Format


class StreamFacts(msgspec.Struct, kw_only=True):
    """What a stream's translator has learned by now; ``complete`` only behind the wire format's own end mark."""

    complete: bool = False
    usage: Usage | None = None
    error: GatewayError | None = None
    model: str | None = None
    finish_reason: str | None = None
    service_tier: str | None = None


class StreamTranslator(ABC):
    """Upstream bytes → caller's bytes, whole events only."""

    @abstractmethod
    def feed(self, data: bytes) -> bytes:
        """Take the next upstream bytes; return what may go to the caller now."""

    @abstractmethod
    def close(self) -> bytes:
        """The upstream closed: what is still due, with the clean end only if the stream was complete."""

    @abstractmethod
    def facts(self) -> StreamFacts:
        """What is known by now."""

    @property
    def writer(self) -> StreamWriter | None:
        """What an error event is written by, so that it goes on in the stream's numbering; None where it has none."""
        return None

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether the provider said that the stream is complete."""

    @property
    @abstractmethod
    def error(self) -> GatewayError | None:
        """The error that the provider reported inside the stream, if any."""


class Translator(ABC):
    """Carries calls of one pair. Stateless; a stream has a StreamTranslator of its own."""

    @abstractmethod
    def request(self, call: Call, target: Target) -> bytes:
        """The upstream body for ``target``; losses are named in ``call.dropped``."""

    def pieces(self, call: Call, target: Target) -> Spliced | None:
        """What ``request`` would return, without a copy of the caller's bytes; None where that cannot be."""
        return None

    def wire_name(self, call: Call, target: Target, lane: str) -> str:
        """The name of the format that a request is written in: the lane's, unless this chooses for each call."""
        return lane

    @abstractmethod
    def reply(self, call: Call, body: bytes) -> bytes:
        """The caller's body for a provider's whole reply; notes usage and the like in ``call``."""

    @abstractmethod
    def stream(self, call: Call) -> StreamTranslator:
        """A translator for one stream."""
