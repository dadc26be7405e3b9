"""Replies of the responses API, whole and streamed: what callers of it get, and what is read of it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response

from gateway.errors import InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Traits
from gateway.protocol import (
    ChatReply,
    ChatRequest,
    Choice,
    End,
    ErrorEvent,
    Event,
    Finish,
    Media,
    Message,
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
)
from gateway.protocol.unroll import events_of
from gateway.sse import decode_events
from gateway_plugins.formats.openai_responses import OpenAIResponses

RESPONSES = OpenAIResponses()


def request_of(**fields: Any) -> ChatRequest:
    return RESPONSES.read_request(msgspec.json.encode({"model": "m", "input": "hi", **fields}))


def reply_of(*parts: Part, **facts: Any) -> ChatReply:
    choice = Choice(content=list(parts), finish_reason=facts.pop("finish_reason", "stop"), **facts)
    usage = Usage(prompt_tokens=3, completion_tokens=4, reasoning_tokens=1, cache_read_tokens=2)
    return ChatReply(id="msg_01", model="claude", choices=[choice], usage=usage, created=7, origin="anthropic_messages")


def whole(reply: ChatReply, request: ChatRequest | None = None) -> tuple[dict[str, Any], Dropped]:
    dropped = Dropped()
    body = RESPONSES.write_reply(reply, dropped, request or request_of())
    Response.model_validate_json(body)
    return json.loads(body), dropped


def streamed(events: list[Event], request: ChatRequest | None = None) -> list[dict[str, Any]]:
    writer = RESPONSES.stream_writer(request or request_of())
    return [json.loads(event.data) for event in decode_events(b"".join(map(writer.write, events)))]


def replayed(response: dict[str, Any]) -> list[Part]:
    """The parts that a caller's next turn holds, who sends the output back as it is."""
    items = [{"role": "user", "content": "a"}, *response["output"]]
    return RESPONSES.read_request(msgspec.json.encode({"model": "m", "input": items})).messages[1].content


def test_signed_and_redacted_thinking_survives_a_turn_through_the_caller() -> None:
    thinking: list[Part] = [
        Thinking(text="let me see", signature="sig", origin="anthropic_messages"),
        Thinking(redacted=True, encrypted="data", origin="anthropic_messages"),
        Text(text="yes"),
    ]
    response, dropped = whole(reply_of(*thinking))
    assert response["output"][0]["summary"] == [{"type": "summary_text", "text": "let me see"}]
    assert response["output"][1]["summary"] == []
    assert dropped.reasons == {}
    assert replayed(response)[:2] == thinking[:2]


def test_plain_thinking_of_open_models_survives_a_turn_through_the_caller() -> None:
    thinking = Thinking(text="let me see", origin="openai_chat")
    response, _ = whole(reply_of(thinking, Text(text="yes")))
    assert replayed(response)[0] == thinking


def test_geminis_signature_of_a_call_survives_a_turn_through_the_caller() -> None:
    call = ToolCall(id="c1", name="f", arguments="{}", signature="thought")
    response, _ = whole(reply_of(call, finish_reason="tool_calls"))
    assert [item["type"] for item in response["output"]] == ["reasoning", "function_call"]
    assert replayed(response) == [call]
    late: list[Event] = [
        Start(id="x", model="m"),
        PartStart(part=0, content=ToolCall(id="c1", name="f")),
        PartDelta(part=0, kind="arguments", value="{}"),
        PartDelta(part=0, kind="signature", value="thought"),
        PartStop(part=0),
        Finish(finish_reason="tool_calls"),
        End(),
    ]
    assert replayed(streamed(late)[-1]["response"]) == [call]


def test_openais_own_reasoning_keeps_its_ids_and_its_pieces() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}],
        "encrypted_content": "gAAA",
    }
    body = {"id": "resp_1", "status": "completed", "model": "m", "output": [item]}
    reply = RESPONSES.read_reply(msgspec.json.encode(body))
    assert [(p.text, p.encrypted, p.id) for p in reply.choices[0].content if isinstance(p, Thinking)] == [
        ("A", None, "rs_1"),
        ("B", "gAAA", "rs_1"),
    ]
    assert whole(reply)[0]["output"] == [item]


def test_a_function_call_of_a_custom_tool_is_the_custom_call_that_the_caller_expects() -> None:
    request = request_of(tools=[{"type": "custom", "name": "apply_patch"}])
    call = ToolCall(id="c", name="apply_patch", arguments='{"input": "*** Begin\\nPatch"}')
    response, _ = whole(reply_of(call, finish_reason="tool_calls"), request)
    (item,) = response["output"]
    assert (item["type"], item["input"], item["call_id"]) == ("custom_tool_call", "*** Begin\nPatch", "c")
    events = streamed(events_of(reply_of(call)), request)
    kinds = [event["type"] for event in events if "custom" in event["type"]]
    assert kinds == ["response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"]
    assert events[-1]["response"]["output"] == [item]


def test_calls_of_the_callers_own_tools_are_their_items() -> None:
    request = request_of(tools=[{"type": "apply_patch"}, {"type": "shell"}, {"type": "local_shell"}])
    calls = [
        ToolCall(id="a", name="apply_patch", arguments='{"type":"update_file","path":"x","diff":"@@"}'),
        ToolCall(id="b", name="shell", arguments='{"commands":["ls"]}'),
        ToolCall(id="c", name="local_shell", arguments='{"command":["ls"]}'),
        ToolCall(id="d", name="shell", arguments='{"wrong":1}'),
    ]
    response, _ = whole(reply_of(*calls, finish_reason="tool_calls"), request)
    kinds = ["apply_patch_call", "shell_call", "local_shell_call", "function_call"]
    assert [item["type"] for item in response["output"]] == kinds
    assert response["output"][0]["operation"] == {"type": "update_file", "path": "x", "diff": "@@"}
    assert response["output"][1]["action"]["commands"] == ["ls"]
    assert response["output"][2]["action"]["type"] == "exec"


def test_a_call_of_a_namespace_has_its_own_name_again() -> None:
    space = {"type": "namespace", "name": "crm", "description": "CRM", "tools": [{"type": "function", "name": "find"}]}
    response, _ = whole(reply_of(ToolCall(id="c", name="crm__find")), request_of(tools=[space]))
    (item,) = response["output"]
    assert (item["name"], item["namespace"], item["arguments"]) == ("find", "crm", "{}")


@pytest.mark.parametrize(
    ("reason", "parts", "status", "why"),
    [
        ("stop", [Text(text="a")], "completed", None),
        ("tool_calls", [ToolCall(id="c", name="f")], "completed", None),
        ("length", [Text(text="a")], "incomplete", "max_output_tokens"),
        ("content_filter", [Text(text="a")], "incomplete", "content_filter"),
        ("refusal", [Text(text="a")], "incomplete", "content_filter"),
        ("refusal", [Refusal(text="no")], "completed", None),
        ("error", [Text(text="a")], "failed", None),
    ],
)
def test_why_an_answer_ended_is_told_by_its_status(reason: Any, parts: list[Part], status: str, why: Any) -> None:
    response, _ = whole(reply_of(*parts, finish_reason=reason))
    assert response["status"] == status
    assert response["incomplete_details"] == (None if why is None else {"reason": why})
    assert (response["error"] is None) is (status != "failed")
    last = streamed(events_of(reply_of(*parts, finish_reason=reason)))[-1]
    assert last["type"] == f"response.{status}"
    assert last["response"] == response


def test_the_response_repeats_the_request() -> None:
    request = request_of(
        instructions="be brief",
        temperature=0.5,
        max_output_tokens=9,
        tools=[{"type": "function", "name": "f", "parameters": {}}],
        tool_choice="required",
        parallel_tool_calls=False,
        reasoning={"effort": "low"},
        text={"format": {"type": "json_object"}},
        metadata={"a": "b"},
        store=False,
        truncation="auto",
        max_tool_calls=3,
        user="u",
    )
    response, _ = whole(reply_of(Text(text="a")), request)
    expected = {
        "instructions": "be brief",
        "temperature": 0.5,
        "max_output_tokens": 9,
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low", "summary": None},
        "text": {"format": {"type": "json_object"}},
        "metadata": {"a": "b"},
        "store": False,
        "truncation": "auto",
        "max_tool_calls": 3,
        "user": "u",
    }
    assert response.items() >= expected.items()
    assert response["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 7,
    }


def test_citations_of_others_that_name_a_url_are_annotations() -> None:
    cited = Text(text="sunny", citations=[{"type": "web_search_result_location", "url": "https://x", "title": "X"}])
    pages = Text(text="in the file", citations=[{"type": "page_location", "start_page_number": 1}])
    response, dropped = whole(reply_of(cited, pages))
    first, second = response["output"][0]["content"]
    assert first["annotations"] == [
        {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 5}
    ]
    assert second["annotations"] == []
    assert dropped.reasons.keys() == {"choices[0].content[1].citations"}


def test_an_image_of_the_model_is_an_image_generation_call() -> None:
    response, _ = whole(reply_of(Media(kind="image", media_type="image/png", data="AAAA")))
    (item,) = response["output"]
    assert (item["type"], item["result"], item["status"]) == ("image_generation_call", "AAAA", "completed")
    _, dropped = whole(reply_of(Media(kind="audio", data="AAAA")))
    assert dropped.reasons.keys() == {"choices[0].content[0]"}


def test_logprobs_of_chat_completions_are_those_of_the_text() -> None:
    entry = {"token": "é", "logprob": -0.1, "bytes": None, "top_logprobs": [{"token": "é", "logprob": -0.1}]}
    response, _ = whole(reply_of(Text(text="é"), logprobs={"content": [entry], "refusal": None}))
    (found,) = response["output"][0]["content"][0]["logprobs"]
    assert found["bytes"] == list("é".encode())
    assert found["top_logprobs"][0]["bytes"] == list("é".encode())


def test_calls_whose_arguments_come_by_turns_have_places_of_their_own() -> None:
    events: list[Event] = [
        Start(id="chatcmpl-1", model="m"),
        Ping(),
        PartStart(part=0, content=Text(text="")),
        PartDelta(part=0, kind="text", value="a"),
        PartStart(part=1, content=ToolCall(id="c1", name="f")),
        PartStart(part=2, content=ToolCall(id="c2", name="g")),
        PartDelta(part=2, kind="arguments", value='{"x":'),
        PartDelta(part=1, kind="arguments", value="{}"),
        PartDelta(part=0, kind="text", value="b"),
        PartDelta(part=2, kind="arguments", value="1}"),
        PartStop(part=0),
        PartStop(part=1),
        PartStop(part=2),
        Finish(finish_reason="tool_calls"),
        End(),
    ]
    found = streamed(events)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    deltas = [(e["output_index"], e["delta"]) for e in found if e["type"].endswith("delta")]
    assert deltas == [(0, "a"), (2, '{"x":'), (1, "{}"), (0, "b"), (2, "1}")]
    output = found[-1]["response"]["output"]
    assert output[0]["content"][0]["text"] == "ab"
    assert [item["arguments"] for item in output[1:]] == ["{}", '{"x":1}']
    added = [event["item"]["id"] for event in found if event["type"] == "response.output_item.added"]
    assert added == [item["id"] for item in output]
    assert len({event["item"]["id"] for event in found if event["type"] == "response.output_item.done"}) == 3


def test_nothing_is_written_before_the_first_words() -> None:
    writer = RESPONSES.stream_writer(request_of())
    assert writer.write(Start(id="x", model="m")) == b""
    assert writer.write(Ping()) == b""
    assert writer.write(PartStart(part=0, content=Text(text=""))) == b""
    assert writer.write(PartDelta(part=0, kind="text", value="a")).startswith(b"event: response.created\n")
    assert writer.write(Ping()).startswith(b":")


def test_an_error_ends_a_stream_in_the_words_of_packages_and_of_codex() -> None:
    events: list[Event] = [
        Start(id="x", model="m"),
        PartStart(part=0, content=Text(text="a")),
        ErrorEvent(kind="rate_limit", message="slow down", status=429),
        End(),
    ]
    *_, error, failed = streamed(events)
    assert (error["type"], error["message"], error["error"]["message"]) == ("error", "slow down", "slow down")
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow down"}
    assert failed["sequence_number"] == error["sequence_number"] + 1
    fresh = RESPONSES.stream_writer(ChatRequest(model=""))
    kinds = [e.event for e in decode_events(fresh.write_error(InvalidRequest("no"), "req_1"))]
    assert kinds == ["error", "response.failed"]


@pytest.mark.parametrize(
    "data",
    [
        b'event: error\ndata: {"type":"error","code":"server_error","message":"boom","param":null}\n\n',
        b'data: {"type":"response.failed","response":{"error":{"code":"server_error","message":"boom"}}}\n\n',
        b'data: {"type":"response.failed","error":{"code":"server_error","message":"boom"}}\n\n',
        b'data: {"error":{"message":"boom","type":"server_error"}}\n\n',
        b'event: error\ndata: {"type":"error","error":{"message":"boom","type":"server_error"}}\n\n',
    ],
)
def test_an_error_in_a_stream_is_understood_in_each_shape(data: bytes) -> None:
    opening = b'data: {"type":"response.created","response":{"id":"r","model":"m"}}\n\n'
    reader = RESPONSES.stream_reader()
    events = reader.feed(opening + data) + reader.close()
    assert isinstance(events[-1], ErrorEvent)
    assert (events[-1].kind, events[-1].message) == ("server_error", "boom")
    watch = RESPONSES.stream_watch(hide_usage=False)
    passed = watch.feed(opening + data + b'data: {"type":"response.completed","response":{}}\n\n')
    assert watch.error is not None
    assert watch.error.message == "boom"
    assert not watch.complete
    assert b"completed" not in passed


def test_a_stream_of_which_only_the_end_speaks_is_read() -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
    response = {"id": "r", "model": "m", "status": "completed", "output": [item]}
    reader = RESPONSES.stream_reader()
    events = reader.feed(
        b"data: " + msgspec.json.encode({"type": "response.completed", "response": response}) + b"\n\n"
    )
    assert [event.value for event in events if isinstance(event, PartDelta)] == ["hi"]
    assert isinstance(events[-1], End)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"a":1}', b'{"output":3}', b'{"output":[{"type":7}]}'])
def test_what_is_no_response_is_never_a_crash(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        RESPONSES.read_reply(body)
    RESPONSES.read_facts(body)


@pytest.mark.parametrize("junk", [None, 7, [], {}, [[]], {"a": 1}])
def test_events_of_odd_types_are_never_a_crash(junk: Any) -> None:
    reader = RESPONSES.stream_reader()
    for kind in ("output_item.added", "output_text.delta", "output_item.done", "function_call_arguments.delta"):
        event = {"type": f"response.{kind}", "item": junk, "item_id": junk, "output_index": junk, "delta": junk}
        reader.feed(b"data: " + msgspec.json.encode(event) + b"\n\n")
    ending = b"data: " + msgspec.json.encode({"type": "response.completed", "response": junk}) + b"\n\n"
    if isinstance(junk, dict):
        assert isinstance(reader.feed(ending)[-1], End)
        return
    with pytest.raises(UpstreamProtocolError):
        reader.feed(ending)


def test_a_failed_response_under_a_good_status_is_an_error() -> None:
    body = b'{"id":"r","status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"},"output":[]}'
    with pytest.raises(UpstreamRejected) as caught:
        RESPONSES.read_reply(body)
    assert caught.value.kind == "rate_limit"
    facts = RESPONSES.read_facts(body)
    assert facts.error is not None


def test_a_turn_that_was_read_from_a_reply_goes_back_as_it_came() -> None:
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]
    reply = RESPONSES.read_reply(msgspec.json.encode({"id": "r", "status": "completed", "output": output}))
    messages = [Message(role="user", content=[Text(text="a")])]
    messages.append(Message(role="assistant", content=reply.choices[0].content))
    request = ChatRequest(model="m", messages=messages, origin="anthropic_messages")
    written = json.loads(RESPONSES.write_request(request, Traits(), Dropped()))
    assert written["input"][1:] == output
