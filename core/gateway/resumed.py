"""The parts of a rescue that touch a request or a translator: what is asked for, and how its answer is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.errors import GatewayError, UpstreamError
from gateway.format import AnyRequest, StreamReader, StreamWriter
from gateway.protocol import (
    ChatRequest,
    End,
    ErrorEvent,
    Event,
    Finish,
    Message,
    Start,
    Text,
    Thinking,
    UsageUpdate,
)
from gateway.rescue import Said, Splice
from gateway.translation import StreamFacts, StreamTranslator, upstream_error

if TYPE_CHECKING:
    from gateway.call import Call, Target

SHORTEST_REST = 16
"""Tokens that a continuation may have at least, where the caller set a limit and the first answer nearly reached it."""


def may_prefill(call: Call, target: Target, said: Said) -> bool:
    """Whether a target can be given the first words of its answer: only where the catalogue says so.

    A model that thinks first cannot: its thoughts would have to come before the words.
    """
    request = call.request
    if not isinstance(request, ChatRequest) or any(isinstance(part.content, Thinking) for part in said.parts):
        return False
    reasoning = request.reasoning
    thinks = reasoning is not None and reasoning.effort != "none" and reasoning.mode != "disabled"
    shaped = request.response_format is not None and request.response_format.type != "text"
    info = call.gateway.providers[target.provider].info(target.model)
    return info.prefill is True and not info.always_thinks and not thinks and not shaped


def continued(request: AnyRequest, words: str | None) -> ChatRequest:
    """The caller's request, with the first words of the answer where they are given."""
    assert isinstance(request, ChatRequest)
    asked = msgspec.structs.replace(request, stream=True, include_usage=True)
    if words is None:
        return asked
    asked.messages = [*request.messages, Message(role="assistant", content=[Text(text=words)])]
    if request.max_tokens is not None:
        asked.max_tokens = max(SHORTEST_REST, request.max_tokens - len(words.encode()) // 4)
    return asked


class Rejoined(StreamTranslator):
    """The second answer of a stream: read, joined to what was said, written by a writer that stands at the break."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, splice: Splice) -> None:
        self._reader = reader
        self._writer = writer
        self._splice = splice
        self._facts = StreamFacts()
        self._failed = False

    @property
    def writer(self) -> StreamWriter:
        return self._writer

    def feed(self, data: bytes) -> bytes:
        return self._write(self._reader.feed(data))

    def close(self) -> bytes:
        return b"" if self._facts.complete or self._failed else self._write(self._reader.close())

    def facts(self) -> StreamFacts:
        return self._facts

    @property
    def complete(self) -> bool:
        return self._facts.complete

    @property
    def error(self) -> GatewayError | None:
        return self._facts.error or self._reader.fault

    def _write(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        facts = self._facts
        for event in events:
            if isinstance(event, Start):
                facts.model, facts.usage, facts.service_tier = event.model, event.usage, event.service_tier
            elif isinstance(event, UsageUpdate):
                facts.usage = event.usage
            elif isinstance(event, Finish):
                facts.finish_reason = event.finish_reason
            elif isinstance(event, ErrorEvent):
                facts.error = upstream_error(event)
                break
            elif isinstance(event, End):
                facts.complete = True
            try:
                out += [self._writer.write(told) for told in self._splice.take(event)]
            except UpstreamError:
                # It says something else: nothing more of it is told, its end least of all.
                self._failed, facts.complete = True, False
                raise
        return b"".join(out)
