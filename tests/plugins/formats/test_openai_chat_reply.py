"""Whole chat completions, read and written: parts, finish reasons, usage, and what is an error after all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from gateway.errors import UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped
from gateway.protocol import (
    ChatReply,
    Choice,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from gateway_plugins.formats.openai_chat import OpenAIChat


def completion(message: dict[str, Any], finish_reason: Any = "stop", **fields: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}],
        **fields,
    }


def read(body: Any) -> ChatReply:
    return OpenAIChat().read_reply(json.dumps(body).encode())


def parts_of(message: dict[str, Any], finish_reason: Any = "stop") -> list[Part]:
    return read(completion(message, finish_reason)).choices[0].content


def reply(*parts: Part, finish: Any = "stop", origin: str = "anthropic_messages", **fields: Any) -> ChatReply:
    choice = Choice(content=list(parts), finish_reason=finish)
    return ChatReply(id="msg_1", model="claude", created=1700000000, choices=[choice], origin=origin, **fields)


def write(whole: ChatReply) -> tuple[dict[str, Any], dict[str, str]]:
    """What is written, after the openai package's own types have found it valid."""
    dropped = Dropped()
    body: dict[str, Any] = json.loads(OpenAIChat().write_reply(whole, dropped))
    ChatCompletion.model_validate(body)
    return body, dropped.reasons


def written_message(*parts: Part, finish: Any = "stop") -> dict[str, Any]:
    message: dict[str, Any] = write(reply(*parts, finish=finish))[0]["choices"][0]["message"]
    return message


def test_a_plain_answer_is_read_in_full() -> None:
    body = completion(
        {"content": "Hi", "refusal": None, "annotations": []},
        service_tier="default",
        system_fingerprint="fp",
        usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    )
    assert read(body) == ChatReply(
        id="chatcmpl-1",
        model="m",
        created=1700000000,
        service_tier="default",
        choices=[Choice(content=[Text(text="Hi")], finish_reason="stop")],
        usage=Usage(prompt_tokens=3, completion_tokens=2),
        origin="openai_chat",
        extra={"system_fingerprint": "fp"},
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": ""}, []),
        ({"content": None, "refusal": "No."}, [Refusal(text="No.")]),
        ({"content": {"a": 1}}, [Text(text='{"a":1}')]),
        ({"content": "a", "reasoning_content": "Hm"}, [Thinking(text="Hm", origin="openai_chat"), Text(text="a")]),
        ({"content": "a", "reasoning": "Hm"}, [Thinking(text="Hm", origin="openai_chat"), Text(text="a")]),
        (
            {
                "content": "a",
                "reasoning": "Hm",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "Hm", "signature": "s", "format": "anthropic-claude-v1"}
                ],
            },
            [Thinking(text="Hm", signature="s", origin="anthropic_messages"), Text(text="a")],
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
                    {"type": "text", "text": "a"},
                ]
            },
            [Thinking(text="Hm", origin="openai_chat"), Text(text="a")],
        ),
        (
            {
                "content": [
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm", "signature": "s"}]},
                    {"type": "text", "text": "a"},
                ]
            },
            [Thinking(text="Hm", signature="s", origin="openai_chat"), Text(text="a")],
        ),
        (
            {"content": "a", "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]},
            [Text(text="a", citations=[{"type": "url_citation", "url_citation": {"url": "u"}}])],
        ),
        (
            {"content": None, "audio": {"id": "au", "data": "AA", "transcript": "a", "expires_at": 1}},
            [Media(kind="audio", data="AA", extra={"id": "au", "transcript": "a", "expires_at": 1})],
        ),
        ({"content": "a", "audio": {"id": "", "data": "", "transcript": ""}}, [Text(text="a")]),
        (
            {"content": "", "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
            [Media(kind="image", media_type="image/png", data="AA")],
        ),
        (
            {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]},
            [ToolCall(id="c", name="f", arguments='{"a":1}')],
        ),
        (
            {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}, {"id": "", "function": {"name": "g"}}]},
            [ToolCall(id="call_chatcmpl-1_0", name="f", arguments="{}"), ToolCall(id="call_chatcmpl-1_1", name="g")],
        ),
        (
            {"tool_calls": [{"id": "c", "function": {"name": "f"}}, {"id": "c", "function": {"name": "g"}}]},
            [ToolCall(id="c", name="f"), ToolCall(id="call_chatcmpl-1_1", name="g")],
        ),
        (
            {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
            [ToolCall(id="c", name="f", arguments="x", kind="custom")],
        ),
        (
            # Snowflake fills in every field of either kind.
            {
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "custom": {"name": "", "input": ""},
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
                "function_call": {"name": "", "arguments": ""},
            },
            [ToolCall(id="c", name="f", arguments="{}")],
        ),
        (
            {"function_call": {"name": "f", "arguments": "{}"}},
            [ToolCall(id="call_chatcmpl-1_0", name="f", arguments="{}")],
        ),
        (
            {
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": {"google": {"thought_signature": "s"}},
                    }
                ]
            },
            [ToolCall(id="c", name="f", arguments="{}", signature="s")],
        ),
    ],
)
def test_messages_are_read_into_parts(message: dict[str, Any], expected: list[Part]) -> None:
    assert parts_of(message) == expected


@pytest.mark.parametrize(
    ("word", "reason", "native"),
    [
        ("stop", "stop", None),
        ("length", "length", None),
        ("content_filter", "content_filter", None),
        ("model_length", "length", "model_length"),
        ("eos", "stop", "eos"),
        ("end_turn", "stop", "end_turn"),
        ("insufficient_system_resource", "error", "insufficient_system_resource"),
        ("sensitive", "content_filter", "sensitive"),
        ("new_word", "stop", "new_word"),
        ("", None, None),
        (None, None, None),
    ],
)
def test_finish_reasons_are_read_and_the_native_word_is_kept(word: Any, reason: str | None, native: str | None) -> None:
    choice = read(completion({"content": "a"}, word)).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (reason, native)


def test_a_forced_tool_that_openai_ends_with_stop_counts_as_a_tool_call() -> None:
    body = completion({"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
    whole = read(body)
    assert whole.choices[0].finish_reason == "tool_calls"
    assert write(whole)[0]["choices"][0]["finish_reason"] == "stop"


def test_the_native_word_of_openrouter_and_the_stop_string_of_vllm_are_kept() -> None:
    body = completion({"content": "a"})
    body["choices"][0] |= {"native_finish_reason": "end_turn", "stop_reason": "###"}
    choice = read(body).choices[0]
    assert (choice.native_finish_reason, choice.stop_sequence) == ("end_turn", "###")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 7,
                "total_tokens": 17,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3, "audio_tokens": 2, "x": 1},
                "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 1},
                "cost": 0.5,
            },
            Usage(
                prompt_tokens=10,
                completion_tokens=7,
                cache_read_tokens=4,
                cache_write_tokens=3,
                audio_input_tokens=2,
                audio_output_tokens=1,
                reasoning_tokens=5,
                extra={"cost": 0.5, "prompt_tokens_details": {"x": 1}},
            ),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 0, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6},
            Usage(prompt_tokens=10, cache_read_tokens=4),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 1, "cached_tokens": 4},
            Usage(prompt_tokens=10, completion_tokens=1, cache_read_tokens=4),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 1, "cache_creation_input_tokens": 5},
            Usage(prompt_tokens=10, completion_tokens=1, cache_write_tokens=5),
        ),
        (
            # Gemini's thoughts are in the total only.
            {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
            Usage(prompt_tokens=35, completion_tokens=74, reasoning_tokens=62),
        ),
        (  # xAI counts reasoning apart from the completion
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(prompt_tokens=32, completion_tokens=103, reasoning_tokens=94),
        ),
        ({"prompt_tokens": 9, "completion_tokens": None, "total_tokens": None}, Usage(prompt_tokens=9)),
    ],
)
def test_usage(usage: dict[str, Any], expected: Usage) -> None:
    assert read(completion({"content": "a"}, usage=usage)).usage == expected


@pytest.mark.parametrize(
    ("body", "status", "kind", "message"),
    [
        (
            {"error": {"message": "Filtered", "code": "content_filter", "status": 400}},
            400,
            "content_filter",
            "Filtered",
        ),
        ({"error": {"message": "Slow down", "code": 429}}, 429, "rate_limit", "Slow down"),
        ({"object": "error", "message": "Bad", "code": 400}, 400, "invalid_request", "Bad"),
        ({"choices": None, "base_resp": {"status_code": 2013, "status_msg": "Bad"}}, 502, "upstream", "Bad"),
        (
            {"id": "g", "choices": [{"error": {"code": 502, "message": "Gone"}, "finish_reason": "error"}]},
            502,
            "upstream",
            "Gone",
        ),
    ],
)
def test_an_error_under_a_good_status_is_an_error(body: Any, status: int, kind: str, message: str) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        read(body)
    assert (caught.value.status, caught.value.kind, caught.value.message) == (status, kind, message)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"a":"\xff"}',
        b"[]",
        b"null",
        b'{"id":"x"}',
        b'{"choices":[]}',
        b'{"choices":[5]}',
        b'{"choices":[{"message":5}]}',
        b'{"choices":[{"message":{"content":[{"no":"type"}]}}]}',
    ],
)
def test_what_is_no_chat_completion_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        OpenAIChat().read_reply(body)


def test_an_answer_of_another_format_is_written_with_every_key_that_openai_promises() -> None:
    usage = Usage(prompt_tokens=10, completion_tokens=5, cache_read_tokens=3, cache_write_tokens=2, reasoning_tokens=1)
    body, dropped = write(reply(Text(text="a"), Text(text="b"), usage=usage, service_tier="standard"))
    assert body == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "claude",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ab", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 0},
        },
        "service_tier": "default",
    }
    assert dropped == {}


def test_thinking_is_shown_as_text_and_carried_so_that_it_can_be_replayed() -> None:
    thinking: list[Part] = [
        Thinking(text="Hm", signature="s", origin="anthropic_messages"),
        Thinking(redacted=True, encrypted="r", origin="anthropic_messages"),
    ]
    message = written_message(*thinking, Text(text="a"))
    assert message["reasoning_content"] == "Hm"
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm", "format": "anthropic-claude-v1", "index": 0, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "r", "format": "anthropic-claude-v1", "index": 1},
    ]
    # The caller sends the message back as it is.
    request = OpenAIChat().read_request(json.dumps({"model": "m", "messages": [message]}).encode())
    assert request.messages[0].content == [*thinking, Text(text="a")]


@pytest.mark.parametrize("origin", ["anthropic_messages", "openai_responses", "gemini", "xai-responses-v1"])
def test_thinking_of_any_origin_survives_a_turn_at_the_caller(origin: str) -> None:
    thinking = Thinking(text="Hm", signature="s", origin=origin)
    if origin == "openai_responses":
        thinking = Thinking(text="Hm", encrypted="e", id="rs_1", origin=origin)
    message = written_message(thinking, ToolCall(id="c", name="f", arguments="{}", signature="t"), finish="tool_calls")
    request = OpenAIChat().read_request(json.dumps({"model": "m", "messages": [message]}).encode())
    assert request.messages[0].content == [thinking, ToolCall(id="c", name="f", arguments="{}", signature="t")]


def test_plain_thinking_needs_no_details() -> None:
    message = written_message(Thinking(text="Hm", origin="openai_chat"), Text(text="a"))
    assert message["reasoning_content"] == "Hm"
    assert "reasoning_details" not in message


def test_content_is_null_only_beside_something_else() -> None:
    assert written_message()["content"] == ""
    assert written_message(ToolCall(id="c", name="f", arguments="{}"), finish="tool_calls")["content"] is None
    refused = written_message(Refusal(text="No."), finish="refusal")
    assert (refused["content"], refused["refusal"]) == (None, "No.")


@pytest.mark.parametrize(
    ("reason", "parts", "word"),
    [
        ("stop", [], "stop"),
        ("length", [], "length"),
        ("tool_calls", [ToolCall(id="c", name="f")], "tool_calls"),
        ("content_filter", [], "content_filter"),
        ("refusal", [], "content_filter"),
        ("refusal", [Refusal(text="No.")], "stop"),
        ("pause", [], "stop"),
        ("error", [], "length"),
        (None, [], "stop"),
        (None, [ToolCall(id="c", name="f")], "tool_calls"),
    ],
)
def test_finish_reasons_are_written_in_words_that_openai_has(reason: Any, parts: list[Part], word: str) -> None:
    assert write(reply(*parts, finish=reason))[0]["choices"][0]["finish_reason"] == word


def test_citations_of_urls_become_annotations_of_their_piece_of_the_text() -> None:
    cited = Text(text="cited", citations=[{"type": "web_search_result_location", "url": "https://x", "title": "X"}])
    paged = Text(text="paged", citations=[{"type": "page_location", "document_index": 0}])
    body, dropped = write(reply(Text(text="Not "), cited, paged))
    assert body["choices"][0]["message"]["annotations"] == [
        {"type": "url_citation", "url_citation": {"url": "https://x", "title": "X", "start_index": 4, "end_index": 9}}
    ]
    assert list(dropped) == ["choices[0].message.content[2].citations"]


def test_what_a_chat_completion_has_no_place_for_is_named() -> None:
    whole = reply(
        Opaque(origin="anthropic_messages", type="server_tool_use", value={}),
        Text(text="a"),
        extra={"container": {}},
        service_tier="batch",
        usage=Usage(prompt_tokens=1, extra={"server_tool_use": {}}),
    )
    whole.choices[0].extra = {"stop_details": {}}
    _, dropped = write(whole)
    assert set(dropped) == {
        "choices[0].message.content[0]",
        "choices[0].stop_details",
        "container",
        "service_tier",
        "usage.server_tool_use",
    }


def test_media_of_an_answer_have_the_published_places() -> None:
    message = written_message(Media(kind="image", media_type="image/png", data="AA"), Media(kind="audio", data="BB"))
    assert message["images"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}, "index": 0},
    ]
    assert message["audio"] == {"id": "", "data": "BB", "expires_at": 0, "transcript": ""}


def test_a_caller_of_the_deprecated_functions_gets_a_function_call() -> None:
    whole = reply(
        ToolCall(id="c", name="f", arguments="{}"),
        ToolCall(id="d", name="g", arguments="{}"),
        finish="tool_calls",
        spelling={"tools": "functions"},
    )
    body, dropped = write(whole)
    assert body["choices"][0]["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert body["choices"][0]["finish_reason"] == "function_call"
    assert list(dropped) == ["choices[0].message.tool_calls"]


def test_several_choices_keep_their_numbers_and_logprobs() -> None:
    whole = reply(Text(text="a"))
    whole.choices.append(Choice(index=1, content=[Text(text="b")], finish_reason="length", logprobs={"content": []}))
    body, _ = write(whole)
    assert [(choice["index"], choice["message"]["content"]) for choice in body["choices"]] == [(0, "a"), (1, "b")]
    assert body["choices"][1]["logprobs"] == {"content": []}


def test_facts_of_a_reply_are_read_without_its_content() -> None:
    body = completion({"content": "a"}, "length", usage={"prompt_tokens": 3, "completion_tokens": 2})
    facts = OpenAIChat().read_facts(json.dumps(body).encode())
    assert (facts.model, facts.finish_reason, facts.error) == ("m", "length", None)
    assert facts.usage == Usage(prompt_tokens=3, completion_tokens=2)


def test_an_error_that_minimax_puts_beside_no_choices_is_a_fact() -> None:
    failed = OpenAIChat().read_facts(
        b'{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}'
    )
    assert failed.error is not None
    assert failed.error.kind == "quota"
    good = OpenAIChat().read_facts(b'{"choices":[{"finish_reason":"stop"}],"base_resp":{"status_code":0}}')
    assert good.error is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"5", b'{"a":"\xff"}'])
def test_a_body_without_facts_has_none(body: bytes) -> None:
    facts = OpenAIChat().read_facts(body)
    assert (facts.model, facts.usage, facts.finish_reason, facts.error) == (None, None, None, None)


def test_facts_of_odd_types_are_read_all_the_same_and_an_error_is_one() -> None:
    odd = OpenAIChat().read_facts(b'{"model":"m","choices":[{"index":"0","finish_reason":"stop"}],"usage":[]}')
    assert (odd.model, odd.finish_reason) == ("m", "stop")
    failed = OpenAIChat().read_facts(b'[{"error":{"code":429,"message":"Slow","status":"RESOURCE_EXHAUSTED"}}]')
    assert failed.error is not None
    assert failed.error.kind == "rate_limit"
