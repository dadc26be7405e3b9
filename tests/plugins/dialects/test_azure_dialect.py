"""Azure's paths, asked by the openai package's own AzureOpenAI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from openai import AzureOpenAI, BadRequestError, NotFoundError, OpenAI

from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from tests.plugins.upstream import ANSWER, ASK, STREAM, provider_table

MODELS = '\n[models."gpt 4o"]\ntargets = ["up/m"]\n'


@contextmanager
def azure(more: str = "") -> Iterator[tuple[ScriptedProvider, RunningGateway, AzureOpenAI]]:
    with (
        ScriptedProvider() as provider,
        running_gateway(provider_table(provider) + MODELS + more) as gateway,
        AzureOpenAI(azure_endpoint=gateway.url, api_key="k", api_version="2024-10-21", max_retries=0) as client,
    ):
        yield provider, gateway, client


@pytest.mark.parametrize("model", ["gpt 4o", "up/m"])
def test_a_deployment_is_a_model(model: str) -> None:
    with azure() as (provider, _, client):
        provider.reply(json=ANSWER)
        answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
        assert answer.choices[0].message.content == "yo"
        assert provider.requests[0].path == "/v1/chat/completions"
        assert provider.requests[0].json()["model"] == "m"


def test_a_stream_is_answered() -> None:
    with azure() as (provider, _, client):
        provider.stream(STREAM)
        stream = client.chat.completions.create(model="up/m", messages=[{"role": "user", "content": "hi"}], stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "yo"


def test_embeddings_and_completions_have_their_paths() -> None:
    with azure() as (provider, _, client):
        provider.reply(
            json={
                "object": "list",
                "model": "m",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
                "usage": {"prompt_tokens": 1, "total_tokens": 1},
            }
        )
        vectors = client.embeddings.create(model="up/m", input="hi", encoding_format="float")
        assert vectors.data[0].embedding == [0.5]
        provider.reply(
            json={
                "id": "c",
                "object": "text_completion",
                "created": 1,
                "model": "m",
                "choices": [{"text": "yo", "index": 0, "logprobs": None, "finish_reason": "stop"}],
            }
        )
        assert client.completions.create(model="up/m", prompt="hi").choices[0].text == "yo"
        assert [request.path for request in provider.requests] == ["/v1/embeddings", "/v1/completions"]


def test_a_body_without_a_model_gets_that_of_the_path() -> None:
    with azure() as (provider, gateway, _):
        provider.reply(json=ANSWER)
        body = {"messages": ASK["messages"]}
        assert gateway.post("/openai/deployments/up/m/chat/completions?api-version=2023-05-15", body).status == 200
        provider.stream(STREAM)
        streamed = gateway.post("/openai/deployments/up/m/chat/completions", {**body, "stream": True})
        assert streamed.events()[-1].data == b"[DONE]"
        assert [request.json()["model"] for request in provider.requests] == ["m", "m"]
        assert provider.requests[1].json()["stream_options"] == {"include_usage": True}


def test_a_path_names_the_model_for_a_provider_of_another_format() -> None:
    claude = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "yo"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    with ScriptedProvider() as provider:
        table = f'[plugins.claude]\nuse = "anthropic"\nbase_url = "{provider.url}"\n'
        with running_gateway(table) as gateway:
            provider.reply(json=claude)
            answer = gateway.post(
                "/openai/deployments/claude/claude-sonnet-4-5/chat/completions", {"messages": ASK["messages"]}
            )
            assert answer.json()["choices"][0]["message"]["content"] == "yo"
            assert provider.requests[0].json()["model"] == "claude-sonnet-4-5"


def test_the_v1_path_takes_the_model_of_the_body() -> None:
    with azure() as (provider, gateway, _), OpenAI(base_url=f"{gateway.url}/openai/v1", api_key="k") as client:
        provider.reply(json=ANSWER)
        answer = client.chat.completions.create(model="up/m", messages=[{"role": "user", "content": "hi"}])
        assert answer.model == "m-2026"
        assert [model.id for model in client.models.list()] == ["gpt 4o"]


def test_responses_have_both_of_azures_paths() -> None:
    with azure() as (provider, gateway, client), OpenAI(base_url=f"{gateway.url}/openai/v1", api_key="k") as modern:
        for one in (client, modern):
            provider.reply(json=ANSWER)
            assert one.responses.create(model="up/m", input="hi").output_text == "yo"
        assert [request.path for request in provider.requests] == ["/v1/chat/completions"] * 2


def test_errors_have_openais_shape() -> None:
    with azure() as (provider, _, client):
        with pytest.raises(NotFoundError) as missing:
            client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "hi"}])
        assert missing.value.code == "model_not_found"
        body: dict[str, Any] = {"error": {"message": "filtered", "code": "content_filter", "innererror": {"code": "R"}}}
        provider.reply(json=body, status=400)
        with pytest.raises(BadRequestError) as refused:
            client.chat.completions.create(model="up/m", messages=[{"role": "user", "content": "hi"}])
        assert refused.value.code == "content_filter"
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["innererror"] == {"code": "R"}
        assert json.loads(refused.value.response.content)["error"]["param"] is None


def test_the_key_is_taken_from_azures_header() -> None:
    keys = '\n[plugins.api_keys]\nkeys = [{ name = "a", key = "sk-gw-0123456789abcdef0123456789abcdef" }]\n'
    with azure(keys) as (provider, gateway, _):
        provider.reply(json=ANSWER)
        path = "/openai/deployments/up/m/chat/completions"
        assert gateway.post(path, ASK).status == 401
        good = {"api-key": "sk-gw-0123456789abcdef0123456789abcdef"}
        assert gateway.post(path, ASK, headers=good).status == 200
