"""Mistral's differences, on a real socket: what callers of OpenAI's and Anthropic's dialects may say to it."""

from __future__ import annotations

import json
from typing import Any

from gateway.testing import ScriptedProvider, running_gateway

ANSWER: dict[str, Any] = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "magistral-medium-latest",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "tool_calls": None,
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
                    {"type": "text", "text": "yo"},
                ],
            },
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def table(provider: ScriptedProvider) -> str:
    return f'[plugins.mistral]\nbase_url = "{provider.url}/v1"\napi_key = "k"\n'


def test_a_caller_of_openais_dialect_says_nothing_that_mistral_refuses() -> None:
    asked = {
        "model": "mistral/magistral-medium-latest",
        "messages": [
            {"role": "developer", "content": "brief", "name": "boss"},
            {
                "role": "assistant",
                "content": "ok",
                "reasoning_content": "hm",
                "tool_calls": [{"id": "call_abc", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "call_abc", "content": "1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": "required",
        "max_completion_tokens": 9,
        "seed": 4,
        "user": "u",
        "logit_bias": {"1": 1},
        "parallel_tool_calls": False,
        "safe_prompt": True,
        "prompt_mode": "reasoning",
    }
    with ScriptedProvider() as provider, running_gateway(table(provider)) as gateway:
        provider.reply(json=ANSWER)
        answer = gateway.post("/v1/chat/completions", asked)
        assert answer.status == 200
        assert answer.json()["choices"][0]["message"]["content"] == "yo"
        assert answer.json()["choices"][0]["message"]["reasoning_content"] == "hm"
        dropped = answer.headers["x-gateway-dropped"]
        assert all(name in dropped for name in ("user", "logit_bias", "messages[0].name"))
        sent = provider.requests[0].json()
        call_id = sent["messages"][1]["tool_calls"][0].pop("id")
        assert len(call_id) == 9
        assert call_id.isalnum()
        assert sent == {
            "model": "magistral-medium-latest",
            "messages": [
                {"role": "system", "content": "brief"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                        {"type": "text", "text": "ok"},
                    ],
                    "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": call_id, "content": "1"},
            ],
            "tools": asked["tools"],
            "tool_choice": "required",
            "max_tokens": 9,
            "random_seed": 4,
            "parallel_tool_calls": False,
            "safe_prompt": True,
            "prompt_mode": "reasoning",
        }


def test_a_caller_of_mistrals_own_words_is_understood() -> None:
    asked = {
        "model": "mistral/mistral-small-latest",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this?"},
                    {"type": "image_url", "image_url": "https://example.com/a.png"},
                    {"type": "document_url", "document_url": "https://example.com/a.pdf"},
                ],
            },
            {"role": "assistant", "content": "It is", "prefix": True},
        ],
        "tool_choice": "any",
        "random_seed": 4,
        "max_tokens": 5,
    }
    with ScriptedProvider() as provider, running_gateway(table(provider)) as gateway:
        provider.reply(json=ANSWER)
        answer = gateway.post("/v1/chat/completions", asked)
        assert "x-gateway-dropped" not in answer.headers
        sent = provider.requests[0].json()
        # OpenAI's spelling of the same, which Mistral reads as well.
        content: Any = asked["messages"]
        content[0]["content"][1]["image_url"] = {"url": "https://example.com/a.png"}
        assert sent == {**asked, "model": "mistral-small-latest", "tool_choice": "required"}


def test_a_prefilled_answer_of_anthropics_dialect_is_a_prefix() -> None:
    asked = {
        "model": "mistral/mistral-small-latest",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "The"}],
    }
    with ScriptedProvider() as provider, running_gateway(table(provider)) as gateway:
        provider.reply(json=ANSWER)
        answer = gateway.post("/v1/messages", asked, headers={"anthropic-version": "2023-06-01"})
        assert [block["type"] for block in answer.json()["content"]] == ["thinking", "text"]
        assert provider.requests[0].json()["messages"][1] == {"role": "assistant", "content": "The", "prefix": True}


def test_a_stream_is_not_asked_for_usage_which_it_tells_anyway() -> None:
    def chunk(content: Any, finish: str | None = None, **more: Any) -> bytes:
        choices = [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]
        body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}
        return b"data: " + json.dumps(body).encode() + b"\n\n"

    pieces = [
        chunk([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]),
        chunk([{"type": "text", "text": "yo"}, {"type": "reference", "reference_ids": [1]}]),
        chunk("", "stop", usage=ANSWER["usage"]),
        b"data: [DONE]\n\n",
    ]
    asked = {
        "model": "mistral/magistral-small-latest",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with ScriptedProvider() as provider, running_gateway(table(provider)) as gateway:
        provider.stream(pieces)
        answer = gateway.post("/v1/chat/completions", asked)
        assert "stream_options" not in provider.requests[0].json()
        *told, done = [event.data for event in answer.events()]
        assert done == b"[DONE]"
        deltas = [choice["delta"] for data in told for choice in json.loads(data)["choices"]]
        assert "".join(delta.get("content") or "" for delta in deltas) == "yo"
        assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "hm"
        assert json.loads(told[-1])["usage"]["total_tokens"] == 3


def test_embeddings_of_another_size_go_by_mistrals_name() -> None:
    vectors = {"id": "1", "object": "list", "model": "m", "data": [{"index": 0, "embedding": [0.5]}]}
    with ScriptedProvider() as provider, running_gateway(table(provider)) as gateway:
        provider.reply(json=vectors)
        answer = gateway.post(
            "/v1/embeddings", {"model": "mistral/codestral-embed", "input": "hi", "dimensions": 1, "user": "u"}
        )
        assert answer.json()["data"][0]["embedding"] == [0.5]
        assert provider.requests[0].json() == {"model": "codestral-embed", "input": "hi", "output_dimension": 1}
