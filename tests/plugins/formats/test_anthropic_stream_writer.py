"""Events of other formats, written as Anthropic's stream: blocks that never overlap, and one clean end."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from gateway.errors import UpstreamDisconnected, UpstreamProtocolError
from gateway.protocol import (
    End,
    Event,
    Finish,
    Media,
    Opaque,
    Part,
    PartDelta,
    PartStart,
    PartStop,
    Ping,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from gateway.sse import decode_events
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from tests.wire.anthropic_types import check_stream_events

FORMAT = AnthropicMessages()
OWN = "anthropic_messages"
START = Start(id="r", model="m", origin="openai_chat")
DONE = [Finish(finish_reason="stop"), UsageUpdate(usage=Usage(prompt_tokens=5, completion_tokens=6)), End()]


def write(*events: Event) -> bytes:
    writer = FORMAT.stream_writer(None)
    return b"".join(map(writer.write, events))


def said(*events: Event) -> list[dict[str, Any]]:
    """The checked events of a whole stream, without those of its start and end."""
    return check_stream_events(write(START, *events, *DONE))[1:-2]


def text(part: int, *pieces: str, stop: bool = True) -> list[Event]:
    out: list[Event] = [PartStart(part=part, content=Text(text=""))]
    out += [PartDelta(part=part, kind="text", value=piece) for piece in pieces]
    return [*out, PartStop(part=part)] if stop else out


def call(part: int) -> PartStart:
    return PartStart(part=part, content=ToolCall(id=f"t{part}", name="f"))


def arguments(part: int, value: str) -> PartDelta:
    return PartDelta(part=part, kind="arguments", value=value)


def blocks_of(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Each block's type, and what its deltas say together."""
    out: list[tuple[str, str]] = []
    for event in events:
        if event["type"] == "content_block_start":
            out.append((event["content_block"]["type"], ""))
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            more = delta.get("text") or delta.get("partial_json") or delta.get("thinking") or ""
            out[-1] = (out[-1][0], out[-1][1] + more)
    return out


def test_a_whole_stream_is_written() -> None:
    events = check_stream_events(write(START, Ping(), *text(0, "a", "", "b"), *DONE))
    assert [event["type"] for event in events] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"]["usage"]["input_tokens"] == 0
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[-2]["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 6,
    }


def test_what_is_known_at_the_start_is_said_there() -> None:
    start = Start(id="r", model="m", usage=Usage(prompt_tokens=9, cache_read_tokens=2), service_tier="priority")
    usage = check_stream_events(write(start, *DONE))[0]["message"]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (7, 2)
    assert usage["service_tier"] == "priority"


def test_parallel_tool_calls_that_overlap_follow_each_other() -> None:
    events = said(
        call(0), call(1), arguments(0, '{"a"'), arguments(1, '{"b"'), arguments(0, ":1}"), arguments(1, ":2}"),
        PartStop(part=0), PartStop(part=1),
    )  # fmt: skip
    assert blocks_of(events) == [("tool_use", '{"a":1}'), ("tool_use", '{"b":2}')]


def test_the_open_block_is_not_held_up_by_later_ones() -> None:
    writer = FORMAT.stream_writer(None)
    for event in (START, call(0), call(1)):
        writer.write(event)
    assert b'{\\"a\\"' in writer.write(arguments(0, '{"a"'))
    assert writer.write(arguments(1, '{"b"')) == b""
    assert b'{\\"b\\"' in writer.write(PartStop(part=0))
    assert b":2" in writer.write(arguments(1, ":2"))


def test_parts_that_nobody_stopped_end_with_the_answer() -> None:
    events = said(*text(0, "a", stop=False), call(1), arguments(1, "{}"))
    assert blocks_of(events) == [("text", "a"), ("tool_use", "{}")]


@pytest.mark.parametrize("content", [Text(text=""), Refusal(text=""), Thinking(), Thinking(origin="openai_chat")])
def test_a_part_that_stays_empty_is_not_shown_and_holds_up_nobody(content: Part) -> None:
    events = said(PartStart(part=0, content=content), call(1), arguments(1, "{}"), PartStop(part=1), PartStop(part=0))
    assert blocks_of(events) == [("tool_use", "{}")]


def test_text_behind_a_block_that_is_open_waits() -> None:
    events = said(*text(0, stop=False), call(1), PartDelta(part=0, kind="text", value="late"), PartStop(part=1))
    assert blocks_of(events) == [("tool_use", ""), ("text", "late")]


def test_any_interleaving_gives_each_block_whole() -> None:
    dice = random.Random(7)
    for _ in range(50):
        ways: list[list[Event]] = [
            [call(part), *(arguments(part, f"{part}{at},") for at in range(4)), PartStop(part=part)]
            for part in range(4)
        ]
        events: list[Event] = []
        opened = 0
        while any(ways):
            # A part begins only when those before it have.
            part = dice.choice([at for at, way in enumerate(ways) if way and at <= opened])
            opened = max(opened, part + 1)
            events.append(ways[part].pop(0))
        assert blocks_of(said(*events)) == [("tool_use", f"{part}0,{part}1,{part}2,{part}3,") for part in range(4)]


def test_a_refusal_is_text_and_the_reason() -> None:
    body = write(
        START,
        PartStart(part=0, content=Refusal(text="")),
        PartDelta(part=0, kind="refusal", value="no"),
        PartStop(part=0),
        *DONE,
    )
    events = check_stream_events(body)
    assert blocks_of(events[1:-2]) == [("text", "no")]
    assert events[-2]["delta"]["stop_reason"] == "refusal"


def test_thinking_and_its_signature_stay_in_one_block() -> None:
    events = said(
        PartStart(part=0, content=Thinking(origin=OWN)),
        PartDelta(part=0, kind="thinking", value="hm"),
        PartDelta(part=0, kind="signature", value="s"),
        PartStop(part=0),
    )
    assert [event["type"] for event in events] == [
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
    ]
    assert events[2]["delta"] == {"type": "signature_delta", "signature": "s"}


def test_media_foreign_parts_other_answers_and_citations_are_left_out() -> None:
    events = said(
        PartStart(part=0, content=Media(kind="image", url="u")),
        PartStop(part=0),
        PartStart(part=1, content=Opaque(origin="gemini", type="x", value={})),
        PartDelta(part=1, kind="arguments", value="{}"),
        PartStop(part=1),
        PartStart(choice=1, part=0, content=Text(text="other")),
        PartDelta(choice=1, part=0, kind="text", value="other"),
        PartStop(choice=1, part=0),
        PartDelta(part=9, kind="text", value="nowhere"),
        *text(2, "a", stop=False),
        PartDelta(part=2, kind="citation", data={"url": "u"}),
        PartDelta(part=2, kind="signature", value="s"),
        Finish(choice=1, finish_reason="length"),
    )
    assert blocks_of(events) == [("text", "a")]


def test_free_text_for_a_tool_is_wrapped() -> None:
    custom = PartStart(part=0, content=ToolCall(id="t", name="f", kind="custom"))
    events = said(custom, arguments(0, 'say "'), arguments(0, 'hi"'), PartStop(part=0))
    assert [json.loads(given) for _, given in blocks_of(events)] == [{"input": 'say "hi"'}]


@pytest.mark.parametrize(
    ("reason", "stop", "word"),
    [
        ("length", None, "max_tokens"),
        ("tool_calls", None, "tool_use"),
        ("stop", "X", "stop_sequence"),
        ("content_filter", None, "refusal"),
        ("pause", None, "pause_turn"),
    ],
)
def test_the_end_says_why(reason: Any, stop: str | None, word: str) -> None:
    finish = Finish(finish_reason=reason, stop_sequence=stop)
    events = check_stream_events(write(START, *text(0, "a"), finish, End()))
    assert events[-2]["delta"] == {"stop_reason": word, "stop_sequence": stop}


def test_a_call_that_ended_with_stop_is_a_tool_use() -> None:
    events = check_stream_events(write(START, call(0), arguments(0, "{}"), PartStop(part=0), *DONE))
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_an_answer_that_broke_off_has_no_clean_end() -> None:
    with pytest.raises(UpstreamProtocolError):
        write(START, *text(0, "a"), Finish(finish_reason="error"), End())


def test_without_an_end_there_is_no_message_stop() -> None:
    body = write(START, *text(0, "a"), *DONE[:-1])
    assert b"message_delta" not in body
    assert b"message_stop" not in body


def test_an_error_is_the_last_word() -> None:
    writer = FORMAT.stream_writer(None)
    for event in (START, *text(0, "a", stop=False)):
        writer.write(event)
    (found,) = decode_events(writer.write_error(UpstreamDisconnected("gone"), "req_1"))
    assert found.event == "error"
    assert json.loads(found.data) == {
        "type": "error",
        "error": {"type": "api_error", "message": "gone"},
        "request_id": "req_1",
    }
    assert b"".join(map(writer.write, [PartStop(part=0), *DONE, Ping()])) == b""


def test_a_message_starts_once_and_ends_once() -> None:
    body = write(START, START, *text(0, "a"), *DONE, End(), Ping())
    check_stream_events(body)
