"""Whole messages, both ways, and the words for why a model stopped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped
from gateway.protocol import (
    ChatReply,
    Choice,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.anthropic_usage import read_stop, read_usage, write_stop, write_usage

FORMAT = AnthropicMessages()
OWN = "anthropic_messages"
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 5},
}


def read(**fields: Any) -> ChatReply:
    return FORMAT.read_reply(json.dumps({**MESSAGE, **fields}).encode())


def write(reply: ChatReply) -> tuple[dict[str, Any], list[str]]:
    dropped = Dropped()
    return json.loads(FORMAT.write_reply(reply, dropped)), sorted(dropped.reasons)


def foreign(*parts: Part, reason: Any = "stop", **fields: Any) -> ChatReply:
    """A reply of another format."""
    choice = Choice(content=list(parts), finish_reason=reason)
    return ChatReply(id="chatcmpl-1", model="gpt", choices=[choice], origin="openai_chat", **fields)


def test_a_message_is_read() -> None:
    reply = read()
    assert (reply.id, reply.model, reply.origin) == ("msg_1", "claude", OWN)
    assert reply.choices == [Choice(content=[Text(text="hi")], finish_reason="stop", native_finish_reason="end_turn")]
    assert reply.usage == Usage(prompt_tokens=3, completion_tokens=5)
    assert reply.created is None


def test_every_block_of_a_message_is_read() -> None:
    server = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        server,
        {"type": "text", "text": "a", "citations": [{"type": "x"}]},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "direct"}},
    ]
    assert read(content=blocks).choices[0].content == [
        Thinking(text="hm", signature="s", origin=OWN),
        Thinking(redacted=True, encrypted="d", origin=OWN),
        Opaque(origin=OWN, type="server_tool_use", value=server),
        Text(text="a", citations=[{"type": "x"}]),
        ToolCall(id="t", name="f", arguments="{}", extra={"caller": {"type": "direct"}}),
    ]


def test_what_has_no_place_is_kept() -> None:
    reply = read(container={"id": "c"}, stop_details={"type": "refusal"}, novelty=1, context_management=None)
    assert reply.choices[0].extra == {"container": {"id": "c"}, "stop_details": {"type": "refusal"}}
    assert reply.extra == {"novelty": 1}


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"type":"message"}', b'{"content":"x"}', b'{"content":[{"type":"text"}]}', b"[" * 9999],
)
def test_what_is_no_message_is_the_providers_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        FORMAT.read_reply(body)


def test_an_error_under_a_good_status_is_the_error_that_it_is() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    with pytest.raises(UpstreamRejected) as caught:
        FORMAT.read_reply(body)
    assert (caught.value.status, caught.value.kind) == (529, "overloaded")
    facts = FORMAT.read_facts(body)
    assert isinstance(facts.error, UpstreamRejected)
    assert facts.error.kind == "overloaded"
    with pytest.raises(UpstreamProtocolError):
        FORMAT.read_facts(b"<html>")


# Tokens


USAGE: dict[str, Any] = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    "output_tokens": 50,
    "output_tokens_details": {"thinking_tokens": 40},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    "service_tier": "priority",
    "inference_geo": "us",
}


def test_cached_tokens_are_part_of_the_prompt_and_come_out_of_it_again() -> None:
    usage = read_usage(USAGE)
    assert usage == Usage(
        prompt_tokens=140,
        completion_tokens=50,
        reasoning_tokens=40,
        cache_read_tokens=100,
        cache_write_tokens=30,
        cache_write_1h_tokens=10,
        extra={"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}, "inference_geo": "us"},
    )
    assert usage is not None
    assert write_usage(usage, "priority", own=True) == USAGE


def test_usage_of_another_provider_is_complete() -> None:
    usage = Usage(prompt_tokens=9, completion_tokens=4, cache_read_tokens=2, extra={"x": 1})
    assert write_usage(usage, "default", own=False) == {
        "input_tokens": 7,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 4,
        "service_tier": "standard",
    }


def test_usage_survives_what_servers_make_of_it() -> None:
    assert read_usage(None) is None
    assert read_usage({"input_tokens": None, "output_tokens": "7", "cache_creation": 3}) == Usage(
        extra={"cache_creation": 3}
    )
    # An older server splits the writes without their sum.
    usage = read_usage({"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 4}})
    assert usage == Usage(prompt_tokens=5, cache_write_tokens=4)
    assert read_usage({"server_tool_use": {"web_search_requests": 0}, "inference_geo": "not_available"}) == Usage()


# Stop reasons


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("stop_sequence", "stop"),
        ("refusal", "refusal"),
        ("pause_turn", "pause"),
        ("model_context_window_exceeded", "length"),
        ("compaction", "stop"),
        ("of_next_year", "stop"),
    ],
)
def test_a_stop_reason_is_read_and_written_again(word: str, reason: str) -> None:
    assert read_stop(word) == (reason, word)
    sequence = "x" if word == "stop_sequence" else None
    written, lost = write(read(stop_reason=word, stop_sequence=sequence))
    assert (written["stop_reason"], written["stop_sequence"]) == (word, sequence)
    assert not lost


@pytest.mark.parametrize(
    ("reason", "sequence", "parts", "word"),
    [
        ("stop", None, [], "end_turn"),
        (None, None, [], "end_turn"),
        ("stop", "END", [], "stop_sequence"),
        ("length", None, [], "max_tokens"),
        ("tool_calls", None, [], "tool_use"),
        ("content_filter", None, [], "refusal"),
        ("refusal", None, [], "refusal"),
        ("pause", None, [], "pause_turn"),
        # What was said counts before what the server says of it.
        ("stop", None, [ToolCall(id="a", name="f")], "tool_use"),
        ("stop", None, [Refusal(text="no")], "refusal"),
        ("length", None, [ToolCall(id="a", name="f")], "max_tokens"),
    ],
)
def test_a_stop_reason_of_another_format_has_a_word(
    reason: Any, sequence: str | None, parts: list[Part], word: str
) -> None:
    assert write_stop(reason, None, sequence, parts) == word


def test_a_foreign_word_for_the_reason_is_not_repeated() -> None:
    assert write_stop("content_filter", "SAFETY", None, []) == "refusal"
    assert write_stop("stop", "eos", None, []) == "end_turn"


def test_an_answer_that_broke_off_is_no_message() -> None:
    with pytest.raises(UpstreamProtocolError):
        write(foreign(Text(text="so"), reason="error"))


# Writing


def test_a_reply_of_another_format_is_a_whole_message() -> None:
    usage = Usage(prompt_tokens=3, completion_tokens=5)
    written, lost = write(foreign(Text(text="hi"), usage=usage, service_tier="default"))
    assert written == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "gpt",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 5,
            "service_tier": "standard",
        },
    }
    assert not lost


def test_usage_that_is_not_known_is_zero() -> None:
    assert write(foreign())[0]["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_tool_calls_have_their_input_as_an_object() -> None:
    written, lost = write(
        foreign(
            Text(text=""),
            ToolCall(id="a", name="f", arguments='{"x": 1}'),
            ToolCall(id="b", name="f", arguments=""),
            ToolCall(id="c", name="f", arguments="{broken"),
            ToolCall(id="d", name="g", arguments="free text", kind="custom"),
            reason="tool_calls",
        )
    )
    assert [block["input"] for block in written["content"]] == [
        {"x": 1},
        {},
        {"INVALID_JSON": "{broken"},
        {"input": "free text"},
    ]
    assert lost == ["content[3].input"]


def test_a_refusal_is_text_and_the_reason() -> None:
    written, lost = write(foreign(Refusal(text="I cannot")))
    assert written["content"] == [{"type": "text", "text": "I cannot"}]
    assert written["stop_reason"] == "refusal"
    assert not lost


def test_what_a_message_cannot_say_is_named() -> None:
    reply = foreign(
        Text(text="a", citations=[{"document": "u"}], extra={"y": 1}),
        Media(kind="image", url="u"),
        Opaque(origin="gemini", type="executableCode", value={}),
        usage=Usage(extra={"z": 1}),
        service_tier="flex",
        extra={"system_fingerprint": "f"},
    )
    reply.choices[0].logprobs = {"content": []}
    reply.choices[0].extra = {"x": 1}
    reply.choices.append(Choice(index=1))
    written, lost = write(reply)
    assert written["content"] == [{"type": "text", "text": "a"}]
    assert lost == [
        "choices[1]",
        "content[0].citations",
        "content[0].y",
        "content[1]",
        "content[2]",
        "logprobs",
        "service_tier",
        "system_fingerprint",
        "usage.z",
        "x",
    ]
