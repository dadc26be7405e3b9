"""Streamed chat completions, written: one coherent stream of chunks that OpenAI's own client understands."""

from __future__ import annotations

import json
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from gateway.errors import RateLimited, UpstreamDisconnected
from gateway.protocol import (
    ChatRequest,
    End,
    ErrorEvent,
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
from gateway_plugins.formats.openai_chat import OpenAIChat

START = Start(id="msg_1", model="claude", created=7)
ASKED = ChatRequest(model="m", stream=True, include_usage=True)
UNASKED = ChatRequest(model="m", stream=True)


def write(*events: Event, request: ChatRequest = UNASKED) -> list[Any]:
    """The data of the events written; the last may be the word [DONE]. OpenAI's types have found the chunks valid."""
    writer = OpenAIChat().stream_writer(request)
    out: list[Any] = []
    for event in decode_events(b"".join(writer.write(event) for event in events)):
        if event.data == b"[DONE]":
            out.append("[DONE]")
            continue
        out.append(json.loads(event.data))
        if "error" not in out[-1]:
            ChatCompletionChunk.model_validate(out[-1])
    return out


def part(content: Part, *deltas: tuple[Any, str], number: int = 0, choice: int = 0) -> list[Event]:
    return [
        PartStart(choice=choice, part=number, content=content),
        *(PartDelta(choice=choice, part=number, kind=kind, value=value) for kind, value in deltas),
        PartStop(choice=choice, part=number),
    ]


def text(*values: str, number: int = 0, choice: int = 0) -> list[Event]:
    return part(Text(text=""), *(("text", value) for value in values), number=number, choice=choice)


def deltas(chunks: list[Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk != "[DONE]" and chunk["choices"]]


def test_a_text_is_one_coherent_stream() -> None:
    head = {"id": "msg_1", "object": "chat.completion.chunk", "created": 7, "model": "claude"}
    assert write(START, *text("Hel", "lo"), Finish(finish_reason="stop"), End()) == [
        {
            **head,
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}],
        },
        {**head, "choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        "[DONE]",
    ]


def test_usage_is_shown_to_who_asked_and_to_nobody_else() -> None:
    events = [START, *text("a"), Finish(finish_reason="stop"), UsageUpdate(usage=Usage(prompt_tokens=1)), End()]
    assert not any("usage" in chunk for chunk in write(*events)[:-1])
    *chunks, usage, done = write(*events, request=ASKED)
    assert done == "[DONE]"
    assert all(chunk["usage"] is None for chunk in chunks)
    assert usage["choices"] == []
    assert usage["id"] == "msg_1"
    assert usage["usage"]["prompt_tokens"] == usage["usage"]["total_tokens"] == 1


def test_the_last_count_of_usage_is_shown() -> None:
    start = Start(id="x", model="m", usage=Usage(prompt_tokens=9))
    assert write(start, *text("a"), End(), request=ASKED)[-2]["usage"]["prompt_tokens"] == 9
    later = UsageUpdate(usage=Usage(prompt_tokens=9, completion_tokens=4))
    assert write(start, *text("a"), later, End(), request=ASKED)[-2]["usage"]["completion_tokens"] == 4


def test_calls_are_numbered_from_zero_in_the_order_of_their_appearance_in_each_choice() -> None:
    events = [
        START,
        *text("I call."),
        *part(ToolCall(id="c", name="f"), ("arguments", '{"a":'), ("arguments", "1}"), number=1),
        *part(ToolCall(id="d", name="g", arguments="{}", signature="sig"), number=2),
        *part(ToolCall(id="e", name="h", kind="custom"), ("arguments", "free"), number=0, choice=1),
        Finish(finish_reason="tool_calls"),
        Finish(finish_reason="tool_calls", choice=1),
        End(),
    ]
    writer = OpenAIChat().stream_writer(UNASKED)
    chunks = [json.loads(e.data) for e in decode_events(b"".join(map(writer.write, events))) if e.data != b"[DONE]"]
    assert deltas(chunks)[1:] == [
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "d",
                    "type": "function",
                    "function": {"name": "g", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "sig"}},
                }
            ]
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"index": 0, "id": "e", "type": "custom", "custom": {"name": "h", "input": ""}}],
        },
        {"tool_calls": [{"index": 0, "custom": {"input": "free"}}]},
        {},
        {},
    ]


def test_thinking_is_text_and_details_that_can_be_replayed() -> None:
    thought = Thinking(origin="anthropic_messages")
    chunks = write(
        START,
        *part(thought, ("thinking", "H"), ("thinking", "m"), ("signature", "si"), ("signature", "g")),
        *part(Thinking(redacted=True, encrypted="red", origin="anthropic_messages"), number=1),
        *text("a", number=2),
        Finish(finish_reason="stop"),
        End(),
    )
    name = "anthropic-claude-v1"
    assert deltas(chunks) == [
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "H",
            "reasoning_details": [{"type": "reasoning.text", "text": "H", "format": name, "index": 0}],
        },
        {
            "reasoning_content": "m",
            "reasoning_details": [{"type": "reasoning.text", "text": "m", "format": name, "index": 0}],
        },
        {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "", "format": name, "index": 0, "signature": "sig"},
            ]
        },
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "red", "format": name, "index": 1}]},
        {"content": "a"},
        {},
    ]


def test_plain_thinking_needs_no_details() -> None:
    chunks = write(START, *part(Thinking(origin="openai_chat"), ("thinking", "Hm")), *text("a", number=1), End())
    assert deltas(chunks) == [
        {"role": "assistant", "content": None, "reasoning_content": "Hm"},
        {"content": "a"},
    ]


def test_what_was_streamed_reads_as_the_same_events_again() -> None:
    events: list[Event] = [
        Start(id="x", model="m", created=7, origin="openai_chat", extra={"system_fingerprint": "fp"}),
        *part(
            Thinking(id="rs_1", origin="openai_responses"),
            ("thinking", "Sum"),
            ("encrypted", "enc"),
        ),
        *part(Thinking(origin="anthropic_messages"), ("thinking", "Hm"), ("signature", "sig"), number=1),
        *text("a", "b", number=2),
        *part(Refusal(text=""), ("refusal", "No"), number=3),
        *part(ToolCall(id="c", name="f"), ("arguments", "{}"), number=4),
        *part(ToolCall(id="d", name="g", kind="custom"), ("arguments", "free"), number=5),
        Finish(finish_reason="tool_calls", extra={"seed": 3, "delta": {"a": 1}, "chunk": {"b": 2}}),
        UsageUpdate(usage=Usage(prompt_tokens=3, completion_tokens=4, extra={"cost": 0.5})),
        End(),
    ]
    writer = OpenAIChat().stream_writer(ASKED)
    reader = OpenAIChat().stream_reader()
    assert reader.feed(b"".join(map(writer.write, events))) + reader.close() == events


def test_citations_are_placed_by_the_text_that_they_stand_for() -> None:
    chunks = write(
        START,
        *text("Not "),
        PartStart(part=1, content=Text(text="")),
        PartDelta(part=1, kind="citation", data={"type": "web", "url": "https://x", "title": "X"}),
        PartDelta(part=1, kind="text", value="cited"),
        PartDelta(part=1, kind="citation", data={"type": "page_location"}),
        PartStop(part=1),
        *text(" this", number=2),
        PartStart(part=3, content=Text(text="")),
        PartDelta(part=3, kind="text", value="."),
        PartDelta(part=3, kind="citation", data={"type": "web", "url": "https://y", "title": "Y"}),
        PartStop(part=3),
        Finish(finish_reason="stop"),
        End(),
    )
    cited = [
        {"url": "https://x", "title": "X", "start_index": 4, "end_index": 9},
        {"url": "https://y", "title": "Y", "start_index": 14, "end_index": 15},
    ]
    wanted = {"annotations": [{"type": "url_citation", "url_citation": one} for one in cited]}
    assert [delta for delta in deltas(chunks) if "annotations" in delta] == [wanted]
    whole = ChatCompletionStreamState()
    for chunk in chunks[:-1]:
        whole.handle_chunk(ChatCompletionChunk.model_validate(chunk))  # it refuses a second list without indexes
    told = whole.get_final_completion().choices[0].message
    assert [one.url_citation.url for one in told.annotations or ()] == ["https://x", "https://y"]


def test_refusals_media_and_logprobs_have_their_places_and_what_has_none_is_silent() -> None:
    logprobs: dict[str, Any] = {
        "content": [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}],
        "refusal": None,
    }
    chunks = write(
        START,
        PartStart(part=0, content=Text(text="")),
        PartDelta(part=0, kind="text", value="a", logprobs=logprobs),
        PartStop(part=0),
        *part(Refusal(text=""), ("refusal", "No"), number=1),
        *part(Media(kind="image", media_type="image/png", data="AA"), number=2),
        *part(Media(kind="audio", data="BB", extra={"id": "au"}), number=3),
        *part(Opaque(origin="anthropic_messages", type="server_tool_use", value={}), number=4),
        Finish(finish_reason="refusal", native_finish_reason="refusal", stop_sequence="###"),
        End(),
    )
    assert chunks[0]["choices"][0]["logprobs"] == logprobs
    assert deltas(chunks)[1:] == [
        {"refusal": "No"},
        {"images": [{"index": 0, "type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
        {"audio": {"id": "au", "data": "BB", "expires_at": 0, "transcript": ""}},
        {},
    ]
    last = chunks[-2]["choices"][0]
    assert (last["finish_reason"], last["native_finish_reason"], last["stop_reason"]) == ("stop", "refusal", "###")


def test_an_answer_of_nothing_still_has_a_role() -> None:
    assert deltas(write(START, Finish(finish_reason="content_filter"), End())) == [{"role": "assistant", "content": ""}]


def test_nothing_follows_an_error_and_no_end_does() -> None:
    writer = OpenAIChat().stream_writer(UNASKED)
    assert writer.write(START) == b""
    data = writer.write_error(UpstreamDisconnected("Gone."), "req_1")
    assert data == (
        b'data: {"error":{"message":"Gone.","type":"upstream_error","param":null,"code":"upstream_disconnected"}}\n\n'
    )
    assert writer.write(End()) == b""
    assert writer.write_error(RateLimited("Again."), "req_1") == b""


def test_an_error_event_is_written_as_an_error() -> None:
    *_, failed = write(START, *text("a"), ErrorEvent(kind="overloaded", message="Busy", code="overloaded_error"), End())
    assert failed == {
        "error": {"message": "Busy", "type": "upstream_error", "param": None, "code": "overloaded_error"},
    }


def test_nothing_follows_the_end() -> None:
    writer = OpenAIChat().stream_writer(UNASKED)
    assert writer.write(End()) == b"data: [DONE]\n\n"
    assert writer.write(End()) == b""
    assert writer.write_error(RateLimited("Late."), "req_1") == b""


def test_a_ping_keeps_a_stream_alive_that_has_begun() -> None:
    writer = OpenAIChat().stream_writer(UNASKED)
    assert writer.write(START) + writer.write(Ping()) == b""
    writer.write(PartStart(part=0, content=Text(text="a")))
    assert writer.write(Ping()) == b": keep-alive\n\n"


def test_a_caller_of_the_deprecated_functions_gets_its_function_call() -> None:
    request = ChatRequest(model="m", stream=True, origin="openai_chat", spelling={"tools": "functions"})
    chunks = write(
        START,
        *part(ToolCall(id="c", name="f"), ("arguments", "{}")),
        *part(ToolCall(id="d", name="g"), ("arguments", "{}"), number=1),
        Finish(finish_reason="tool_calls"),
        End(),
        request=request,
    )
    assert deltas(chunks) == [
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        {},
    ]
    assert chunks[-2]["choices"][0]["finish_reason"] == "function_call"


def test_fields_of_another_format_are_not_written() -> None:
    start = Start(id="x", model="m", service_tier="standard", extra={"secret": 1}, origin="anthropic_messages")
    chunks = write(
        start,
        *text("a"),
        Finish(finish_reason="stop", extra={"stop_details": 1}),
        UsageUpdate(usage=Usage(extra={"server_tool_use": {}})),
        End(),
        request=ASKED,
    )
    assert b"secret" not in json.dumps(chunks).encode()
    assert b"stop_details" not in json.dumps(chunks).encode()
    assert b"server_tool_use" not in json.dumps(chunks).encode()
    assert chunks[0]["service_tier"] == "default"
