"""Cohere's v2 embeddings, which providers speak and no caller does."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from gateway.errors import InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Traits
from gateway.protocol import Embedding, EmbeddingsReply
from gateway.simple_format import SimpleFormat
from gateway_plugins.formats import cohere_errors
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.cohere_errors import read_usage

NAME = "cohere_embed"

_INPUT_TYPES = {"query": "search_query", "document": "search_document"}
_COHERES = ("truncate", "max_tokens", "priority")
_NO_FIELD = "Cohere's embed has no such field"


class CohereEmbed(SimpleFormat):
    """``POST /v2/embed``, for providers. Vectors come as floats; a caller's base64 is packed on our side.

    Cohere wants to know what a text is for: ``input_type`` of the request, else ``traits.options["input_type"]``, else
    ``search_document``. ``truncate`` and ``max_tokens`` pass from any dialect. A reply does not name its model.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "embeddings"

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        texts: list[Any] = request.input
        if not all(isinstance(text, str) for text in texts):
            raise InvalidRequest(
                "Cohere embeds texts, not token ids; send the input as strings.",
                param="input",
                code="unsupported_value",
            )
        kind = request.input_type or traits.options.get("input_type") or "search_document"
        out: dict[str, Any] = {"model": request.model, "texts": texts, "input_type": _INPUT_TYPES.get(kind, kind)}
        out["embedding_types"] = ["float"]
        if request.dimensions is not None:
            if "dimensions" in traits.unsupported:
                dropped.add("dimensions", traits.unsupported["dimensions"])
            else:
                out["output_dimension"] = request.dimensions
        if request.user is not None:
            dropped.add("user", _NO_FIELD)
        for key, value in request.extra.items():
            if key in _COHERES:
                out[key] = value
            else:
                dropped.add(key, _NO_FIELD)
        for key, value in traits.defaults.items():
            out.setdefault(key, value)
        return msgspec.json.encode(out)

    def read_reply(self, body: bytes) -> EmbeddingsReply:
        rest = {key: value for key, value in decode_object(body, "Cohere's embeddings").items() if value is not None}
        found = rest.pop("embeddings", None)
        # Without embedding_types, older models answer with the bare list.
        vectors = found.get("float") if isinstance(found, dict) else found
        if not isinstance(vectors, list) or not all(isinstance(vector, list) for vector in vectors):
            raise UpstreamProtocolError("The provider's answer holds no embeddings.")
        for key in ("texts", "images", "response_type"):
            rest.pop(key, None)  # what was asked
        return EmbeddingsReply(
            model="",
            embeddings=[Embedding(index=index, vector=vector) for index, vector in enumerate(vectors)],
            usage=read_usage(rest.pop("meta", None)),
            origin=NAME,
        )

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return cohere_errors.read_error(status, headers, body)
