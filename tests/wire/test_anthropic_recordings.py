"""Recorded exchanges with Anthropic, read and written again."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

from gateway.errors import GatewayError
from gateway.format import Dropped, Traits
from gateway.protocol import End, ErrorEvent, Event, Finish, PartDelta, PartStart, Start, UsageUpdate
from gateway.sse import decode_events
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from tests.wire import recordings
from tests.wire.anthropic_meaning import reply_meaning, request_meaning, usage_meaning
from tests.wire.anthropic_types import check_message, check_stream_events

FORMAT = AnthropicMessages()


def read_stream(*chunks: bytes) -> list[Event]:
    reader = FORMAT.stream_reader()
    events: list[Event] = []
    for chunk in chunks:
        events += reader.feed(chunk)
    return events + reader.close()


def joined(events: list[Event]) -> list[Event]:
    """The events with neighbouring deltas of one part and kind joined: how a text is cut up says nothing."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if (
            isinstance(event, PartDelta)
            and isinstance(last, PartDelta)
            and (event.part, event.kind) == (last.part, last.kind)
            and event.data is None
        ):
            out[-1] = PartDelta(part=event.part, kind=event.kind, value=last.value + event.value)
        else:
            out.append(event)
    return out


def write_stream(events: list[Event]) -> bytes:
    writer = FORMAT.stream_writer(None)
    return b"".join(map(writer.write, events))


@cache
def stream_body(file: str) -> bytes:
    return recordings.load(file).response_body


@recordings.each("messages", provider="anthropic")
def test_a_request_means_the_same_when_written_again(file: str) -> None:
    exchange = recordings.load(file)
    dropped = Dropped()
    written = json.loads(FORMAT.write_request(FORMAT.read_request(exchange.request_body), Traits(), dropped))
    assert request_meaning(written) == request_meaning(exchange.request_json)
    assert not dropped.reasons


@recordings.each("messages", provider="anthropic", stream=False, good=True)
def test_a_reply_means_the_same_when_written_again(file: str) -> None:
    body = recordings.load(file).response_body
    dropped = Dropped()
    written = json.loads(FORMAT.write_reply(FORMAT.read_reply(body), dropped))
    assert reply_meaning(written) == reply_meaning(json.loads(body))
    assert not dropped.reasons
    check_message(written)
    facts, reply = FORMAT.read_facts(body), FORMAT.read_reply(body)
    assert facts.model == reply.model
    assert facts.usage == reply.usage
    assert facts.finish_reason == reply.choices[0].finish_reason
    assert facts.error is None


@recordings.each("messages", provider="anthropic", stream=True, good=True)
def test_a_stream_is_complete_wherever_its_bytes_are_cut(file: str) -> None:
    body = stream_body(file)
    events = whole = read_stream(body)
    assert isinstance(events[0], Start)
    assert isinstance(events[-1], End)
    assert sum(isinstance(event, Finish) for event in events) == 1
    assert sum(isinstance(event, UsageUpdate) for event in events) == 1
    starts = [event.part for event in events if isinstance(event, PartStart)]
    assert starts == list(range(len(starts)))
    every_byte = [body[at : at + 1] for at in range(len(body))]
    assert read_stream(*every_byte) == whole
    dice = random.Random(file)
    cuts = sorted(dice.sample(range(1, len(body)), min(40, len(body) - 1)))
    assert read_stream(*(body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True))) == whole
    with_crlf = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert read_stream(b"\xef\xbb\xbf" + with_crlf) == whole


@recordings.each("messages", provider="anthropic", stream=True, good=True)
def test_a_stream_means_the_same_when_written_again(file: str) -> None:
    events = read_stream(stream_body(file))
    written = write_stream(events)
    assert joined(read_stream(written)) == joined(events)
    check_stream_events(written)
    usage_before, usage_after = last_usage(stream_body(file)), last_usage(written)
    assert usage_after.items() >= usage_before.items()


def last_usage(body: bytes) -> dict[str, Any]:
    event = next(event for event in decode_events(body) if json.loads(event.data)["type"] == "message_delta")
    return usage_meaning(json.loads(event.data)["usage"])


@recordings.each("messages", provider="anthropic", stream=True, good=True)
def test_a_watch_notes_the_facts_and_a_cut_is_never_a_clean_end(file: str) -> None:
    body = stream_body(file)
    events = read_stream(body)
    dice = random.Random(file)
    watch = FORMAT.stream_watch(hide_usage=True)
    passed = b""
    at = 0
    while at < len(body):
        size = dice.choice((1, 7, 100, 4000))
        out = watch.feed(body[at : at + size])
        # Only whole events pass: an error event can always follow.
        assert not out or out.endswith((b"\n\n", b"\r\n\r\n"))
        passed += out
        at += size
    passed += watch.close()
    assert passed.rstrip() == body.rstrip()
    assert watch.complete
    assert watch.error is None
    assert watch.model == next(event.model for event in events if isinstance(event, Start))
    assert watch.usage == next(event.usage for event in events if isinstance(event, UsageUpdate))
    assert watch.finish_reason == next(event.finish_reason for event in events if isinstance(event, Finish))

    stop_reason = body.rindex(b"message_delta")
    for cut in (0, 1, stop_reason, *(dice.randrange(stop_reason) for _ in range(12))):
        events = read_stream(body[:cut])
        assert not any(isinstance(event, End | Finish | ErrorEvent) for event in events)
        written = write_stream(events)
        assert b"message_stop" not in written
        assert b"message_delta" not in written
        watch = FORMAT.stream_watch(hide_usage=False)
        passed = watch.feed(body[:cut]) + watch.close()
        assert not watch.complete
        assert body.startswith(passed.rstrip())


@recordings.each("messages", provider="anthropic", good=False)
def test_an_error_is_understood_and_written_again(file: str) -> None:
    exchange = recordings.load(file)
    error = FORMAT.read_error(exchange.status, exchange.response_headers, exchange.response_body)
    assert error.status == exchange.status
    assert error.kind == {401: "authentication", 404: "model_not_found"}[exchange.status]
    recorded = json.loads(exchange.response_body)
    assert json.loads(FORMAT.write_error(error, recorded["request_id"])) == recorded
    assert isinstance(error, GatewayError)
