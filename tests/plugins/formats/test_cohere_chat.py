"""Cohere's v2 chat: what is asked in it, and what its answers and streams mean."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from gateway.errors import UpstreamProtocolError
from gateway.format import Dropped, Traits
from gateway.protocol import (
    ChatReply,
    ChatRequest,
    End,
    ErrorEvent,
    Event,
    Finish,
    Media,
    Message,
    PartDelta,
    PartStart,
    PartStop,
    Reasoning,
    ResponseFormat,
    Start,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    UsageUpdate,
)
from gateway_plugins.formats.cohere_chat import CohereChat
from gateway_plugins.formats.openai_chat import OpenAIChat

FORMAT = CohereChat()


def written(request: ChatRequest, **options: Any) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    body: dict[str, Any] = json.loads(FORMAT.write_request(request, Traits(options=options), dropped))
    return body, dropped.reasons


def asked(**fields: Any) -> ChatRequest:
    said = {"messages": [Message(role="user", content=[Text(text="hi")])], **fields}
    return ChatRequest(model="m", origin="openai_chat", **said)


def test_settings_go_by_coheres_names() -> None:
    out, dropped = written(
        asked(
            max_tokens=9,
            temperature=0.5,
            top_p=0.9,
            top_k=4,
            seed=1,
            stop=["x"],
            frequency_penalty=0.1,
            presence_penalty=0,
            logprobs=True,
            stream=True,
            n=1,
        )
    )
    assert out == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 9,
        "temperature": 0.5,
        "p": 0.9,
        "k": 4,
        "seed": 1,
        "stop_sequences": ["x"],
        "frequency_penalty": 0.1,
        "presence_penalty": 0,
        "logprobs": True,
    }
    assert dropped == {}


def test_what_cohere_does_not_take_is_named() -> None:
    out, dropped = written(
        asked(
            n=2,
            user="u",
            min_p=0.1,
            logit_bias={"1": 1},
            top_logprobs=3,
            top_p=1.0,
            frequency_penalty=-1.0,
            metadata={"a": "b"},
            extra={"documents": ["d"], "odd": 1},
        )
    )
    assert dropped.keys() == {
        "n",
        "user",
        "min_p",
        "logit_bias",
        "top_logprobs",
        "top_p",
        "frequency_penalty",
        "metadata",
        "odd",
    }
    assert out["p"] == 0.99
    assert out["documents"] == ["d"]  # Cohere's own word, whoever says it


def test_a_providers_refusals_and_defaults_are_kept_to() -> None:
    dropped = Dropped()
    traits = Traits(unsupported={"seed": "no", "tools": "no"}, defaults={"safety_mode": "OFF"})
    out = json.loads(FORMAT.write_request(asked(seed=1, tools=[Tool(name="f")]), traits, dropped))
    assert out.keys() == {"model", "messages", "stream", "safety_mode"}
    assert dropped.reasons == {"seed": "no", "tools": "no"}


F, G = Tool(name="f", parameters={"type": "object", "properties": {}}, strict=True), Tool(name="g", description="G")


@pytest.mark.parametrize(
    ("choice", "word", "names"),
    [
        (None, None, ["f", "g"]),
        (ToolChoice(mode="auto"), None, ["f", "g"]),
        (ToolChoice(mode="none"), "NONE", ["f", "g"]),
        (ToolChoice(mode="required"), "REQUIRED", ["f", "g"]),
        (ToolChoice(mode="named", name="g"), "REQUIRED", ["g"]),
        (ToolChoice(mode="allowed", names=["f"]), None, ["f"]),
        (ToolChoice(mode="allowed", names=["f"], allowed_mode="required"), "REQUIRED", ["f"]),
    ],
)
def test_every_choice_of_tools_is_said(choice: ToolChoice | None, word: str | None, names: list[str]) -> None:
    out, _ = written(asked(tools=[F, G], tool_choice=choice))
    assert out.get("tool_choice") == word
    assert [tool["function"]["name"] for tool in out["tools"]] == names


def test_strictness_is_of_all_tools_or_of_none() -> None:
    out, dropped = written(asked(tools=[F]))
    assert out["strict_tools"] is True
    assert out["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    ]
    assert dropped == {}
    out, dropped = written(asked(tools=[F, G, Tool(kind="server", name="web")], parallel_tool_calls=False))
    assert "strict_tools" not in out
    assert dropped.keys() == {"tools.strict", "tools[2]", "parallel_tool_calls"}


def test_structured_output_is_json_object_with_a_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    wanted = ResponseFormat(type="json_schema", name="r", schema=schema, strict=True)
    out, dropped = written(asked(response_format=wanted))
    assert out["response_format"] == {"type": "json_object", "json_schema": {"title": "r", **schema}}
    assert dropped == {}
    assert written(asked(response_format=ResponseFormat(type="json_object")))[0]["response_format"] == {
        "type": "json_object"
    }
    assert "response_format" not in written(asked(response_format=ResponseFormat(type="text")))[0]


@pytest.mark.parametrize(
    ("reasoning", "thinking", "lost"),
    [
        (Reasoning(effort="none"), {"type": "disabled"}, set()),
        (Reasoning(mode="disabled"), {"type": "disabled"}, set()),
        (Reasoning(mode="enabled", budget_tokens=500), {"type": "enabled", "token_budget": 500}, set()),
        (Reasoning(effort="high", summary="auto"), {"type": "enabled"}, {"reasoning.effort", "reasoning.summary"}),
    ],
)
def test_reasoning_is_switched_and_bounded(reasoning: Reasoning, thinking: dict[str, Any], lost: set[str]) -> None:
    out, dropped = written(asked(reasoning=reasoning))
    assert out["thinking"] == thinking
    assert dropped.keys() == lost


def test_a_model_that_does_not_reason_is_not_asked_to() -> None:
    out, dropped = written(asked(reasoning=Reasoning(effort="low")), thinking=False)
    assert "thinking" not in out
    assert dropped.keys() == {"reasoning"}
    assert written(asked(reasoning=Reasoning(effort="none")), thinking=False)[1] == {}


def test_a_conversation_with_pictures_tools_and_thinking_is_written() -> None:
    messages = [
        Message(role="developer", content=[Text(text="brief")]),
        Message(
            role="user",
            content=[Text(text="what?"), Media(kind="image", media_type="image/png", data="AAAA", detail="low")],
        ),
        Message(
            role="assistant",
            content=[
                Thinking(text="hm", origin="openai_chat"),
                Text(text="wait"),
                ToolCall(id="1", name="f", arguments='{"a":1}'),
                ToolCall(id="2", name="f"),
            ],
        ),
        Message(
            role="tool",
            content=[
                ToolResult(
                    tool_call_id="1",
                    content=[
                        Text(text="see"),
                        Media(kind="document", text="facts", name="T"),
                        Media(kind="image", url="http://x/y.png"),
                    ],
                )
            ],
        ),
        Message(role="tool", content=[ToolResult(tool_call_id="2", content=[Text(text="no")], is_error=True)]),
        Message(role="user", content=[Text(text="so?")], name="Bob"),
    ]
    out, dropped = written(asked(messages=messages))
    assert out["messages"] == [
        {"role": "system", "content": "brief"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "wait"}],
        },
        {
            "role": "tool",
            "tool_call_id": "1",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "document", "document": {"data": {"title": "T", "content": "facts"}}},
            ],
        },
        {"role": "tool", "tool_call_id": "2", "content": "no"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "From the result of tool call 1:"},
                {"type": "image_url", "image_url": {"url": "http://x/y.png"}},
            ],
        },
        {"role": "user", "content": "so?"},
    ]
    assert dropped.keys() == {"messages[4].content[0].is_error", "messages[5].name"}


def test_thinking_that_cannot_be_read_is_named() -> None:
    parts = [
        Thinking(text="a", signature="sig", origin="anthropic_messages"),
        Thinking(encrypted="x", redacted=True, origin="anthropic_messages"),
        Text(text="b", citations=[{"url": "http://x"}]),
    ]
    out, dropped = written(asked(messages=[Message(role="assistant", content=parts)]))
    assert out["messages"][0]["content"][0] == {"type": "thinking", "thinking": "a"}
    where = "messages[0].content"
    assert dropped.keys() == {f"{where}[0].signature", f"{where}[1]", f"{where}[2].citations"}


@pytest.mark.parametrize(
    "part",
    [
        Media(kind="document", media_type="application/pdf", data="AAAA"),
        Media(kind="audio", data="AAAA"),
        Media(kind="image", file_id="f"),
    ],
)
def test_media_that_cohere_cannot_see_is_named(part: Media) -> None:
    out, dropped = written(asked(messages=[Message(role="user", content=[Text(text="x"), part])]))
    assert out["messages"] == [{"role": "user", "content": "x"}]
    assert dropped.keys() == {"messages[0].content[1]"}


PLAN = "I will use the tool."
CALLS: dict[str, Any] = {
    "id": "r1",
    "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant",
        "tool_plan": PLAN,
        "tool_calls": [{"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    "usage": {
        "billed_units": {"input_tokens": 3, "output_tokens": 2},
        "tokens": {"input_tokens": 30.0, "output_tokens": 20},
        "cached_tokens": 10,
    },
}


def reply(body: dict[str, Any]) -> ChatReply:
    return FORMAT.read_reply(json.dumps(body).encode())


def test_a_plan_is_thinking_and_goes_back_as_a_plan() -> None:
    found = reply(CALLS)
    choice = found.choices[0]
    assert choice.content == [
        Thinking(text=PLAN, origin="cohere_chat", extra={"tool_plan": True}),
        ToolCall(id="f_1", name="f", arguments="{}"),
    ]
    assert choice.finish_reason == "tool_calls"
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.cache_read_tokens) == (30, 20, 10)
    assert found.usage.extra == {"billed_units": {"input_tokens": 3, "output_tokens": 2}}
    back, dropped = written(asked(messages=[Message(role="assistant", content=choice.content)]))
    assert back["messages"][0] == CALLS["message"]
    assert dropped == {}


def test_a_plan_survives_a_caller_of_chat_completions() -> None:
    chat = OpenAIChat()
    told = json.loads(chat.write_reply(reply(CALLS), Dropped()))["choices"][0]["message"]
    assert told["reasoning_content"] == PLAN
    request = chat.read_request(json.dumps({"model": "m", "messages": [told]}).encode())
    out, dropped = written(request, thinking=False)
    assert out["messages"][0]["tool_plan"] == PLAN
    assert not any("signature" in path for path in dropped)


def test_citations_belong_to_the_text_that_they_stand_for() -> None:
    cited = {"start": 0, "end": 2, "text": "so", "sources": [], "type": "TEXT_CONTENT", "content_index": 1}
    plan = {"start": 0, "end": 1, "text": "I", "sources": [], "type": "PLAN"}
    body = {**CALLS, "finish_reason": "COMPLETE"}
    body["message"] = {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "so it is"},
            {"type": "text", "text": "more"},
        ],
        "citations": [cited, plan],
    }
    choice = reply(body).choices[0]
    assert choice.content == [
        Thinking(text="hm", origin="cohere_chat"),
        Text(text="so it is", citations=[cited]),
        Text(text="more"),
    ]
    assert choice.extra == {"message": {"citations": [plan]}}


@pytest.mark.parametrize(
    ("word", "reason", "native"),
    [
        ("COMPLETE", "stop", None),
        ("MAX_TOKENS", "length", None),
        ("STOP_SEQUENCE", "stop", "STOP_SEQUENCE"),
        ("TOOL_CALL", "tool_calls", None),
        ("ERROR", "error", "ERROR"),
        ("TIMEOUT", "error", "TIMEOUT"),
        ("ERROR_TOXIC", "content_filter", "ERROR_TOXIC"),
        (None, None, None),
    ],
)
def test_reasons_to_stop(word: str | None, reason: str | None, native: str | None) -> None:
    choice = reply({"message": {"content": [{"type": "text", "text": "a"}]}, "finish_reason": word}).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (reason, native)


def test_log_probabilities_are_of_chunks_of_text() -> None:
    body = {"message": {"content": "ab"}, "logprobs": [{"text": "ab", "token_ids": [1, 2], "logprobs": [-1, -0.5]}]}
    assert reply(body).choices[0].logprobs == {
        "content": [{"token": "ab", "logprob": -1.5, "bytes": [97, 98], "top_logprobs": []}]
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"message":3}',
        b'{"message":{"content":[3]}}',
        b'{"message":{"content":[{"type":"text","text":3}]}}',
        b'{"message":{"content":[{"type":"odd"}]}}',
        b'{"message":{"tool_calls":[3]}}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_of_coheres_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        FORMAT.read_reply(body)


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def said(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind} if index is None else {"type": kind, "index": index}
    return {**found, "delta": {"message": message}} if message else found


END = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": CALLS["usage"]}}
CITED = {"start": 0, "end": 2, "text": "so", "sources": [{"type": "document", "id": "d"}], "type": "TEXT_CONTENT"}
STREAM = sse(
    {"id": "r1", "type": "message-start", "delta": {"message": {"role": "assistant"}}},
    said("tool-plan-delta", tool_plan="I "),
    said("tool-plan-delta", tool_plan="plan"),
    said(
        "tool-call-start",
        0,
        tool_calls={"id": "f_1", "type": "function", "function": {"name": "f", "arguments": ""}},
    ),
    said("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"a"'}}),
    said("tool-call-delta", 0, tool_calls={"function": {"arguments": ":1}"}}),
    said("tool-call-end", 0),
    said("content-start", 0, content={"type": "thinking", "thinking": ""}),
    said("content-delta", 0, content={"thinking": "hm"}),
    said("content-end", 0),
    said("content-start", 1, content={"type": "text", "text": ""}),
    said("content-delta", 1, content={"text": "so"}),
    said("content-end", 1),
    said("citation-start", 0, citations=CITED),
    said("citation-end", 0),
    {"type": "debug"},
    END,
)


def read(*pieces: bytes) -> list[Event]:
    reader = FORMAT.stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


def test_a_stream_of_all_kinds_of_events_is_read() -> None:
    found = read(STREAM + b"data: [DONE]\n\n")
    start, *middle, finish, usage, end = found
    assert isinstance(start, Start)
    assert start.id == "r1"
    assert middle == [
        PartStart(part=0, content=Thinking(origin="cohere_chat", extra={"tool_plan": True})),
        PartDelta(part=0, kind="thinking", value="I "),
        PartDelta(part=0, kind="thinking", value="plan"),
        PartStop(part=0),
        PartStart(part=1, content=ToolCall(id="f_1", name="f")),
        PartDelta(part=1, kind="arguments", value='{"a"'),
        PartDelta(part=1, kind="arguments", value=":1}"),
        PartStop(part=1),
        PartStart(part=2, content=Thinking(origin="cohere_chat")),
        PartDelta(part=2, kind="thinking", value="hm"),
        PartStop(part=2),
        PartStart(part=3, content=Text(text="")),
        PartDelta(part=3, kind="text", value="so"),
        PartDelta(part=3, kind="citation", data=CITED),
        PartStop(part=3),
    ]
    assert isinstance(finish, Finish)
    assert finish.finish_reason == "stop"
    assert isinstance(usage, UsageUpdate)
    assert usage.usage.prompt_tokens == 30
    assert isinstance(end, End)


def test_splitting_the_bytes_changes_no_event() -> None:
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == read(STREAM)


def test_a_cut_is_never_a_clean_end() -> None:
    limit = STREAM.index(b"event: message-end")
    for at in range(1, limit, 7):
        assert not any(isinstance(event, End | Finish) for event in read(STREAM[:at]))


@pytest.mark.parametrize(
    ("delta", "kind", "words"),
    [
        ({"finish_reason": "ERROR", "error": "boom"}, "upstream", "boom"),
        ({"finish_reason": "ERROR"}, "upstream", "broke off"),
        ({"finish_reason": "TIMEOUT"}, "timeout", "TIMEOUT"),
    ],
)
def test_a_stream_that_breaks_off_says_so(delta: dict[str, Any], kind: str, words: str) -> None:
    found = read(sse(said("content-delta", 0, content={"text": "a"}), {"type": "message-end", "delta": delta}))
    assert isinstance(found[-1], ErrorEvent)
    assert found[-1].kind == kind
    assert words in found[-1].message


def test_a_message_that_ends_without_a_reason_was_cut() -> None:
    with pytest.raises(UpstreamProtocolError, match="finish reason"):
        read(sse(said("content-delta", 0, content={"text": "a"})), sse({"type": "message-end", "delta": {}}))


def test_nothing_begins_with_a_message_that_failed() -> None:
    found = read(sse({"type": "message-end", "delta": {"finish_reason": "ERROR"}}))
    assert [type(event) for event in found] == [ErrorEvent]


def test_an_error_in_the_place_of_an_event_ends_the_stream() -> None:
    found = read(b'data: {"message":"too many tokens: limit is 4000"}\n\n' + sse(END))
    assert [type(event) for event in found] == [ErrorEvent]
    assert found[0].kind == "context_length"  # type: ignore[attr-defined]


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: 3\n\n"])
def test_what_is_no_stream_of_coheres_is_refused(data: bytes) -> None:
    reader = FORMAT.stream_reader()
    with pytest.raises(UpstreamProtocolError):
        reader.feed(data)
    with pytest.raises(UpstreamProtocolError):
        reader.close()


def test_arguments_of_a_call_that_has_not_begun_are_refused_behind_what_came_before() -> None:
    reader = FORMAT.stream_reader()
    assert len(reader.feed(sse(said("tool-call-delta", 4, tool_calls={"function": {"arguments": "x"}})))) == 1
    with pytest.raises(UpstreamProtocolError):
        reader.feed(b"")


ODD: list[Any] = [None, 3, "x", [], {}, {"message": 3}, {"message": {"content": 3, "tool_calls": 3, "citations": 3}}]


@pytest.mark.parametrize("delta", ODD)
def test_events_with_odd_types_do_no_harm(delta: Any) -> None:
    kinds = ["message-start", "content-start", "content-delta", "tool-plan-delta", "tool-call-start", "citation-start"]
    for first, second in pairwise(kinds):
        read(sse({"type": first, "delta": delta, "index": "x"}, {"type": second, "delta": delta}, END))


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "invalid request: message must be at least 1 token long", "invalid_request"),
        (400, "too many tokens: total number of tokens in the prompt cannot exceed 4081", "context_length"),
        (401, "invalid api token", "authentication"),
        (402, "Please add or update your payment method to continue", "billing"),
        (404, "model 'nonexistent' not found, make sure the correct model ID was used", "model_not_found"),
        (422, "invalid field", "unprocessable"),
        (429, "You are using a Trial key, which is limited to 20 API calls / minute.", "rate_limit"),
        (429, "You are using a Trial key, which is limited to 1000 API calls / month.", "quota"),
        (498, "invalid token", "authentication"),
        (499, "request cancelled", "cancelled"),
        (500, "internal server error", "server_error"),
        (503, "service unavailable", "overloaded"),
        (504, "gateway timeout", "timeout"),
    ],
)
def test_coheres_errors_are_understood(status: int, message: str, kind: str) -> None:
    error = FORMAT.read_error(status, {}, json.dumps({"id": "1", "message": message}).encode())
    assert (error.kind, error.message) == (kind, message)
    assert error.status == (401 if status == 498 else status)
