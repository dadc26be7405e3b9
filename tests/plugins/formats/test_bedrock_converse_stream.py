"""Converse's answers and streams: what recordings do not show, and what is no answer."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.errors import UpstreamProtocolError
from gateway.protocol import (
    End,
    ErrorEvent,
    Event,
    Finish,
    Media,
    Opaque,
    PartDelta,
    PartStart,
    PartStop,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from gateway_plugins.formats.aws_event_stream import encode_event, encode_exception
from gateway_plugins.formats.bedrock_converse import BedrockConverse

FORMAT = BedrockConverse()
USAGE = {
    "inputTokens": 3,
    "outputTokens": 5,
    "totalTokens": 108,
    "cacheReadInputTokens": 60,
    "cacheWriteInputTokens": 40,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 10}],
}


def reply(*blocks: dict[str, Any], stop: str = "end_turn", **more: Any) -> bytes:
    value = {"output": {"message": {"role": "assistant", "content": list(blocks)}}, "stopReason": stop, "usage": USAGE}
    return json.dumps({**value, **more}).encode()


def event(kind: str, **value: Any) -> bytes:
    return encode_event(kind, json.dumps(value).encode())


def delta(index: int = 0, **value: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=value)


def read(*messages: bytes) -> list[Event]:
    reader = FORMAT.stream_reader()
    return [*reader.feed(b"".join(messages)), *reader.close()]


START, STOP = event("messageStart", role="assistant"), event("contentBlockStop", contentBlockIndex=0)
DONE = event("messageStop", stopReason="end_turn") + event("metadata", usage=USAGE, metrics={"latencyMs": 1})


def test_usage_counts_the_cache_by_its_time() -> None:
    usage = FORMAT.read_reply(reply({"text": "x"})).usage
    assert usage == Usage(
        prompt_tokens=103,
        completion_tokens=5,
        cache_read_tokens=60,
        cache_write_tokens=40,
        cache_write_1h_tokens=30,
    )


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_model_output", "error"),
        ("malformed_tool_use", "error"),
        ("model_context_window_exceeded", "length"),
        ("brand_new", "stop"),
    ],
)
def test_every_stop_reason_is_known(word: str, reason: str) -> None:
    (choice,) = FORMAT.read_reply(reply({"text": "x"}, stop=word)).choices
    assert (choice.finish_reason, choice.native_finish_reason) == (reason, word)


def test_every_block_of_a_reply_is_a_part() -> None:
    blob = base64.b64encode(b"EqQB").decode()
    web = {"location": {"web": {"url": "https://a.example", "domain": "a"}}, "title": "A"}
    body = reply(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"reasoningContent": {"reasoningText": {"text": "plain"}}},
        {"reasoningContent": {"redactedContent": blob}},
        {"reasoningContent": {"redactedContent": "/w=="}},
        {"citationsContent": {"content": [{"text": "so"}], "citations": [web]}},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
        {"toolUse": {"toolUseId": "u", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        {"image": {"format": "png", "source": {"bytes": "aGk="}}},
        {"novelty": {"x": 1}},
        serviceTier={"type": "priority"},
        trace={"guardrail": {}},
        additionalModelResponseFields={"stop_sequence": "END", "other": 1},
        metrics={"latencyMs": 5},
    )
    found = FORMAT.read_reply(body)
    (choice,) = found.choices
    assert choice.content == [
        Thinking(text="hm", signature="s", origin="anthropic_messages"),
        Thinking(text="plain", origin="bedrock_converse"),
        Thinking(redacted=True, encrypted="EqQB", origin="anthropic_messages"),
        Thinking(redacted=True, encrypted="/w==", origin="bedrock_converse"),
        Text(text="so", citations=[{**web, "url": "https://a.example"}]),
        ToolCall(id="t", name="f", arguments='{"a":1}'),
        Opaque(
            origin="bedrock_converse",
            type="toolUse",
            value={"toolUse": {"toolUseId": "u", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        ),
        Media(kind="image", media_type="image/png", data="aGk="),
        Opaque(origin="bedrock_converse", type="novelty", value={"novelty": {"x": 1}}),
    ]
    assert choice.stop_sequence == "END"
    assert found.service_tier == "priority"
    assert found.extra == {"trace": {"guardrail": {}}, "additionalModelResponseFields": {"other": 1}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 3000,
        b'{"output":{"message":{"content":[]}}}',
        b'{"output":{"message":{"content":5}},"stopReason":"end_turn"}',
        b'{"output":[],"stopReason":"end_turn"}',
        reply("text"),  # type: ignore[arg-type]  # what a broken server might send
        reply({"toolUse": {"name": "f"}}),
        reply({"reasoningContent": {}}),
    ],
)
def test_what_is_no_reply_is_the_providers_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        FORMAT.read_reply(body)


def test_a_stream_of_everything() -> None:
    events = read(
        START,
        delta(0, reasoningContent={"text": "hm"}),
        delta(0, reasoningContent={"signature": "s"}),
        STOP,
        event("contentBlockStart", contentBlockIndex=1, start={"toolUse": {"toolUseId": "t", "name": "f"}}),
        event("contentBlockStart", contentBlockIndex=2, start={"toolUse": {"toolUseId": "u", "name": "g"}}),
        delta(1, toolUse={"input": '{"a":'}),
        delta(2, toolUse={"input": ""}),
        delta(1, toolUse={"input": "1}"}),
        event("contentBlockStop", contentBlockIndex=1),
        delta(3, text="so", p="xx"),
        event("surprise", x=1),
        event("messageStop", stopReason="tool_use", additionalModelResponseFields={"stop_sequence": "E", "o": 1}),
        event("metadata", usage=USAGE, trace={"guardrail": {}}, serviceTier={"type": "flex"}),
        delta(4, text="never"),
    )
    assert events == [
        Start(id="", model="", origin="bedrock_converse"),
        PartStart(part=0, content=Thinking(origin="bedrock_converse")),
        PartDelta(part=0, kind="thinking", value="hm"),
        PartDelta(part=0, kind="signature", value="s"),
        PartStop(part=0),
        PartStart(part=1, content=ToolCall(id="t", name="f")),
        PartStart(part=2, content=ToolCall(id="u", name="g")),
        PartDelta(part=1, kind="arguments", value='{"a":'),
        PartDelta(part=1, kind="arguments", value="1}"),
        PartStop(part=1),
        PartStart(part=3, content=Text(text="")),
        PartDelta(part=3, kind="text", value="so"),
        # What was left open is closed; a call without input is one of an empty object.
        PartDelta(part=2, kind="arguments", value="{}"),
        PartStop(part=2),
        PartStop(part=3),
        Finish(
            finish_reason="tool_calls",
            native_finish_reason="tool_use",
            stop_sequence="E",
            extra={"additionalModelResponseFields": {"o": 1}},
        ),
        UsageUpdate(usage=events[-2].usage),  # type: ignore[attr-defined]  # looked at below
        End(),
    ]
    usage: Usage = events[-2].usage  # type: ignore[attr-defined]
    assert usage.extra == {"trace": {"guardrail": {}}, "serviceTier": "flex"}
    claude = BedrockConverse(signer="anthropic_messages").stream_reader()
    assert claude.feed(START + delta(0, reasoningContent={"text": "hm"}))[1] == PartStart(
        part=0, content=Thinking(origin="anthropic_messages")
    )


def test_a_servers_own_tool_stays_whole() -> None:
    start = {"toolUse": {"toolUseId": "u", "name": "nova_grounding", "type": "server_tool_use"}}
    events = read(
        START,
        event("contentBlockStart", contentBlockIndex=0, start=start),
        delta(0, toolUse={"input": "{}"}),
        STOP,
        DONE,
    )
    assert events[1:3] == [
        PartStart(part=0, content=Opaque(origin="bedrock_converse", type="toolUse", value=start)),
        PartStop(part=0, extra={"deltas": [{"toolUse": {"input": "{}"}}]}),
    ]


def test_a_stream_ends_behind_its_stop_with_metadata_or_without() -> None:
    text = delta(0, text="x")
    assert not any(isinstance(e, End) for e in read(START, text, STOP))
    assert not any(isinstance(e, End) for e in read(START, text, event("metadata", usage=USAGE)))
    assert isinstance(read(START, text, STOP, DONE)[-1], End)
    assert isinstance(read(START, text, STOP, event("messageStop", stopReason="end_turn"))[-1], End)
    reader = BedrockConverse().stream_reader()
    assert not any(isinstance(e, End) for e in reader.feed(START + text + event("messageStop", stopReason="end_turn")))


def test_an_exception_ends_a_stream_and_nothing_follows() -> None:
    events = read(START, encode_exception("throttlingException", b'{"message":"slow"}'), DONE)
    assert isinstance(events[-1], ErrorEvent)
    assert (events[-1].kind, events[-1].message, events[-1].status) == ("rate_limit", "slow", 429)
    assert len(events) == 2


@pytest.mark.parametrize(
    "message",
    [
        encode_event("messageStop", b"{}"),
        encode_event("contentBlockDelta", b"[]"),
        encode_event("contentBlockDelta", b"nope"),
        encode_event("contentBlockDelta", b'{"delta":5}'),
        encode_event("contentBlockStart", b'{"start":5}'),
        encode_event("contentBlockStart", b'{"start":{"toolUse":{"name":"f"}}}'),
        encode_event("contentBlockDelta", b'{"contentBlockIndex":9,"delta":{"toolUse":{"input":"x"}}}'),
        b"HTTP/1.1 200 OK",
    ],
)
def test_what_is_no_stream_is_the_providers_fault(message: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        read(START, message)


def test_it_serves_providers_and_not_callers() -> None:
    with pytest.raises(NotImplementedError, match="serves providers"):
        FORMAT.read_request(b"{}")
