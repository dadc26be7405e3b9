"""A loss is named by the field as the caller wrote it, whatever the normalised protocol calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.openai_chat import OpenAIChat

USER = {"role": "user", "content": "go"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
DETAIL = {"type": "reasoning.text", "text": "a", "signature": "s", "format": "anthropic-claude-v1", "index": 0}

CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "video_url", "video_url": {"url": "u"}}]},
        {"role": "assistant", "content": "b", "reasoning_details": [DETAIL], "tool_calls": [CALL, {**CALL, "id": "d"}]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "x"}]},
        {"role": "assistant", "content": None, "refusal": "no", "reasoning_content": "hm"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f"}},
        {"type": "custom", "custom": {"name": "g"}},
    ],
    "web_search_options": {},
    "max_tokens": 5,
    "reasoning": {"effort": "high", "max_tokens": 9},
    "safety_identifier": "u",
}


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("messages[0].content[0]", "messages[0].content"),
        ("messages[0].role", "messages[0].role"),
        ("messages[1].content[1]", "messages[1].content[1]"),
        ("messages[1].content[1].cache_control", "messages[1].content[1].cache_control"),
        ("messages[2].content[0].signature", "messages[2].reasoning_details[0].signature"),
        ("messages[2].content[1].citations", "messages[2].content.citations"),
        ("messages[2].content[3].signature", "messages[2].tool_calls[1].signature"),
        ("messages[3].content[0].content[0]", "messages[3].content[0]"),
        ("messages[3].content[0]", "messages[3].content"),
        ("messages[4].content[0]", "messages[4].reasoning_content"),
        ("messages[4].content[1]", "messages[4].refusal"),
        ("messages[9].content[0]", "messages[9].content[0]"),
        ("tools[0].strict", "tools[0].function.strict"),
        ("tools[0].function.parameters.anyOf", "tools[0].function.parameters.anyOf"),
        ("tools[1].format", "tools[1].custom.format"),
        ("tools[2]", "web_search_options"),
        ("reasoning", "reasoning"),
        ("reasoning.effort", "reasoning.effort"),
        ("reasoning_effort", "reasoning.effort"),
        ("reasoning.budget_tokens", "reasoning.max_tokens"),
        ("response_format.schema.pattern", "response_format.json_schema.schema.pattern"),
        ("max_tokens", "max_tokens"),
        ("user", "safety_identifier"),
        ("seed", "seed"),
    ],
)
def test_chat_completions(field: str, said: str) -> None:
    chat = OpenAIChat()
    assert chat.caller_field(field, chat.read_request(json.dumps(CHAT).encode())) == said


def test_chat_completions_in_its_older_words() -> None:
    chat = OpenAIChat()
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    body = {"model": "m", "messages": [USER, call], "functions": [{"name": "f"}], "reasoning_effort": "high"}
    request = chat.read_request(json.dumps(body).encode())
    assert chat.caller_field("tools[0].strict", request) == "functions[0].strict"
    assert chat.caller_field("messages[1].content[0].signature", request) == "messages[1].function_call.signature"
    assert chat.caller_field("reasoning.effort", request) == "reasoning_effort"
    assert chat.caller_field("reasoning", request) == "reasoning_effort"
    assert chat.caller_field("max_tokens", request) == "max_completion_tokens"


MESSAGES: dict[str, Any] = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "be brief"}],
    "messages": [
        USER,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "x"}]},
                {"type": "text", "text": "and now"},
                {"type": "image", "source": {"type": "url", "url": "https://x/y"}},
            ],
        },
    ],
}


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("messages[0].role", "system"),
        ("messages[0].content[0].cache_control", "system[0].cache_control"),
        ("messages[1].content[0]", "messages[0].content[0]"),
        ("messages[2].content[0].arguments", "messages[1].content[0].input"),
        ("messages[3].content[0].content[0]", "messages[2].content[0].content[0]"),
        ("messages[3].content[0].is_error", "messages[2].content[0].is_error"),
        ("messages[4].content[1]", "messages[2].content[2]"),
        ("messages[4].name", "messages[2].name"),
        ("tools[0].parameters.anyOf", "tools[0].input_schema.anyOf"),
        ("tools[0].strict", "tools[0].strict"),
        ("reasoning.budget_tokens", "thinking.budget_tokens"),
        ("reasoning.mode", "thinking.type"),
        ("reasoning", "thinking"),
        ("reasoning.effort", "output_config.effort"),
        ("response_format.schema.pattern", "output_config.format.schema.pattern"),
        ("response_format.json_schema.schema", "output_config.format.schema"),
        ("stop[1]", "stop_sequences[1]"),
        ("user", "metadata.user_id"),
        ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
        ("top_k", "top_k"),
    ],
)
def test_messages(field: str, said: str) -> None:
    messages = AnthropicMessages()
    assert messages.caller_field(field, messages.read_request(json.dumps(MESSAGES).encode())) == said


def test_the_header_and_strict_mode_say_it_so() -> None:
    toml = '[plugins.up]\nuse = "openai_compatible"\nbase_url = "{url}/v1"\n'
    asked = {**MESSAGES, "model": "up/m", "thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 3}
    answer = {"id": "x", "choices": [{"message": {"content": "yo"}, "finish_reason": "stop"}], "model": "m"}
    with ScriptedProvider() as provider, running_gateway(toml.format(url=provider.url)) as gateway:
        provider.default_reply(json=answer)
        told = gateway.post("/v1/messages", json=asked)
        refused = gateway.post("/v1/messages", json=asked, headers={"x-gateway-strict": "1"})
    assert told.status == 200
    assert set(told.headers["x-gateway-dropped"].split(", ")) == {"thinking.budget_tokens", "top_k"}
    assert refused.status == 400
    assert "'thinking.budget_tokens'" in refused.json()["error"]["message"]
