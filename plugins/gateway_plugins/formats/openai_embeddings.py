"""OpenAI's embeddings, which most providers of embeddings imitate."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any, ClassVar, NoReturn

import msgspec

from gateway.errors import GatewayError, InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, StreamWatch, StreamWriter, Traits
from gateway.json_text import BAD_JSON
from gateway.protocol import Embedding, EmbeddingsReply, EmbeddingsRequest
from gateway_plugins.formats import openai_errors
from gateway_plugins.formats.json_fields import index_of, merge
from gateway_plugins.formats.openai_chat_fields import Fields, wrong_type, wrong_value
from gateway_plugins.formats.openai_chat_usage import read_usage, write_usage

NAME = "openai_embeddings"


class _Facts(msgspec.Struct):
    model: str | None = None
    usage: Any = None
    error: Any = None
    data: msgspec.Raw = msgspec.Raw()  # only that there is some: vectors are large


_decode_facts = msgspec.json.Decoder(_Facts).decode


class OpenAIEmbeddings(Format):
    """``POST /v1/embeddings``, both sides.

    A single input is written as itself rather than as a list of one. Vectors are packed as the caller asked
    (``EmbeddingsReply.encoding_format``), however the provider sent them. ``traits.options["accepts"]`` may name
    ``input_type``; ``unsupported`` may name ``dimensions``, ``user`` and ``encoding_format``, of which the last is no
    loss.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "embeddings"

    def read_request(self, body: bytes) -> EmbeddingsRequest:
        fields = Fields.of_body(body)
        request = EmbeddingsRequest(
            model=fields.text("model") or "",
            input=_read_input(fields),
            dimensions=fields.integer("dimensions"),
            user=fields.text("user"),
            input_type=fields.text("input_type"),
            origin=NAME,
        )
        encoding = fields.text("encoding_format")
        if encoding is not None and encoding not in ("float", "base64"):
            raise wrong_value("encoding_format", encoding, "'float' and 'base64'")
        request.encoding_format = "base64" if encoding == "base64" else "float"
        request.extra = fields.left()
        return request

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        own = request.origin == NAME
        out: dict[str, Any] = {"model": request.model}
        out["input"] = request.input[0] if len(request.input) == 1 else request.input
        for field in ("dimensions", "user", "input_type"):
            value = getattr(request, field)
            if value is None:
                continue
            reason = traits.unsupported.get(field)
            if reason is None and field == "input_type" and not own and field not in traits.options.get("accepts", ()):
                reason = "embeddings has no such field"
            if reason is None:
                out[field] = value
            else:
                dropped.add(field, reason)
        if request.encoding_format == "base64" and "encoding_format" not in traits.unsupported:
            out["encoding_format"] = "base64"
        if own:
            merge(out, request.extra)
        else:
            for field in request.extra:
                dropped.add(field, "embeddings has no such field")
        out = {traits.renames.get(field, field): value for field, value in out.items()}
        for field, value in traits.defaults.items():
            out.setdefault(field, value)
        return msgspec.json.encode(out)

    def read_reply(self, body: bytes) -> EmbeddingsReply:
        try:
            value: Any = msgspec.json.decode(body)
        except BAD_JSON:
            raise UpstreamProtocolError("The provider's answer is not valid JSON.") from None
        rest = {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else {}
        data = rest.pop("data", None)
        if not isinstance(data, list):
            if openai_errors.is_error(rest):
                raise openai_errors.rejected(value)
            raise UpstreamProtocolError("The provider's answer holds no embeddings.")
        rest.pop("object", None)
        embeddings = [_read_embedding(item, position) for position, item in enumerate(data)]
        embeddings.sort(key=lambda embedding: embedding.index)
        model = rest.pop("model", None)
        return EmbeddingsReply(
            model=model if isinstance(model, str) else "",
            embeddings=embeddings,
            usage=read_usage(rest.pop("usage", None)),
            origin=NAME,
            extra=rest,
        )

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        own = reply.origin == NAME
        data = [
            {"object": "embedding", "index": embedding.index, "embedding": _packed(embedding, reply.encoding_format)}
            for embedding in reply.embeddings
        ]
        out: dict[str, Any] = {"object": "list", "data": data, "model": reply.model}
        if reply.usage is not None:
            counted = write_usage(reply.usage, own=False)
            out["usage"] = {key: counted[key] for key in ("prompt_tokens", "total_tokens")}
            if own:
                merge(out["usage"], reply.usage.extra)
        if own:
            merge(out, reply.extra)
        else:
            for field in reply.extra:
                dropped.add(field, "embeddings has no such field")
        return msgspec.json.encode(out)

    def stream_reader(self) -> StreamReader:
        _no_stream()

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        _no_stream()

    def stream_watch(self, *, hide_usage: bool) -> StreamWatch:
        _no_stream()

    def read_facts(self, body: bytes) -> ReplyFacts:
        try:
            facts = _decode_facts(body)
        except BAD_JSON:
            return ReplyFacts()
        error = openai_errors.rejected({"error": facts.error}) if facts.error else None
        if error is None and not facts.data:
            return ReplyFacts(is_answer=False)
        return ReplyFacts(model=facts.model, usage=read_usage(facts.usage), error=error)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return openai_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return openai_errors.write_error(error)


def _no_stream() -> NoReturn:
    raise InvalidRequest("Embeddings are not streamed.", param="stream", code="unsupported_parameter")


def _read_input(fields: Fields) -> list[str] | list[list[int]]:
    """A text, texts, the tokens of one text, or of several."""
    value = fields.take("input")
    if value is None:
        fields.missing("input")
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise wrong_type("input", "a string or an array", value)
    if not value:
        raise InvalidRequest("Invalid 'input': empty array.", param="input", code="empty_array")
    if all(isinstance(item, str) for item in value):
        return value
    if _are_tokens(value):
        return [value]
    for index, item in enumerate(value):
        if not isinstance(item, list) or not item or not _are_tokens(item):
            raise wrong_type(f"input[{index}]", "a string or an array of tokens", item)
    return value


def _are_tokens(value: list[Any]) -> bool:
    return all(isinstance(item, int) and not isinstance(item, bool) for item in value)


def _read_embedding(item: Any, position: int) -> Embedding:
    if isinstance(item, dict):
        index, found = index_of(item.get("index"), position), item.get("embedding")
        if isinstance(found, str):
            return Embedding(index=index, base64=found)
        if isinstance(found, list):
            return Embedding(index=index, vector=found)
    raise UpstreamProtocolError(f"The provider's answer holds no embedding at data[{position}].")


def _packed(embedding: Embedding, encoding: str | None) -> list[float] | str | None:
    """A vector in the encoding that the caller asked for; as it is where that is unknown."""
    if encoding == "base64" and embedding.base64 is None:
        return to_base64(embedding.vector or [])
    if encoding == "float" and embedding.vector is None:
        return to_floats(embedding.base64 or "")
    return embedding.vector if embedding.base64 is None else embedding.base64


def to_base64(vector: list[float]) -> str:
    """A vector as base64 of little-endian float32."""
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (struct.error, OverflowError):
        raise UpstreamProtocolError("The provider's embedding is not a vector of numbers.") from None


def to_floats(packed: str) -> list[float]:
    """The numbers of base64 of little-endian float32."""
    try:
        data = base64.b64decode(packed, validate=True)
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    except (struct.error, binascii.Error):
        raise UpstreamProtocolError("The provider's embedding is not base64 of float32.") from None
