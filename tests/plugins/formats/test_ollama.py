"""Ollama's own API: what is asked in it, and what its answers and lines mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Traits
from gateway.protocol import (
    ChatRequest,
    EmbeddingsRequest,
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
from gateway.sse import MAX_EVENT_BYTES
from gateway_plugins.formats.ollama_chat import OllamaChat
from gateway_plugins.formats.ollama_embed import OllamaEmbed

FORMAT, EMBED = OllamaChat(), OllamaEmbed()


def written(request: ChatRequest, traits: Traits | None = None) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    body: dict[str, Any] = json.loads(FORMAT.write_request(request, traits or Traits(), dropped))
    return body, dropped.reasons


def asked(model: str = "m", **fields: Any) -> ChatRequest:
    said = {"messages": [Message(role="user", content=[Text(text="hi")])], **fields}
    return ChatRequest(model=model, origin="openai_chat", **said)


def test_settings_are_options() -> None:
    out, dropped = written(
        asked(
            max_tokens=9,
            temperature=0.5,
            top_p=0.9,
            top_k=4,
            min_p=0.1,
            seed=1,
            repetition_penalty=1.1,
            presence_penalty=0.2,
            frequency_penalty=0.3,
            stop=["x"],
            logprobs=True,
            top_logprobs=2,
            n=1,
        )
    )
    assert out == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
        "logprobs": True,
        "top_logprobs": 2,
        "options": {
            "num_predict": 9,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 4,
            "min_p": 0.1,
            "seed": 1,
            "repeat_penalty": 1.1,
            "presence_penalty": 0.2,
            "frequency_penalty": 0.3,
            "stop": ["x"],
        },
    }
    assert dropped == {}


def test_a_callers_words_stand_above_the_providers() -> None:
    traits = Traits(
        unsupported={"seed": "no"},
        options={"options": {"num_ctx": 8, "temperature": 1, "top_k": 1}, "keep_alive": "5m"},
    )
    out, dropped = written(
        asked(seed=3, temperature=0.5, extra={"options": {"top_k": 9}, "keep_alive": 0, "odd": 1}), traits
    )
    assert out["options"] == {"num_ctx": 8, "temperature": 0.5, "top_k": 9}
    assert out["keep_alive"] == 0
    assert dropped.keys() == {"seed", "odd"}
    assert written(asked(), traits)[0]["keep_alive"] == "5m"


def test_what_ollama_does_not_take_is_named() -> None:
    _, dropped = written(
        asked(n=2, user="u", logit_bias={"1": 1}, store=True, metadata={"a": "b"}, extra={"options": "x"})
    )
    assert dropped.keys() == {"n", "user", "logit_bias", "store", "metadata", "options"}


@pytest.mark.parametrize(
    ("model", "reasoning", "think", "lost"),
    [
        ("m", Reasoning(effort="none"), False, set()),
        ("m", Reasoning(mode="disabled"), False, set()),
        ("m", Reasoning(mode="enabled"), True, set()),
        ("m", Reasoning(effort="high"), True, {"reasoning.effort"}),
        ("m", Reasoning(budget_tokens=9), True, {"reasoning.budget_tokens"}),
        ("gpt-oss:20b", Reasoning(effort="high"), "high", set()),
        ("gpt-oss:20b", Reasoning(effort="xhigh", summary="auto"), "high", {"reasoning.effort", "reasoning.summary"}),
    ],
)
def test_thinking_is_switched(model: str, reasoning: Reasoning, think: bool | str, lost: set[str]) -> None:
    out, dropped = written(asked(model, reasoning=reasoning))
    assert out["think"] == think
    assert dropped.keys() == lost


def test_structured_output_is_a_format() -> None:
    schema = {"type": "object", "properties": {}}
    assert written(asked(response_format=ResponseFormat(type="json_schema", schema=schema)))[0]["format"] == schema
    assert written(asked(response_format=ResponseFormat(type="json_object")))[0]["format"] == "json"
    assert "format" not in written(asked(response_format=ResponseFormat(type="text")))[0]


F = Tool(name="f", description="F", parameters={"type": "object", "properties": {}}, strict=True)


@pytest.mark.parametrize(
    ("choice", "names", "lost"),
    [
        (None, ["f", "g"], False),
        (ToolChoice(mode="none"), [], False),
        (ToolChoice(mode="required"), ["f", "g"], True),
        (ToolChoice(mode="named", name="g"), ["g"], True),
        (ToolChoice(mode="allowed", names=["f"]), ["f"], False),
    ],
)
def test_a_choice_of_tools_is_said_by_their_list(choice: ToolChoice | None, names: list[str], lost: bool) -> None:
    out, dropped = written(asked(tools=[F, Tool(name="g")], tool_choice=choice))
    assert [tool["function"]["name"] for tool in out.get("tools", [])] == names
    assert ("tool_choice" in dropped) is lost


def test_losses_of_tools_are_named() -> None:
    _, dropped = written(asked(tools=[F, Tool(kind="server", name="web")], parallel_tool_calls=False))
    assert dropped.keys() == {"tools[0].strict", "tools[1]", "parallel_tool_calls"}


def test_a_conversation_with_pictures_tools_and_thinking_is_written() -> None:
    messages = [
        Message(role="developer", content=[Text(text="brief")]),
        Message(role="user", content=[Text(text="what?"), Media(kind="image", data="AAAA", detail="low")]),
        Message(
            role="assistant",
            content=[
                Thinking(text="hm", signature="s", origin="anthropic_messages"),
                Text(text="wait", citations=[{"url": "x"}]),
                ToolCall(id="1", name="f", arguments='{"a":1}'),
                ToolCall(id="2", name="g", arguments="no json"),
            ],
        ),
        Message(
            role="tool",
            content=[ToolResult(tool_call_id="1", content=[Text(text="42"), Media(kind="image", data="BBBB")])],
        ),
        Message(role="tool", content=[ToolResult(tool_call_id="9", content=[Text(text="?")], is_error=True)]),
        Message(
            role="user",
            name="Bob",
            content=[
                Media(kind="document", text="facts"),
                Media(kind="image", url="http://x"),
                Media(kind="audio", data="AA"),
            ],
        ),
    ]
    out, dropped = written(asked(messages=messages))
    assert out["messages"] == [
        {"role": "system", "content": "brief"},
        {"role": "user", "content": "what?", "images": ["AAAA"]},
        {
            "role": "assistant",
            "content": "wait",
            "thinking": "hm",
            "tool_calls": [
                {"id": "1", "function": {"name": "f", "arguments": {"a": 1}}},
                {"id": "2", "function": {"name": "g", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "42", "images": ["BBBB"], "tool_name": "f", "tool_call_id": "1"},
        {"role": "tool", "content": "?", "tool_call_id": "9"},
        {"role": "user", "content": "facts"},
    ]
    assert dropped.keys() == {
        "messages[1].content[1].detail",
        "messages[2].content[0].signature",
        "messages[2].content[1].citations",
        "messages[2].content[3].arguments",
        "messages[4].content[0].is_error",
        "messages[5].name",
        "messages[5].content[1]",
        "messages[5].content[2]",
    }


LAST: dict[str, Any] = {
    "model": "m",
    "created_at": "2026-08-07T06:08:32.020222123Z",
    "done": True,
    "done_reason": "stop",
    "total_duration": 9,
    "prompt_eval_count": 3,
    "eval_count": 2,
}
MESSAGE: dict[str, Any] = {
    "role": "assistant",
    "content": "yo",
    "thinking": "hm",
    "tool_calls": [
        {"function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "x", "function": {"name": "g", "arguments": {}}},
    ],
}


def test_a_reply_is_read() -> None:
    reply = FORMAT.read_reply(json.dumps({**LAST, "message": MESSAGE}).encode())
    choice = reply.choices[0]
    assert choice.content == [
        Thinking(text="hm", origin="ollama_chat"),
        Text(text="yo"),
        ToolCall(id="call_20260807060832020222123_0", name="f", arguments='{"a":1}'),
        ToolCall(id="x", name="g", arguments="{}"),
    ]
    assert choice.finish_reason == "tool_calls"
    assert (reply.model, reply.created) == ("m", 1786082912)
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 2)
    assert reply.usage.extra == {"total_duration": 9}


@pytest.mark.parametrize(
    ("fields", "reason", "native"),
    [
        ({"done_reason": "length"}, "length", None),
        ({"done_reason": "load"}, "stop", "load"),
        ({"done_reason": None}, "stop", None),
        ({"done_reason": None, "done": False}, None, None),
    ],
)
def test_reasons_to_stop(fields: dict[str, Any], reason: str | None, native: str | None) -> None:
    body = {**LAST, "message": {"role": "assistant", "content": "a"}, **fields}
    choice = FORMAT.read_reply(json.dumps(body).encode()).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (reason, native)


@pytest.mark.parametrize("time", [None, "soon", "2024-05-24T21:01:59.4+02:00", "2024-05-24T21:01:59"])
def test_a_time_that_cannot_be_read_is_none(time: str | None) -> None:
    body = {**LAST, "created_at": time, "message": {"content": "a"}}
    created = FORMAT.read_reply(json.dumps(body).encode()).created
    assert (created is None) is (time in (None, "soon"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"message":3}',
        b'{"message":{"tool_calls":[3]}}',
        b'{"message":{"tool_calls":[{"function":{}}]}}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_of_ollamas_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        FORMAT.read_reply(body)


def test_an_error_under_a_good_status_is_raised() -> None:
    with pytest.raises(UpstreamRejected):
        FORMAT.read_reply(b'{"error":"out of memory"}')
    assert FORMAT.read_facts(b'{"error":"out of memory"}').error is not None


def lines(*values: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def said(**message: Any) -> dict[str, Any]:
    return {"model": "m", "created_at": LAST["created_at"], "message": {"role": "assistant", **message}, "done": False}


TOP = [{"token": "yo", "logprob": -1.0, "bytes": [121, 111]}]
STREAM = lines(
    said(content="", thinking="h"),
    said(content="", thinking="m"),
    {**said(content="y"), "logprobs": TOP},
    said(content="o"),
    said(content="", tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}}]),
    said(content="", tool_calls=[{"function": {"name": "g", "arguments": {}}}]),
    {**LAST, "message": {"role": "assistant", "content": ""}},
)


def read(*pieces: bytes) -> list[Event]:
    reader = FORMAT.stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


def test_a_stream_is_read() -> None:
    start, *middle, finish, usage, end = read(STREAM)
    assert isinstance(start, Start)
    assert start.model == "m"
    call_id = "call_20260807060832020222123"
    assert middle == [
        PartStart(part=0, content=Thinking(origin="ollama_chat")),
        PartDelta(part=0, kind="thinking", value="h"),
        PartDelta(part=0, kind="thinking", value="m"),
        PartStop(part=0),
        PartStart(part=1, content=Text(text="")),
        PartDelta(part=1, kind="text", value="y", logprobs={"content": [{"top_logprobs": [], **TOP[0]}]}),
        PartDelta(part=1, kind="text", value="o"),
        PartStop(part=1),
        PartStart(part=2, content=ToolCall(id=f"{call_id}_0", name="f")),
        PartDelta(part=2, kind="arguments", value='{"a":1}'),
        PartStop(part=2),
        PartStart(part=3, content=ToolCall(id=f"{call_id}_1", name="g")),
        PartDelta(part=3, kind="arguments", value="{}"),
        PartStop(part=3),
    ]
    assert isinstance(finish, Finish)
    assert finish.finish_reason == "tool_calls"
    assert isinstance(usage, UsageUpdate)
    assert usage.usage.total_tokens == 5
    assert isinstance(end, End)


def test_splitting_the_bytes_changes_no_event_and_a_last_line_may_lack_its_end() -> None:
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == read(STREAM)
    assert read(STREAM.replace(b"\n", b"\r\n")) == read(STREAM)
    assert read(STREAM[:-1]) == read(STREAM)


def test_a_cut_is_never_a_clean_end() -> None:
    limit = STREAM.rindex(b"{", 0, STREAM.rindex(b'"done": true'))
    for at in range(1, limit, 5):
        assert not any(isinstance(event, End | Finish) for event in read(STREAM[:at]))


def test_an_error_in_a_stream_ends_it() -> None:
    found = read(lines(said(content="a"), {"error": "an error was encountered while running the model"}, LAST))
    assert isinstance(found[-1], ErrorEvent)
    assert "running the model" in found[-1].message


@pytest.mark.parametrize("data", [b"{\n", b"[1]\n"])
def test_what_are_no_lines_of_ollamas_is_refused(data: bytes) -> None:
    reader = FORMAT.stream_reader()
    with pytest.raises(UpstreamProtocolError):
        reader.feed(data)
    with pytest.raises(UpstreamProtocolError):
        reader.close()


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    reader = FORMAT.stream_reader()
    with pytest.raises(UpstreamProtocolError):
        reader.feed(b"x" * (MAX_EVENT_BYTES + 1))


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, '"llama3" does not support tools', "invalid_request"),
        (404, 'model "nope" not found, try pulling it first', "model_not_found"),
        (500, "llama runner process has terminated", "server_error"),
        (503, "server busy, please try again. maximum pending requests exceeded", "overloaded"),
    ],
)
def test_ollamas_errors_are_understood(status: int, message: str, kind: str) -> None:
    error = FORMAT.read_error(status, {}, json.dumps({"error": message}).encode())
    assert (error.kind, error.message, error.status) == (kind, message, status)


def test_embeddings() -> None:
    dropped = Dropped()
    request = EmbeddingsRequest(
        model="m",
        input=["a"],
        dimensions=4,
        user="u",
        extra={"truncate": False, "options": {"num_ctx": 9}, "odd": 1},
        origin="openai_embeddings",
    )
    traits = Traits(options={"options": {"num_ctx": 1, "num_gpu": 0}, "keep_alive": "1h"})
    assert json.loads(EMBED.write_request(request, traits, dropped)) == {
        "model": "m",
        "input": ["a"],
        "dimensions": 4,
        "keep_alive": "1h",
        "truncate": False,
        "options": {"num_ctx": 9, "num_gpu": 0},
    }
    assert dropped.reasons.keys() == {"user", "odd"}
    reply = EMBED.read_reply(b'{"model":"m","embeddings":[[0.5],[1]],"prompt_eval_count":4}')
    assert [one.vector for one in reply.embeddings] == [[0.5], [1]]
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 4
    with pytest.raises(InvalidRequest):
        EMBED.write_request(EmbeddingsRequest(model="m", input=[[1]]), traits, dropped)
    with pytest.raises(UpstreamProtocolError):
        EMBED.read_reply(b'{"embeddings":3}')
