"""Reranking in Cohere's shape, which Jina, Voyage, vLLM and others imitate."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

import msgspec

from gateway.errors import GatewayError, InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Format, ReplyFacts, StreamReader, StreamWatch, StreamWriter, Traits
from gateway.protocol import RerankReply, RerankRequest, RerankResult, Usage
from gateway_plugins.formats import cohere_errors, openai_errors
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.cohere_errors import number
from gateway_plugins.formats.json_fields import merge
from gateway_plugins.formats.openai_chat_fields import Fields, wrong_type
from gateway_plugins.formats.openai_chat_usage import read_usage

NAME = "cohere_rerank"


class CohereRerank(Format):
    """``POST /v2/rerank``, both sides; what a caller says in the manner of v1 or of Jina is understood.

    A document is a text, or an object whose text is its ``text`` (or its ``rank_fields``). Who asks for
    ``return_documents`` gets each document with its result, whether the provider gives it back or not.
    ``traits.options["return_documents"]`` (False) says that the provider does not know the field; ``renames`` may map
    ``top_n``.
    """

    name: ClassVar[str] = NAME
    operation: ClassVar[str] = "rerank"

    def read_request(self, body: bytes) -> RerankRequest:
        fields = Fields.of_body(body)
        documents = fields.array("documents")
        if documents is None:
            fields.missing("documents")
        names = fields.array("rank_fields")
        top_n = fields.integer("top_n")
        if top_n is None:
            top_n = fields.integer("top_k")  # Voyage's word
        return RerankRequest(
            model=fields.text("model") or "",
            query=fields.required_text("query"),
            documents=[_text_of(document, index, names) for index, document in enumerate(documents)],
            top_n=top_n,
            return_documents=bool(fields.flag("return_documents")),
            max_tokens_per_doc=fields.integer("max_tokens_per_doc"),
            origin=NAME,
            extra=fields.left(),
        )

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        out: dict[str, Any] = {"model": request.model, "query": request.query, "documents": request.documents}
        for name in ("top_n", "max_tokens_per_doc"):
            value = getattr(request, name)
            if value is not None and name in traits.unsupported:
                dropped.add(name, traits.unsupported[name])
            elif value is not None:
                out[name] = value
        if request.return_documents and traits.options.get("return_documents") is not False:
            out["return_documents"] = True
        for name, value in request.extra.items():
            if name in traits.unsupported or request.origin != NAME:
                dropped.add(name, traits.unsupported.get(name, "the provider's rerank has no such field"))
            else:
                merge(out, {name: value})
        return msgspec.json.encode({traits.renames.get(name, name): value for name, value in out.items()})

    def read_reply(self, body: bytes) -> RerankReply:
        value = decode_object(body, "a list of ranked documents")
        rest = {key: item for key, item in value.items() if item is not None}
        results = rest.pop("results", None)
        if results is None:
            results = rest.pop("data", None)  # Voyage's word
        if not isinstance(results, list):
            if openai_errors.is_error(rest):
                raise openai_errors.rejected(rest)
            raise UpstreamProtocolError("The provider's answer holds no ranked documents.")
        rest.pop("object", None)
        reply_id, model = rest.pop("id", ""), rest.pop("model", "")
        usage, units = _counted(rest)
        return RerankReply(
            id=reply_id if isinstance(reply_id, str) else "",
            model=model if isinstance(model, str) else "",
            results=[_read_result(result, index) for index, result in enumerate(results)],
            usage=usage,
            search_units=units,
            origin=NAME,
            extra=rest,
        )

    def write_reply(self, reply: Any, dropped: Dropped, request: Any = None) -> bytes:
        documents = request.documents if isinstance(request, RerankRequest) and request.return_documents else []
        out: dict[str, Any] = {"id": reply.id, "results": [_write_result(one, documents) for one in reply.results]}
        if reply.model:
            out["model"] = reply.model
        meta: dict[str, Any] = {"api_version": {"version": "2"}}
        if reply.search_units is not None:
            meta["billed_units"] = {"search_units": reply.search_units}
        if reply.usage is not None:
            meta["tokens"] = {"input_tokens": reply.usage.prompt_tokens}
            out["usage"] = {"prompt_tokens": reply.usage.prompt_tokens, "total_tokens": reply.usage.total_tokens}
        out["meta"] = meta
        if reply.origin == NAME:
            merge(out, reply.extra)
        else:
            for key in reply.extra:
                dropped.add(key, "a list of ranked documents has no such field")
        return msgspec.json.encode(out)

    def stream_reader(self) -> StreamReader:
        _no_stream()

    def stream_writer(self, request: Any, dropped: Dropped | None = None) -> StreamWriter:
        _no_stream()

    def stream_watch(self, *, hide_usage: bool) -> StreamWatch:
        _no_stream()

    def read_facts(self, body: bytes) -> ReplyFacts:
        try:
            reply = self.read_reply(body)
        except UpstreamRejected as error:
            return ReplyFacts(error=error)
        except UpstreamProtocolError:
            return ReplyFacts()
        return ReplyFacts(model=reply.model or None, usage=reply.usage, search_units=reply.search_units)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        return cohere_errors.read_error(status, headers, body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        """Cohere's own error body, with OpenAI's beside it, for those who imitate Cohere differ in theirs."""
        openai = msgspec.json.decode(openai_errors.write_error(error))
        return msgspec.json.encode({"id": request_id, "message": error.message, **openai})


def _no_stream() -> NoReturn:
    raise InvalidRequest("A list of ranked documents is not streamed.", param="stream", code="unsupported_parameter")


def _text_of(document: Any, index: int, names: list[Any] | None) -> str:
    path = f"documents[{index}]"
    if isinstance(document, str):
        return document
    if not isinstance(document, dict):
        raise wrong_type(path, "a string or an object", document)
    if names is not None:
        # As Cohere's v1 did: the fields one below the other, each behind its name.
        return "\n".join(f"{name}: {document[name]}" for name in names if isinstance(name, str) and name in document)
    return Fields(document, path).required_text("text")


def _read_result(result: Any, place: int) -> RerankResult:
    if isinstance(result, dict):
        index, score = result.get("index"), result.get("relevance_score", result.get("score"))
        document = result.get("document")
        text = document.get("text") if isinstance(document, dict) else document
        if isinstance(index, int) and isinstance(score, int | float):
            return RerankResult(index=index, score=float(score), document=text if isinstance(text, str) else None)
    raise UpstreamProtocolError(f"The provider's answer holds no ranked document at results[{place}].")


def _write_result(result: RerankResult, documents: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {"index": result.index, "relevance_score": result.score}
    text = result.document
    if text is None and 0 <= result.index < len(documents):
        text = documents[result.index]
    if text is not None:
        out["document"] = {"text": text}
    return out


def _counted(rest: dict[str, Any]) -> tuple[Usage | None, int | None]:
    """Tokens where they are counted, and search units where those are billed."""
    usage, units = read_usage(rest.pop("usage", None)), None
    meta = rest.pop("meta", None)
    if isinstance(meta, dict):
        billed, tokens = meta.get("billed_units"), meta.get("tokens")
        if isinstance(billed, dict) and billed.get("search_units") is not None:
            units = number(billed["search_units"])
        if usage is None and isinstance(tokens, dict) and tokens.get("input_tokens") is not None:
            usage = Usage(prompt_tokens=number(tokens["input_tokens"]))
        left = {key: value for key, value in meta.items() if key not in ("billed_units", "tokens", "api_version")}
        if any(value is not None for value in left.values()):
            rest["meta"] = left
    return usage, units
