"""Google's own package as a client of a gateway on a real socket, before providers of three kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.testing import RunningGateway, ScriptedProvider, running_gateway

genai: Any = pytest.importorskip("google.genai")
errors: Any = pytest.importorskip("google.genai.errors")
types: Any = pytest.importorskip("google.genai.types")

USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 16}
SIGNATURE = "c2lnbmVkIGJ5IGdlbWluaQ=="


def gemini_reply(*parts: dict[str, Any], finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    ids = {"modelVersion": "gemini-3-flash", "responseId": "r-1"}
    return {"candidates": [candidate], "usageMetadata": USAGE, **ids, **more}


def gemini_stream(*replies: dict[str, Any]) -> list[bytes]:
    return [b"data: " + json.dumps(reply).encode() + b"\r\n\r\n" for reply in replies]


def anthropic_stream(*events: dict[str, Any]) -> list[bytes]:
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


TABLES = {
    "gemini": '\n[plugins.up]\nuse = "gemini"\nbase_url = "{url}"\napi_key = "k"\n',
    "anthropic": '\n[plugins.up]\nuse = "anthropic"\nbase_url = "{url}"\napi_key = "k"\n',
    "openai": '\n[plugins.up]\nuse = "openai_compatible"\nbase_url = "{url}/v1"\n',
}
MODELS = {"gemini": "gemini-3-flash-preview", "anthropic": "claude-sonnet-4-5", "openai": "m-1"}


@contextmanager
def gateway_before(kind: str) -> Iterator[tuple[ScriptedProvider, RunningGateway]]:
    with ScriptedProvider() as provider:
        toml = f'[models.fast]\ntargets = ["up/{MODELS[kind]}"]\n' + TABLES[kind].format(url=provider.url)
        with running_gateway(toml) as gateway:
            yield provider, gateway


@contextmanager
def client_of(gateway: RunningGateway) -> Iterator[Any]:
    client = genai.Client(api_key="anything", http_options=types.HttpOptions(base_url=gateway.url))
    with client:
        yield client


def test_a_whole_answer_of_gemini_passes() -> None:
    with gateway_before("gemini") as (provider, gateway), client_of(gateway) as client:
        provider.reply(json=gemini_reply({"text": "yo"}))
        answer = client.models.generate_content(model="fast", contents="hi")
        assert answer.text == "yo"
        assert answer.usage_metadata.thoughts_token_count == 3
        (request,) = provider.requests
        assert request.path == "/v1beta/models/gemini-3-flash-preview:generateContent"
        assert request.headers["x-goog-api-key"] == "k"
        assert request.json()["contents"] == [{"parts": [{"text": "hi"}], "role": "user"}]


def test_a_stream_of_gemini_passes() -> None:
    with gateway_before("gemini") as (provider, gateway), client_of(gateway) as client:
        provider.stream(gemini_stream(gemini_reply({"text": "y"}, finish=None), gemini_reply({"text": "o"})))
        pieces = list(client.models.generate_content_stream(model="up/gemini-3-flash-preview", contents="hi"))
        assert "".join(piece.text for piece in pieces) == "yo"
        assert provider.requests[0].path.endswith(":streamGenerateContent?alt=sse")


def test_a_cut_stream_fails_at_the_client() -> None:
    with gateway_before("gemini") as (provider, gateway), client_of(gateway) as client:
        provider.stream(gemini_stream(gemini_reply({"text": "y"}, finish=None)))
        with pytest.raises(errors.APIError):
            list(client.models.generate_content_stream(model="fast", contents="hi"))


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def test_tools_of_gemini_go_round_by_themselves() -> None:
    call = {"functionCall": {"name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": SIGNATURE}
    with gateway_before("gemini") as (provider, gateway), client_of(gateway) as client:
        provider.reply(json=gemini_reply(call))
        provider.reply(json=gemini_reply({"text": "It is sunny."}))
        config = types.GenerateContentConfig(tools=[weather])
        answer = client.models.generate_content(model="fast", contents="weather in Rome?", config=config)
        assert answer.text == "It is sunny."
        sent = provider.requests[1].json()["contents"]
        assert sent[1]["parts"][0]["thoughtSignature"] == SIGNATURE
        assert sent[2]["parts"][0]["functionResponse"]["response"] == {"result": "sunny in Rome"}


def test_tools_work_with_a_provider_of_chat_completions() -> None:
    function = {"name": "weather", "arguments": '{"city": "Rome"}'}
    message = {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    head = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m-1", "usage": usage}
    with gateway_before("openai") as (provider, gateway), client_of(gateway) as client:
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        provider.reply(json={**head, "choices": [choice]})
        final = {"index": 0, "message": {"role": "assistant", "content": "Sunny."}, "finish_reason": "stop"}
        provider.reply(json={**head, "choices": [final]})
        config = types.GenerateContentConfig(
            tools=[weather], system_instruction="Be brief.", temperature=0.5, max_output_tokens=50
        )
        answer = client.models.generate_content(model="fast", contents="weather in Rome?", config=config)
        assert answer.text == "Sunny."
        assert answer.usage_metadata.prompt_token_count == 3
        first, second = (request.json() for request in provider.requests)
        assert first["messages"][0] == {"role": "system", "content": "Be brief."}
        assert first["tools"][0]["function"]["parameters"]["properties"]["city"]["type"] == "string"
        assert second["messages"][2]["tool_calls"][0]["id"] == "call_1"
        assert second["messages"][3] == {"role": "tool", "tool_call_id": "call_1", "content": "sunny in Rome"}


def test_thinking_of_claude_is_replayed_on_the_next_turn() -> None:
    start = {"id": "m1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
    usage = {"input_tokens": 5, "output_tokens": 1}
    streamed = anthropic_stream(
        {"type": "message_start", "message": {**start, "usage": usage, "stop_reason": None, "stop_sequence": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "let me "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "see"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "fo"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "ur"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    )
    whole = {**start, "content": [{"type": "text", "text": "five"}], "stop_reason": "end_turn", "usage": usage}
    with gateway_before("anthropic") as (provider, gateway), client_of(gateway) as client:
        provider.stream(streamed)
        provider.reply(json=whole)
        config = types.GenerateContentConfig(
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
        )
        chat = client.chats.create(model="fast", config=config)
        pieces = list(chat.send_message_stream("2+2?"))
        thoughts = [
            part.text for piece in pieces for part in piece.candidates[0].content.parts if part.thought and part.text
        ]
        assert "".join(thoughts) == "let me see"
        assert "".join(piece.text or "" for piece in pieces) == "four"
        assert pieces[-1].usage_metadata.candidates_token_count == 7
        assert chat.send_message("and one more?").text == "five"
        first, second = (request.json() for request in provider.requests)
        assert first["thinking"] == {"type": "enabled", "budget_tokens": 2048, "display": "summarized"}
        assert second["messages"][1] == {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "let me see", "signature": "c2ln"},
                {"type": "text", "text": "four"},
            ],
        }


def test_what_was_carried_for_others_does_not_reach_gemini() -> None:
    from gateway.protocol import Thinking
    from gateway_plugins.formats.gemini_carrier import carried

    mark = carried(Thinking(text="t", signature="s", origin="anthropic_messages"))
    parts = [{"text": "t", "thought": True, "thoughtSignature": mark}, {"text": "four"}]
    contents = [{"role": "user", "parts": [{"text": "2+2"}]}, {"role": "model", "parts": parts}]
    with gateway_before("gemini") as (provider, gateway):
        provider.reply(json=gemini_reply({"text": "yo"}))
        gateway.post("/v1beta/models/fast:generateContent", {"contents": contents})
        assert provider.requests[0].json()["contents"][1]["parts"] == [{"text": "four"}]


def test_without_alt_sse_a_stream_is_an_array() -> None:
    with gateway_before("openai") as (provider, gateway):
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        chunks: list[dict[str, Any]] = [
            {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "yo"}, "finish_reason": None}]},
            {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ]
        events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
        provider.stream([*events, b"data: [DONE]\n\n"])
        provider.stream(events[:1])
        path, body = "/v1beta/models/fast:streamGenerateContent", {"contents": [{"parts": [{"text": "hi"}]}]}
        answer = gateway.post(path, body)
        assert answer.headers["content-type"].startswith("application/json")
        found = answer.json()
        assert "".join(part["text"] for one in found for part in one["candidates"][0]["content"]["parts"]) == "yo"
        assert found[-1]["candidates"][0]["finishReason"] == "STOP"
        cut = gateway.post(path, body).body
        assert not cut.endswith(b"]")
        assert json.loads(cut + b"]")[-1]["error"]["status"] == "UNAVAILABLE"


def test_errors_have_the_shape_of_google() -> None:
    with gateway_before("openai") as (provider, gateway), client_of(gateway) as client:
        provider.default_reply(
            status=429, json={"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
        )
        with pytest.raises(errors.ClientError) as caught:
            client.models.generate_content(model="fast", contents="hi")
        assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
        with pytest.raises(errors.ClientError) as caught:
            client.models.generate_content(model="nobody", contents="hi")
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


def test_the_key_may_stand_in_the_query() -> None:
    toml = '[models.fast]\ntargets = ["up/gemini-3-flash-preview"]\n' + TABLES["gemini"]
    with ScriptedProvider() as provider:
        provider.default_reply(json=gemini_reply({"text": "yo"}))
        toml = toml.format(url=provider.url).replace('"k"', '"forward"')
        with running_gateway(toml) as gateway:
            body = {"contents": [{"parts": [{"text": "hi"}]}]}
            assert gateway.post("/v1/models/fast:generateContent?key=own&alt=json", body).status == 200
            assert provider.requests[0].headers["x-goog-api-key"] == "own"
            both = gateway.post("/v1/models/fast:generateContent?key=a", body, headers={"x-goog-api-key": "b"})
            assert both.status == 401
            assert both.json()["error"]["status"] == "UNAUTHENTICATED"


def test_models_are_listed_as_google_lists_them() -> None:
    with gateway_before("gemini") as (_, gateway), client_of(gateway) as client:
        models = list(client.models.list())
        assert [model.name for model in models] == ["models/fast"]
        assert "generateContent" in models[0].supported_actions
        assert client.models.get(model="fast").name == "models/fast"
        with pytest.raises(errors.ClientError):
            client.models.get(model="nobody")


def test_tokens_are_counted_and_texts_embedded() -> None:
    with gateway_before("gemini") as (provider, gateway), client_of(gateway) as client:
        provider.reply(json={"totalTokens": 7})
        assert client.models.count_tokens(model="fast", contents="hi").total_tokens == 7
        provider.reply(json={"embeddings": [{"values": [0.5, 1.0]}, {"values": [1.0, 0.5]}]})
        found = client.models.embed_content(model="fast", contents=["a", "b"])
        assert [one.values for one in found.embeddings] == [[0.5, 1.0], [1.0, 0.5]]
        sent = provider.requests[1]
        assert sent.path == "/v1beta/models/gemini-3-flash-preview:batchEmbedContents"
        assert {item["model"] for item in sent.json()["requests"]} == {"models/gemini-3-flash-preview"}
        provider.reply(json={"embeddings": [{"values": [0.5]}]})
        answer = gateway.post("/v1beta/models/fast:embedContent", {"content": {"parts": [{"text": "a"}]}})
        assert answer.json() == {"embedding": {"values": [0.5]}}


def test_texts_are_embedded_by_another_provider() -> None:
    with gateway_before("openai") as (provider, gateway), client_of(gateway) as client:
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}]
        provider.reply(json={"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 1}})
        found = client.models.embed_content(model="fast", contents=["a"])
        assert found.embeddings[0].values == [0.5, 1.0]
        assert provider.requests[0].json()["input"] == "a"
