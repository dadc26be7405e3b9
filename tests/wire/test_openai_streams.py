"""Real streams of chat completions: cut, split and rewritten, they keep their meaning and no cut looks like an end."""

from __future__ import annotations

import random
from itertools import pairwise

from openai.types.chat import ChatCompletionChunk

from gateway.protocol import (
    ChatRequest,
    End,
    ErrorEvent,
    Event,
    Finish,
    PartDelta,
    PartStart,
    PartStop,
    Start,
    UsageUpdate,
)
from gateway.sse import decode_events
from gateway_plugins.formats.openai_chat import OpenAIChat
from tests.wire import recordings

STREAMS = [file for file in recordings.files("chat", stream=True, good=True) if not file.startswith("cohere/")]
ASKED = ChatRequest(model="m", stream=True, include_usage=True)
SHORT = 6000
"""Bytes up to which a stream is split at every byte."""


def read(*pieces: bytes) -> list[Event]:
    reader = OpenAIChat().stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


def splits(stream: bytes, seed: str) -> list[bytes]:
    """Every byte for itself where the stream is short, else pieces of random sizes."""
    if len(stream) <= SHORT:
        return [stream[at : at + 1] for at in range(len(stream))]
    chance = random.Random(seed)
    places = sorted({0, len(stream), *(chance.randrange(len(stream)) for _ in range(len(stream) // 40))})
    return [stream[start:end] for start, end in pairwise(places)]


def last_usage_only(events: list[Event]) -> list[Event]:
    counted = [event for event in events if isinstance(event, UsageUpdate)][-1:]
    return [event for event in events if not isinstance(event, UsageUpdate | ErrorEvent)] + counted


@recordings.each_of(STREAMS)
def test_splitting_the_bytes_changes_no_event(file: str) -> None:
    stream = recordings.load(file).response_body
    assert read(*splits(stream, file)) == read(stream)


@recordings.each_of(STREAMS)
def test_events_come_in_the_order_that_the_protocol_promises(file: str) -> None:
    events = read(recordings.load(file).response_body)
    assert isinstance(events[0], Start)
    assert sum(isinstance(event, Start) for event in events) == 1
    assert isinstance(events[-1], End | ErrorEvent)
    opened: dict[tuple[int, int], bool] = {}
    finished: set[int] = set()
    for event in events:
        if isinstance(event, PartStart):
            assert (event.choice, event.part) not in opened
            assert event.part == sum(choice == event.choice for choice, _ in opened)
            opened[event.choice, event.part] = True
        elif isinstance(event, PartDelta):
            assert opened[event.choice, event.part]
        elif isinstance(event, PartStop):
            assert opened[event.choice, event.part]
            opened[event.choice, event.part] = False
        elif isinstance(event, Finish):
            assert event.choice not in finished
            finished.add(event.choice)
    if isinstance(events[-1], End):
        assert not any(opened.values())
        assert finished >= {choice for choice, _ in opened}


@recordings.each_of(STREAMS)
def test_what_is_written_reads_as_the_same_events_and_is_valid_for_openais_client(file: str) -> None:
    events = read(recordings.load(file).response_body)
    writer = OpenAIChat().stream_writer(ASKED)
    written = b"".join(writer.write(event) for event in events)
    assert last_usage_only(read(written)) == last_usage_only(events)
    chunks = [event.data for event in decode_events(written)]
    assert (chunks[-1] == b"[DONE]") is isinstance(events[-1], End)
    ids = set()
    for data in chunks:
        if data != b"[DONE]" and not data.startswith(b'{"error"'):
            chunk = ChatCompletionChunk.model_validate_json(data)
            ids.add((chunk.id, chunk.created, chunk.model))
    assert len(ids) == 1


@recordings.each_of(STREAMS)
def test_a_watch_passes_every_byte_and_knows_what_the_reader_knows(file: str) -> None:
    stream = recordings.load(file).response_body
    events = read(stream)
    usage = [event.usage for event in events if isinstance(event, UsageUpdate)]
    watch = OpenAIChat().stream_watch(hide_usage=False)
    passed = b"".join(map(watch.feed, splits(stream, file))) + watch.close()
    assert passed == (stream if b"[DONE]" in stream or watch.error else stream + b"data: [DONE]\n\n")
    assert watch.complete is isinstance(events[-1], End)
    assert watch.usage == (usage[-1] if usage else None)
    assert (watch.error is not None) is isinstance(events[-1], ErrorEvent)
    assert isinstance(events[0], Start)
    # A recording begins with a space, by which its first event is none.
    assert watch.model == events[0].model


@recordings.each_of(STREAMS)
def test_a_watch_hides_only_the_chunk_that_holds_usage_and_nothing_else(file: str) -> None:
    stream = recordings.load(file).response_body
    watch = OpenAIChat().stream_watch(hide_usage=True)
    passed = b"".join(map(watch.feed, splits(stream, file))) + watch.close()
    kept = [
        event for event in decode_events(stream) if not (b'"choices":[]' in event.data and b'"usage":{' in event.data)
    ]
    assert [event for event in decode_events(passed) if event.data != b"[DONE]"] == [
        event for event in kept if event.data != b"[DONE]"
    ]


@recordings.each_of(STREAMS)
def test_a_cut_is_never_a_clean_end(file: str) -> None:
    stream = recordings.load(file).response_body
    # Whatever comes first: a finish reason, or an end mark without one.
    ends = [stream.find(mark) for mark in (b'"finish_reason":"', b'"finish_reason": "', b"data: [DONE]")]
    limit = min(end for end in ends if end >= 0) if any(end >= 0 for end in ends) else len(stream)
    chance = random.Random(file)
    for at in [chance.randrange(1, limit) for _ in range(12)]:
        cut = stream[:at]
        assert not any(isinstance(event, End) for event in read(cut))
        watch = OpenAIChat().stream_watch(hide_usage=False)
        passed = watch.feed(cut) + watch.close()
        assert not watch.complete
        assert cut.startswith(passed.rstrip())
        assert not passed or passed.endswith((b"\n\n", b"\r\n\r\n"))
