"""From the caller's format to the provider's and back: the default translators, chosen once for each pair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import msgspec

from gateway.dialect import Dialect
from gateway.errors import GatewayError
from gateway.format import Format
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
    """What a stream's translator has learned by now. ``complete`` is true only behind the wire format's own end mark."""

    complete: bool = False
    usage: Usage | None = None
    error: GatewayError | None = None
    model: str | None = None
    finish_reason: str | None = None


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


class Translator(ABC):
    """Carries calls of one pair. Stateless; a stream has a StreamTranslator of its own."""

    @abstractmethod
    def request(self, call: Call, target: Target) -> bytes:
        """The upstream body for ``target``; losses are named in ``call.dropped``."""

    @abstractmethod
    def reply(self, call: Call, body: bytes) -> bytes:
        """The caller's body for a provider's whole reply; notes usage and the like in ``call``."""

    @abstractmethod
    def stream(self, call: Call) -> StreamTranslator:
        """A translator for one stream."""
