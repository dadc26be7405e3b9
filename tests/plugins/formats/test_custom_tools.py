"""Tools of free text, sent as functions and given back as what the caller asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.format import Dropped, Traits
from gateway.protocol import (
    ChatReply,
    ChatRequest,
    Choice,
    End,
    Event,
    Finish,
    PartDelta,
    PartStart,
    PartStop,
    Start,
    Tool,
    ToolCall,
)
from gateway.protocol.unroll import events_of
from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.formats.custom_tools import InputReader, custom_names
from gateway_plugins.formats.openai_chat import OpenAIChat

PATCH = {
    "type": "custom",
    "custom": {
        "name": "patch",
        "description": "Edit files.",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}},
    },
}
FREE = '*** Begin "Patch" \\ \n+é😀'


def asked(*tools: dict[str, Any], **more: Any) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "go"}], "tools": [*tools], **more}
    return OpenAIChat().read_request(json.dumps(body).encode())


@given(st.text(), st.booleans(), st.integers(1, 9))
def test_the_free_text_is_read_out_of_its_json_in_pieces_of_any_size(text: str, ascii_only: bool, size: int) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)
    reader = InputReader()
    pieces = [reader.feed(arguments[at : at + size]) for at in range(0, len(arguments), size)]
    assert "".join(pieces) + reader.close() == text


def test_the_text_comes_as_its_pieces_do() -> None:
    reader = InputReader()
    fed = ['{"in', 'put": "a', "b\\", "nc\\ud83d", '\\ude00d"', "}"]
    assert [reader.feed(piece) for piece in fed] == ["", "a", "b", "\nc", "😀d", ""]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"other": 1, "input": "x"}', "x"),
        ('"just text"', "just text"),
        ("*** no JSON", "*** no JSON"),
        ('{"patch": "x"}', '{"patch": "x"}'),
        ('{"input": "cut o', "cut o"),
        ('{"input": "half \\ud83d', "half �"),
        ("", ""),
    ],
)
def test_arguments_of_another_shape_are_given_as_they_are(arguments: str, text: str) -> None:
    reader = InputReader()
    assert reader.feed(arguments) + reader.close() == text


def test_a_name_that_a_function_has_too_is_no_custom_tools() -> None:
    tools = [Tool(kind="custom", name="a"), Tool(kind="custom", name="b"), Tool(name="b")]
    assert custom_names(ChatRequest(model="m", tools=tools)) == {"a"}
    assert custom_names(None) == frozenset()


def test_a_provider_without_custom_tools_gets_functions() -> None:
    history = [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "patch", "input": FREE}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "done"},
    ]
    choice = {"type": "custom", "custom": {"name": "patch"}}
    request = asked(PATCH, messages=history, tool_choice=choice)
    dropped = Dropped()
    traits = Traits(options={"custom_tools": False})
    written = json.loads(OpenAIChat().write_request(request, traits, dropped))
    (tool,) = written["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "patch"
    assert tool["function"]["parameters"]["required"] == ["input"]
    assert tool["function"]["description"].startswith("Edit files.")
    assert "start: x" in tool["function"]["description"]
    assert written["tool_choice"] == {"type": "function", "function": {"name": "patch"}}
    function = written["messages"][1]["tool_calls"][0]["function"]
    assert json.loads(function["arguments"]) == {"input": FREE}
    assert list(dropped.reasons) == ["tools[0].custom.format"]


def answer() -> ChatReply:
    calls = [
        ToolCall(id="c1", name="patch", arguments=json.dumps({"input": FREE})),
        ToolCall(id="c2", name="other", arguments='{"input": "x"}'),
    ]
    return ChatReply(id="r", model="m", choices=[Choice(content=[*calls], finish_reason="tool_calls")])


def test_a_whole_call_of_it_is_a_custom_call_again() -> None:
    body = json.loads(OpenAIChat().write_reply(answer(), Dropped(), asked(PATCH)))
    first, second = body["choices"][0]["message"]["tool_calls"]
    assert first == {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": FREE}}
    assert second["function"]["arguments"] == '{"input": "x"}'


def test_a_streamed_call_of_it_is_a_custom_call_again() -> None:
    text = json.dumps({"input": FREE})
    half = len(text) // 2
    events: list[Event] = [
        Start(id="r", model="m"),
        PartStart(part=0, content=ToolCall(id="c1", name="patch")),
        PartStart(part=1, content=ToolCall(id="c2", name="other")),
        PartDelta(part=0, kind="arguments", value=text[:half]),
        PartDelta(part=1, kind="arguments", value='{"a": 1}'),
        PartDelta(part=0, kind="arguments", value=text[half:]),
        PartStop(part=1),
        Finish(finish_reason="tool_calls"),
        End(),
    ]
    calls = streamed_calls(events)
    assert calls[0] == {"id": "c1", "type": "custom", "name": "patch", "said": FREE}
    assert calls[1] == {"id": "c2", "type": "function", "name": "other", "said": '{"a": 1}'}


def test_text_that_never_was_json_is_given_when_the_choice_ends() -> None:
    reply = answer()
    reply.choices[0].content = [ToolCall(id="c1", name="patch", arguments="plain")]
    assert streamed_calls(events_of(reply))[0]["said"] == "plain"
    events = [event for event in events_of(reply) if not isinstance(event, PartStop)]
    assert streamed_calls(events)[0]["said"] == "plain"


def streamed_calls(events: list[Event]) -> dict[int, dict[str, str]]:
    writer = OpenAIChat().stream_writer(asked(PATCH))
    data = b"".join(writer.write(event) for event in events)
    calls: dict[int, dict[str, str]] = {}
    for line in data.split(b"\n\n"):
        if not line.startswith(b"data: {"):
            continue
        for choice in json.loads(line[6:])["choices"]:
            for entry in choice["delta"].get("tool_calls", ()):
                call = calls.setdefault(entry["index"], {"said": ""})
                call.update({key: entry[key] for key in ("id", "type") if key in entry})
                inner = entry.get("custom") or entry.get("function")
                call["name"] = inner.get("name", call.get("name", ""))
                call["said"] += inner.get("input", inner.get("arguments"))
    return calls


def test_a_custom_tool_works_through_the_gateway_at_a_provider_that_has_none() -> None:
    toml = '[plugins.claude]\nuse = "anthropic"\nbase_url = "{url}"\napi_key = "sk-invented"\n'
    block = {"type": "tool_use", "id": "toolu_1", "name": "patch", "input": {"input": FREE}}
    whole = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [block],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    text = json.dumps({"input": FREE})
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": piece}}
        for piece in pieces
    ]
    stream: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {**block, "input": {}}},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    ask = {"model": "claude/claude-sonnet-4-5", "messages": [{"role": "user", "content": "go"}], "tools": [PATCH]}
    with ScriptedProvider() as provider, running_gateway(toml.format(url=provider.url)) as gateway:
        provider.reply(json=whole)
        answer = gateway.post("/v1/chat/completions", json=ask)
        provider.stream([f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in stream])
        streamed = gateway.post("/v1/chat/completions", json={**ask, "stream": True})
    (tool,) = provider.requests[0].json()["tools"]
    assert tool["input_schema"]["properties"] == {"input": {"type": "string"}}
    assert answer.headers["x-gateway-dropped"] == "tools[0].custom.format"
    (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "toolu_1", "type": "custom", "custom": {"name": "patch", "input": FREE}}
    said = [
        entry["custom"].get("input", "")
        for event in streamed.events()
        if event.data != b"[DONE]"
        for choice in json.loads(event.data)["choices"]
        for entry in choice["delta"].get("tool_calls", ())
    ]
    assert "".join(said) == FREE
    assert len(said) > 3
