"""Ollama's own embeddings, which providers speak and no caller does."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from gateway.errors import InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Traits
from gateway.protocol import Embedding, EmbeddingsReply
from gateway.simple_format import SimpleFormat
from gateway_plugins.formats import openai_errors
from gateway_plugins.formats.ollama_reply import read_object, read_usage

NAME = "ollama_embed"

_OLLAMAS = ("truncate", "keep_alive")
_NO_FIELD = "Ollama's embed has no such field"


class OllamaEmbed(SimpleFormat):
    """``POST /api/embed``, for providers. Vectors come as floats; a caller's base64 is packed on our side.

    ``truncate``, ``keep_alive`` and ``options`` pass from any dialect, above those of ``traits.options``.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "embeddings"

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        texts: list[Any] = request.input
        if not all(isinstance(text, str) for text in texts):
            raise InvalidRequest(
                "Ollama embeds texts, not token ids; send the input as strings.",
                param="input",
                code="unsupported_value",
            )
        out: dict[str, Any] = {"model": request.model, "input": texts}
        if request.dimensions is not None:
            out["dimensions"] = request.dimensions
        for name in ("user", "input_type"):
            if getattr(request, name) is not None:
                dropped.add(name, _NO_FIELD)
        options: dict[str, Any] = dict(traits.options.get("options", {}))
        keep = traits.options.get("keep_alive")
        if keep is not None:
            out["keep_alive"] = keep
        for key, value in request.extra.items():
            if key in _OLLAMAS:
                out[key] = value
            elif key == "options" and isinstance(value, dict):
                options |= value
            else:
                dropped.add(key, _NO_FIELD)
        if options:
            out["options"] = options
        return msgspec.json.encode(out)

    def read_reply(self, body: bytes) -> EmbeddingsReply:
        value = read_object(body)
        vectors, model = value.get("embeddings"), value.get("model")
        if not isinstance(vectors, list) or not all(isinstance(vector, list) for vector in vectors):
            raise UpstreamProtocolError("The provider's answer holds no embeddings.")
        return EmbeddingsReply(
            model=model if isinstance(model, str) else "",
            embeddings=[Embedding(index=index, vector=vector) for index, vector in enumerate(vectors)],
            usage=read_usage(value),
            origin=NAME,
        )

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return openai_errors.read_error(status, headers, body)
