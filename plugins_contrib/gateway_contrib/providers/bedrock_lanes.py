"""The ways of a call to Bedrock: Converse for every model, and Anthropic's own bytes for Claude."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from gateway.call import Call, Target
from gateway.errors import GatewayError, UpstreamProtocolError
from gateway.format import Dropped
from gateway.jsonbody import JsonObject
from gateway.source import is_sound
from gateway.translation import Composed, Pair, StreamFacts, StreamTranslator, Translator, passed_reply, upstream_error
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.aws_event_stream import EventStreamDecoder
from gateway_plugins.formats.bedrock_converse import BedrockConverse
from gateway_plugins.formats.bedrock_errors import error_event
from gateway_plugins.formats.bedrock_invoke_anthropic import NAME as INVOKE
from gateway_plugins.formats.bedrock_invoke_anthropic import chunk_of, enveloped

ORIGIN = "anthropic_messages"
_MESSAGES = AnthropicMessages()


class _Kind(msgspec.Struct):
    type: str = ""


_kind = msgspec.json.Decoder(_Kind).decode
Betas = Callable[[Call], list[str]]
"""The betas of a caller's that go to Bedrock; those that do not are named in the call's ``dropped``."""


class InvokeLane(Translator):
    """Anthropic's dialect to Claude by InvokeModel: the caller's members pass as bytes, and so do the answers."""

    def __init__(self, pair: Pair, betas: Betas) -> None:
        self._provider = pair.provider
        self._betas = betas

    def request(self, call: Call, target: Target) -> bytes:
        """The caller's own members but for the model's name and ``stream``, with version and betas."""
        patches = _MESSAGES.lane_patches(call.json, self._provider.traits(target.model))
        body = JsonObject(call.json.replaced(patches)) if patches else call.json
        return enveloped(body, self._betas(call), call.dropped)

    def reply(self, call: Call, body: bytes) -> bytes:
        """The provider's bytes; their facts are noted in the call. An error under a good status is raised."""
        return passed_reply(_MESSAGES, call, body)

    def stream(self, call: Call) -> StreamTranslator:
        """Anthropic's events, taken out of AWS's messages."""
        return _Unwrapped()


class _Unwrapped(StreamTranslator):
    def __init__(self) -> None:
        self._decoder = EventStreamDecoder()
        self._watch = _MESSAGES.stream_watch(hide_usage=False)
        self._error: GatewayError | None = None

    def feed(self, data: bytes) -> bytes:
        out: list[bytes] = []
        for message in self._decoder.feed(data):
            if self.complete or self.error is not None:
                break
            if message.header(":message-type") in ("exception", "error"):
                self._error = upstream_error(error_event(message))
                break
            chunk = chunk_of(message)
            if chunk is None:
                continue
            if not is_sound(found := _event(chunk)):
                self._error = UpstreamProtocolError("The provider's stream holds an event that is not valid JSON.")
                break
            event = self._watch.feed(found)
            # An error is told by the endpoint, in the words of the dialect.
            if self._watch.error is None:
                out.append(event)
        return b"".join(out)

    def close(self) -> bytes:
        """Anthropic's last event, where all but that was said; else the stream was cut, and nothing is due."""
        return b"" if self.complete or self.error is not None else self._watch.close()

    def facts(self) -> StreamFacts:
        watch = self._watch
        return StreamFacts(
            complete=watch.complete,
            usage=watch.usage,
            error=self.error,
            model=watch.model,
            finish_reason=watch.finish_reason,
            service_tier=watch.service_tier,
        )

    @property
    def complete(self) -> bool:
        return self._watch.complete

    @property
    def error(self) -> GatewayError | None:
        return self._error or self._watch.error


def _event(chunk: bytes) -> bytes:
    """One of Anthropic's events as server-sent."""
    try:
        kind = _kind(chunk).type
    except (msgspec.DecodeError, UnicodeDecodeError):
        kind = ""
    data = chunk if b"\n" not in chunk and b"\r" not in chunk else chunk.replace(b"\r", b" ").replace(b"\n", b" ")
    name = f"event: {kind}\n".encode() if kind.isidentifier() else b""
    return name + b"data: " + data + b"\n\n"


class BedrockLane(Translator):
    """Chooses for each call by its model: Claude for a caller of Anthropic's dialect by InvokeModel, else Converse."""

    def __init__(
        self, pair: Pair, invokes: Callable[[Call, Target], bool], claude: Callable[[str], bool], betas: Betas
    ):
        self._invokes = invokes
        self._claude = claude
        self._betas = betas
        self._invoke = InvokeLane(pair, betas)
        self._converse = Composed(pair)
        signed = msgspec.structs.replace(pair, wire=BedrockConverse(signer=ORIGIN))
        self._converse_claude = Composed(signed)

    def _of(self, call: Call, target: Target) -> Translator:
        if self._invokes(call, target):
            return self._invoke
        return self._converse_claude if self._claude(target.model) else self._converse

    def wire_name(self, call: Call, target: Target, lane: str) -> str:
        """The format of the way that the call takes."""
        return INVOKE if self._invokes(call, target) else lane

    def request(self, call: Call, target: Target) -> bytes:
        """The body by Converse or InvokeModel; a caller's betas go along to Claude."""
        lane = self._of(call, target)
        body = lane.request(call, target)
        if lane is self._converse_claude and call.format.name == ORIGIN:
            return with_betas(body, self._betas(call))
        return body

    def reply(self, call: Call, body: bytes) -> bytes:
        """The caller's body, by the way that the request took."""
        assert call.target is not None
        out = self._of(call, call.target).reply(call, body)
        # Converse does not repeat the model.
        call.answered_model = call.answered_model or call.target.model
        return out

    def stream(self, call: Call) -> StreamTranslator:
        """A translator for the way that the request took."""
        assert call.target is not None
        return self._of(call, call.target).stream(call)


def with_betas(body: bytes, betas: Iterable[str]) -> bytes:
    """A Converse body with these betas among its additional fields."""
    names = list(betas)
    if not names:
        return body
    members = JsonObject(body)
    more: dict[str, Any] = members.get("additionalModelRequestFields") or {}
    there: list[str] = more.get("anthropic_beta") or []
    more["anthropic_beta"] = [*there, *(name for name in names if name not in there)]
    return members.replaced({"additionalModelRequestFields": msgspec.json.encode(more)})


def chosen_betas(call: Call, allowed: Iterable[str], dropped: Dropped) -> list[str]:
    """The betas of the caller's ``anthropic-beta`` header that are allowed; the others are named."""
    known = set(allowed)
    found: list[str] = []
    for name in (call.header(b"anthropic-beta") or "").split(","):
        beta = name.strip()
        if beta in known:
            found.append(beta)
        elif beta:
            dropped.add(f"anthropic-beta: {beta}", "not known to be taken by Bedrock: add it to the provider's betas")
    return found
