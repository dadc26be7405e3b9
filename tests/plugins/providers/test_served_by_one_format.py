"""Models that OpenAI and Azure serve by one of their APIs alone: a caller of another is translated by itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.catalogue import UNKNOWN, lookup
from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.providers.openai_families import served_by
from tests.plugins.upstream import ANSWER

RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-5-pro",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}
COMPLETION: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "gpt-3.5-turbo-instruct",
    "choices": [{"index": 0, "text": "hello", "finish_reason": "stop", "logprobs": None}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
TALK = {"messages": [{"role": "user", "content": "hi"}]}
SENT = [{"role": "user", "content": "hi"}]


def openai(server: ScriptedProvider, *lines: str) -> str:
    return "\n".join(["[plugins.openai]", f'base_url = "{server.url}/v1"', 'api_key = "k"', *lines])


def azure(server: ScriptedProvider, *lines: str) -> str:
    return "\n".join(["[plugins.az]", 'use = "azure"', f'base_url = "{server.url}"', 'api_key = "k"', *lines])


@pytest.mark.parametrize(
    ("model", "source", "served"),
    [
        ("gpt-5-pro", "openai_chat", "openai_responses"),
        ("gpt-5-codex", "anthropic_messages", "openai_responses"),
        ("o1-pro-2025-03-19", "openai_chat", "openai_responses"),
        ("gpt-4o", "openai_chat", None),
        ("gpt-4o", "openai_responses", None),
        ("gpt-4o", "openai_completions", "openai_chat"),
        ("gpt-3.5-turbo-instruct", "openai_chat", "openai_completions"),
        ("gpt-3.5-turbo-instruct", "openai_completions", "openai_completions"),
        ("gpt-4o-search-preview", "openai_responses", "openai_chat"),
        ("gpt-4o-audio-preview", "openai_responses", "openai_chat"),
    ],
)
def test_the_catalogue_and_the_name_tell_which_api_serves_a_model(model: str, source: str, served: str | None) -> None:
    assert served_by(model, lookup("openai", model), source) == served


@pytest.mark.parametrize(
    ("model", "served"),
    [("codex-mini-latest", "openai_responses"), ("gpt-9-pro", "openai_responses"), ("gpt-9", None), ("mine", None)],
)
def test_of_a_model_that_no_list_has_only_its_name_tells(model: str, served: str | None) -> None:
    assert served_by(model, UNKNOWN, "openai_chat") == served


def test_a_chat_caller_reaches_a_model_of_responses() -> None:
    with ScriptedProvider() as server:
        server.reply(json=RESPONSE)
        with running_gateway(openai(server)) as gateway:
            answer = gateway.post("/v1/chat/completions", {"model": "openai/gpt-5-pro", **TALK})
        (sent,) = server.requests
    assert sent.path == "/v1/responses"
    assert sent.json()["model"] == "gpt-5-pro"
    assert sent.json()["input"][0]["content"] in ("hi", [{"type": "input_text", "text": "hi"}])
    assert answer.json()["object"] == "chat.completion"
    assert answer.json()["choices"][0]["message"]["content"] == "hello"


def test_a_messages_caller_reaches_it_in_a_stream() -> None:
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []},
        },
        {
            "type": "response.content_part.added",
            "output_index": 0,
            "content_index": 0,
            "item_id": "msg_1",
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        {
            "type": "response.output_text.delta",
            "output_index": 0,
            "content_index": 0,
            "item_id": "msg_1",
            "delta": "hello",
        },
        {"type": "response.completed", "response": RESPONSE},
    ]
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    with ScriptedProvider() as server:
        server.stream([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in numbered])
        with running_gateway(openai(server)) as gateway:
            asked = {"model": "openai/gpt-5-codex", "max_tokens": 9, "stream": True, **TALK}
            answer = gateway.post("/v1/messages", asked)
        (sent,) = server.requests
    assert sent.path == "/v1/responses"
    text = answer.body.decode()
    assert '"text":"hello"' in text
    assert text.count("event: message_stop") == 1


def test_its_errors_are_told_in_the_callers_words() -> None:
    with ScriptedProvider() as server:
        server.reply(status=400, json={"error": {"message": "no", "type": "invalid_request_error", "param": "input"}})
        with running_gateway(openai(server)) as gateway:
            answer = gateway.post("/v1/messages", {"model": "openai/gpt-5-pro", "max_tokens": 9, **TALK})
    assert answer.status == 400
    assert answer.json()["error"] == {"type": "invalid_request_error", "message": "no"}


def test_a_responses_caller_reaches_a_model_of_chat() -> None:
    with ScriptedProvider() as server:
        server.reply(json=ANSWER)
        with running_gateway(openai(server)) as gateway:
            answer = gateway.post("/v1/responses", {"model": "openai/gpt-4o-search-preview", "input": "hi"})
        (sent,) = server.requests
    assert sent.path == "/v1/chat/completions"
    assert sent.json()["messages"] == SENT
    assert answer.json()["object"] == "response"


def test_a_chat_caller_reaches_a_model_of_completions_and_a_completions_caller_one_of_chat() -> None:
    with ScriptedProvider() as server:
        server.reply(json=COMPLETION)
        server.reply(json=ANSWER)
        with running_gateway(openai(server)) as gateway:
            chat = gateway.post("/v1/chat/completions", {"model": "openai/gpt-3.5-turbo-instruct", **TALK})
            old = gateway.post("/v1/completions", {"model": "openai/gpt-4o", "prompt": "hi"})
        first, second = server.requests
    assert first.path == "/v1/completions"
    assert chat.json()["choices"][0]["message"]["content"] == "hello"
    assert second.path == "/v1/chat/completions"
    assert second.json()["messages"] == SENT
    assert old.json()["object"] == "text_completion"


def test_the_configured_format_is_the_last_word() -> None:
    with ScriptedProvider() as server:
        server.reply(json=ANSWER)
        with running_gateway(openai(server, 'format = "openai_chat"')) as gateway:
            gateway.post("/v1/chat/completions", {"model": "openai/gpt-5-pro", **TALK})
        (sent,) = server.requests
    assert sent.path == "/v1/chat/completions"


def test_a_deployment_of_azure_is_asked_as_its_model_is() -> None:
    with ScriptedProvider() as server:
        server.reply(json=RESPONSE)
        with running_gateway(azure(server, 'deployments = { deep = "gpt-5-pro" }')) as gateway:
            gateway.post("/v1/chat/completions", {"model": "az/deep", **TALK})
        (sent,) = server.requests
    assert sent.path == "/openai/v1/responses"
    assert sent.json()["model"] == "deep"


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("2024-10-21", "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"),
        ("2025-04-01-preview", "/openai/responses?api-version=2025-04-01-preview"),
    ],
)
def test_a_version_of_azure_without_responses_is_asked_by_chat(version: str, path: str) -> None:
    with ScriptedProvider() as server:
        server.reply(json=ANSWER if "chat" in path else RESPONSE)
        with running_gateway(azure(server, f'api_version = "{version}"')) as gateway:
            answer = gateway.post("/v1/responses", {"model": "az/gpt-4o", "input": "hi"})
        (sent,) = server.requests
    assert sent.path == path
    assert answer.json()["object"] == "response"


def test_azure_goes_on_from_its_own_response() -> None:
    with ScriptedProvider() as server:
        server.reply(json={**RESPONSE, "store": True})
        server.reply(json={**RESPONSE, "id": "resp_2"})
        with running_gateway(azure(server, "[plugins.responses_state]")) as gateway:
            gateway.post("/v1/responses", {"model": "az/gpt-4o", "input": "hi"})
            gateway.post("/v1/responses", {"model": "az/gpt-4o", "input": "on", "previous_response_id": "resp_1"})
        _, second = server.requests
    assert second.json()["previous_response_id"] == "resp_1"
    assert second.json()["input"] == "on"


def test_a_response_of_a_model_that_is_asked_by_chat_is_kept_here() -> None:
    with ScriptedProvider() as server:
        server.reply(json=ANSWER)
        server.reply(json=ANSWER)
        with running_gateway(openai(server, "[plugins.responses_state]")) as gateway:
            ask = {"model": "openai/gpt-4o-search-preview", "input": "hi"}
            first = gateway.post("/v1/responses", ask).json()
            gateway.post("/v1/responses", {**ask, "input": "on", "previous_response_id": first["id"]})
        _, second = server.requests
    assert [message["role"] for message in second.json()["messages"]] == ["user", "assistant", "user"]
