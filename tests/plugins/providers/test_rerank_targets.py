"""Reranking by those who imitate Cohere: their words on the wire, Cohere's shape for the caller."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.testing import ScriptedProvider, running_gateway

ASK: dict[str, Any] = {
    "query": "q",
    "documents": ["a", "b"],
    "top_n": 1,
    "return_documents": True,
    "max_tokens_per_doc": 9,
}


def table(name: str, provider: ScriptedProvider) -> str:
    return f'[plugins.{name}]\nbase_url = "{provider.url}/v1"\napi_key = "k"\n'


def test_voyage_is_asked_and_understood_in_its_own_words() -> None:
    with ScriptedProvider() as provider, running_gateway(table("voyage", provider)) as gateway:
        provider.reply(
            json={
                "object": "list",
                "data": [{"index": 1, "relevance_score": 0.9}],
                "model": "rerank-2",
                "usage": {"total_tokens": 7},
            }
        )
        answer = gateway.post("/v2/rerank", {"model": "voyage/rerank-2", **ASK})
        assert answer.json()["results"] == [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}]
        assert answer.json()["usage"]["total_tokens"] == 7
        assert answer.headers["x-gateway-dropped"] == "max_tokens_per_doc"
        assert provider.requests[0].path == "/v1/rerank"
        assert provider.requests[0].json() == {
            "model": "rerank-2",
            "query": "q",
            "documents": ["a", "b"],
            "top_k": 1,
            "return_documents": True,
        }


@pytest.mark.parametrize("name", ["jina", "vllm", "together"])
def test_others_share_coheres_shape_and_the_bytes_pass(name: str) -> None:
    told = {
        "model": "r",
        "results": [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}],
        "usage": {"total_tokens": 7},
    }
    asked = {"model": f"{name}/r", **ASK, "odd": 1}
    with ScriptedProvider() as provider, running_gateway(table(name, provider)) as gateway:
        provider.reply(json=told)
        assert gateway.post("/v1/rerank", asked).json() == told
        assert provider.requests[0].path == "/v1/rerank"
        assert provider.requests[0].json() == {**asked, "model": "r"}


def test_a_service_of_retrieval_holds_no_conversations() -> None:
    with ScriptedProvider() as provider, running_gateway(table("voyage", provider)) as gateway:
        answer = gateway.post(
            "/v1/chat/completions", {"model": "voyage/m", "messages": [{"role": "user", "content": "hi"}]}
        )
        assert answer.status == 400
        assert "does not offer chat" in answer.json()["error"]["message"]


def test_embeddings_of_voyage_go_by_its_own_names() -> None:
    told = {"object": "list", "data": [{"embedding": "AAAAPw==", "index": 0}], "model": "voyage-4"}
    asked = {"input": ["hi"], "input_type": "query", "truncation": False, "dimensions": 1, "user": "u"}
    with ScriptedProvider() as provider, running_gateway(table("voyage", provider)) as gateway:
        provider.reply(json={**told, "usage": {"total_tokens": 2}})
        answer = gateway.post("/v1/embeddings", {"model": "voyage/voyage-4", **asked, "encoding_format": "base64"})
        assert answer.json()["data"][0]["embedding"] == "AAAAPw=="
        assert provider.requests[0].json() == {
            "model": "voyage-4",
            "input": "hi",
            "input_type": "query",
            "truncation": False,
            "output_dimension": 1,
            "encoding_format": "base64",
        }
