"""From the caller's format to the provider's and back: the default translators, chosen once for each pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from gateway.errors import STATUS_OF_KIND, GatewayError, Kind, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Format, StreamReader, StreamWatch, StreamWriter
from gateway.jsonbody import Spliced
from gateway.protocol import (
    ChatReply,
    ChatRequest,
    EmbeddingsReply,
    EmbeddingsRequest,
    End,
    ErrorEvent,
    Event,
    Finish,
    PartDelta,
    RerankReply,
    Start,
    TokenCount,
    UsageUpdate,
)
from gateway.translator import Pair, StreamFacts, StreamTranslator, Translator

if TYPE_CHECKING:
    from gateway.call import Call, Target


__all__ = [
    "Composed",
    "Pair",
    "Passthrough",
    "StreamFacts",
    "StreamTranslator",
    "Translator",
    "default_translator",
    "model_sent",
    "passed_reply",
    "upstream_error",
]


def default_translator(pair: Pair) -> Translator:
    """Pass the bytes where both sides speak one format; compose the two formats where they differ."""
    return Passthrough(pair) if pair.source.name == pair.wire.name else Composed(pair)


class Passthrough(Translator):
    """The same-dialect lane: bytes pass, and only what must change is rewritten."""

    def __init__(self, pair: Pair) -> None:
        self.provider = pair.provider
        self.format = pair.wire

    adds_model = False
    """Whether a body that names no model, because the path did, gets the target's."""

    def request(self, call: Call, target: Target) -> bytes:
        """The caller's own bytes, with the target's model name and the format's few patches spliced in."""
        changes = self.changes(call, target)
        return call.json.replaced(changes) if changes else call.body

    def pieces(self, call: Call, target: Target) -> Spliced | None:
        """The same in pieces; None where nothing changes."""
        changes = self.changes(call, target)
        return call.json.spliced(changes) if changes else None

    def changes(self, call: Call, target: Target) -> dict[str, bytes]:
        """What is put into the caller's bytes: top-level members as JSON."""
        # As a rule only streams have something to patch; finding a model's traits costs more than the rest.
        patched = call.stream or self.format.patches_whole
        json = call.json
        changes = self.format.lane_patches(json, self.provider.traits(target.model)) if patched else {}
        if json.get("model") != target.model if "model" in json.spans else self.adds_model:
            changes["model"] = msgspec.json.encode(target.model)
        return changes

    def reply(self, call: Call, body: bytes) -> bytes:
        """The provider's bytes; their facts are noted in the call. An error under a good status is raised."""
        return passed_reply(self.format, call, body)

    def stream(self, call: Call) -> StreamTranslator:
        """A watch that lets whole events pass."""
        return _Watched(self.format.stream_watch(hide_usage=self.format.hides_usage(call.json)))


def passed_reply(wire: Format, call: Call, body: bytes) -> bytes:
    """A provider's whole reply that passes: its facts are noted in the call. What is an error, or no answer, raises."""
    facts = wire.read_facts(body)
    if facts.error is not None:
        raise facts.error
    if not facts.is_answer or not (_is_text(body) and (facts.model is not None or _is_object(body))):
        raise UpstreamProtocolError(f"The answer of {call.target} is not what was asked for, or is no valid JSON.")
    call.usage, call.answered_model, call.finish_reason = facts.usage, facts.model, facts.finish_reason
    call.service_tier, call.search_units = facts.service_tier, facts.search_units
    return body


class _Watched(StreamTranslator):
    def __init__(self, watch: StreamWatch) -> None:
        self._watch = watch

    @property
    def writer(self) -> StreamWriter | None:
        """What goes on where the provider's events end, for an error."""
        return self._watch.writer()

    def feed(self, data: bytes) -> bytes:
        return self._watch.feed(data)

    def close(self) -> bytes:
        return self._watch.close()

    def facts(self) -> StreamFacts:
        watch = self._watch
        return StreamFacts(
            complete=watch.complete,
            usage=watch.usage,
            error=watch.error,
            model=watch.model,
            finish_reason=watch.finish_reason,
            service_tier=watch.service_tier,
        )

    @property
    def complete(self) -> bool:
        return self._watch.complete

    @property
    def error(self) -> GatewayError | None:
        return self._watch.error


class Composed(Translator):
    """The cross-dialect lane: through the normalised protocol, each event decoded once and encoded once."""

    def __init__(self, pair: Pair) -> None:
        self.provider = pair.provider
        self.source = pair.source
        self.wire = pair.wire
        self.telemetry = frozenset() if pair.source.name == pair.wire.name else pair.wire.telemetry

    def request(self, call: Call, target: Target) -> bytes:
        """The caller's request in the provider's wire format; what it cannot say is named in ``call.dropped``."""
        request = msgspec.structs.replace(call.request, model=target.model)
        traits = self.provider.traits(target.model).resolved(request)
        dropped = Dropped()
        body = self.wire.write_request(request, traits, dropped)
        for field, why in dropped.reasons.items():
            call.dropped.add(self.source.caller_field(field, request), why)
        return body

    def reply(self, call: Call, body: bytes) -> bytes:
        """The provider's reply in the caller's format."""
        reply = self.wire.read_reply(body)
        if isinstance(reply, TokenCount):
            return self.source.write_reply(reply, call.dropped, call.request)
        if isinstance(reply, ChatReply):
            _strip(self.telemetry, reply.extra)
            _strip(self.telemetry, {} if reply.usage is None else reply.usage.extra)
        reply.model = reply.model or model_sent(call)
        call.usage, call.answered_model = reply.usage, reply.model
        asked = call.request
        if isinstance(reply, RerankReply):
            call.search_units = reply.search_units
        if isinstance(reply, EmbeddingsReply) and isinstance(asked, EmbeddingsRequest):
            reply.encoding_format = asked.encoding_format
        if isinstance(reply, ChatReply) and isinstance(asked, ChatRequest):
            reply.spelling = asked.spelling
            reply.id = reply.id or call.id
            reply.created = reply.created if reply.created is not None else int(call.started_at)
            call.service_tier = reply.service_tier
            call.finish_reason = reply.choices[0].finish_reason if reply.choices else None
        return self.source.write_reply(reply, call.dropped, asked)

    def stream(self, call: Call) -> StreamTranslator:
        """A reader of the wire format joined to a writer of the caller's."""
        writer = self.source.stream_writer(call.request, call.dropped)
        return _Composed(self.wire.stream_reader(), writer, call, self.telemetry)


class _Composed(StreamTranslator):
    def __init__(self, reader: StreamReader, writer: StreamWriter, call: Call, telemetry: frozenset[str]) -> None:
        self._telemetry = telemetry
        self._reader = reader
        self._writer = writer
        self._call = call
        self._facts = StreamFacts()

    @property
    def writer(self) -> StreamWriter:
        return self._writer

    def feed(self, data: bytes) -> bytes:
        return self._write(self._reader.feed(data))

    def close(self) -> bytes:
        return b"" if self._facts.complete else self._write(self._reader.close())

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
            kind = type(event)
            if kind is PartDelta:
                out.append(self._writer.write(event))
                continue
            if isinstance(event, Start):
                event.id, event.model = event.id or self._call.id, event.model or model_sent(self._call)
                event.created = event.created if event.created is not None else int(self._call.started_at)
                facts.model = event.model
                facts.usage = event.usage
                facts.service_tier = event.service_tier
                _strip(self._telemetry, event.extra)
                _strip(self._telemetry, {} if event.usage is None else event.usage.extra)
            elif isinstance(event, UsageUpdate):
                facts.usage = event.usage
                _strip(self._telemetry, event.usage.extra)
            elif isinstance(event, Finish):
                facts.finish_reason = event.finish_reason
                _strip(self._telemetry, event.extra)
            elif isinstance(event, End):
                facts.complete = True
            elif isinstance(event, ErrorEvent):
                # What came before it belongs to the caller; the error itself is rendered by the endpoint.
                facts.error = upstream_error(event)
                break
            out.append(self._writer.write(event))
        return b"".join(out)


def _strip(names: frozenset[str], extra: dict[str, Any]) -> None:
    """Take what is no part of an answer out of its unknown fields."""
    for name in names & extra.keys() if extra else ():
        del extra[name]


def _is_text(body: bytes) -> bool:
    try:
        return body.isascii() or bool(body.decode())
    except UnicodeDecodeError:
        return False


def _is_object(body: bytes) -> bool:
    """Whether a body of which nothing is known is a JSON object at all."""
    try:
        return msgspec.json.decode(body, type=msgspec.Raw) is not None and body.lstrip()[:1] == b"{"
    except (msgspec.DecodeError, RecursionError):
        return False


def model_sent(call: Call) -> str:
    """The model's name at the target, for a provider that does not repeat it."""
    return call.model if call.target is None else call.target.model


def upstream_error(event: ErrorEvent) -> UpstreamRejected:
    """The error that a provider sent inside a stream, as it would have been with a status of its own."""
    status = event.status or STATUS_OF_KIND.get(event.kind, 502)
    return UpstreamRejected(event.message, status=status, kind=cast(Kind, event.kind), code=event.code)
