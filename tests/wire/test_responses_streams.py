"""Real streams of responses: cut, split and rewritten, they keep their meaning and no cut looks like an end."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.format import Dropped
from gateway.protocol import (
    ChatRequest,
    End,
    ErrorEvent,
    Event,
    Finish,
    PartDelta,
    PartStart,
    PartStop,
    Ping,
    Start,
    Text,
    ToolCall,
    UsageUpdate,
)
from gateway.sse import decode_events
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_responses import OpenAIResponses
from tests.wire import recordings

STREAMS = list(recordings.files("responses", stream=True, good=True))
CHATS = [file for file in recordings.files("chat", stream=True, good=True) if not file.startswith("cohere/")]
MESSAGES = list(recordings.files("messages", provider="anthropic", stream=True, good=True))
SHORT = 6000
"""Bytes up to which a stream is split at every byte."""
NEWER = "openai/responses-067.json"
"""Its web search names a source of a type (``api``) that the package's own types do not know."""
ASKED = ChatRequest(model="m", stream=True, origin="openai_responses")
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def read(*pieces: bytes) -> list[Event]:
    reader = OpenAIResponses().stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


def splits(stream: bytes, seed: str) -> list[bytes]:
    """Every byte for itself where the stream is short, else pieces of random sizes."""
    if len(stream) <= SHORT:
        return [stream[at : at + 1] for at in range(len(stream))]
    chance = random.Random(seed)
    places = sorted({0, len(stream), *(chance.randrange(len(stream)) for _ in range(len(stream) // 60))})
    return [stream[start:end] for start, end in pairwise(places)]


def parts(events: list[Event]) -> dict[int, tuple[str, Any, str, int]]:
    """Each part of a stream: its kind, its name and id, its text, and how many citations it has."""
    found: dict[int, tuple[str, Any, str, int]] = {}
    for event in events:
        if isinstance(event, PartStart):
            content = event.content
            name = (content.id, content.name, content.kind) if isinstance(content, ToolCall) else None
            found[event.part] = (type(content).__name__, name, "", 0)
        elif isinstance(event, PartDelta):
            kind, name, text, cited = found[event.part]
            cited += event.data is not None
            found[event.part] = (kind, name, text + ("" if event.kind == "encrypted" else event.value), cited)
    return found


def written_as_the_openai_package_takes_it(stream: bytes) -> Response:
    """Check the numbers and types of every event, and let OpenAI's own code put the response together."""
    state: Any = ResponseStreamState(input_tools=[], text_format=omit)
    last: Any = None
    for number, event in enumerate(decode_events(stream)):
        body = json.loads(event.data)
        assert body["type"] == event.event
        assert body["sequence_number"] == number
        last = EVENT.validate_python(body)
        state.handle_event(last)
    assert last.type in ("response.completed", "response.incomplete")
    response: Response = last.response
    return response


@recordings.each_of(STREAMS)
def test_splitting_the_bytes_changes_no_event(file: str) -> None:
    stream = recordings.load(file).response_body
    assert read(*splits(stream, file)) == read(stream)


@recordings.each_of(STREAMS)
def test_events_come_in_the_order_that_the_protocol_promises(file: str) -> None:
    events = read(recordings.load(file).response_body)
    assert isinstance(events[0], Start)
    assert sum(isinstance(event, Start) for event in events) == 1
    assert isinstance(events[-1], End)
    opened: dict[int, bool] = {}
    finished = 0
    for event in events:
        if isinstance(event, PartStart):
            assert event.part == len(opened)
            opened[event.part] = True
        elif isinstance(event, PartDelta):
            assert opened[event.part]
        elif isinstance(event, PartStop):
            assert opened[event.part]
            opened[event.part] = False
        elif isinstance(event, Finish):
            finished += 1
    assert finished == 1
    assert not any(opened.values())


@recordings.each_of(STREAMS)
def test_a_stream_says_what_its_final_response_says(file: str) -> None:
    stream = recordings.load(file).response_body
    finals = [event.data for event in decode_events(stream) if b'"output"' in event.data and event.data != b"[DONE]"]
    reply = OpenAIResponses().read_reply(json.dumps(json.loads(finals[-1])["response"]).encode())
    found = parts(read(stream)).values()
    assert [text for kind, _, text, _ in found if kind == "Text"] == [
        part.text for part in reply.choices[0].content if isinstance(part, Text)
    ]
    assert [(name, text) for kind, name, text, _ in found if kind == "ToolCall"] == [
        ((part.id, part.name, part.kind), part.arguments)
        for part in reply.choices[0].content
        if isinstance(part, ToolCall)
    ]


@recordings.each_of(STREAMS)
def test_what_is_written_reads_as_the_same_and_is_valid_for_openais_client(file: str) -> None:
    exchange = recordings.load(file)
    events = read(exchange.response_body)
    request = OpenAIResponses().read_request(exchange.request_body)
    writer = OpenAIResponses().stream_writer(request)
    written = b"".join(writer.write(event) for event in events)
    again = read(written)
    assert parts(again) == parts(events)
    assert [e.usage for e in again if isinstance(e, UsageUpdate)] == [
        e.usage for e in events if isinstance(e, UsageUpdate)
    ]
    if file == NEWER:
        return
    response = written_as_the_openai_package_takes_it(written)
    assert response.output_text == "".join(text for kind, _, text, _ in parts(events).values() if kind == "Text")


@recordings.each_of(STREAMS)
def test_a_watch_passes_every_byte_and_knows_what_the_reader_knows(file: str) -> None:
    stream = recordings.load(file).response_body
    events = read(stream)
    watch = OpenAIResponses().stream_watch(hide_usage=False)
    assert b"".join(map(watch.feed, splits(stream, file))) + watch.close() == stream
    assert watch.complete
    assert watch.error is None
    assert watch.usage == [event.usage for event in events if isinstance(event, UsageUpdate)][-1]
    assert watch.finish_reason == [event.finish_reason for event in events if isinstance(event, Finish)][-1]
    assert watch.model


@recordings.each_of(STREAMS)
def test_a_cut_is_never_a_clean_end(file: str) -> None:
    stream = recordings.load(file).response_body
    ends = [stream.find(mark) for mark in (b"event: response.completed", b"event: response.incomplete")]
    ends += [stream.find(b'data: {"type":"response.completed"')]
    limit = min(end for end in ends if end >= 0)
    chance = random.Random(file)
    for at in [chance.randrange(1, limit) for _ in range(10)]:
        cut = stream[:at]
        assert not any(isinstance(event, End) for event in read(cut))
        watch = OpenAIResponses().stream_watch(hide_usage=False)
        passed = watch.feed(cut) + watch.close()
        assert not watch.complete
        assert cut.startswith(passed.rstrip())
        assert not passed or passed.endswith((b"\n\n", b"\r\n\r\n"))


@recordings.each_of([*CHATS, *MESSAGES])
def test_streams_of_other_formats_reach_responses_callers_whole(file: str) -> None:
    """As OpenAI's own package reads them; what they end with is what a whole reply would have been."""
    form = AnthropicMessages() if file in MESSAGES else OpenAIChat()
    reader = form.stream_reader()
    stream = recordings.load(file).response_body
    events = [event for event in reader.feed(stream) + reader.close() if not isinstance(event, Ping)]
    start = next(event for event in events if isinstance(event, Start))
    start.id = start.id or "call_1"
    dropped = Dropped()
    writer = OpenAIResponses().stream_writer(ASKED, dropped)
    written = b"".join(writer.write(event) for event in events)
    if isinstance(events[-1], ErrorEvent):
        kinds = [json.loads(event.data)["type"] for event in decode_events(written)]
        assert kinds[-2:] == ["error", "response.failed"]
        return
    if not isinstance(events[-1], End):
        assert b"response.completed" not in written
        return
    response = written_as_the_openai_package_takes_it(written)
    first = [event for event in events if getattr(event, "choice", 0) == 0]
    if any(getattr(event, "choice", 0) for event in events):
        assert "choices[1]" in dropped.reasons
    found = parts(first)
    assert response.output_text == "".join(text for kind, _, text, _ in found.values() if kind == "Text")
    calls = [(name, text or "{}") for kind, name, text, _ in found.values() if kind == "ToolCall"]
    assert [
        ((item.call_id, item.name, "function"), item.arguments)
        for item in response.output
        if item.type == "function_call"
    ] == calls
    thoughts = [text for kind, _, text, _ in found.values() if kind == "Thinking" and text]
    shown = "".join(piece.text for item in response.output if item.type == "reasoning" for piece in item.summary)
    assert all(thought.startswith(shown[:5]) or shown for thought in thoughts)
    assert response.usage is None or response.usage.total_tokens >= response.usage.output_tokens
