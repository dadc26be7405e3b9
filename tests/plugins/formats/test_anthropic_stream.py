"""Anthropic's stream, read into events; the recorded ones are in tests/wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import UpstreamProtocolError
from gateway.protocol import (
    End,
    ErrorEvent,
    Event,
    Finish,
    Opaque,
    PartDelta,
    PartStart,
    PartStop,
    Ping,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from gateway_plugins.formats.anthropic_messages import AnthropicMessages

FORMAT = AnthropicMessages()
OWN = "anthropic_messages"


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def start(**message: Any) -> bytes:
    usage = {"input_tokens": 3, "output_tokens": 1}
    return event("message_start", message={"id": "msg", "model": "m", "content": [], "usage": usage, **message})


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any], stop: bool = True) -> bytes:
    out = event("content_block_start", index=index, content_block=content)
    out += b"".join(event("content_block_delta", index=index, delta=delta) for delta in deltas)
    return out + (event("content_block_stop", index=index) if stop else b"")


def finish(reason: str = "end_turn", **more: Any) -> bytes:
    return event(
        "message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 7}, **more
    )


STOP = event("message_stop")
TEXT = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "hi"})


def read(data: bytes, *, close: bool = True) -> list[Event]:
    reader = FORMAT.stream_reader()
    return reader.feed(data) + (reader.close() if close else [])


def test_a_stream_of_text_is_read() -> None:
    assert read(start() + event("ping") + TEXT + finish() + STOP, close=False) == [
        Start(id="msg", model="m", usage=Usage(prompt_tokens=3, completion_tokens=1), origin=OWN),
        Ping(),
        PartStart(part=0, content=Text(text="")),
        PartDelta(part=0, kind="text", value="hi"),
        PartStop(part=0),
        Finish(finish_reason="stop", native_finish_reason="end_turn"),
        UsageUpdate(usage=Usage(prompt_tokens=3, completion_tokens=7)),
        End(),
    ]


def parts_of(*blocks: bytes) -> list[Event]:
    """The events between the start and the end."""
    events = read(start() + b"".join(blocks) + finish() + STOP)
    return events[1:-3]


def test_thinking_keeps_its_signature() -> None:
    thinking = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "s"},
    )
    assert parts_of(thinking, block(1, {"type": "redacted_thinking", "data": "d"})) == [
        PartStart(part=0, content=Thinking(origin=OWN)),
        PartDelta(part=0, kind="thinking", value="hm"),
        PartDelta(part=0, kind="signature", value="s"),
        PartStop(part=0),
        PartStart(part=1, content=Thinking(redacted=True, encrypted="d", origin=OWN)),
        PartStop(part=1),
    ]


def test_a_tool_call_streams_its_arguments() -> None:
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "direct"}}
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", '{"a"', ":1}")]
    assert parts_of(block(0, use, *pieces)) == [
        PartStart(part=0, content=ToolCall(id="t", name="f", extra={"caller": {"type": "direct"}})),
        PartDelta(part=0, kind="arguments", value='{"a"'),
        PartDelta(part=0, kind="arguments", value=":1}"),
        PartStop(part=0),
    ]


@pytest.mark.parametrize(("given", "arguments"), [({}, "{}"), ({"a": 1}, '{"a":1}'), (None, "{}")])
def test_a_tool_call_without_deltas_has_the_input_of_its_start(given: Any, arguments: str) -> None:
    events = parts_of(block(0, {"type": "tool_use", "id": "t", "name": "f", "input": given}))
    assert events[1] == PartDelta(part=0, kind="arguments", value=arguments)


def test_citations_and_what_a_start_already_says_become_deltas() -> None:
    content = {"type": "text", "text": "a", "citations": [{"type": "x"}]}
    assert parts_of(block(0, content, {"type": "citations_delta", "citation": {"type": "y"}})) == [
        PartStart(part=0, content=Text(text="")),
        PartDelta(part=0, kind="text", value="a"),
        PartDelta(part=0, kind="citation", data={"type": "x"}),
        PartDelta(part=0, kind="citation", data={"type": "y"}),
        PartStop(part=0),
    ]


def test_blocks_and_deltas_that_only_anthropic_understands_are_kept_whole() -> None:
    server = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    piece = {"type": "input_json_delta", "partial_json": '{"query":"q"}'}
    novel = {"type": "novel_delta", "x": 1}
    assert parts_of(block(0, server, piece), block(1, {"type": "text", "text": ""}, novel)) == [
        PartStart(part=0, content=Opaque(origin=OWN, type="server_tool_use", value=server)),
        PartStop(part=0, extra={"deltas": [piece]}),
        PartStart(part=1, content=Text(text="")),
        PartStop(part=1, extra={"deltas": [novel]}),
    ]


def test_a_finish_keeps_what_has_no_place() -> None:
    late = event(
        "message_delta",
        delta={"stop_reason": "stop_sequence", "stop_sequence": "X", "container": {"id": "c"}, "stop_details": None},
        usage={"output_tokens": 7, "input_tokens": 5, "cache_read_input_tokens": 2},
        context_management={"applied_edits": []},
    )
    events = read(start() + TEXT + late + STOP)
    assert events[-3:] == [
        Finish(
            finish_reason="stop",
            native_finish_reason="stop_sequence",
            stop_sequence="X",
            extra={"container": {"id": "c"}, "context_management": {"applied_edits": []}},
        ),
        UsageUpdate(usage=Usage(prompt_tokens=7, completion_tokens=7, cache_read_tokens=2)),
        End(),
    ]


def test_a_stop_reason_makes_a_stream_complete_and_nothing_less_does() -> None:
    assert isinstance(read(start() + TEXT + finish())[-1], End)
    for cut in (b"", start(), start() + TEXT, start() + TEXT + finish()[:-9], start() + TEXT + b'data: {"type":"mess'):
        assert not any(isinstance(found, End) for found in read(cut))


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert isinstance(read((start() + TEXT + finish() + STOP).rstrip())[-1], End)


def test_what_a_sloppy_server_leaves_out_is_put_in() -> None:
    # No content_block_stop, a start said twice, and OpenAI's end mark.
    use = block(0, {"type": "tool_use", "id": "t", "name": "f"}, stop=False)
    events = read(start() + start() + use + finish("tool_use") + STOP + b"data: [DONE]\n\n")
    assert [type(found) for found in events] == [Start, PartStart, PartDelta, PartStop, Finish, UsageUpdate, End]
    assert isinstance(events[4], Finish)
    assert events[4].finish_reason == "tool_calls"
    # An index that begins again ends the block that had it.
    again = block(0, {"type": "text", "text": "a"}, stop=False) + block(0, {"type": "text", "text": "b"})
    assert [type(found) for found in parts_of(again)] == [PartStart, PartDelta, PartStop] * 2


def test_an_end_without_a_stop_reason_is_no_end() -> None:
    data = start() + TEXT + STOP
    assert not any(isinstance(found, End | Finish) for found in read(data))
    watch = FORMAT.stream_watch(hide_usage=False)
    assert watch.feed(data) + watch.close() == start() + TEXT
    assert not watch.complete


def test_an_error_ends_the_stream_and_nothing_follows() -> None:
    error = {"type": "overloaded_error", "message": "Overloaded"}
    events = read(start() + TEXT + event("error", error=error) + finish() + STOP)
    assert events[-1] == ErrorEvent(kind="overloaded", message="Overloaded", status=529, data=error)
    assert not any(isinstance(found, End | Finish) for found in events)
    assert read(event("error", error=None))[-1] == ErrorEvent(
        kind="server_error", message="The provider reported an error.", status=500
    )


def test_unknown_events_and_those_behind_the_end_are_passed_over() -> None:
    assert read(event("novelty", x=1)) == []
    assert isinstance(read(start() + TEXT + finish() + STOP + b"data: {broken\n\n")[-1], End)


@pytest.mark.parametrize(
    "data",
    [
        b"data: {broken\n\n",
        b"data: []\n\n",
        b"data: " + b"[" * 9999 + b"\n\n",
        TEXT,
        STOP,
        start() + event("content_block_delta", index=0, delta={"type": "text_delta", "text": "x"}),
        start() + event("content_block_start", index=0),
    ],
)
def test_what_is_no_stream_is_the_providers_fault(data: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        read(data)


# The watch of the same-dialect lane


def test_a_watch_sees_an_error_and_no_end() -> None:
    watch = FORMAT.stream_watch(hide_usage=False)
    data = start() + TEXT + event("error", error={"type": "api_error", "message": "broken"})
    assert watch.feed(data + STOP) == data
    assert watch.feed(STOP) == b""
    assert watch.close() == b""
    assert watch.error is not None
    assert watch.error.kind == "server_error"
    assert not watch.complete


def test_a_watch_holds_back_what_is_not_whole() -> None:
    watch = FORMAT.stream_watch(hide_usage=False)
    assert watch.feed(start() + TEXT[:30]) == start()
    assert watch.close() == b""
    assert not watch.complete


def test_a_watch_adds_the_blank_line_that_is_missing_at_the_end() -> None:
    watch = FORMAT.stream_watch(hide_usage=False)
    body = start() + TEXT + finish() + STOP
    assert watch.feed(body[:-1]) + watch.close() == body
    assert watch.complete


def test_a_watch_counts_a_stop_reason_as_the_end_when_the_stream_closes() -> None:
    watch = FORMAT.stream_watch(hide_usage=False)
    watch.feed(start() + TEXT + finish())
    assert not watch.complete
    assert json.loads(watch.close().partition(b"data: ")[2]) == {"type": "message_stop"}
    assert watch.complete
    assert watch.usage == Usage(prompt_tokens=3, completion_tokens=7)


def test_a_watch_is_not_misled_by_words_in_a_text() -> None:
    text = {"type": "text_delta", "text": 'event: error "type":"error" message_stop'}
    data = start() + block(0, {"type": "text", "text": ""}, text)
    watch = FORMAT.stream_watch(hide_usage=False)
    assert watch.feed(data) + watch.feed(b"data: {broken message_stop\n\n") == data + b"data: {broken message_stop\n\n"
    assert not watch.complete
    assert watch.error is None
