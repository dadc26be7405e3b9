"""The ways of a call to Vertex: Gemini's own, and Anthropic's Messages in Vertex's envelope for Claude."""

from __future__ import annotations

import msgspec

from gateway.call import Call, Target
from gateway.jsonbody import JsonObject
from gateway.translation import Composed, Pair, StreamTranslator, Translator, default_translator
from gateway_plugins.formats.anthropic_count_tokens import AnthropicCountTokens
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.gemini import Gemini
from gateway_plugins.formats.gemini_count_tokens import GeminiCountTokens

CLAUDE_VERSION = "vertex-2023-10-16"
"""The one ``anthropic_version`` that Vertex knows."""


def is_claude(model: str) -> bool:
    """Whether a model is one of Anthropic's."""
    return model.rpartition("/")[2].startswith("claude")


class VertexLane(Translator):
    """Chooses for each call by its model."""

    def __init__(self, pair: Pair) -> None:
        counts = pair.source.operation == "count_tokens"
        claude = msgspec.structs.replace(pair, wire=AnthropicCountTokens() if counts else AnthropicMessages())
        gemini = msgspec.structs.replace(pair, wire=GeminiCountTokens() if counts else Gemini())
        self._claude_wire = claude.wire.name
        self._gemini_wire = gemini.wire.name
        self._keeps_model = counts
        self._claude = default_translator(claude)
        # Vertex counts other members than Google's own API.
        self._gemini = Composed(gemini) if counts else default_translator(gemini)

    def _of(self, target: Target) -> Translator:
        return self._claude if is_claude(target.model) else self._gemini

    def wire_name(self, call: Call, target: Target, lane: str) -> str:
        """The format of the way that the call takes."""
        return self._claude_wire if is_claude(target.model) else self._gemini_wire

    def request(self, call: Call, target: Target) -> bytes:
        """The body, for Claude in Vertex's envelope: the version in it, the model in the path."""
        body = self._of(target).request(call, target)
        if not is_claude(target.model):
            return body
        whole = JsonObject(body)
        kept = {key: whole.raw(key) or b"null" for key in whole.spans if self._keeps_model or key != "model"}
        if self._keeps_model:
            kept["model"] = msgspec.json.encode(target.model.rpartition("/")[2])
        kept["anthropic_version"] = msgspec.json.encode(CLAUDE_VERSION)
        return b"{" + b",".join(msgspec.json.encode(key) + b":" + value for key, value in kept.items()) + b"}"

    def reply(self, call: Call, body: bytes) -> bytes:
        """The caller's body, by the way that the request took."""
        assert call.target is not None
        return self._of(call.target).reply(call, body)

    def stream(self, call: Call) -> StreamTranslator:
        """A translator for the way that the request took."""
        assert call.target is not None
        return self._of(call.target).stream(call)
