"""Chat completions requests, written for a provider: what it can say is said, what it cannot is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.format import Dropped, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import (
    CacheControl,
    ChatRequest,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from gateway_plugins.formats.openai_chat import OpenAIChat

NONE = Traits()


def write(request: ChatRequest, traits: Traits = NONE) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    body: dict[str, Any] = json.loads(OpenAIChat().write_request(request, traits, dropped))
    return body, dropped.reasons


def foreign(*messages: Message, **fields: Any) -> ChatRequest:
    """A request that another format read."""
    return ChatRequest(model="m", messages=list(messages), origin="anthropic_messages", **fields)


def turn(*parts: Part, role: Any = "user") -> Message:
    return Message(role=role, content=list(parts))


def accepting(*words: str) -> Traits:
    return Traits(options={"accepts": list(words)})


def again(body: dict[str, Any], traits: Traits = NONE) -> dict[str, Any]:
    """A caller's body, read and written for a provider of the same format."""
    return write(OpenAIChat().read_request(json.dumps(body).encode()), traits)[0]


def test_a_foreign_request_in_full() -> None:
    body, dropped = write(
        foreign(
            turn(Text(text="Be brief."), role="system"),
            turn(Text(text="Look:"), Media(kind="image", media_type="image/png", data="AAAA")),
            turn(Text(text="I call."), ToolCall(id="c1", name="f", arguments='{"a":1}'), role="assistant"),
            turn(ToolResult(tool_call_id="c1", content=[Text(text="r")]), role="tool"),
            tools=[Tool(name="f", description="d", parameters={"type": "object"})],
            tool_choice=ToolChoice(mode="required"),
            max_tokens=10,
            stop=["x"],
            stream=True,
        )
    )
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look:"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            },
            {
                "role": "assistant",
                "content": "I call.",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "r"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
        ],
        "tool_choice": "required",
        "max_completion_tokens": 10,
        "stop": ["x"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert dropped == {}


def test_several_results_of_one_turn_are_a_message_each_and_their_images_follow_in_one_of_the_user() -> None:
    image = Media(kind="image", url="https://x/y.png")
    request = foreign(
        turn(
            ToolResult(tool_call_id="a", content=[Text(text="one"), image]),
            ToolResult(tool_call_id="b", content=[Text(text="two")]),
            role="tool",
        ),
        turn(Text(text="Well?")),
    )
    body, dropped = write(request)
    shown = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    assert body["messages"] == [
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "user", "content": [{"type": "text", "text": "From the result of tool call a:"}, shown]},
        {"role": "user", "content": "Well?"},
    ]
    assert dropped == {}
    body, _ = write(request, accepting("tool_images"))
    assert body["messages"][0]["content"] == [{"type": "text", "text": "one"}, shown]


def test_what_is_said_beside_results_follows_them_as_the_users_words() -> None:
    image = Media(kind="image", url="https://x/y.png")
    mixed = turn(Text(text="See:"), ToolResult(tool_call_id="a", content=[image]), role="user")
    left = turn(ToolResult(tool_call_id="b"), Text(text="Also"), role="tool")
    body, _ = write(foreign(mixed, left, turn(role="tool")))
    shown = [
        {"type": "text", "text": "From the result of tool call a:"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
    ]
    assert body["messages"] == [
        {"role": "tool", "tool_call_id": "a", "content": ""},
        {"role": "user", "content": shown},
        {"role": "user", "content": "See:"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": "Also"},
    ]


def test_a_name_that_the_provider_refuses_is_named() -> None:
    request = foreign(Message(role="user", content=[Text(text="a")], name="bob"))
    assert write(request)[0]["messages"][0]["name"] == "bob"
    body, dropped = write(request, Traits(unsupported={"messages.name": "it knows no names"}))
    assert body["messages"] == [{"role": "user", "content": "a"}]
    assert dropped == {"messages[0].name": "it knows no names"}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (foreign(turn(Text(text="a")), top_k=5), "top_k"),
        (foreign(turn(Text(text="a")), min_p=0.5), "min_p"),
        (foreign(turn(Text(text="a")), repetition_penalty=1.5), "repetition_penalty"),
        (foreign(turn(Text(text="a")), service_tier="batch"), "service_tier"),
        (foreign(turn(Text(text="a")), extra={"container": "c"}), "container"),
        (foreign(turn(Text(text="a")), cache_control=CacheControl()), "cache_control"),
        (
            foreign(turn(Text(text="a"), Text(text="b", cache_control=CacheControl()))),
            "messages[0].content[1].cache_control",
        ),
        (foreign(turn(Text(text="a", extra={"x": 1}))), "messages[0].content[0].x"),
        (foreign(turn(Text(text="a", citations=[{}]), role="assistant")), "messages[0].content[0].citations"),
        (foreign(Message(role="user", content=[Text(text="a")], extra={"x": 1})), "messages[0].x"),
        (
            foreign(turn(Thinking(text="t", signature="s", origin="anthropic_messages"), role="assistant")),
            "messages[0].content[0]",
        ),
        (
            foreign(turn(Thinking(redacted=True, encrypted="e", origin="anthropic_messages"), role="assistant")),
            "messages[0].content[0]",
        ),
        (
            foreign(turn(Opaque(origin="anthropic_messages", type="server_tool_use", value={}), role="assistant")),
            "messages[0].content[0]",
        ),
        (
            foreign(turn(ToolCall(id="c", name="f", signature="s"), role="assistant")),
            "messages[0].content[0].signature",
        ),
        (foreign(turn(ToolResult(tool_call_id="c", is_error=True), role="tool")), "messages[0].content[0].is_error"),
        (foreign(turn(Media(kind="image", file_id="file_1"))), "messages[0].content[0]"),
        (foreign(turn(Media(kind="video", url="https://x"))), "messages[0].content[0]"),
        (foreign(turn(Media(kind="audio", url="https://x"))), "messages[0].content[0]"),
        (foreign(turn(Media(kind="document", url="https://x"))), "messages[0].content[0]"),
        (foreign(turn(Media(kind="image", url="https://x"), role="assistant")), "messages[0].content[0]"),
        (
            foreign(
                turn(Text(text="a")),
                tools=[Tool(kind="server", name="web_search", type="web_search_1", origin="anthropic_messages")],
            ),
            "tools[0]",
        ),
        (foreign(turn(Text(text="a")), tools=[Tool(name="f", cache_control=CacheControl())]), "tools[0].cache_control"),
        (foreign(turn(Text(text="a")), tools=[Tool(name="f", extra={"defer": 1})]), "tools[0].defer"),
        (foreign(turn(Text(text="a")), reasoning=Reasoning(budget_tokens=2000)), "reasoning.budget_tokens"),
        (foreign(turn(Text(text="a")), reasoning=Reasoning(mode="disabled")), "reasoning.mode"),
        (foreign(turn(Text(text="a")), reasoning=Reasoning(effort="low", display="omitted")), "reasoning.display"),
        (foreign(turn(Text(text="a")), reasoning=Reasoning(effort="max")), "reasoning.effort"),
    ],
)
def test_what_chat_completions_cannot_say_is_named(request_: ChatRequest, field: str) -> None:
    body, dropped = write(request_)
    assert list(dropped) == [field]
    assert "None" not in dropped[field]
    # The turn itself is still there, for the roles must alternate.
    assert len(body["messages"]) == len(request_.messages)


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (foreign(turn(Text(text="a")), top_k=5), "top_k"),
        (foreign(turn(Text(text="a", cache_control=CacheControl(ttl="1h")))), "cache_control"),
        (foreign(turn(Thinking(text="t", signature="s", origin="gemini"), role="assistant")), "reasoning_details"),
        (foreign(turn(ToolCall(id="c", name="f", signature="s"), role="assistant")), "thought_signature"),
        (foreign(turn(Media(kind="video", url="https://x"))), "video_url"),
        (foreign(turn(Media(kind="audio", url="https://x"))), "audio_url"),
        (foreign(turn(Media(kind="document", url="https://x", name="n"))), "file_url"),
        (foreign(turn(Media(kind="document", url="https://x"))), "document_url"),
        (foreign(turn(Media(kind="image", url="https://x"), role="assistant")), "images"),
    ],
)
def test_what_a_provider_takes_beyond_the_documentation_is_sent(request_: ChatRequest, word: str) -> None:
    body, dropped = write(request_, accepting(word))
    assert dropped == {}
    written = OpenAIChat().read_request(json.dumps(body).encode())
    expected = [message.content for message in request_.messages]
    found = [message.content for message in written.messages]
    assert [parts for parts in expected if not isinstance(parts[0], ToolCall)] == found or word == "thought_signature"
    assert written.top_k == request_.top_k


def test_thinking_goes_to_the_field_that_the_provider_reads() -> None:
    thought = turn(Thinking(text="Hm", origin="openai_chat"), Text(text="a"), role="assistant")
    assert write(foreign(thought))[0]["messages"][0]["reasoning_content"] == "Hm"
    assert (
        write(foreign(thought), Traits(options={"reasoning_field": "reasoning"}))[0]["messages"][0]["reasoning"] == "Hm"
    )
    body, dropped = write(foreign(thought), Traits(options={"reasoning_field": False}))
    assert body["messages"][0] == {"role": "assistant", "content": "a"}
    assert list(dropped) == ["messages[0].content[0]"]
    body, dropped = write(foreign(thought), Traits(unsupported={"thinking": "it does not think"}))
    assert body["messages"][0] == {"role": "assistant", "content": "a"}
    assert dropped == {"messages[0].content[0]": "it does not think"}


def test_traits_drop_rename_default_and_recast() -> None:
    request = foreign(
        turn(Text(text="s"), role="developer"),
        turn(Text(text="a")),
        temperature=0.5,
        seed=3,
        stop=["x"],
        tools=[Tool(name="f", strict=True)],
        tool_choice=ToolChoice(mode="required"),
        response_format=ResponseFormat(type="json_schema", schema={"type": "object"}),
    )
    traits = Traits(
        unsupported={
            "temperature": "it is fixed",
            "stop": "it never stops",
            "tools.strict": "it is never strict",
            "tool_choice.required": "it cannot be forced",
            "response_format.json_schema": "it knows json_object only",
            "n": "the caller did not say it",
        },
        renames={"seed": "random_seed"},
        defaults={"safe_prompt": True, "random_seed": 9},
        roles={"developer": "system"},
        max_tokens_default=77,
        options={"max_tokens_field": "max_tokens"},
    )
    body, dropped = write(request, traits)
    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_object"},
        "max_tokens": 77,
        "random_seed": 3,
        "safe_prompt": True,
    }
    assert dropped == {
        "temperature": "it is fixed",
        "stop": "it never stops",
        "tools[0].strict": "it is never strict",
        "tool_choice": "it cannot be forced",
        "response_format.json_schema": "it knows json_object only",
    }


def test_text_parts_are_joined_for_a_provider_that_reads_strings() -> None:
    request = foreign(turn(Text(text="a"), Text(text="b"), role="system"), turn(Text(text="a")))
    body, _ = write(request, Traits(options={"content": "string"}))
    assert body["messages"][0] == {"role": "system", "content": "a\n\nb"}


@pytest.mark.parametrize(
    ("reasoning", "options", "expected"),
    [
        (Reasoning(effort="low"), {}, {"reasoning_effort": "low"}),
        (Reasoning(mode="adaptive"), {}, {}),
        (Reasoning(budget_tokens=1024), {}, {"reasoning_effort": "low"}),
        (Reasoning(budget_tokens=10000), {}, {"reasoning_effort": "medium"}),
        (Reasoning(budget_tokens=32000), {}, {"reasoning_effort": "high"}),
        (Reasoning(effort="max"), {}, {"reasoning_effort": "xhigh"}),
        (Reasoning(effort="minimal"), {"efforts": ["low", "high"]}, {"reasoning_effort": "low"}),
        (Reasoning(effort="medium"), {"efforts": ["low", "high"]}, {"reasoning_effort": "low"}),
        (Reasoning(effort="low"), {"reasoning": "reasoning"}, {"reasoning": {"effort": "low"}}),
        (Reasoning(budget_tokens=9), {"reasoning": "reasoning"}, {"reasoning": {"max_tokens": 9}}),
        (Reasoning(mode="disabled"), {"reasoning": "reasoning"}, {"reasoning": {"enabled": False}}),
        (Reasoning(mode="adaptive"), {"reasoning": "reasoning"}, {"reasoning": {"enabled": True}}),
        (Reasoning(mode="disabled"), {"reasoning": "thinking"}, {"thinking": {"type": "disabled"}}),
        (Reasoning(effort="none"), {"reasoning": "thinking"}, {"thinking": {"type": "disabled"}}),
    ],
)
def test_how_much_to_think_in_the_words_of_the_provider(
    reasoning: Reasoning, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    body, _ = write(foreign(turn(Text(text="a")), reasoning=reasoning), Traits(options=options))
    assert {key: value for key, value in body.items() if key not in ("model", "messages")} == expected


def test_tool_choices_name_each_tool_by_its_kind() -> None:
    tools = [Tool(name="f"), Tool(kind="custom", name="g", grammar={"syntax": "regex", "definition": "x"})]
    asked = foreign(turn(Text(text="a")), tools=tools, tool_choice=ToolChoice(mode="named", name="g"))
    body, _ = write(asked)
    assert body["tools"][1] == {
        "type": "custom",
        "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "x"}}},
    }
    assert body["tool_choice"] == {"type": "custom", "custom": {"name": "g"}}
    asked.tool_choice = ToolChoice(mode="allowed", names=["f", "g"], allowed_mode="required")
    assert write(asked)[0]["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}],
        },
    }


def test_documents_and_audio_have_the_parts_that_openai_reads() -> None:
    body, dropped = write(
        foreign(
            turn(
                Media(kind="document", media_type="application/pdf", data="AAAA"),
                Media(kind="document", text="plain", name="Title"),
                Media(kind="audio", media_type="audio/x-wav", data="BBBB"),
                Media(kind="image", data="/9j/AAAA"),
            )
        )
    )
    assert body["messages"][0]["content"] == [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "document.pdf"}},
        {"type": "text", "text": "Title\n\nplain"},
        {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/AAAA"}},
    ]
    assert dropped == {}


def test_an_assistant_turn_without_text_has_null_content_only_where_something_else_speaks() -> None:
    call = turn(ToolCall(id="c", name="f"), role="assistant")
    body, _ = write(foreign(call, turn(role="assistant"), turn(Refusal(text="no"), role="assistant")))
    assert body["messages"] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": None, "refusal": "no"},
    ]


def test_streams_ask_for_usage_unless_the_provider_refuses_it() -> None:
    asked = foreign(turn(Text(text="a")), stream=True)
    assert write(asked)[0]["stream_options"] == {"include_usage": True}
    assert "stream_options" not in write(asked, Traits(options={"stream_options": False}))[0]
    assert "stream_options" not in write(foreign(turn(Text(text="a"))))[0]


@pytest.mark.parametrize(
    "said",
    [
        {"max_tokens": 5},
        {"max_completion_tokens": 5},
        {"max_tokens": 5, "max_completion_tokens": 6},
        {"random_seed": 4},
        {"seed": 4},
        {"stop": "x"},
        {"stop": ["x"]},
        {"safety_identifier": "u"},
        {"user": "u", "safety_identifier": "v"},
        {"functions": [{"name": "f", "parameters": {}, "z": 1}], "function_call": "auto"},
        {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
        {"tools": [{"type": "function", "function": {"name": "f"}}], "functions": []},
        {"reasoning": {"effort": "low", "enabled": True, "exclude": True, "x": 1}},
        {"reasoning": {}},
        {"thinking": {"type": "auto", "clear_thinking": False}},
        {"thinking": {"type": "enabled", "budget_tokens": 3}, "reasoning_effort": "high"},
        {"web_search_options": {"search_context_size": "low"}},
        {"top_k": 4, "min_p": 0.1, "repetition_penalty": 1.1},
        {"logprobs": 3},
        {"service_tier": "on_demand"},
        {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
        {"reasoning_effort": "ultra"},
    ],
)
def test_a_caller_of_the_same_format_keeps_its_own_wording(said: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], **said}
    assert again(body) == {key: value for key, value in body.items() if value != []}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "a", "reasoning": "Hm"},
        {"role": "assistant", "content": "a", "reasoning_content": "Hm"},
        {"role": "assistant", "content": "a", "reasoning_content": ""},
        {"role": "assistant", "content": "a", "thinking_blocks": [{"type": "thinking"}]},
        {
            "role": "assistant",
            "content": "a",
            "reasoning": "Hm",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "Hm", "format": "anthropic-claude-v1", "index": 0, "signature": "s"}
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
                {"type": "text", "text": "a"},
            ],
        },
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "content": "a", "images": [{"type": "image_url", "image_url": {"url": "https://x"}}]},
        {"role": "assistant", "content": "a", "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]},
        {"role": "assistant", "content": None, "audio": {"id": "audio_1"}},
        {"role": "function", "name": "f", "content": "r"},
        {"role": "tool", "tool_call_id": "c", "name": "f", "content": "r", "x": 1},
        {
            "role": "tool",
            "tool_call_id": "c",
            "content": [{"type": "text", "text": "r"}, {"type": "image_url", "image_url": {"url": "https://x"}}],
        },
        {"role": "user", "content": [{"type": "document_url", "document_url": "https://x", "document_name": "n"}]},
        {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AA"}}]},
        {"role": "user", "content": [{"type": "novelty", "novelty": [1]}]},
        {"role": "user", "content": "a", "name": "bob", "x": {"y": 1}},
    ],
)
def test_a_message_of_the_same_format_comes_back_as_it_was(message: dict[str, Any]) -> None:
    assert again({"model": "m", "messages": [message]})["messages"] == [message]


def test_an_option_of_the_provider_is_stronger_than_the_wording_of_the_caller() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "max_tokens": 5}
    assert again(body, Traits(options={"max_tokens_field": "max_completion_tokens"}))["max_completion_tokens"] == 5


@pytest.mark.parametrize(
    ("options", "patches", "hidden"),
    [
        ("", {}, True),
        (',"stream":false', {}, True),
        (',"stream":true', {"stream_options": b'{"include_usage":true}'}, True),
        (
            ',"stream":true,"stream_options":{"include_obfuscation":false}',
            {"stream_options": b'{"include_obfuscation":false,"include_usage":true}'},
            True,
        ),
        (',"stream":true,"stream_options":{"include_usage":true}', {}, False),
    ],
)
def test_a_passing_stream_is_asked_for_usage_which_is_hidden_from_who_did_not_ask(
    options: str, patches: dict[str, bytes], hidden: bool
) -> None:
    body = JsonObject(f'{{"model":"m","messages":[]{options}}}'.encode())
    assert OpenAIChat().lane_patches(body, NONE) == patches
    assert OpenAIChat().hides_usage(body) is hidden
