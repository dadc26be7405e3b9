"""Gemini behind the gateway, for the packages of OpenAI and Anthropic: two turns with tools, thinking, signatures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import openai
import pytest

from gateway.call import Target
from gateway.config import Secret
from gateway.errors import ConfigError
from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from gateway_plugins.providers.gemini import Gemini
from tests.plugins.made_calls import CONTEXT, made_call

SIGNATURE = "c2lnbmVkIGJ5IGdlbWluaQ=="
USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 16}
THOUGHT: dict[str, Any] = {"text": "Rome it is", "thought": True}
CALLS: list[dict[str, Any]] = [
    {"functionCall": {"name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": SIGNATURE},
    {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}},
]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def reply(*parts: dict[str, Any], finish: str | None = "STOP") -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "gemini-3-flash", "responseId": "r1"}


def events(*replies: dict[str, Any]) -> list[bytes]:
    return [b"data: " + json.dumps(value).encode() + b"\r\n\r\n" for value in replies]


@contextmanager
def gateway_before_gemini() -> Iterator[tuple[ScriptedProvider, RunningGateway]]:
    with ScriptedProvider() as provider:
        toml = f'[plugins.up]\nuse = "gemini"\nbase_url = "{provider.url}"\napi_key = "k"\n'
        toml += '[models.fast]\ntargets = ["up/gemini-3-flash-preview"]\n'
        with running_gateway(toml) as gateway:
            yield provider, gateway


def check_second_turn(sent: dict[str, Any], *, thought: bool) -> None:
    """The turn that goes on with the calls: as Gemini made them, their answers together behind them."""
    asked, called, answered = sent["contents"]
    assert asked["role"] == "user"
    assert called == {"role": "model", "parts": [*([THOUGHT] if thought else []), *CALLS]}
    assert answered == {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "weather", "response": {"output": "sun"}}},
            {"functionResponse": {"name": "weather", "response": {"output": "snow"}}},
        ],
    }


@pytest.mark.parametrize("stream", [False, True])
def test_the_openai_package_goes_round_with_parallel_calls_and_their_signature(stream: bool) -> None:
    with gateway_before_gemini() as (provider, gateway):
        client = openai.OpenAI(api_key="x", base_url=f"{gateway.url}/v1")
        function = {"name": "weather", "parameters": SCHEMA}
        fixed: dict[str, Any] = {"model": "fast", "tools": [{"type": "function", "function": function}]}
        fixed["reasoning_effort"] = "low"
        messages: list[Any] = [{"role": "user", "content": "weather?"}]
        message: Any
        if stream:
            provider.stream(events(reply(THOUGHT, finish=None), reply(CALLS[0], finish=None), reply(CALLS[1])))
            chunks = list(client.chat.completions.create(messages=messages, stream=True, **fixed))
            message = assembled([chunk.model_dump() for chunk in chunks])
            assert chunks[-1].choices[0].finish_reason == "tool_calls"
        else:
            provider.reply(json=reply(THOUGHT, *CALLS))
            answer = client.chat.completions.create(messages=messages, **fixed)
            message = answer.choices[0].message.model_dump(exclude_none=True)
            assert answer.choices[0].finish_reason == "tool_calls"
            assert answer.usage is not None
            assert answer.usage.completion_tokens == 7
        results: list[Any] = [
            {"role": "tool", "tool_call_id": call["id"], "content": text}
            for call, text in zip(message["tool_calls"], ("sun", "snow"), strict=True)
        ]
        provider.reply(json=reply({"text": "sun and snow"}))
        client.chat.completions.create(messages=[*messages, message, *results], **fixed)
        first, second = (request.json() for request in provider.requests)
        assert first["generationConfig"] == {"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}}
        check_second_turn(second, thought=True)
        client.close()


def assembled(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a client makes of chunks."""
    message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [], "reasoning_details": []}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            message["reasoning_details"] += delta.get("reasoning_details") or []
            for call in delta.get("tool_calls") or []:
                if call["index"] == len(message["tool_calls"]):
                    message["tool_calls"].append({key: value for key, value in call.items() if value is not None})
                else:
                    there = message["tool_calls"][call["index"]]
                    there["function"]["arguments"] += call["function"]["arguments"] or ""
                    there.update({k: v for k, v in call.items() if k == "extra_content" and v is not None})
    return message


@pytest.mark.parametrize("stream", [False, True])
def test_the_anthropic_package_goes_round_with_thinking_and_signatures(stream: bool) -> None:
    with gateway_before_gemini() as (provider, gateway):
        client = anthropic.Anthropic(api_key="x", base_url=gateway.url)
        fixed: dict[str, Any] = {
            "model": "fast",
            "max_tokens": 4096,
            "tools": [{"name": "weather", "input_schema": SCHEMA}],
            "thinking": {"type": "enabled", "budget_tokens": 2048},
        }
        messages: list[Any] = [{"role": "user", "content": "weather?"}]
        if stream:
            provider.stream(events(reply(THOUGHT, finish=None), reply(CALLS[0], finish=None), reply(CALLS[1])))
            with client.messages.stream(messages=messages, **fixed) as streaming:
                answer = streaming.get_final_message()
        else:
            provider.reply(json=reply(THOUGHT, *CALLS))
            answer = client.messages.create(messages=messages, **fixed)
        assert answer.stop_reason == "tool_use"
        assert answer.usage.output_tokens == 7
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert [block.input for block in calls] == [{"city": "Rome"}, {"city": "Oslo"}]
        results: list[Any] = [
            {"type": "tool_result", "tool_use_id": call.id, "content": text}
            for call, text in zip(calls, ("sun", "snow"), strict=True)
        ]
        content = [block.model_dump(exclude_none=True) for block in answer.content]
        messages += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
        provider.reply(json=reply({"text": "sun and snow"}))
        client.messages.create(messages=messages, **fixed)
        first, second = (request.json() for request in provider.requests)
        assert first["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 2048, "includeThoughts": True}
        check_second_turn(second, thought=True)
        client.close()


def test_a_cut_stream_is_no_finished_answer() -> None:
    with gateway_before_gemini() as (provider, gateway):
        provider.stream(events(reply({"text": "half"}, finish=None)))
        body = {"model": "fast", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        answer = gateway.post("/v1/chat/completions", body)
        assert b"[DONE]" not in answer.body
        assert b"upstream_disconnected" in answer.body


def test_what_gemini_does_not_take_is_named_and_strict_mode_refuses_it() -> None:
    with gateway_before_gemini() as (provider, gateway):
        provider.reply(json=reply({"text": "yo"}))
        body = {"model": "fast", "user": "u", "messages": [{"role": "user", "content": "hi", "name": "n"}]}
        assert gateway.post("/v1/chat/completions", body).headers["x-gateway-dropped"] == "messages[0].name, user"
        strict = gateway.post("/v1/chat/completions", body, headers={"x-gateway-strict": "1"})
        assert strict.status == 400
        assert len(provider.requests) == 1


def test_an_error_of_gemini_is_told_in_the_words_of_the_caller() -> None:
    with gateway_before_gemini() as (provider, gateway):
        error = {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
        }
        provider.default_reply(json={"error": error}, status=400)
        body = {"model": "fast", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
        answer = gateway.post("/v1/messages", body).json()
        assert answer["error"]["type"] == "authentication_error"
        assert "status" not in answer["error"]


def test_texts_are_embedded_for_the_openai_package() -> None:
    with gateway_before_gemini() as (provider, gateway):
        provider.reply(json={"embeddings": [{"values": [0.5]}, {"values": [1.0]}]})
        client = openai.OpenAI(api_key="x", base_url=f"{gateway.url}/v1")
        found = client.embeddings.create(model="up/gemini-embedding-001", input=["a", "b"], dimensions=1)
        assert [one.embedding for one in found.data] == [[0.5], [1.0]]
        (request,) = provider.requests
        assert request.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
        assert request.json()["requests"][1] == {
            "model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": "b"}]},
            "outputDimensionality": 1,
        }
        client.close()


def test_tokens_are_counted_for_the_anthropic_package() -> None:
    with gateway_before_gemini() as (provider, gateway):
        provider.reply(json={"totalTokens": 7})
        client = anthropic.Anthropic(api_key="x", base_url=gateway.url)
        count = client.messages.count_tokens(model="fast", messages=[{"role": "user", "content": "hi"}], system="s")
        assert count.input_tokens == 7
        sent = provider.requests[0].json()["generateContentRequest"]
        assert sent["model"] == "models/gemini-3-flash-preview"
        assert sent["systemInstruction"] == {"parts": [{"text": "s"}]}
        client.close()


def made(**settings: Any) -> Gemini:
    return Gemini(Gemini.Config(**{"api_key": Secret("k"), **settings}), CONTEXT)


def test_paths_and_credentials() -> None:
    provider = made()
    assert provider.address == "https://generativelanguage.googleapis.com"
    assert provider.credentials(made_call()) == [("x-goog-api-key", "k")]
    target = Target(provider="up", model="gemini-3-flash-preview")
    assert provider.path("gemini", target, stream=False) == "/v1beta/models/gemini-3-flash-preview:generateContent"
    tuned = Target(provider="up", model="tunedModels/a b")
    assert provider.path("gemini", tuned, stream=True) == "/v1beta/tunedModels/a%20b:streamGenerateContent?alt=sse"
    assert provider.path("gemini_count_tokens", target, stream=False).endswith(":countTokens")


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"base_url": "localhost"}, "must begin with"),
        ({"base_url": "https://generativelanguage.googleapis.com/v1beta"}, "before the version"),
        ({"version": "v1/models"}, "version"),
        ({"api_key": None}, "GEMINI_API_KEY"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        made(**settings)
