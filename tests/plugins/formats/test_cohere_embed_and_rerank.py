"""Cohere's embeddings for providers, and reranking on both sides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import GatewayError, InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Traits
from gateway.protocol import EmbeddingsRequest, RerankReply, RerankRequest, RerankResult, Usage
from gateway_plugins.formats.cohere_embed import CohereEmbed
from gateway_plugins.formats.cohere_rerank import CohereRerank

EMBED, RERANK = CohereEmbed(), CohereRerank()


def embed(traits: Traits | None = None, **fields: Any) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    request = EmbeddingsRequest(model="m", origin="openai_embeddings", **{"input": ["a", "b"], **fields})
    return json.loads(EMBED.write_request(request, traits or Traits(), dropped)), dropped.reasons


def test_texts_are_embedded_as_documents_unless_said_otherwise() -> None:
    out, dropped = embed(user="u", dimensions=256, extra={"truncate": "NONE", "odd": 1})
    assert out == {
        "model": "m",
        "texts": ["a", "b"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "output_dimension": 256,
        "truncate": "NONE",
    }
    assert dropped.keys() == {"user", "odd"}
    assert embed(input_type="query")[0]["input_type"] == "search_query"
    assert embed(input_type="clustering")[0]["input_type"] == "clustering"
    assert embed(Traits(options={"input_type": "classification"}))[0]["input_type"] == "classification"


def test_what_a_model_does_not_take_is_named() -> None:
    out, dropped = embed(Traits(unsupported={"dimensions": "no"}), dimensions=256)
    assert "output_dimension" not in out
    assert dropped == {"dimensions": "no"}


def test_token_ids_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        embed(input=[[1, 2]])
    assert refusal.value.param == "input"


def test_vectors_are_read_in_either_shape() -> None:
    meta = {"billed_units": {"input_tokens": 7}}
    for body in ({"embeddings": {"float": [[0.5], [1]]}, "meta": meta}, {"embeddings": [[0.5], [1]], "meta": meta}):
        reply = EMBED.read_reply(json.dumps({"id": "i", "texts": ["a"], **body}).encode())
        assert [embedding.vector for embedding in reply.embeddings] == [[0.5], [1]]
        assert reply.usage is not None
        assert reply.usage.prompt_tokens == 7


@pytest.mark.parametrize("body", [b"", b"{}", b'{"embeddings":{"int8":[[1]]}}', b'{"embeddings":[1]}', b"[1]"])
def test_what_are_no_embeddings_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        EMBED.read_reply(body)


def read(**fields: Any) -> RerankRequest:
    said = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], **fields}
    return RERANK.read_request(json.dumps(said).encode())


def test_a_request_of_either_version_is_understood() -> None:
    request = read(top_n=1, return_documents=True, max_tokens_per_doc=9, priority=1)
    assert request.documents == ["a", "b"]
    assert (request.top_n, request.return_documents, request.max_tokens_per_doc) == (1, True, 9)
    assert request.extra == {"priority": 1}
    assert read(top_k=2).top_n == 2
    assert read(documents=[{"t": "T", "b": "B"}], rank_fields=["t", "b", "c"]).documents == ["t: T\nb: B"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"documents": None}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": [3]}, "documents[0]"),
        ({"documents": [{"odd": 1}]}, "documents[0].text"),
        ({"query": None}, "query"),
        ({"top_n": "2"}, "top_n"),
    ],
)
def test_what_the_dialect_does_not_allow_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(**fields)
    assert refusal.value.param == param


def test_a_request_is_written_with_the_providers_words() -> None:
    request = read(top_n=1, return_documents=True, max_tokens_per_doc=9, priority=1)
    assert json.loads(RERANK.write_request(request, Traits(), Dropped())) == {
        "model": "m",
        "query": "q",
        "documents": ["a", "b"],
        "top_n": 1,
        "max_tokens_per_doc": 9,
        "return_documents": True,
        "priority": 1,
    }
    dropped = Dropped()
    traits = Traits(
        unsupported={"max_tokens_per_doc": "no", "priority": "no"},
        renames={"top_n": "top_k"},
        options={"return_documents": False},
    )
    out = json.loads(RERANK.write_request(request, traits, dropped))
    assert out == {"model": "m", "query": "q", "documents": ["a", "b"], "top_k": 1}
    assert dropped.reasons.keys() == {"max_tokens_per_doc", "priority"}


COHERE = {
    "id": "i",
    "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1.0}, "warnings": ["w"]},
}
VOYAGE = {
    "object": "list",
    "data": [{"relevance_score": 0.9, "index": 1, "document": "b"}],
    "model": "rerank-2",
    "usage": {"total_tokens": 12},
}
JINA = {
    "model": "jina",
    "results": [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}],
    "usage": {"total_tokens": 12},
}


def test_replies_of_cohere_voyage_and_jina_are_read() -> None:
    cohere = RERANK.read_reply(json.dumps(COHERE).encode())
    assert (cohere.search_units, cohere.usage, cohere.extra) == (1, None, {"meta": {"warnings": ["w"]}})
    assert [(one.index, one.score) for one in cohere.results] == [(1, 0.9), (0, 0.1)]
    for body in (VOYAGE, JINA):
        reply = RERANK.read_reply(json.dumps(body).encode())
        assert reply.results == [RerankResult(index=1, score=0.9, document="b")]
        assert reply.usage is not None
        assert reply.usage.prompt_tokens == 12
        assert RERANK.read_facts(json.dumps(body).encode()).model == body["model"]


def test_documents_are_returned_to_who_asked_for_them() -> None:
    reply = RERANK.read_reply(json.dumps(COHERE).encode())
    told = json.loads(RERANK.write_reply(reply, Dropped(), read(return_documents=True)))
    assert told["results"] == [
        {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
        {"index": 0, "relevance_score": 0.1, "document": {"text": "a"}},
    ]
    assert told["meta"] == {
        "api_version": {"version": "2"},
        "billed_units": {"search_units": 1},
        "warnings": ["w"],
    }
    assert "document" not in json.loads(RERANK.write_reply(reply, Dropped(), read()))["results"][0]


def test_a_reply_of_another_format_loses_by_name() -> None:
    dropped = Dropped()
    reply = RerankReply(
        model="m",
        results=[RerankResult(index=0, score=1.0)],
        usage=Usage(prompt_tokens=3),
        origin="other",
        extra={"odd": 1},
    )
    told = json.loads(RERANK.write_reply(reply, dropped))
    assert told["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert dropped.reasons.keys() == {"odd"}


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"results":3}', b'{"results":[3]}', b'{"results":[{"index":"0","relevance_score":1}]}']
)
def test_what_is_no_list_of_ranked_documents_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        RERANK.read_reply(body)
    assert RERANK.read_facts(body).model is None


def test_an_error_under_a_good_status_is_raised() -> None:
    body = b'{"error":{"message":"no such model","code":"model_not_found"}}'
    with pytest.raises(UpstreamRejected):
        RERANK.read_reply(body)
    assert RERANK.read_facts(body).error is not None


def test_errors_are_told_in_coheres_shape_and_in_openais() -> None:
    told = json.loads(RERANK.write_error(InvalidRequest("bad", param="query"), "req"))
    assert told["id"] == "req"
    assert told["message"] == told["error"]["message"] == "bad"


def test_reranking_is_not_streamed() -> None:
    for stream in (RERANK.stream_reader, lambda: RERANK.stream_writer(None)):
        with pytest.raises(GatewayError):
            stream()
    with pytest.raises(GatewayError):
        RERANK.stream_watch(hide_usage=False)
