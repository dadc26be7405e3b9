"""Thinking of other providers, carried through this dialect and back to them, and never to Anthropic."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.format import Dropped, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import ChatReply, Choice, Part, Text, Thinking, ToolCall
from gateway.protocol.unroll import events_of
from gateway_plugins.formats.anthropic_carrier import MARK
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from tests.wire.anthropic_types import check_message, check_stream_events

FORMAT = AnthropicMessages()

PARTS: list[list[Part]] = [
    [Thinking(text="hm", origin="openai_chat"), Text(text="so")],
    [Thinking(text="hm", signature="sig", origin="gemini"), Text(text="so")],
    [Thinking(text="sum", encrypted="enc", id="rs_1", origin="openai_responses"), Text(text="so")],
    [Thinking(encrypted="enc", id="rs_1", origin="openai_responses"), Text(text="so")],
    [Thinking(redacted=True, encrypted="enc", origin="bedrock_converse"), Text(text="so")],
    [Text(text="so"), ToolCall(id="a", name="f", arguments='{"x":1}', signature="thought")],
    [Thinking(text="hm", signature="s", origin="anthropic_messages"), Text(text="so")],
]


def reply_of(parts: list[Part]) -> ChatReply:
    return ChatReply(id="r", model="m", choices=[Choice(content=parts, finish_reason="stop")], origin="elsewhere")


def whole(parts: list[Part]) -> list[dict[str, Any]]:
    message = json.loads(FORMAT.write_reply(reply_of(parts), Dropped()))
    check_message(message)
    return list(message["content"])


def streamed(parts: list[Part]) -> list[dict[str, Any]]:
    """The blocks as a client puts them together."""
    writer = FORMAT.stream_writer(None)
    blocks: list[dict[str, Any]] = []
    for event in check_stream_events(b"".join(map(writer.write, events_of(reply_of(parts))))):
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            if delta["type"] == "input_json_delta":
                blocks[-1]["input"] = json.loads(delta["partial_json"])
            else:
                key = delta["type"].removesuffix("_delta")
                blocks[-1][key] = blocks[-1].get(key, "") + delta[key]
    return blocks


@pytest.mark.parametrize("tell", [whole, streamed])
@pytest.mark.parametrize("parts", PARTS)
def test_it_comes_back_as_it_was(parts: list[Part], tell: Any) -> None:
    blocks = tell(parts)
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": blocks}]
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": messages}).encode()
    assert FORMAT.read_request(body).messages[1].content == parts


@pytest.mark.parametrize("parts", PARTS)
def test_it_does_not_go_to_anthropic(parts: list[Part]) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": whole(parts)}]
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": messages}).encode()
    patches = FORMAT.lane_patches(JsonObject(body), Traits())
    sent = json.loads(patches.get("messages", json.dumps(messages)))
    assert MARK not in json.dumps(sent)
    kinds = [block["type"] for block in sent[1]["content"]]
    assert kinds[-1] == whole(parts)[-1]["type"]
    own = isinstance(parts[0], Thinking) and parts[0].origin == "anthropic_messages"
    assert ("thinking" in kinds) == own
    assert bool(patches) != own


def test_a_turn_of_nothing_else_goes_with_it() -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": whole([Thinking(text="hm", origin="openai_chat")])},
        {"role": "user", "content": f"what is {MARK}?"},
    ]
    body = JsonObject(json.dumps({"messages": messages}).encode())
    sent = json.loads(FORMAT.lane_patches(body, Traits())["messages"])
    assert [turn["role"] for turn in sent] == ["user", "user"]


def test_words_that_look_like_it_pass() -> None:
    messages = [{"role": "user", "content": f"what is {MARK}?"}]
    body = JsonObject(json.dumps({"messages": messages}).encode())
    assert FORMAT.lane_patches(body, Traits()) == {}
    broken = {"type": "thinking", "thinking": "hm", "signature": f"{MARK}not base64!"}
    request = {"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": [broken]}]}
    (part,) = FORMAT.read_request(json.dumps(request).encode()).messages[0].content
    assert part == Thinking(text="hm", signature=f"{MARK}not base64!", origin="anthropic_messages")
