"""Legacy completions: requests, replies and streams, between this format and the others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Traits
from gateway.protocol import (
    ChatReply,
    ChatRequest,
    Choice,
    End,
    ErrorEvent,
    Finish,
    Media,
    Message,
    PartDelta,
    PartStart,
    Ping,
    Start,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    UsageUpdate,
)
from gateway.protocol.unroll import events_of
from gateway.sse import decode_events
from gateway_plugins.formats.hashed_user import LONGEST
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_completions import OpenAICompletions
from gateway_plugins.formats.openai_completions_request import only_here

FORMAT = OpenAICompletions()


def read(**fields: Any) -> ChatRequest:
    return FORMAT.read_request(json.dumps({"model": "m", **fields}).encode())


def written(request: ChatRequest, traits: Traits | None = None) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    return json.loads(FORMAT.write_request(request, traits or Traits(), dropped)), dropped.reasons


EVERYTHING: dict[str, Any] = {
    "model": "m",
    "prompt": "def f(",
    "suffix": "return x",
    "echo": True,
    "best_of": 3,
    "logprobs": 2,
    "max_tokens": 9,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 4,
    "min_p": 0.1,
    "repetition_penalty": 1.1,
    "n": 2,
    "seed": 7,
    "stop": ["\n", "END"],
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "logit_bias": {"50256": -100},
    "user": "u",
    "guided_regex": "a+",
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prompt": ["def f("]},
        {"prompt": ["a", "b"]},
        {"prompt": [1, 2, 3]},
        {"prompt": [[1, 2], [3]]},
        {"prompt": ""},
        {"stop": "\n"},
        {"echo": False, "best_of": 1, "suffix": ""},
        {"logprobs": 0},
    ],
)
def test_what_a_request_says_is_written_again(changes: dict[str, Any]) -> None:
    said = {**EVERYTHING, **changes}
    out, dropped = written(FORMAT.read_request(json.dumps(said).encode()))
    assert out == said
    assert dropped == {}


def test_a_prompt_becomes_one_user_message_of_chat_completions() -> None:
    dropped = Dropped()
    out = json.loads(
        OpenAIChat().write_request(FORMAT.read_request(json.dumps(EVERYTHING).encode()), Traits(), dropped)
    )
    assert out["messages"] == [{"role": "user", "content": "def f("}]
    assert (out["logprobs"], out["top_logprobs"], out["max_completion_tokens"], out["n"]) == (True, 2, 9, 2)
    assert dropped.reasons.keys() == {
        "suffix",
        "echo",
        "best_of",
        "guided_regex",
        "top_k",
        "min_p",
        "repetition_penalty",
    }


def test_settings_that_say_nothing_are_no_loss_elsewhere() -> None:
    dropped = Dropped()
    OpenAIChat().write_request(read(prompt="x", echo=False, best_of=1, suffix=""), Traits(), dropped)
    assert dropped.reasons == {}


@pytest.mark.parametrize(
    ("prompt", "words"), [([1, 2], "token ids"), ([[1], [2]], "token ids"), (["a", "b"], "several")]
)
def test_prompts_that_only_this_format_can_say_are_known_as_such(prompt: Any, words: str) -> None:
    refusal = only_here(read(prompt=prompt))
    assert refusal is not None
    assert refusal.param == "prompt"
    assert words in refusal.message


@pytest.mark.parametrize("prompt", ["a", ["a"], ""])
def test_one_prompt_can_be_said_elsewhere(prompt: Any) -> None:
    assert only_here(read(prompt=prompt)) is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [[1], "a"]}, "prompt[1]"),
        ({"prompt": "a", "logprobs": True}, "logprobs"),
        ({"prompt": "a", "stop": [1]}, "stop"),
        ({"prompt": "a", "max_tokens": "9"}, "max_tokens"),
    ],
)
def test_what_the_dialect_does_not_allow_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(**fields)
    assert refusal.value.param == param


def test_a_conversation_is_said_as_one_prompt_and_that_is_named() -> None:
    request = ChatRequest(
        model="m",
        origin="openai_chat",
        messages=[
            Message(role="system", content=[Text(text="be brief")]),
            Message(role="user", content=[Text(text="hi"), Media(kind="image", url="http://x/y.png")]),
            Message(role="assistant", content=[Text(text="yo"), ToolCall(id="1", name="f")]),
            Message(role="tool", content=[ToolResult(tool_call_id="1", content=[Text(text="42")])]),
        ],
        tools=[Tool(name="f")],
        top_k=3,
        stream=True,
        extra={"web": 1},
    )
    out, dropped = written(request)
    assert out["prompt"] == "System: be brief\n\nUser: hi\n\nAssistant: yo\n\nTool: 42\n\nAssistant:"
    assert out["stream_options"] == {"include_usage": True}
    assert dropped.keys() == {"messages", "messages[1].content[1]", "messages[2].content[1]", "tools", "top_k", "web"}


def test_a_single_user_message_is_the_prompt_itself() -> None:
    out, dropped = written(
        ChatRequest(model="m", origin="x", messages=[Message(role="user", content=[Text(text="hi")])], logprobs=True)
    )
    assert out == {"model": "m", "prompt": "hi", "logprobs": 0}
    assert dropped == {}


def test_a_providers_differences_are_kept_to() -> None:
    traits = Traits(
        unsupported={"seed": "no", "stop": "no", "logprobs": "no"},
        renames={"repetition_penalty": "repeat_penalty"},
        defaults={"cache_prompt": True},
        options={"accepts": ["repetition_penalty"], "stream_options": False},
    )
    request = read(prompt="a", seed=1, stop=["x"], logprobs=1, repetition_penalty=1.5, stream=True)
    request.origin = "other"
    request.extra = {}
    out, dropped = written(request, traits)
    assert out == {"model": "m", "prompt": "a", "repeat_penalty": 1.5, "stream": True, "cache_prompt": True}
    assert dropped.keys() == {"seed", "stop", "logprobs"}


LOGPROBS = {
    "tokens": ["H", "i", "bytes:\\xe2\\x80"],
    "token_logprobs": [None, -0.5, -0.1],
    "top_logprobs": [None, {"i": -0.5, "o": -2.0}, {"bytes:\\xe2\\x80": -0.1}],
    "text_offset": [5, 6, 7],
}


def test_log_probabilities_take_the_shape_of_chat_completions_and_come_back() -> None:
    body = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
    body["choices"] = [{"text": "Hi", "index": 0, "logprobs": LOGPROBS, "finish_reason": "stop"}]
    reply = FORMAT.read_reply(json.dumps(body).encode())
    found = reply.choices[0].logprobs
    assert found is not None
    assert found["content"][1] == {
        "token": "i",
        "logprob": -0.5,
        "bytes": [105],
        "top_logprobs": [
            {"token": "i", "logprob": -0.5, "bytes": [105]},
            {"token": "o", "logprob": -2.0, "bytes": [111]},
        ],
    }
    assert found["content"][2]["bytes"] == [0xE2, 0x80]
    assert json.loads(FORMAT.write_reply(reply, Dropped())) == body


def test_log_probabilities_of_a_chat_completion_get_offsets_behind_the_prompt() -> None:
    content = [{"token": "Hel", "logprob": -1.0, "bytes": None, "top_logprobs": []}]
    content.append({"token": "lo", "logprob": -2.0, "bytes": None, "top_logprobs": []})
    reply = ChatReply(
        id="c",
        model="m",
        origin="openai_chat",
        choices=[Choice(content=[Text(text="Hello")], finish_reason="stop", logprobs={"content": content})],
    )
    choice = json.loads(FORMAT.write_reply(reply, Dropped(), read(prompt="12345")))["choices"][0]
    assert choice["logprobs"] == {
        "tokens": ["Hel", "lo"],
        "token_logprobs": [-1.0, -2.0],
        "top_logprobs": None,
        "text_offset": [5, 8],
    }


def thinking_reply() -> ChatReply:
    return ChatReply(
        id="c",
        model="m",
        origin="anthropic_messages",
        choices=[
            Choice(
                content=[
                    Thinking(text="hm"),
                    Text(text="yo", citations=[{"url": "http://x"}]),
                    ToolCall(id="t", name="f", arguments="{}"),
                ],
                finish_reason="tool_calls",
            )
        ],
        usage=Usage(prompt_tokens=3, completion_tokens=4, reasoning_tokens=2),
    )


def test_what_a_completion_cannot_say_is_named() -> None:
    dropped = Dropped()
    out = json.loads(FORMAT.write_reply(thinking_reply(), dropped))
    assert out["choices"] == [{"text": "yo", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert out["usage"]["completion_tokens_details"]["reasoning_tokens"] == 2
    where = "choices[0].message.content"
    assert dropped.reasons.keys() == {f"{where}[0]", f"{where}[1].citations", f"{where}[2]"}


def test_a_streamed_answer_says_the_same_and_names_the_same() -> None:
    dropped = Dropped()
    writer = FORMAT.stream_writer(ChatRequest(model="m", include_usage=True), dropped)
    out = b"".join(writer.write(event) for event in events_of(thinking_reply()))
    chunks = [event.data for event in decode_events(out)]
    assert chunks[-1] == b"[DONE]"
    decoded = [json.loads(data) for data in chunks[:-1]]
    assert "".join(chunk["choices"][0]["text"] for chunk in decoded[:-1]) == "yo"
    assert decoded[-2]["choices"][0]["finish_reason"] == "stop"
    assert decoded[-1]["choices"] == []
    assert decoded[-1]["usage"]["total_tokens"] == 7
    assert {"choices[0].message.content[0]", "choices[0].message.content[2]"} <= dropped.reasons.keys()


def event(*choices: dict[str, Any], **more: Any) -> bytes:
    body = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": list(choices), **more}
    return b"data: " + json.dumps(body).encode() + b"\r\n\r\n"


def events(*pieces: bytes) -> list[Any]:
    reader = FORMAT.stream_reader()
    return [found for piece in pieces for found in reader.feed(piece)] + reader.close()


def test_a_stream_of_two_choices_is_read() -> None:
    found = events(
        event({"index": 0, "text": "a"}),
        event({"index": 1, "text": "b"}),
        event({"index": 0, "text": "", "finish_reason": "length"}),
        event({"index": 1, "text": "c", "finish_reason": "stop", "stop_reason": "\n"}),
        event(usage={"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}),
        b"data: [DONE]\n\n",
    )
    assert [type(one).__name__ for one in found] == [
        "Start",
        "PartStart",
        "PartDelta",
        "PartStart",
        "PartDelta",
        "PartStop",
        "Finish",
        "PartDelta",
        "PartStop",
        "Finish",
        "UsageUpdate",
        "End",
    ]
    finishes = [one for one in found if isinstance(one, Finish)]
    assert [(one.choice, one.finish_reason, one.stop_sequence) for one in finishes] == [
        (0, "length", None),
        (1, "stop", "\n"),
    ]


def test_a_stream_without_its_end_is_not_complete() -> None:
    cut = events(event({"index": 0, "text": "a"}), b'data: {"id"')
    assert not any(isinstance(one, End | Finish) for one in cut)
    finished = events(event({"index": 0, "text": "a", "finish_reason": "stop"}))
    assert isinstance(finished[-1], End)
    one_of_two = events(event({"index": 0, "text": "a", "finish_reason": "stop"}, {"index": 1, "text": "b"}))
    assert not isinstance(one_of_two[-1], End)


def test_an_end_mark_without_a_reason_ends_the_choices() -> None:
    found = events(event({"index": 0, "text": "a"}), b"data: [DONE]\n\n")
    assert isinstance(found[-2], Finish)
    assert isinstance(found[-1], End)


def test_an_end_mark_before_a_reason_that_was_still_to_come_is_a_cut() -> None:
    found = events(event({"index": 0, "text": "a", "finish_reason": None}), b"data: [DONE]\n\n")
    assert not any(isinstance(one, End | Finish) for one in found)


def test_words_alone_are_read_as_writers_older_models_stream_them() -> None:
    found = events(b'data: {"value":"Su"}\n\ndata: {"value":"re"}\n\n')
    assert "".join(one.value for one in found if isinstance(one, PartDelta)) == "Sure"
    assert not any(isinstance(one, End) for one in found)


def test_an_error_inside_a_stream_ends_it() -> None:
    found = events(
        event({"index": 0, "text": "a"}), b'data: {"error":{"message":"boom","code":500}}\n\ndata: [DONE]\n\n'
    )
    assert isinstance(found[-1], ErrorEvent)
    writer = FORMAT.stream_writer(ChatRequest(model="m"))
    out = b"".join(writer.write(one) for one in found)
    assert decode_events(out)[-1].data.startswith(b'{"error"')
    assert writer.write(End()) == b""


@pytest.mark.parametrize(
    "data", [b"data: {\n\n", b"data: [1]\n\n", b"data: [DONE]\n\n", b'data: {"a":' + b"[" * 100_000 + b"\n\n"]
)
def test_what_is_no_stream_of_completions_is_refused(data: bytes) -> None:
    reader = FORMAT.stream_reader()
    with pytest.raises(UpstreamProtocolError):
        reader.feed(data)
    with pytest.raises(UpstreamProtocolError):
        reader.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[3]}',
        b'{"choices":[{"text":3}]}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_completion_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        FORMAT.read_reply(body)


def test_an_error_under_a_good_status_is_raised() -> None:
    with pytest.raises(UpstreamRejected) as error:
        FORMAT.read_reply(b'{"error":{"message":"no","code":"model_not_found"}}')
    assert error.value.kind == "model_not_found"


def test_pings_wait_for_the_first_words() -> None:
    writer = FORMAT.stream_writer(ChatRequest(model="m"))
    assert writer.write(Start(id="c", model="m")) == b""
    assert writer.write(Ping()) == b""
    writer.write(PartStart(part=0, content=Text(text="")))
    assert writer.write(Ping()) == b": keep-alive\n\n"
    writer.write(UsageUpdate(usage=Usage()))
    assert writer.write(End()) == b"data: [DONE]\n\n"  # usage was not asked for


NUMBERS = st.floats(-2, 2, allow_nan=False)
COUNTS = st.integers(0, 100)
SAID = st.fixed_dictionaries(
    {
        "model": st.text(min_size=1),
        "prompt": st.one_of(
            st.text(),
            st.lists(st.text(), min_size=1, max_size=3),
            st.lists(COUNTS, min_size=1),
            st.lists(st.lists(COUNTS), min_size=1),
        ),
    },
    optional={
        "suffix": st.text(),
        "echo": st.booleans(),
        "best_of": COUNTS,
        "n": COUNTS,
        "logprobs": st.integers(0, 5),
        "max_tokens": COUNTS,
        "temperature": NUMBERS,
        "top_p": NUMBERS,
        "frequency_penalty": NUMBERS,
        "presence_penalty": NUMBERS,
        "seed": COUNTS,
        "user": st.text(),
        "stop": st.one_of(st.text(), st.lists(st.text(), min_size=1)),
        "logit_bias": st.dictionaries(st.text(), COUNTS),
        "anything": st.recursive(st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
    },
)


@given(SAID)
def test_any_request_comes_back_as_it_was_said(said: dict[str, Any]) -> None:
    out, dropped = written(FORMAT.read_request(json.dumps(said).encode()))
    assert out == said
    assert dropped == {}


@given(SAID)
def test_through_another_format_a_request_loses_only_what_is_named(said: dict[str, Any]) -> None:
    request = FORMAT.read_request(json.dumps(said).encode())
    assume(only_here(request) is None)
    dropped = Dropped()
    chat = OpenAIChat()
    out = chat.read_request(chat.write_request(request, Traits(), dropped))
    for name in ("temperature", "top_p", "seed", "stop", "n", "max_tokens", "logit_bias", "top_logprobs"):
        assert getattr(out, name) == getattr(request, name), name
    if request.user is not None and len(request.user) > LONGEST:
        assert "user" in dropped.reasons  # a hash is sent in its place
    else:
        assert out.user == request.user
    assert set(request.extra) <= dropped.reasons.keys()
