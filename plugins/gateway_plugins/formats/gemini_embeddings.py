"""Gemini's embedContent and batchEmbedContents."""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from typing import Any, ClassVar, NoReturn

import msgspec

from gateway.errors import GatewayError, InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, StreamWatch, StreamWriter, Traits
from gateway.protocol import Embedding, EmbeddingsReply, EmbeddingsRequest
from gateway_plugins.formats import gemini_errors
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.gemini_fields import Fields, wrong
from gateway_plugins.formats.gemini_usage import read_usage
from gateway_plugins.formats.gemini_words import caller_field
from gateway_plugins.formats.json_fields import merge

NAME = "gemini_embeddings"
# Cohere's words for what a text is embedded for, which others took over → Gemini's.
TASKS = {
    "search_query": "RETRIEVAL_QUERY",
    "search_document": "RETRIEVAL_DOCUMENT",
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
_WORDS = {task: word for word, task in reversed(TASKS.items())}
_ALL_TASKS = frozenset((*TASKS.values(), "SEMANTIC_SIMILARITY", "QUESTION_ANSWERING", "FACT_VERIFICATION"))
_ITEMS = "requests"


class OneEmbedding(EmbeddingsRequest, kw_only=True):
    """A request of embedContent, whose answer is one vector and no list."""


class GeminiEmbeddings(Format):
    """``models/{model}:batchEmbedContents``, and ``:embedContent`` for one text.

    ``traits.options["single"]`` says that the provider has the latter only.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "embeddings"

    def read_request(self, body: bytes) -> EmbeddingsRequest:
        fields = Fields.of_body(body)
        if "requests" not in fields.rest:
            return _read_item(fields)
        items = [_read_item(Fields(item, f"requests[{at}]")) for at, item in enumerate(fields.items("requests"))]
        if not items:
            raise wrong("requests", "it must not be empty")
        first = items[0]
        if any(item.dimensions != first.dimensions or item.input_type != first.input_type for item in items):
            raise wrong("requests", "all must ask for the same outputDimensionality and taskType")
        request = EmbeddingsRequest(
            model=first.model,
            input=[str(text) for item in items for text in item.input],
            dimensions=first.dimensions,
            input_type=first.input_type,
            origin=NAME,
            extra=fields.left(),
        )
        if any(item.extra for item in items):
            request.extra[_ITEMS] = [item.extra for item in items]
        return request

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        own = request.origin == NAME
        for field in ("dimensions", "input_type"):
            if getattr(request, field) is not None and field in traits.unsupported:
                dropped.add(field, traits.unsupported[field])
                request = msgspec.structs.replace(request, **{field: None})
        if request.user is not None:
            dropped.add("user", "Gemini has nothing for it")
        if not own:
            for field in request.extra:
                dropped.add(field, "Gemini has no such field")
        items = [_write_item(text, at, request, dropped) for at, text in enumerate(request.input)]
        if traits.options.get("single"):
            if len(items) != 1:
                raise InvalidRequest("The model embeds one text at a time.", param="input")
            del items[0]["model"]
            return msgspec.json.encode(items[0])
        return msgspec.json.encode({"requests": items})

    def caller_field(self, field: str, request: Any) -> str:
        return caller_field(field, request)

    def read_reply(self, body: bytes) -> EmbeddingsReply:
        value = _decoded(body)
        found = value.get("embeddings", [value.get("embedding")])
        if not isinstance(found, list):
            raise UpstreamProtocolError("The provider's answer holds no embeddings.")
        rest = {key: item for key, item in value.items() if key not in ("embedding", "embeddings", "usageMetadata")}
        return EmbeddingsReply(
            model="",
            embeddings=[Embedding(index=at, vector=_vector(item)) for at, item in enumerate(found)],
            usage=read_usage(value.get("usageMetadata")),
            origin=NAME,
            extra={key: item for key, item in rest.items() if item is not None},
        )

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        vectors = [{"values": _floats(embedding)} for embedding in reply.embeddings]
        one = isinstance(request, OneEmbedding) and len(vectors) == 1
        out: dict[str, Any] = {"embedding": vectors[0]} if one else {"embeddings": vectors}
        if reply.usage is not None:
            counted = {
                "promptTokenCount": reply.usage.prompt_tokens,
                "totalTokenCount": reply.usage.total_tokens,
            }
            out["usageMetadata"] = {**counted, **reply.usage.extra} if reply.origin == NAME else counted
        if reply.origin == NAME:
            merge(out, reply.extra)
        else:
            for field in reply.extra:
                dropped.add(f"reply.{field}", "embedContent has no such field")
        return msgspec.json.encode(out)

    def read_facts(self, body: bytes) -> ReplyFacts:
        try:
            reply = self.read_reply(body)
        except UpstreamRejected as error:
            return ReplyFacts(error=error)
        except UpstreamProtocolError:
            return ReplyFacts()
        return ReplyFacts(usage=reply.usage)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return gemini_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return gemini_errors.write_error(error, request_id)

    def stream_reader(self) -> StreamReader:
        _no_stream()

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        _no_stream()

    def stream_watch(self, *, hide_usage: bool) -> StreamWatch:
        _no_stream()


def _no_stream() -> NoReturn:
    raise InvalidRequest("Embeddings are not streamed.", code="unsupported_parameter")


def _read_item(fields: Fields) -> OneEmbedding:
    content = fields.nested("content")
    if content is None:
        fields.missing("content")
    texts: list[str] = []
    for at, item in enumerate(content.items("parts")):
        part = Fields(item, f"{content.at('parts')}[{at}]")
        text = part.text("text")
        if text is None:
            raise wrong(part.path, "only text can be embedded through this gateway")
        texts.append(text)
    # Its role says nothing about what is embedded.
    content.take("role")
    fields.keep("content", content)
    task = fields.text("taskType")
    return OneEmbedding(
        model=(fields.text("model") or "").removeprefix("models/"),
        input=["\n".join(texts)],
        dimensions=fields.integer("outputDimensionality"),
        input_type=None if task in (None, "TASK_TYPE_UNSPECIFIED") else _WORDS.get(task, task),
        origin=NAME,
        extra=fields.left(),
    )


def _write_item(text: Any, at: int, request: EmbeddingsRequest, dropped: Dropped) -> dict[str, Any]:
    if not isinstance(text, str):
        raise InvalidRequest("Gemini embeds texts, not token ids.", param=f"input[{at}]")
    out: dict[str, Any] = {"model": f"models/{request.model}", "content": {"parts": [{"text": text}]}}
    if request.dimensions is not None:
        out["outputDimensionality"] = request.dimensions
    if request.input_type is not None:
        task = TASKS.get(request.input_type, request.input_type)
        if task in _ALL_TASKS or request.origin == NAME:
            out["taskType"] = task
        else:
            dropped.add("input_type", f"Gemini knows no task {request.input_type}")
    if request.origin == NAME:
        each = request.extra.get(_ITEMS)
        merge(out, each[at] if isinstance(each, list) else request.extra)
    return out


def _decoded(body: bytes) -> dict[str, Any]:
    value = decode_object(body)
    if isinstance(value.get("error"), dict):
        raise gemini_errors.rejected(value["error"])
    return value


def _vector(value: Any) -> list[float]:
    values = value.get("values") if isinstance(value, dict) else None
    if not isinstance(values, list) or not all(isinstance(number, int | float) for number in values):
        raise UpstreamProtocolError("The provider's answer holds an embedding that is no list of numbers.")
    return [float(number) for number in values]


def _floats(embedding: Embedding) -> list[float]:
    if embedding.vector is not None:
        return embedding.vector
    try:
        packed = array("f", base64.b64decode(embedding.base64 or ""))
    except (binascii.Error, ValueError):
        raise UpstreamProtocolError("The provider's answer holds an embedding that is not base64.") from None
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tolist()
