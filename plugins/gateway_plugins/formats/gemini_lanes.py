"""Calls of Gemini's dialect to Google: bytes that pass, with the model's name where the path has it too."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.call import Call, Target
from gateway.errors import InvalidRequest, UpstreamProtocolError
from gateway.json_text import BAD_JSON
from gateway.translation import Pair, Passthrough, Translator
from gateway_plugins.formats.gemini_fields import camel_keys

EMBEDDINGS = "gemini_embeddings"
COUNT = "gemini_count_tokens"


def own_lane(pair: Pair, *, single: bool = False) -> Translator | None:
    """The translator for a pair whose both sides are Gemini's embeddings or counts; None for any other.

    ``single`` says that the provider embeds one content at a time.
    """
    if pair.source.name != pair.wire.name:
        return None
    if pair.wire.name == EMBEDDINGS:
        return _Embeddings(pair, single=single)
    return _Counts(pair) if pair.wire.name == COUNT else None


class _Embeddings(Passthrough):
    """One content is asked for as a batch of one, or a batch of one as one content: by what the provider's path is."""

    def __init__(self, pair: Pair, *, single: bool) -> None:
        super().__init__(pair)
        self._single = single

    def pieces(self, call: Call, target: Target) -> None:
        """Always whole."""

    def request(self, call: Call, target: Target) -> bytes:
        """The contents as they came, each under the target's name."""
        value = _decoded(call)
        if "requests" not in value and value.get("content") is None:
            raise InvalidRequest("'content' is missing.", param="content")
        items = value.get("requests", [value])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise InvalidRequest("'requests' must be an array of objects.", param="requests")
        if self._single:
            if len(items) != 1:
                raise InvalidRequest("The model embeds one content at a time.", param="requests")
            return msgspec.json.encode({key: item for key, item in items[0].items() if key != "model"})
        return msgspec.json.encode({"requests": [{**item, "model": f"models/{target.model}"} for item in items]})

    def reply(self, call: Call, body: bytes) -> bytes:
        """The answer as the caller asked for it."""
        body = super().reply(call, body)
        batch = "requests" in call.json
        if batch is not self._single:
            return body
        try:
            value: Any = msgspec.json.decode(body)
            if batch:
                value["embeddings"] = [value.pop("embedding")]
            else:
                (value["embedding"],) = value.pop("embeddings")
        except (*BAD_JSON, KeyError, TypeError, ValueError, AttributeError):
            raise UpstreamProtocolError("The provider's answer holds no embedding.") from None
        return msgspec.json.encode(value)


class _Counts(Passthrough):
    """The name within ``generateContentRequest`` is the target's."""

    def pieces(self, call: Call, target: Target) -> None:
        """Always whole."""

    def request(self, call: Call, target: Target) -> bytes:
        """The caller's own, for the target."""
        value = camel_keys(_decoded(call))
        inner = value.get("generateContentRequest")
        if not isinstance(inner, dict):
            return call.body
        return msgspec.json.encode({"generateContentRequest": {**inner, "model": f"models/{target.model}"}})


def _decoded(call: Call) -> dict[str, Any]:
    # Found to be an object, and without a key said twice, before it is decoded.
    assert call.json is not None
    try:
        value: dict[str, Any] = msgspec.json.decode(call.body)
    except BAD_JSON:
        raise InvalidRequest("The request body is not valid JSON.", code="invalid_json") from None
    return value
