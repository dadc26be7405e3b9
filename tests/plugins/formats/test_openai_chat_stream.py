"""Streamed chat completions, read: one order of events, whatever way a provider has of sending them."""

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
    Refusal,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from gateway_plugins.formats.openai_chat import OpenAIChat

DONE = b"data: [DONE]\n\n"
UNNAMED = {"id": "x", "object": "chat.completion.chunk", "created": 7, "model": "m"}


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: Any = None, index: int = 0, **fields: Any) -> bytes:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    return event(
        {"id": "x", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices, **fields}
    )


def calls(*entries: dict[str, Any]) -> bytes:
    return chunk({"tool_calls": list(entries)})


def call(name: str | None = None, arguments: str | None = None, **fields: Any) -> dict[str, Any]:
    function: dict[str, Any] = {}
    if name is not None:
        function["name"] = name
    if arguments is not None:
        function["arguments"] = arguments
    return {**fields, "function": function}


def read(*pieces: bytes) -> list[Event]:
    reader = OpenAIChat().stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


START = Start(id="x", model="m", created=7, origin="openai_chat")


def text(value: str, part: int = 0, choice: int = 0) -> PartDelta:
    return PartDelta(choice=choice, part=part, kind="text", value=value)


def called(events: list[Event]) -> list[tuple[str, str, str]]:
    """The calls of a stream: id, name and joined arguments, in the order of their parts."""
    found: dict[int, list[str]] = {}
    stopped: set[int] = set()
    for item in events:
        if isinstance(item, PartStart) and isinstance(item.content, ToolCall):
            assert item.part not in found
            found[item.part] = [item.content.id, item.content.name, item.content.arguments]
        elif isinstance(item, PartDelta) and item.kind == "arguments":
            assert item.part not in stopped
            found[item.part][2] += item.value
        elif isinstance(item, PartStop):
            stopped.add(item.part)
    assert stopped >= found.keys()
    return [(values[0], values[1], values[2]) for _, values in sorted(found.items())]


def test_a_text_from_start_to_end() -> None:
    stream = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        chunk(usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}),
        DONE,
    ]
    assert read(*stream) == [
        START,
        PartStart(part=0, content=Text(text="")),
        text("Hel"),
        text("lo"),
        PartStop(part=0),
        Finish(finish_reason="stop"),
        UsageUpdate(usage=Usage(prompt_tokens=3, completion_tokens=2)),
        End(),
    ]


def test_line_ends_byte_order_mark_comments_and_blank_data_do_not_matter() -> None:
    plain = chunk({"content": "Hi"}) + chunk({}, "stop") + DONE
    odd = b"\xef\xbb\xbf: hello\r\n\r\ndata:\r\n\r\n" + plain.replace(b"\n", b"\r\n")
    assert read(odd) == read(plain)
    assert read(*(odd[at : at + 1] for at in range(len(odd)))) == read(plain)
    assert read(plain.replace(b"\n", b"\r")) == read(plain)


def test_usage_is_taken_from_wherever_it_comes() -> None:
    counted = {"prompt_tokens": 3, "completion_tokens": 2}
    expected = UsageUpdate(usage=Usage(prompt_tokens=3, completion_tokens=2))
    with_finish = read(chunk({"content": "a"}), chunk({}, "stop", usage=counted), DONE)
    assert with_finish[-3:] == [Finish(finish_reason="stop"), expected, End()]
    groq = read(chunk({"content": "a"}), chunk({}, "stop", x_groq={"id": "r", "usage": counted}), DONE)
    assert groq[-2:] == [expected, End()]
    # OpenRouter: behind the finish reason, with a choice that says nothing.
    behind = read(chunk({"content": "a"}), chunk({}, "stop"), chunk({"content": ""}, usage=counted), DONE)
    assert behind[-3:] == [Finish(finish_reason="stop"), expected, End()]
    each = read(chunk({"content": "a"}, usage=counted), chunk({}, "stop", usage=counted), DONE)
    assert each.count(expected) == 2


def test_a_missing_end_mark_is_forgiven_only_behind_a_finish_reason() -> None:
    begun = chunk({"content": "a"})
    assert isinstance(read(begun, chunk({}, "stop"))[-1], End)
    assert isinstance(read(begun, chunk({}, "stop").rstrip())[-1], End)
    assert read(begun)[-1] == text("a")
    assert not any(isinstance(item, End) for item in read(begun, chunk({}, "stop").rstrip()[:-1]))
    two = [chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, "stop")]
    assert not any(isinstance(item, End) for item in read(*two))
    assert isinstance(read(*two, chunk({}, "stop", index=1))[-1], End)


def test_the_end_mark_ends_a_choice_of_a_provider_that_knows_no_reasons() -> None:
    def told(**delta: Any) -> bytes:
        return event({**UNNAMED, "choices": [{"index": 0, "delta": delta}]})

    assert read(told(content="a"), DONE)[-2:] == [Finish(finish_reason="stop"), End()]
    calling = told(tool_calls=[call("f", "{}", index=0, id="c")])
    assert read(calling, DONE)[-2:] == [Finish(finish_reason="tool_calls"), End()]


def test_an_end_mark_without_the_reason_that_was_promised_is_no_end() -> None:
    for cut in (chunk({"content": "a"}), calls(call("f", "{}", index=0, id="c"))):
        assert not any(isinstance(item, End | Finish) for item in read(cut, DONE))


def test_what_follows_the_end_is_not_read() -> None:
    good = [chunk({"content": "a"}), chunk({}, "stop"), DONE]
    assert read(*good, event({"error": {"message": "late"}}), DONE) == read(*good)


def test_a_stream_that_ends_before_it_began_is_a_protocol_error() -> None:
    with pytest.raises(UpstreamProtocolError):
        read(DONE)


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: [1]\n\n", b"data: text\n\n", b'data: {"a":"\xff"}\n\n'])
def test_an_event_that_is_no_json_object_is_a_protocol_error_behind_what_was_good(data: bytes) -> None:
    reader = OpenAIChat().stream_reader()
    with pytest.raises(UpstreamProtocolError):
        reader.feed(data)
    reader = OpenAIChat().stream_reader()
    assert len(reader.feed(chunk({"content": "a"}) + data)) == 3
    with pytest.raises(UpstreamProtocolError):
        reader.feed(b"")
    with pytest.raises(UpstreamProtocolError):
        reader.close()


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (event({"error": {"message": "Broke", "type": "server_error", "code": None}}), "server_error", 500),
        (event({"error": {"message": "Broke", "code": 429}}), "rate_limit", 429),
        (event({"error": "Broke"}), "upstream", 502),
        (event({"choices": None, "base_resp": {"status_code": 1013, "status_msg": "Broke"}}), "upstream", 502),
        (b"event: error\n" + event({"error": "Broke", "error_type": "overloaded"}), "overloaded", 529),
        (event({"object": "error", "message": "Broke", "code": 400}), "invalid_request", 400),
        (b"event: error\n" + event({"message": "Broke"}), "upstream", 502),
        (b"event: error\n" + event({"error": {"message": "Broke", "status_code": 400}}), "invalid_request", 400),
        (
            event({"id": "x", "choices": [{"index": 0, "error": {"code": 502, "message": "Broke"}, "delta": {}}]}),
            "upstream",
            502,
        ),
        (event({"type": "error", "error": {"type": "overloaded_error", "message": "Broke"}}), "overloaded", 529),
    ],
)
def test_an_error_in_the_stream_ends_it_without_an_end(data: bytes, kind: str, status: int) -> None:
    events = read(chunk({"content": "a"}), data, chunk({}, "stop"), DONE)
    failed = events[-1]
    assert isinstance(failed, ErrorEvent)
    assert (failed.kind, failed.status, failed.message) == (kind, status, "Broke")
    assert sum(isinstance(item, ErrorEvent) for item in events) == 1


def test_a_provider_that_says_it_broke_off_has_not_finished() -> None:
    events = read(chunk({"content": "a"}), chunk({}, "insufficient_system_resource"), DONE)
    assert isinstance(events[-1], ErrorEvent)
    assert events[-1].kind == "overloaded"


def test_thinking_comes_before_the_text_and_is_a_part_of_its_own() -> None:
    for field in ("reasoning_content", "reasoning"):
        events = read(chunk({field: "Hm"}), chunk({field: "m", "content": None}), chunk({"content": "a"}, "stop"), DONE)
        assert events == [
            START,
            PartStart(part=0, content=Thinking(origin="openai_chat")),
            PartDelta(part=0, kind="thinking", value="Hm"),
            PartDelta(part=0, kind="thinking", value="m"),
            PartStop(part=0),
            PartStart(part=1, content=Text(text="")),
            text("a", part=1),
            PartStop(part=1),
            Finish(finish_reason="stop"),
            End(),
        ]


def test_reasoning_details_keep_signatures_with_their_text() -> None:
    def detail(**fields: Any) -> bytes:
        return chunk({"content": "", "reasoning": fields.get("text"), "reasoning_details": [{"index": 0, **fields}]})

    claude = {"type": "reasoning.text", "format": "anthropic-claude-v1"}
    events = read(
        detail(**claude, text="H"),
        detail(**claude, text="m"),
        detail(**claude, signature="sig"),
        detail(type="reasoning.encrypted", format="anthropic-claude-v1", data="red"),
        chunk({"content": "a"}, "stop"),
        DONE,
    )
    assert events[1:9] == [
        PartStart(part=0, content=Thinking(origin="anthropic_messages")),
        PartDelta(part=0, kind="thinking", value="H"),
        PartDelta(part=0, kind="thinking", value="m"),
        PartDelta(part=0, kind="signature", value="sig"),
        PartStop(part=0),
        PartStart(part=1, content=Thinking(redacted=True, encrypted="red", origin="anthropic_messages")),
        PartStop(part=1),
        PartStart(part=2, content=Text(text="")),
    ]


def test_mistral_chunks_are_thinking_text_and_what_only_mistral_understands() -> None:
    events = read(
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]}),
        chunk({"content": [{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}]}, "stop"),
        DONE,
    )
    assert [item.content for item in events if isinstance(item, PartStart)] == [
        Thinking(origin="openai_chat"),
        Text(text=""),
        Opaque(origin="openai_chat", type="reference", value={"type": "reference", "reference_ids": [1]}),
    ]


def test_databricks_chunks_are_thinking_with_its_signature() -> None:
    def summary(**fields: Any) -> bytes:
        return chunk({"content": [{"type": "reasoning", "summary": [{"type": "summary_text", **fields}]}]})

    events = read(summary(text="Hm"), summary(text="", signature="sig"), chunk({"content": "a"}, "stop"), DONE)
    assert events[1:6] == [
        PartStart(part=0, content=Thinking(origin="openai_chat")),
        PartDelta(part=0, kind="thinking", value="Hm"),
        PartDelta(part=0, kind="signature", value="sig"),
        PartStop(part=0),
        PartStart(part=1, content=Text(text="")),
    ]


def test_refusals_citations_logprobs_images_and_audio_have_their_events() -> None:
    logprobs: dict[str, Any] = {
        "content": [{"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}],
        "refusal": None,
    }
    citation = {"type": "url_citation", "url_citation": {"url": "u"}}
    first = {"index": 0, "delta": {"content": "a"}, "logprobs": logprobs, "finish_reason": None}
    halves = [base64.b64encode(half).decode() for half in (b"1", b"23")]
    events = read(
        event({"id": "x", "created": 7, "model": "m", "choices": [first]}),
        chunk({"annotations": [citation]}),
        chunk({"refusal": "No"}),
        chunk({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}),
        chunk({"audio": {"id": "au", "transcript": "b", "data": halves[0]}}),
        chunk({"audio": {"data": halves[1], "transcript": "c", "expires_at": 9}}),
        chunk({}, "stop"),
        DONE,
    )
    assert events[1:-2] == [
        PartStart(part=0, content=Text(text="")),
        PartDelta(part=0, kind="text", value="a", logprobs=logprobs),
        PartDelta(part=0, kind="citation", data=citation),
        PartStop(part=0),
        PartStart(part=1, content=Refusal(text="")),
        PartDelta(part=1, kind="refusal", value="No"),
        PartStop(part=1),
        PartStart(part=2, content=Media(kind="image", media_type="image/png", data="AA")),
        PartStop(part=2),
        PartStart(
            part=3,
            content=Media(
                kind="audio",
                data=base64.b64encode(b"123").decode(),
                extra={"id": "au", "transcript": "bc", "expires_at": 9},
            ),
        ),
        PartStop(part=3),
    ]


def test_a_tool_call_is_announced_with_its_name_and_ended_before_the_finish() -> None:
    events = read(
        calls(call("f", "", index=0, id="c", type="function")),
        calls(call(None, '{"a"', index=0)),
        calls(call(None, ":1}", index=0)),
        chunk({}, "tool_calls"),
        DONE,
    )
    assert events == [
        START,
        PartStart(part=0, content=ToolCall(id="c", name="f")),
        PartDelta(part=0, kind="arguments", value='{"a"'),
        PartDelta(part=0, kind="arguments", value=":1}"),
        PartStop(part=0),
        Finish(finish_reason="tool_calls"),
        End(),
    ]


TWO = [("c", "f", '{"a":1}'), ("d", "g", '{"b":2}')]


@pytest.mark.parametrize(
    "stream",
    [
        # as OpenAI does
        [
            calls(call("f", "", index=0, id="c")),
            calls(call(None, '{"a":1}', index=0)),
            calls(call("g", "", index=1, id="d")),
            calls(call(None, '{"b":2}', index=1)),
        ],
        # by turns
        [
            calls(call("f", "", index=0, id="c"), call("g", "", index=1, id="d")),
            calls(call(None, '{"a"', index=0), call(None, '{"b"', index=1)),
            calls(call(None, ":1}", index=0)),
            calls(call(None, ":2}", index=1)),
        ],
        # several in one delta, whole
        [calls(call("f", '{"a":1}', index=0, id="c"), call("g", '{"b":2}', index=1, id="d"))],
        # without numbers
        [calls(call("f", '{"a":1}', id="c"), call("g", '{"b":2}', id="d"))],
        [calls(call("f", '{"a":', id="c")), calls(call(None, "1}")), calls(call("g", '{"b":2}', id="d"))],
        # every call has the number 0
        [calls(call("f", '{"a":1}', index=0, id="c")), calls(call("g", '{"b":2}', index=0, id="d"))],
        # the id on every delta, and the name too
        [
            calls(call("f", '{"a"', index=0, id="c")),
            calls(call("f", ":1}", index=0, id="c")),
            calls(call("g", '{"b"', index=1, id="d")),
            calls(call("g", ":2}", index=1, id="d")),
        ],
        # another id on every delta
        [
            calls(call("f", '{"a"', index=0, id="c")),
            calls(call(None, ":1}", index=0, id="z1")),
            calls(call("g", '{"b"', index=1, id="d")),
            calls(call(None, ":2}", index=1, id="z2")),
        ],
        # the number and the id with the first delta only
        [
            calls(call("f", "", index=0, id="c")),
            calls(call(None, '{"a":1}')),
            calls(call("g", "", index=1, id="d")),
            calls(call(None, '{"b":2}')),
        ],
        # the name in pieces, empty ids behind the first
        [
            calls(call("", "", index=0, id="c")),
            calls(call("f", None, index=0, id="")),
            calls(call(None, '{"a":1}', index=0, id="")),
            calls(call("g", '{"b":2}', index=1, id="d")),
        ],
        # arguments as an object, and all of it said again at the end
        [
            calls({"index": 0, "id": "c", "function": {"name": "f", "arguments": {"a": 1}}}),
            calls(call("f", '{"a":1}', index=0, id="c")),
            calls(call("g", '{"b":2}', index=1, id="d")),
        ],
    ],
)
def test_parallel_calls_are_told_apart_whatever_the_provider_leaves_out(stream: list[bytes]) -> None:
    events = read(*stream, chunk({}, "tool_calls"), DONE)
    assert called(events) == TWO
    assert events[-2:] == [Finish(finish_reason="tool_calls"), End()]


def test_a_name_in_pieces_is_announced_whole() -> None:
    events = read(
        calls(call("get_", "", index=0, id="c")),
        calls(call("weather", "", index=0)),
        calls(call(None, "{}", index=0)),
        chunk({}, "tool_calls"),
    )
    assert called(events) == [("c", "get_weather", "{}")]


def test_calls_without_ids_or_with_the_same_one_get_ids_of_their_own() -> None:
    without = read(calls(call("f", "{}", index=0, id=""), call("g", "{}", index=1)), chunk({}, "tool_calls"), DONE)
    assert called(without) == [("call_x_0", "f", "{}"), ("call_x_1", "g", "{}")]
    unnumbered = read(calls(call("f", "{}"), call("g", "{}")), chunk({}, "tool_calls"))
    assert called(unnumbered) == [("call_x_0", "f", "{}"), ("call_x_1", "g", "{}")]
    same = calls(call("f", "{}", index=0, id="c"), call("g", "{}", index=1, id="c"))
    repeated = read(same, chunk({}, "tool_calls"))
    assert called(repeated) == [("c", "f", "{}"), ("call_x_1", "g", "{}")]


def test_calls_that_do_not_overlap_are_closed_one_by_one() -> None:
    events = read(
        calls(call("f", "{}", index=0, id="c")),
        calls(call("g", "{}", index=1, id="d")),
        chunk({"content": "a"}, "tool_calls"),
    )
    kinds = [(type(item).__name__, item.part) for item in events if isinstance(item, PartStart | PartStop)]
    assert kinds == [
        ("PartStart", 0),
        ("PartStop", 0),
        ("PartStart", 1),
        ("PartStop", 1),
        ("PartStart", 2),
        ("PartStop", 2),
    ]


def test_a_call_without_arguments_is_a_call() -> None:
    assert called(read(calls(call("f", "", index=0, id="c")), chunk({}, "tool_calls"), DONE)) == [("c", "f", "")]


def test_arguments_behind_a_complete_call_are_a_protocol_error_unless_blank() -> None:
    begun = [calls(call("f", "{}", index=0, id="c")), calls(call("g", "{", index=1, id="d"))]
    rest = [calls(call(None, " ", index=0)), calls(call(None, "}", index=1)), chunk({}, "tool_calls")]
    assert called(read(*begun, *rest))[0][2] == "{}"
    with pytest.raises(UpstreamProtocolError):
        read(*begun, calls(call(None, "{}", index=0)))


def test_custom_calls_signatures_and_the_deprecated_function_call() -> None:
    custom = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "f", "input": "fr"}}
    signed = {"index": 1, "id": "d", "function": {"name": "g", "arguments": "{}"}}
    signed["extra_content"] = {"google": {"thought_signature": "sig"}}
    more = calls({"index": 0, "custom": {"input": "ee"}})
    events = read(calls(custom), more, calls(signed), chunk({}, "tool_calls"))
    assert called(events) == [("c", "f", "free"), ("d", "g", "{}")]
    contents = [item.content for item in events if isinstance(item, PartStart)]
    assert contents == [ToolCall(id="c", name="f", kind="custom"), ToolCall(id="d", name="g", signature="sig")]
    old = read(
        chunk({"content": None, "function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
        DONE,
    )
    assert called(old) == [("call_x_0", "f", "{}")]
    assert old[-2] == Finish(finish_reason="tool_calls")


def test_a_forced_call_that_ends_with_stop_is_a_tool_call() -> None:
    events = read(calls(call("f", "{}", index=0, id="c")), chunk({}, "stop"), DONE)
    assert events[-2] == Finish(finish_reason="tool_calls", native_finish_reason="stop")


def test_choices_are_numbered_apart() -> None:
    events = read(
        chunk({"content": "a"}),
        chunk({"content": "b"}, index=1),
        chunk({"content": "c"}),
        chunk({}, "stop"),
        chunk({}, "length", index=1),
        DONE,
    )
    said = {
        choice: "".join(i.value for i in events if isinstance(i, PartDelta) and i.choice == choice) for choice in (0, 1)
    }
    assert said == {0: "ac", 1: "b"}
    assert [(i.choice, i.finish_reason) for i in events if isinstance(i, Finish)] == [(0, "stop"), (1, "length")]


def test_a_whole_message_in_a_chunk_counts_only_where_no_delta_came_before_it() -> None:
    whole = {"index": 0, "delta": None, "message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop"}
    last = event({"id": "x", "created": 7, "model": "m", "choices": [whole]})
    alone = read(last, DONE)
    assert [item.value for item in alone if isinstance(item, PartDelta)] == ["ab"]
    after = read(chunk({"content": "a"}), chunk({"content": "b"}), last, DONE)
    assert [item.value for item in after if isinstance(item, PartDelta)] == ["a", "b"]


def test_unknown_fields_are_kept_at_the_start_and_with_the_finish_reason() -> None:
    prompt = {"prompt_filter_results": [{"prompt_index": 0}]}
    last = {"index": 0, "delta": {"tools_run": 1}, "finish_reason": "stop", "content_filter_results": {"hate": 0}}
    events = read(
        event({"id": "", "model": "", "created": 0, "object": "", "choices": [], **prompt}),
        chunk({"content": "a"}, system_fingerprint="fp", obfuscation="zz"),
        event({"id": "x", "model": "m", "choices": [last], "time_info": {"total": 1}}),
        DONE,
    )
    assert events[0] == Start(
        id="x", model="m", created=7, origin="openai_chat", extra={**prompt, "system_fingerprint": "fp"}
    )
    assert events[-2] == Finish(
        finish_reason="stop",
        extra={"content_filter_results": {"hate": 0}, "delta": {"tools_run": 1}, "chunk": {"time_info": {"total": 1}}},
    )
