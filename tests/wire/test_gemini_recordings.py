"""Real exchanges with Gemini, at Google's own address and on Vertex: read and written again, they mean the same."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest

from gateway.errors import UpstreamProtocolError
from gateway.format import Dropped, Traits
from gateway.protocol import End, Event, Finish, PartDelta, PartStart, PartStop, Start, UsageUpdate
from gateway.protocol.unroll import events_of
from gateway_plugins.formats.gemini import Gemini
from gateway_plugins.formats.gemini_count_tokens import GeminiCountTokens
from gateway_plugins.formats.gemini_embeddings import GeminiEmbeddings
from tests.wire import recordings
from tests.wire.gemini_meaning import plain, reply_meaning, request_meaning

CHAT = "generateContent"
STREAMS = list(recordings.files(CHAT, stream=True, good=True))
SHORT = 2500


def read(*pieces: bytes) -> list[Event]:
    reader = Gemini().stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


def splits(stream: bytes, seed: str) -> list[bytes]:
    if len(stream) <= SHORT:
        return [stream[at : at + 1] for at in range(len(stream))]
    chance = random.Random(seed)
    places = sorted({0, len(stream), *(chance.randrange(len(stream)) for _ in range(min(400, len(stream) // 20)))})
    return [stream[start:end] for start, end in pairwise(places)]


def merged(events: list[Event]) -> dict[Any, Any]:
    """What a stream says in the end."""
    out: dict[Any, Any] = {"parts": {}}
    for event in events:
        if isinstance(event, PartStart):
            out["parts"][event.choice, event.part] = [type(event.content).__name__]
        elif isinstance(event, PartDelta) and event.value:
            out["parts"][event.choice, event.part].append((event.kind, event.value))
        elif isinstance(event, Finish):
            out[event.choice] = event.finish_reason
        elif isinstance(event, UsageUpdate):
            out["usage"] = event.usage
    return out


@recordings.each(CHAT)
def test_a_request_is_written_as_it_was_read(file: str) -> None:
    exchange = recordings.load(file)
    dropped = Dropped()
    written = Gemini().write_request(Gemini().read_request(exchange.request_body), Traits(), dropped)
    assert request_meaning(json.loads(written)) == request_meaning(exchange.request_json)
    assert not dropped


@recordings.each(CHAT, stream=False, good=True)
def test_a_reply_is_written_as_it_was_read(file: str) -> None:
    body = recordings.load(file).response_body
    dropped = Dropped()
    written = Gemini().write_reply(Gemini().read_reply(body), dropped)
    assert reply_meaning(json.loads(written)) == reply_meaning(json.loads(body))
    assert not dropped


@recordings.each(CHAT, stream=False, good=True)
def test_usage_adds_up_to_what_was_recorded(file: str) -> None:
    body = recordings.load(file).response_body
    said = json.loads(body).get("usageMetadata", {})
    facts = Gemini().read_facts(body)
    if "totalTokenCount" in said:
        assert facts.usage is not None
        assert facts.usage.total_tokens == said["totalTokenCount"]


@recordings.each_of(STREAMS)
def test_a_stream_is_complete_in_order_and_the_same_in_any_pieces(file: str) -> None:
    stream = recordings.load(file).response_body
    events = read(stream)
    assert isinstance(events[0], Start)
    assert isinstance(events[-1], End)
    opened: dict[tuple[int, int], bool] = {}
    for event in events:
        if isinstance(event, PartStart):
            assert event.part == sum(choice == event.choice for choice, _ in opened)
            opened[event.choice, event.part] = True
        elif isinstance(event, PartDelta):
            assert opened[event.choice, event.part]
        elif isinstance(event, PartStop):
            assert opened[event.choice, event.part]
            opened[event.choice, event.part] = False
    assert not any(opened.values())
    assert read(*splits(stream, file)) == events
    if not stream.lstrip().startswith(b"["):
        assert read(stream.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")) == events


@recordings.each_of(STREAMS)
def test_a_cut_stream_never_ends_well(file: str) -> None:
    stream = recordings.load(file).response_body
    last = max(stream.rfind(b'"finishReason"'), stream.rfind(b'"finish_reason"'))
    chance = random.Random(file)
    for _ in range(25):
        piece = stream[: chance.randrange(last)]
        try:
            events = read(piece)
        except UpstreamProtocolError:
            continue
        assert not any(isinstance(event, End) for event in events)


@recordings.each_of(STREAMS)
def test_a_stream_is_written_with_the_same_meaning(file: str) -> None:
    events = read(recordings.load(file).response_body)
    writer = Gemini().stream_writer(None)
    assert merged(read(b"".join(writer.write(event) for event in events))) == merged(events)


@recordings.each_of(STREAMS)
def test_the_watch_passes_a_stream_whole_and_knows_its_end(file: str) -> None:
    stream = recordings.load(file).response_body
    if stream.lstrip().startswith(b"["):
        pytest.skip("a JSON array, which we never ask for")
    watch = Gemini().stream_watch(hide_usage=False)
    out = b"".join(watch.feed(piece) for piece in splits(stream, file)) + watch.close()
    assert read(out) == read(stream)
    assert watch.complete
    assert watch.usage == next(event.usage for event in reversed(read(stream)) if isinstance(event, UsageUpdate))
    cut = Gemini().stream_watch(hide_usage=False)
    cut.feed(stream[: stream.rfind(b'"finishReason"')])
    cut.close()
    assert not cut.complete


@recordings.each(CHAT, stream=False, good=True)
def test_a_whole_reply_told_as_a_stream_says_the_same(file: str) -> None:
    reply = Gemini().read_reply(recordings.load(file).response_body)
    writer = Gemini().stream_writer(None)
    events = read(b"".join(writer.write(event) for event in events_of(reply)))
    assert merged(events)["usage"] == reply.usage
    for choice in reply.choices:
        assert merged(events)[choice.index] == choice.finish_reason


@recordings.each("generateContent", "count_tokens", "embeddings", good=False)
def test_an_error_is_understood(file: str) -> None:
    if not file.startswith(("gemini/", "vertex/")):
        pytest.skip("another provider's")
    exchange = recordings.load(file)
    error = Gemini().read_error(exchange.status, exchange.response_headers, exchange.response_body)
    assert error.status == exchange.status
    assert error.kind == ("model_not_found" if exchange.status == 404 else "invalid_request")
    assert error.message


OTHERS = [
    file
    for kind in ("count_tokens", "embeddings")
    for file in recordings.files(kind, good=True)
    if file.startswith(("gemini/", "vertex/"))
]


@recordings.each_of(OTHERS)
def test_counts_and_embeddings_are_written_as_they_were_read(file: str) -> None:
    exchange = recordings.load(file)
    count = "count_tokens" in file
    codec = GeminiCountTokens() if count else GeminiEmbeddings()
    single = "requests" not in exchange.request_json
    options = {"vertex": file.startswith("vertex/"), "single": single}
    request = codec.read_request(exchange.request_body)
    reply = codec.read_reply(exchange.response_body)
    written = json.loads(codec.write_reply(reply, Dropped(), request))
    said = json.loads(exchange.response_body)
    if "usageMetadata" in said:
        said["usageMetadata"]["totalTokenCount"] = said["usageMetadata"]["promptTokenCount"]
    assert written == said
    again = json.loads(codec.write_request(request, Traits(options=options), Dropped()))
    if count:
        said, inner = plain(exchange.request_json), plain(again)
        said, inner = said.get("generateContentRequest", said), inner.get("generateContentRequest", inner)
        for one in (said, inner):
            one.pop("model", None)
        assert request_meaning(inner) == request_meaning(said)
    else:
        for item in (*again.get("requests", [again]), *exchange.request_json.get("requests", [exchange.request_json])):
            item.get("content", {}).pop("role", None)
            item["content"]["parts"] = ["\n".join(part["text"] for part in item["content"]["parts"])]
        assert again == exchange.request_json
