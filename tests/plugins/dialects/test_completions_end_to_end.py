"""Legacy completions through the gateway: to a provider that has them, and to ones that do not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from gateway.testing import ScriptedProvider, running_gateway
from tests.plugins.upstream import ANSWER, STREAM, provider_table

COMPLETION: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m-2026",
    "choices": [{"text": "yo", "index": 0, "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
CLAUDE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "yo"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}


def chunk(text: str, finish: str | None = None) -> bytes:
    choices = [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}]
    return b"data: " + json.dumps({**COMPLETION, "choices": choices, "usage": None}).encode() + b"\n\n"


def claude_table(provider: ScriptedProvider) -> str:
    return f'\n[plugins.up]\nuse = "anthropic"\nbase_url = "{provider.url}"\n'


def test_a_provider_of_completions_gets_the_bytes_as_they_are() -> None:
    asked = {"model": "up/m", "prompt": [1, 2, 3], "echo": True, "odd": {"a": 1}}
    with ScriptedProvider() as provider, running_gateway(provider_table(provider)) as gateway:
        provider.reply(json=COMPLETION)
        answer = gateway.post("/v1/completions", asked)
        assert answer.json() == COMPLETION
        assert provider.requests[0].path == "/v1/completions"
        assert provider.requests[0].json() == {**asked, "model": "m"}


def test_a_stream_passes_and_hides_the_usage_that_was_not_asked_for() -> None:
    usage = b"data: " + json.dumps({**COMPLETION, "choices": []}).encode() + b"\n\n"
    with ScriptedProvider() as provider, running_gateway(provider_table(provider)) as gateway:
        provider.stream([chunk("y"), chunk("o", "stop"), usage, b"data: [DONE]\n\n"])
        answer = gateway.post("/v1/completions", {"model": "up/m", "prompt": "hi", "stream": True})
        assert provider.requests[0].json()["stream_options"] == {"include_usage": True}
        assert answer.body == chunk("y") + chunk("o", "stop") + b"data: [DONE]\n\n"


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_of_chat_alone_answers_the_openai_package(stream: bool) -> None:
    with ScriptedProvider() as provider:
        table = f'[plugins.groq]\napi_key = "k"\nbase_url = "{provider.url}/v1"\n'
        with running_gateway(table) as gateway, OpenAI(base_url=f"{gateway.url}/v1", api_key="k") as client:
            if stream:
                provider.stream(STREAM)
                options: Any = {"include_usage": True}
                got = list(client.completions.create(model="groq/m", prompt="hi", stream=True, stream_options=options))
                assert "".join(one.choices[0].text for one in got if one.choices) == "yo"
                assert got[-2].choices[0].finish_reason == "stop"
                assert got[-1].usage is not None
                assert got[-1].usage.total_tokens == 42
            else:
                provider.reply(json=ANSWER)
                whole = client.completions.create(model="groq/m", prompt="hi", max_tokens=5)
                assert (whole.choices[0].text, whole.object) == ("yo", "text_completion")
                assert provider.requests[0].json()["max_completion_tokens"] == 5
            assert provider.requests[0].path == "/v1/chat/completions"
            assert provider.requests[0].json()["messages"] == [{"role": "user", "content": "hi"}]


def test_claude_answers_a_completion_and_what_is_lost_is_named() -> None:
    with ScriptedProvider() as provider, running_gateway(claude_table(provider)) as gateway:
        provider.reply(json=CLAUDE)
        answer = gateway.post("/v1/completions", {"model": "up/claude-sonnet-4-5", "prompt": "hi", "suffix": "!"})
        assert answer.json()["choices"][0]["text"] == "yo"
        assert "suffix" in answer.headers["x-gateway-dropped"]


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1], [2]], ["one", "two"]])
def test_prompts_that_a_target_cannot_take_are_refused_by_name(prompt: Any) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(claude_table(provider)) as gateway,
        OpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=0) as client,
    ):
        with pytest.raises(BadRequestError) as refusal:
            client.completions.create(model="up/claude-sonnet-4-5", prompt=prompt)
        assert refusal.value.param == "prompt"
        assert provider.requests == []


def test_a_caller_of_chat_reaches_a_provider_told_to_use_completions() -> None:
    with ScriptedProvider() as provider:
        table = provider_table(provider) + 'format = "openai_completions"\n'
        with running_gateway(table) as gateway:
            provider.reply(json=COMPLETION)
            answer = gateway.post(
                "/v1/chat/completions", {"model": "up/m", "messages": [{"role": "user", "content": "hi"}]}
            )
            assert answer.json()["choices"][0]["message"]["content"] == "yo"
            assert provider.requests[0].path == "/v1/completions"
            assert provider.requests[0].json() == {"model": "m", "prompt": "hi"}
