"""Cohere behind the gateway: asked in other dialects, on a real socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import OpenAI

from gateway import Secret
from gateway.errors import ConfigError
from gateway.plugin import PluginContext
from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.providers.cohere import Cohere

ANSWER: dict[str, Any] = {
    "id": "r1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "yo"}]},
    "usage": {"tokens": {"input_tokens": 30, "output_tokens": 12}},
}


def table(provider: ScriptedProvider, more: str = "") -> str:
    return f'[plugins.cohere]\nbase_url = "{provider.url}"\napi_key = "k"\n{more}'


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


STREAM = [
    event("message-start", id="r1", delta={"message": {"role": "assistant"}}),
    event("content-start", index=0, delta={"message": {"content": {"type": "text", "text": ""}}}),
    event("content-delta", index=0, delta={"message": {"content": {"text": "yo"}}}),
    event("content-end", index=0),
    event("message-end", delta={"finish_reason": "COMPLETE", "usage": ANSWER["usage"]}),
]


def test_a_caller_of_chat_completions_is_answered() -> None:
    with ScriptedProvider() as provider:
        with running_gateway(table(provider, 'safety_mode = "STRICT"')) as gateway:
            provider.reply(json=ANSWER)
            with OpenAI(base_url=f"{gateway.url}/v1", api_key="k") as client:
                answer = client.chat.completions.create(
                    model="cohere/command-a-03-2025", messages=[{"role": "user", "content": "hi"}], stop=["x"]
                )
        assert answer.choices[0].message.content == "yo"
        assert answer.model == "command-a-03-2025"
        assert answer.usage is not None
        assert answer.usage.total_tokens == 42
        sent = provider.requests[0]
        assert (sent.path, sent.headers["authorization"]) == ("/v2/chat", "Bearer k")
        assert sent.json() == {
            "model": "command-a-03-2025",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": False,
            "stop_sequences": ["x"],
            "safety_mode": "STRICT",
        }


def test_a_stream_is_told_to_a_caller_of_messages() -> None:
    with ScriptedProvider() as provider, running_gateway(table(provider)) as gateway:
        provider.stream(STREAM)
        answer = gateway.post(
            "/v1/messages",
            {"model": "cohere/m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]},
        )
        kinds = [json.loads(one.data)["type"] for one in answer.events()]
        assert kinds[0] == "message_start"
        assert kinds[-1] == "message_stop"
        assert "yo" in answer.body.decode()


def test_a_cut_stream_has_no_clean_end() -> None:
    with ScriptedProvider() as provider, running_gateway(table(provider)) as gateway:
        provider.stream(STREAM[:-1])
        answer = gateway.post(
            "/v1/chat/completions",
            {"model": "cohere/m", "stream": True, "messages": [{"role": "user", "content": "hi"}]},
        )
        assert b"[DONE]" not in answer.body
        assert b'"error"' in answer.events()[-1].data


def test_embeddings_are_packed_as_the_openai_package_asks() -> None:
    with ScriptedProvider() as provider:
        with running_gateway(table(provider, 'input_type = "search_query"')) as gateway:
            provider.reply(json={"id": "e", "embeddings": {"float": [[0.5, -1.0]]}, "meta": {}})
            with OpenAI(base_url=f"{gateway.url}/v1", api_key="k") as client:
                answer = client.embeddings.create(model="cohere/embed-v4.0", input="hi")
        assert answer.data[0].embedding == [0.5, -1.0]
        assert answer.model == "embed-v4.0"
        sent = provider.requests[0]
        assert sent.path == "/v2/embed"
        assert sent.json()["input_type"] == "search_query"


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_documents_are_ranked_for_callers_of_either_version(path: str) -> None:
    asked = {
        "model": "cohere/rerank-v3.5",
        "query": "q",
        "documents": ["a", {"text": "b"}],
        "top_n": 1,
        "return_documents": True,
    }
    with ScriptedProvider() as provider, running_gateway(table(provider)) as gateway:
        provider.reply(
            json={
                "id": "i",
                "results": [{"index": 1, "relevance_score": 0.9}],
                "meta": {"billed_units": {"search_units": 1}},
            }
        )
        answer = gateway.post(path, asked)
        assert answer.status == 200
        assert answer.json()["results"] == [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}]
        assert answer.json()["meta"]["billed_units"] == {"search_units": 1}
        assert provider.requests[0].path == "/v2/rerank"
        assert provider.requests[0].json() == {
            "model": "rerank-v3.5",
            "query": "q",
            "documents": ["a", "b"],
            "top_n": 1,
        }


def test_errors_of_reranking_are_in_coheres_shape() -> None:
    with ScriptedProvider() as provider, running_gateway(table(provider)) as gateway:
        provider.reply(status=404, json={"id": "i", "message": "model 'x' not found"})
        answer = gateway.post("/v2/rerank", {"model": "cohere/x", "query": "q", "documents": ["a"]})
        assert answer.status == 404
        assert answer.json()["message"] == "model 'x' not found"
        missing = gateway.post("/v2/rerank", {"model": "cohere/x", "documents": ["a"]})
        assert missing.status == 400
        assert "query" in missing.json()["message"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "CO_API_KEY"),
        ({"base_url": "api.cohere.com"}, "must begin with"),
        ({"base_url": "https://api.cohere.com/v2"}, "must end before the version"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        Cohere(Cohere.Config(**settings), PluginContext(name="cohere", use="cohere"))
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("model", "thinks"),
    [
        ("command-r7b-12-2024", False),
        ("command-a-03-2025", False),
        ("command-a-reasoning-08-2025", True),
        ("some-new-model", True),
    ],
)
def test_models_that_reason_are_known_by_their_names(model: str, thinks: bool) -> None:
    made = Cohere(Cohere.Config(api_key=Secret("k")), PluginContext(name="cohere", use="cohere"))
    assert (made.traits(model).options.get("thinking") is not False) is thinks
    assert "dimensions" in made.traits("embed-english-light-v3.0").unsupported
    assert "dimensions" not in made.traits("embed-v4.0").unsupported
