"""Recorded exchanges with Bedrock's Converse, read, split, cut, and written again."""

from __future__ import annotations

import base64
import json
import random
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from gateway.errors import GatewayError, UpstreamProtocolError
from gateway.format import Dropped
from gateway.protocol import (
    End,
    ErrorEvent,
    Event,
    Finish,
    PartDelta,
    PartStart,
    PartStop,
    Start,
    Text,
    Thinking,
    ToolCall,
    UsageUpdate,
)
from gateway_plugins.formats.aws_event_stream import EventStreamDecoder, encode_message
from gateway_plugins.formats.bedrock_converse import BedrockConverse
from gateway_plugins.formats.bedrock_count_tokens import BedrockCountTokens
from gateway_plugins.formats.bedrock_models import traits_of
from tests.wire import recordings
from tests.wire.bedrock_meaning import as_request, check_request, meaning, model_of

FORMAT = BedrockConverse()
STREAMS = recordings.each("converse", provider="bedrock", stream=True, good=True)
REPLIES = recordings.each("converse", provider="bedrock", stream=False, good=True)


def read(*pieces: bytes) -> list[Event]:
    reader = FORMAT.stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


def splits(stream: bytes, seed: str) -> list[bytes]:
    chance = random.Random(seed)
    places = sorted({0, len(stream), *(chance.randrange(len(stream)) for _ in range(60))})
    return [stream[start:end] for start, end in pairwise(places)]


@recordings.each("converse", provider="bedrock")
def test_a_recorded_request_means_the_same_when_written_again(file: str) -> None:
    exchange = recordings.load(file)
    model = model_of(exchange)
    recorded = exchange.request_json
    request = as_request(recorded, model)
    dropped = Dropped()
    written = json.loads(FORMAT.write_request(request, traits_of(model), dropped))
    check_request("Converse", model, written)
    if request.stop and "anthropic" in model:
        assert written.pop("additionalModelResponseFieldPaths") == ["/stop_sequence"]
    expected = meaning(recorded)
    for field in dropped.reasons:
        assert allowed_loss(field, exchange), (field, dropped.reasons[field])
    if not dropped.reasons:
        assert meaning(written) == expected


def allowed_loss(field: str, exchange: recordings.Exchange) -> bool:
    """What a model does not take although somebody once asked it of it."""
    if exchange.status >= 400:
        return True
    if field == "response_format":
        # By AWS's documentation Claude 3 is held to no schema; the answers look written by hand.
        return "claude-3-" in exchange.request["url_path"]
    return field.startswith(("response_format.schema", "tools", "tool_choice", "temperature", "top_p"))


@REPLIES
def test_a_recorded_reply_is_read_whole(file: str) -> None:
    body = recordings.load(file).response_body
    reply, facts, said = FORMAT.read_reply(body), FORMAT.read_facts(body), json.loads(body)
    (choice,) = reply.choices
    blocks = said["output"]["message"]["content"]
    assert len(choice.content) == len(blocks)
    calls = [part for part in choice.content if isinstance(part, ToolCall)]
    mine = [b["toolUse"] for b in blocks if "toolUse" in b and b["toolUse"].get("type") != "server_tool_use"]
    assert [(call.id, call.name, json.loads(call.arguments)) for call in calls] == [
        (call["toolUseId"], call["name"], call["input"]) for call in mine
    ]
    texts = [part.text for part in choice.content if isinstance(part, Text)]
    assert "".join(texts) == "".join(
        block.get("text") or "".join(item["text"] for item in block.get("citationsContent", {}).get("content", ()))
        for block in blocks
    )
    usage = reply.usage
    assert usage is not None
    assert usage.total_tokens == said["usage"]["totalTokens"]
    assert choice.native_finish_reason == said["stopReason"]
    assert choice.finish_reason is not None
    assert (facts.usage, facts.finish_reason) == (usage, choice.finish_reason)


@STREAMS
def test_a_stream_is_the_same_wherever_its_bytes_are_cut(file: str) -> None:
    stream = recordings.load(file).response_body
    events = read(stream)
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events
    assert read(*splits(stream, file)) == events
    assert isinstance(events[0], Start)
    assert isinstance(events[-1], End)
    assert sum(isinstance(event, Finish) for event in events) == 1
    assert sum(isinstance(event, UsageUpdate) for event in events) == 1
    open_parts: set[int] = set()
    for event in events:
        if isinstance(event, PartStart):
            open_parts.add(event.part)
        elif isinstance(event, PartDelta):
            assert event.part in open_parts
        elif isinstance(event, PartStop):
            open_parts.remove(event.part)
    assert not open_parts


@STREAMS
def test_a_cut_stream_never_ends_clean(file: str) -> None:
    stream = recordings.load(file).response_body
    chance = random.Random(file)
    # Behind its stop reason the answer is whole: only the usage is missing.
    told = stream.find(b"messageStop") + 1 or len(stream)
    for cut in (0, 1, told, *(chance.randrange(told) for _ in range(20))):
        assert not any(isinstance(event, End | ErrorEvent) for event in read(stream[:cut]))


@STREAMS
def test_botocore_reads_the_same_messages(file: str) -> None:
    eventstream: Any = pytest.importorskip("botocore.eventstream")
    stream = recordings.load(file).response_body
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(stream)
    decoder = EventStreamDecoder()
    assert [(m.headers, m.payload) for m in decoder.feed(stream)] == [(m.headers, m.payload) for m in buffer]
    assert not decoder.pending


@STREAMS
def test_a_streams_deltas_are_all_told(file: str) -> None:
    stream = recordings.load(file).response_body
    said: dict[str, Any] = {"text": "", "input": "", "reasoning": "", "signature": "", "redacted": 0, "citations": 0}
    for message in EventStreamDecoder().feed(stream):
        delta = json.loads(message.payload).get("delta") or {}
        reasoning = delta.get("reasoningContent") or {}
        said["text"] += delta.get("text", "")
        said["input"] += (delta.get("toolUse") or {}).get("input", "")
        said["reasoning"] += reasoning.get("text", "")
        said["signature"] += reasoning.get("signature", "")
        said["redacted"] += "redactedContent" in reasoning
        said["citations"] += "citation" in delta
    told: dict[str, Any] = {"text": "", "arguments": "", "thinking": "", "signature": "", "citation": 0}
    redacted = 0
    for event in read(stream):
        if isinstance(event, PartDelta):
            told[event.kind] += 1 if event.kind == "citation" else event.value
        elif isinstance(event, PartStart) and isinstance(event.content, Thinking):
            redacted += event.content.redacted
    assert told == {
        "text": said["text"],
        "arguments": said["input"] or ("{}" if told["arguments"] == "{}" else ""),
        "thinking": said["reasoning"],
        "signature": said["signature"],
        "citation": said["citations"],
    }
    assert redacted == said["redacted"]


@recordings.each("converse", "invoke", "count_tokens", provider="bedrock", good=False)
def test_a_recorded_error_is_understood(file: str) -> None:
    exchange = recordings.load(file)
    error = FORMAT.read_error(exchange.status, exchange.response_headers, exchange.response_body)
    message = json.loads(exchange.response_body)["message"]
    unknown = "model identifier is invalid" in message
    assert (error.status, error.message) == (exchange.status, message)
    assert error.kind == ("model_not_found" if unknown else "invalid_request")
    assert isinstance(error, GatewayError)
    assert not error.can_retry


@recordings.each("count_tokens", provider="bedrock")
def test_a_recorded_count_is_asked_and_read_as_it_was(file: str) -> None:
    exchange = recordings.load(file)
    counts = BedrockCountTokens()
    model = model_of(exchange)
    asked = exchange.request_json["input"]
    if "converse" in asked:
        written = json.loads(counts.write_request(as_request(asked["converse"], model), traits_of("x"), Dropped()))
        assert meaning(written["input"]["converse"]) == meaning(asked["converse"])
        check_request("CountTokens", model, written)
    else:
        body = json.loads(base64.b64decode(asked["invokeModel"]["body"]))
        assert body["anthropic_version"] == "bedrock-2023-05-31"
    if exchange.status == 200:
        assert (
            counts.read_reply(exchange.response_body).prompt_tokens == json.loads(exchange.response_body)["inputTokens"]
        )


JUNK: tuple[Any, ...] = (None, 0, -1, 1.5, True, "x", "", [], {}, [1], {"a": 1}, [None])


def mutated(value: Any, dice: random.Random) -> Any:
    """The value with some of its members lost, or something else."""
    if dice.random() < 0.08:
        return dice.choice(JUNK)
    if isinstance(value, dict):
        return {key: mutated(item, dice) for key, item in value.items() if dice.random() > 0.04}
    return [mutated(item, dice) for item in value] if isinstance(value, list) else value


@REPLIES
def test_a_broken_reply_is_the_providers_fault_and_never_a_crash(file: str) -> None:
    value, dice = json.loads(recordings.load(file).response_body), random.Random(file)
    for _ in range(8):
        body = json.dumps(mutated(value, dice)).encode()
        with suppress(UpstreamProtocolError):
            FORMAT.read_facts(body)
            FORMAT.read_reply(body)


@STREAMS
def test_a_broken_stream_is_the_providers_fault_and_never_a_crash(file: str) -> None:
    messages, dice = EventStreamDecoder().feed(recordings.load(file).response_body), random.Random(file)
    for _ in range(8):
        broken = (
            encode_message(message.headers, json.dumps(mutated(json.loads(message.payload), dice)).encode())
            for message in messages
            if dice.random() > 0.03
        )
        with suppress(UpstreamProtocolError):
            read(*broken)
