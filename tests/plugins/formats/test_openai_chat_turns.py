"""What imitators of chat completions demand of a conversation's turns."""

from __future__ import annotations

import json
from typing import Any

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, Message, Text, Thinking, ToolCall, ToolResult
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_chat_turns import short_id


def written(messages: list[Message], **options: Any) -> list[dict[str, Any]]:
    request = ChatRequest(model="m", messages=messages, origin="anthropic_messages")
    body = OpenAIChat().write_request(request, Traits(options=options), Dropped())
    found: list[dict[str, Any]] = json.loads(body)["messages"]
    return found


def test_an_id_is_shortened_the_same_way_each_time() -> None:
    one, other = short_id("toolu_01A09q90qw90lq917835lq9", 9), short_id("toolu_01A09q90qw90lq917835lq8", 9)
    assert one == short_id("toolu_01A09q90qw90lq917835lq9", 9)
    assert one != other
    assert len(one) == 9
    assert one.isalnum()
    assert one.isascii()
    assert short_id("D681PevKs", 9) == "D681PevKs"
    assert short_id("call-_123", 9) != "call-_123"
    assert short_id("éééééééé1", 9).isascii()


def test_a_call_and_its_result_keep_belonging_together() -> None:
    messages = [
        Message(role="assistant", content=[ToolCall(id="call_1", name="f"), ToolCall(id="abcDEF123", name="g")]),
        Message(role="tool", content=[ToolResult(tool_call_id="call_1", content=[Text(text="1")])]),
        Message(role="tool", content=[ToolResult(tool_call_id="abcDEF123", content=[Text(text="2")])]),
    ]
    assistant, first, second = written(messages, tool_call_ids=9)
    ids = [call["id"] for call in assistant["tool_calls"]]
    assert ids == [first["tool_call_id"], second["tool_call_id"]]
    assert ids[1] == "abcDEF123"
    assert all(len(one) == 9 and one.isalnum() for one in ids)


def test_a_conversation_that_the_assistant_ends_is_marked() -> None:
    turns = [
        Message(role="user", content=[Text(text="hi")]),
        Message(role="assistant", content=[Text(text="The answer is")]),
    ]
    assert written(turns, prefix=True)[1]["prefix"] is True
    assert "prefix" not in written([*turns, turns[0]], prefix=True)[1]
    assert "prefix" not in written(turns)[1]
    calls = Message(role="assistant", content=[ToolCall(id="call_1", name="f")])
    assert "prefix" not in written([turns[0], calls], prefix=True)[1]
    assert written([], prefix=True) == []


def test_thinking_is_a_chunk_of_the_content() -> None:
    turn = Message(role="assistant", content=[Thinking(text="hm"), Text(text="yo")])
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    (found,) = written([turn], thinking_chunks=True)
    assert found["content"] == [chunk, {"type": "text", "text": "yo"}]
    assert "reasoning_content" not in found
    alone = Message(role="assistant", content=[Thinking(text="hm"), ToolCall(id="1", name="f")])
    assert written([alone], thinking_chunks=True)[0]["content"] == [chunk]
    plain = Message(role="assistant", content=[Text(text="yo")])
    assert written([plain], thinking_chunks=True)[0]["content"] == "yo"
