"""What the echo model says, without a gateway around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.format import Dropped
from gateway.protocol import ChatReply, ChatRequest, Choice, PartDelta, Text, ToolCall
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.providers.echo_chat import answer, events
from gateway_plugins.providers.echo_text import TOKEN_BYTES, tokens, truncated, until_stop, words

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 3}},
    "required": ["city"],
}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def function(name: str, parameters: Any = CITY) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


WEATHER, TIME = function("get_weather"), function("get-time")


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"call_{next(numbers)}"


def asked(**fields: Any) -> ChatReply:
    request = {"model": "echo", "messages": [user("hello")], **fields}
    return answer(OpenAIChat().read_request(msgspec.json.encode(request)), "chatcmpl-1", ids())


def said(**fields: Any) -> str:
    (part,) = asked(**fields).choices[0].content
    assert isinstance(part, Text)
    return part.text


def calls(choice: Choice) -> list[ToolCall]:
    assert all(isinstance(part, ToolCall) for part in choice.content)
    return [part for part in choice.content if isinstance(part, ToolCall)]


def called(**fields: Any) -> list[str]:
    return [call.name for call in calls(asked(**fields).choices[0])]


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refusal:
        asked(**fields)
    return refusal.value


@given(st.text())
def test_words_and_tokens_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text
    assert "".join(tokens(text)) == text
    assert all(len(token.removeprefix(" ").encode()) <= TOKEN_BYTES for token in tokens(text))


@given(st.text(), st.integers(0, 12))
def test_the_tokens_of_a_beginning_are_the_first_of_the_whole(text: str, limit: int) -> None:
    assert tokens(truncated(text, limit)) == tokens(text)[:limit]


def test_the_first_stop_sequence_ends_a_text() -> None:
    assert until_stop("one two three", ["three", "two", ""]) == ("one ", "two")
    assert until_stop("one", ["two"]) == ("one", None)


@pytest.mark.parametrize("text", ["hello", "  two  spaces\n", "héllo 世界 🎉", ""])
def test_the_last_user_message_comes_back_unchanged(text: str) -> None:
    messages = [{"role": "system", "content": "be brief"}, user("first"), {"role": "assistant", "content": "yes"}]
    assert said(messages=[*messages, user(text)]) == text


def test_a_message_without_text_is_told_by_what_it_holds() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    assert said(messages=[{"role": "user", "content": [image]}]) == "[image]"


def test_usage_counts_four_bytes_as_a_token() -> None:
    usage = asked(messages=[user("abcdefgh ij")]).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 3)


def test_a_prompt_beyond_the_context_is_refused_before_it_is_counted() -> None:
    refusal = refused(messages=[user("word " * 200_000)], n=128)
    assert (refusal.param, refusal.code) == ("messages", "context_length_exceeded")
    assert said(messages=[user("word " * 100_000)], max_tokens=1) == "word"


def test_a_limit_of_tokens_cuts_the_answer_and_says_so() -> None:
    reply = asked(messages=[user("one two three")], max_tokens=2)
    assert reply.choices[0].content == [Text(text="one two")]
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 2
    assert asked(messages=[user("one two")], max_tokens=2).choices[0].finish_reason == "stop"


def test_a_stop_sequence_ends_the_answer() -> None:
    choice = asked(messages=[user("one two three")], stop=[" two"]).choices[0]
    assert (choice.content, choice.finish_reason, choice.stop_sequence) == ([Text(text="one")], "stop", " two")


def test_n_gives_as_many_choices_with_calls_of_their_own() -> None:
    reply = asked(messages=[user("get_weather")], tools=[WEATHER], n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert len({call.id for choice in reply.choices for call in calls(choice)}) == 3


def test_logprobs_have_every_token() -> None:
    logprobs = asked(messages=[user("héllo world")], logprobs=True, top_logprobs=2).choices[0].logprobs
    assert logprobs is not None
    assert "".join(entry["token"] for entry in logprobs["content"]) == "héllo world"
    assert b"".join(bytes(entry["bytes"]) for entry in logprobs["content"]).decode() == "héllo world"
    assert all(entry["top_logprobs"][0]["token"] == entry["token"] for entry in logprobs["content"])
    assert asked().choices[0].logprobs is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("call get_weather", ["get_weather"]),
        ("get-time, then get_weather!", ["get-time", "get_weather"]),
        ("get_weather and get_weather", ["get_weather"]),
    ],
)
def test_tools_that_the_text_names_are_called_in_its_order(text: str, names: list[str]) -> None:
    assert called(messages=[user(text)], tools=[WEATHER, TIME]) == names


@pytest.mark.parametrize("text", ["what a day", "get_weathers", "forget-time"])
def test_tools_that_the_text_does_not_name_are_not_called(text: str) -> None:
    assert said(messages=[user(text)], tools=[WEATHER, TIME]) == text


def test_the_arguments_are_valid() -> None:
    choice = asked(messages=[user("get_weather get-time")], tools=[WEATHER, TIME]).choices[0]
    assert choice.finish_reason == "tool_calls"
    for call in calls(choice):
        jsonschema.validate(json.loads(call.arguments), CITY)
    assert [call.id for call in calls(choice)] == ["call_1", "call_2"]


@pytest.mark.parametrize("parameters", [None, {}, {"properties": {"a": {"type": "integer"}}}, {"type": "object"}])
def test_arguments_are_an_object_even_where_the_schema_does_not_say_so(parameters: Any) -> None:
    choice = asked(messages=[user("f")], tools=[function("f", parameters)]).choices[0]
    assert isinstance(json.loads(calls(choice)[0].arguments), dict)


def test_a_schema_of_arguments_may_refer_to_its_own_definitions() -> None:
    schema = {"$ref": "#/$defs/Args", "$defs": {"Args": {**CITY, "additionalProperties": False}}}
    choice = asked(messages=[user("f")], tools=[function("f", schema)]).choices[0]
    jsonschema.validate(json.loads(calls(choice)[0].arguments), schema)


def test_tool_choice_decides_before_the_text_does() -> None:
    tools = [WEATHER, TIME]
    named = {"type": "function", "function": {"name": "get-time"}}
    assert called(tools=tools, tool_choice="required") == ["get_weather"]
    assert called(tools=tools, tool_choice="required", messages=[user("get-time")]) == ["get-time"]
    assert called(tools=tools, tool_choice=named, messages=[user("get_weather")]) == ["get-time"]
    assert said(tools=tools, tool_choice="none", messages=[user("get-time")]) == "get-time"
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "get-time"}}]}
    assert called(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed}) == ["get-time"]


def test_without_parallel_calls_there_is_one() -> None:
    both = [user("get_weather get-time")]
    assert called(messages=both, tools=[TIME, WEATHER], parallel_tool_calls=False) == ["get_weather"]


def test_after_the_results_of_tools_it_says_them() -> None:
    messages = [
        user("get_weather get-time"),
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "get-time", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "sunny, as get_weather says"},
        {"role": "tool", "tool_call_id": "b", "content": "noon"},
    ]
    assert said(messages=messages, tools=[WEATHER, TIME]) == "sunny, as get_weather says\nnoon"


def test_arguments_beyond_the_limit_of_tokens_are_cut() -> None:
    choice = asked(messages=[user("get_weather get-time")], tools=[WEATHER, TIME], max_tokens=2).choices[0]
    assert choice.finish_reason == "length"
    assert [call.arguments for call in calls(choice)] == ['{"city":']


def test_a_custom_tool_gets_the_text_or_what_its_expression_matches() -> None:
    def custom(**more: Any) -> dict[str, Any]:
        return {"type": "custom", "custom": {"name": "patch", **more}}

    def of(syntax: str, definition: str) -> dict[str, Any]:
        grammar = {"syntax": syntax, "definition": definition}
        return {"format": {"type": "grammar", "grammar": grammar}}

    choice = asked(messages=[user("patch it")], tools=[custom()]).choices[0]
    assert [(call.kind, call.arguments) for call in calls(choice)] == [("custom", "patch it")]
    choice = asked(messages=[user("patch it")], tools=[custom(**of("regex", "[0-9]{3}"))]).choices[0]
    assert calls(choice)[0].arguments == "000"
    refusal = refused(messages=[user("patch it")], tools=[custom(**of("lark", "start: WORD"))])
    assert (refusal.param, refusal.code) == ("tools[0].custom.format", "invalid_grammar")


def test_json_is_given_where_it_is_asked_for() -> None:
    assert json.loads(said(response_format={"type": "json_object"})) == {"echo": "hello"}
    schema = {"type": "json_schema", "json_schema": {"name": "place", "schema": CITY, "strict": True}}
    jsonschema.validate(json.loads(said(response_format=schema)), CITY)
    assert said(response_format={"type": "text"}) == "hello"


def test_a_schema_that_cannot_be_satisfied_is_a_400_that_names_the_keyword() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=x)"}}, "required": ["a"]}
    refusal = refused(response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": schema}})
    assert (refusal.status, refusal.param, refusal.code) == (400, "response_format", "invalid_json_schema")
    assert "'place'" in refusal.message
    assert "'pattern' at a" in refusal.message
    refusal = refused(messages=[user("f")], tools=[WEATHER, function("f", schema)])
    assert (refusal.param, refusal.code) == ("tools[1].function.parameters", "invalid_function_parameters")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "none"}}}, "tool_choice"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_its_field(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields).param == param


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [user("Hello wide  world\n")]},
        {"messages": [user("one two three")], "max_tokens": 2, "n": 2},
        {"messages": [user("get_weather get-time")], "tools": [WEATHER, TIME]},
        {"response_format": {"type": "json_object"}},
        {"messages": [user("")]},
    ],
)
def test_a_stream_says_what_the_whole_answer_says(fields: dict[str, Any]) -> None:
    reply = asked(**fields)
    request = ChatRequest(model="echo", stream=True, include_usage=True)
    writer, reader = OpenAIChat().stream_writer(request), OpenAIChat().stream_reader()
    read = [out for event in events(reply, top_logprobs=None) for out in reader.feed(writer.write(event))]
    texts: dict[tuple[int, int], str] = {}
    for event in read:
        if isinstance(event, PartDelta):
            key = (event.choice, event.part)
            texts[key] = texts.get(key, "") + event.value
    whole = {
        (choice.index, place): text
        for choice in reply.choices
        for place, part in enumerate(choice.content)
        if (text := getattr(part, "arguments", getattr(part, "text", "")))
    }
    assert texts == whole
    assert any(type(event).__name__ == "End" for event in read)


def test_a_stream_comes_word_by_word_with_logprobs_of_each() -> None:
    reply = asked(messages=[user("Hello wide world")])
    deltas = [event for event in events(reply, top_logprobs=0) if isinstance(event, PartDelta)]
    assert [delta.value for delta in deltas] == ["Hello", " wide", " world"]
    found = [[entry["token"] for entry in (delta.logprobs or {})["content"]] for delta in deltas]
    assert found == [["Hell", "o"], [" wide"], [" worl", "d"]]


def test_the_answer_can_be_written_as_openai_does() -> None:
    written = msgspec.json.decode(OpenAIChat().write_reply(asked(logprobs=True), Dropped()))
    assert written["choices"][0]["message"]["content"] == "hello"
    assert written["choices"][0]["logprobs"]["content"][0]["token"] == "hell"
