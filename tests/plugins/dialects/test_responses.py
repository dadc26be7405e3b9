"""/v1/responses and its neighbours: which lane is taken, what passes, and what is refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.sse import decode_events
from gateway.testing import ScriptedProvider, running_gateway
from tests.plugins.upstream import ANSWER, STREAM, chunk, provider_table

ASK = {"input": "hi", "model": "openai/gpt-5"}
ITEM = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-5-2026",
    "output": [{**ITEM, "content": [{"type": "output_text", "text": "yo", "annotations": []}]}],
    "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
}
ENDING = f"data: {json.dumps({'type': 'response.completed', 'sequence_number': 1, 'response': RESPONSE})}\n\n".encode()


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as server:
        yield server


def openai(provider: ScriptedProvider, **more: str) -> str:
    lines = "".join(f'{key} = "{value}"\n' for key, value in more.items())
    return f'[plugins.openai]\nbase_url = "{provider.url}/v1"\napi_key = "sk-1"\n{lines}'


def test_bytes_pass_to_a_target_that_speaks_responses(provider: ScriptedProvider) -> None:
    said = {**RESPONSE, "novel": [1, 2]}
    provider.reply(json=said)
    provider.stream([ENDING])
    with running_gateway(openai(provider)) as gateway:
        whole = gateway.post("/v1/responses", {**ASK, "unheard_of": True, "previous_response_id": "resp_0"})
        streamed = gateway.post("/v1/responses", {**ASK, "stream": True})
    assert whole.json() == said
    assert streamed.body == ENDING
    first, second = provider.requests
    assert first.path == second.path == "/v1/responses"
    assert first.json() == {"input": "hi", "model": "gpt-5", "unheard_of": True, "previous_response_id": "resp_0"}


def test_a_chat_caller_keeps_chat_completions_unless_the_table_says_responses(provider: ScriptedProvider) -> None:
    asked = {"model": "openai/gpt-5", "messages": [{"role": "user", "content": "hi"}]}
    provider.reply(json=ANSWER)
    with running_gateway(openai(provider)) as gateway:
        gateway.post("/v1/chat/completions", asked)
    provider.reply(json=RESPONSE)
    provider.stream([ENDING])
    with running_gateway(openai(provider, format="openai_responses")) as gateway:
        answer = gateway.post("/v1/chat/completions", asked).json()
        streamed = gateway.post("/v1/chat/completions", {**asked, "stream": True}).body
    assert [request.path for request in provider.requests] == [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/responses",
    ]
    assert provider.requests[1].json()["store"] is False
    assert answer["choices"][0]["message"]["content"] == "yo"
    assert answer["usage"]["total_tokens"] == 7
    assert b'"content":"yo"' in streamed
    assert streamed.endswith(b"data: [DONE]\n\n")


def test_a_server_without_a_preset_is_asked_by_responses_where_the_table_says_so(provider: ScriptedProvider) -> None:
    provider.reply(json=RESPONSE)
    with running_gateway(provider_table(provider) + 'format = "openai_responses"\n') as gateway:
        assert gateway.post("/v1/responses", {"model": "up/m", "input": "hi"}).json() == RESPONSE
    assert provider.requests[0].path == "/v1/responses"


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"previous_response_id": "resp_0"}, "previous_response_id", "responses_state"),
        ({"input": [{"type": "item_reference", "id": "msg_0"}]}, "input", "responses_state"),
        ({"conversation": "conv_1"}, "conversation", "whole input"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "prompt's text"),
    ],
)
def test_what_only_a_providers_store_knows_is_refused_elsewhere(
    provider: ScriptedProvider, fields: dict[str, Any], param: str, word: str
) -> None:
    with running_gateway(provider_table(provider)) as gateway:
        answer = gateway.post("/v1/responses", {"model": "up/m", "input": "hi", **fields})
    error = answer.json()["error"]
    assert answer.status == 400
    assert error["param"] == param
    assert word in error["message"]
    assert provider.requests == []


def test_losses_are_named_and_strict_mode_refuses_them(provider: ScriptedProvider) -> None:
    provider.reply(json=ANSWER)
    asked = {"model": "up/m", "input": "hi", "tools": [{"type": "file_search", "vector_store_ids": ["vs"]}]}
    with running_gateway(provider_table(provider)) as gateway:
        assert "tools[0]" in gateway.post("/v1/responses", asked).headers["x-gateway-dropped"]
        refused = gateway.post("/v1/responses", asked, headers={"x-gateway-strict": "1"})
        assert refused.status == 400
        assert refused.json()["error"]["param"] == "tools[0]"
        provider.reply(json=ANSWER)
        plain = {"model": "up/m", "input": "hi", "store": True, "include": ["reasoning.encrypted_content"]}
        kept = gateway.post("/v1/responses", {**plain, "store": False}, headers={"x-gateway-strict": "1"})
        assert kept.status == 200


def test_a_cut_stream_ends_with_an_error_and_never_as_complete(provider: ScriptedProvider) -> None:
    provider.stream(STREAM[:2], cut=True)
    with running_gateway(provider_table(provider)) as gateway:
        body = gateway.post("/v1/responses", {"model": "up/m", "input": "hi", "stream": True}).body
    kinds = [event.event for event in decode_events(body)]
    assert kinds[0] == "response.created"
    assert kinds[-2:] == ["error", "response.failed"]
    assert "response.completed" not in kinds


def test_an_error_before_the_first_words_is_an_error_of_openais_shape(provider: ScriptedProvider) -> None:
    provider.reply(json={"error": {"message": "slow down", "type": "requests"}}, status=429)
    with running_gateway(provider_table(provider) + "[defaults]\nretries = 0\n") as gateway:
        answer = gateway.post("/v1/responses", {"model": "up/m", "input": "hi", "stream": True})
    assert answer.status == 429
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


def test_the_length_limit_of_a_chat_target_makes_the_response_incomplete(provider: ScriptedProvider) -> None:
    provider.stream([chunk({"content": "yo"}), chunk({}, "length"), b"data: [DONE]\n\n"])
    with running_gateway(provider_table(provider)) as gateway:
        body = gateway.post("/v1/responses", {"model": "up/m", "input": "hi", "stream": True}).body
    last = json.loads(decode_events(body)[-1].data)
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_tokens_are_counted_by_openai_and_by_anthropic(provider: ScriptedProvider) -> None:
    anthropic = f'[plugins.anthropic]\nbase_url = "{provider.url}"\napi_key = "sk-2"\n'
    provider.reply(json={"object": "response.input_tokens", "input_tokens": 11})
    provider.reply(json={"input_tokens": 12})
    provider.reply(json={"object": "response.input_tokens", "input_tokens": 13})
    with running_gateway(openai(provider) + anthropic) as gateway:
        path = "/v1/responses/input_tokens"
        own = gateway.post(path, ASK).json()
        other = gateway.post(path, {**ASK, "model": "anthropic/claude-sonnet-4-6"}).json()
        asked = {"model": "openai/gpt-5", "messages": [{"role": "user", "content": "hi"}]}
        claude = gateway.post("/v1/messages/count_tokens", asked, headers={"anthropic-version": "2023-06-01"}).json()
    assert own == {"object": "response.input_tokens", "input_tokens": 11}
    assert other == {"object": "response.input_tokens", "input_tokens": 12}
    assert claude == {"input_tokens": 13}
    assert [request.path for request in provider.requests] == [path, "/v1/messages/count_tokens", path]
    assert provider.requests[2].json().keys() == {"model", "input"}


def test_a_conversation_is_compacted_where_the_target_can(provider: ScriptedProvider) -> None:
    said = {"id": "resp_2", "object": "response.compaction", "output": [], "usage": RESPONSE["usage"]}
    provider.reply(json=said)
    with running_gateway(openai(provider) + provider_table(provider)) as gateway:
        assert gateway.post("/v1/responses/compact", ASK).json() == said
        refused = gateway.post("/v1/responses/compact", {**ASK, "model": "up/m"})
    assert provider.requests[0].path == "/v1/responses/compact"
    assert refused.status == 400
    assert refused.json()["error"]["code"] == "unsupported_operation"


def test_without_a_memory_its_routes_say_which_plugin_has_one(provider: ScriptedProvider) -> None:
    with running_gateway(provider_table(provider)) as gateway:
        answer = gateway.get("/v1/responses/resp_1")
    assert answer.status == 404
    assert "[plugins.responses_state]" in answer.json()["error"]["message"]
