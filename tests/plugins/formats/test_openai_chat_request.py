"""Chat completions requests, read: everything the dialect can say has its place, and faults are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.protocol import (
    CacheControl,
    ChatRequest,
    Media,
    Message,
    Opaque,
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

USER = {"role": "user", "content": "Hi"}


def read(messages: list[Any] | None = None, **fields: Any) -> ChatRequest:
    body = {"model": "m", "messages": [USER] if messages is None else messages, **fields}
    return OpenAIChat().read_request(json.dumps(body).encode())


def message(**fields: Any) -> Message:
    return read([fields]).messages[0]


def test_the_least_request() -> None:
    assert read() == ChatRequest(
        model="m", messages=[Message(role="user", content=[Text(text="Hi")])], origin="openai_chat"
    )


def test_settings_go_to_their_fields() -> None:
    request = read(
        max_completion_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        min_p=0.1,
        frequency_penalty=0.2,
        presence_penalty=0.3,
        repetition_penalty=1.1,
        seed=7,
        stop=["a", "b"],
        logit_bias={"50256": -100},
        logprobs=True,
        top_logprobs=2,
        n=2,
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        verbosity="low",
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        prediction={"type": "content", "content": "x"},
        store=True,
        parallel_tool_calls=False,
        stream=True,
        stream_options={"include_usage": True},
        reasoning_effort="high",
        cache_control={"type": "ephemeral"},
    )
    assert request == ChatRequest(
        model="m",
        messages=[Message(role="user", content=[Text(text="Hi")])],
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        min_p=0.1,
        frequency_penalty=0.2,
        presence_penalty=0.3,
        repetition_penalty=1.1,
        seed=7,
        stop=["a", "b"],
        logit_bias={"50256": -100},
        logprobs=True,
        top_logprobs=2,
        n=2,
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        verbosity="low",
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        prediction={"type": "content", "content": "x"},
        store=True,
        parallel_tool_calls=False,
        stream=True,
        include_usage=True,
        reasoning=Reasoning(effort="high"),
        cache_control=CacheControl(),
        origin="openai_chat",
    )


def test_unknown_fields_are_kept_at_every_level_and_null_is_absence() -> None:
    request = read(
        [
            {
                "role": "user",
                "new": 1,
                "name": None,
                "content": [
                    {"type": "image_url", "image_url": {"url": "https://x/y.png", "crop": 2}, "a": 3, "b": None}
                ],
            }
        ],
        tools=[{"type": "function", "t": 4, "function": {"name": "f", "g": 5}}],
        stream_options={"include_obfuscation": False},
        response_format={"type": "text", "r": 6},
        provider={"order": ["x"]},
        temperature=None,
        echo=None,
    )
    part = request.messages[0].content[0]
    assert part.extra == {"image_url": {"crop": 2}, "a": 3}
    assert request.messages[0].extra == {"new": 1}
    assert request.tools[0].extra == {"t": 4, "function": {"g": 5}}
    assert request.extra == {
        "stream_options": {"include_obfuscation": False},
        "response_format": {"r": 6},
        "provider": {"order": ["x"]},
    }


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        ({"type": "refusal", "refusal": "no"}, Refusal(text="no")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            Media(kind="image", media_type="image/png", data="AAAA", detail="low"),
        ),
        ({"type": "image_url", "image_url": {"url": "https://x/y"}}, Media(kind="image", url="https://x/y")),
        ({"type": "image_url", "image_url": "https://x/y"}, Media(kind="image", url="https://x/y")),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            Media(kind="audio", media_type="audio/mpeg", data="AAAA"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
            Media(kind="document", media_type="application/pdf", data="AAAA", name="a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": "AAAA"}}, Media(kind="document", data="AAAA")),
        ({"type": "file", "file": {"file_id": "file-1"}}, Media(kind="document", file_id="file-1")),
        (
            {"type": "file", "file": {"file_data": "https://x/a.pdf", "filename": "a.pdf"}},
            Media(kind="document", url="https://x/a.pdf", name="a.pdf"),
        ),
        ({"type": "video_url", "video_url": {"url": "https://x/v"}}, Media(kind="video", url="https://x/v")),
        ({"type": "audio_url", "audio_url": {"url": "https://x/a"}}, Media(kind="audio", url="https://x/a")),
        (
            {"type": "document_url", "document_url": "https://x/a.pdf", "document_name": "a"},
            Media(kind="document", url="https://x/a.pdf", name="a"),
        ),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text(text="a", cache_control=CacheControl(ttl="1h")),
        ),
        (
            {"type": "reference", "reference_ids": [1]},
            Opaque(origin="openai_chat", type="reference", value={"type": "reference", "reference_ids": [1]}),
        ),
    ],
)
def test_content_parts(part: dict[str, Any], expected: Any) -> None:
    assert message(role="user", content=[part]).content == [expected]


def test_a_breakpoint_of_a_message_belongs_to_its_last_part_and_of_a_tool_to_the_tool() -> None:
    control = {"type": "ephemeral", "ttl": "1h"}
    request = read(
        [
            {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
            | {"cache_control": control},
            {"role": "tool", "tool_call_id": "c", "content": "r", "cache_control": control},
        ],
        tools=[
            {"type": "function", "function": {"name": "f"}, "cache_control": control},
            {"type": "function", "function": {"name": "g", "cache_control": control}},
        ],
    )
    expected = CacheControl(ttl="1h")
    assert [part.cache_control for part in request.messages[0].content] == [None, expected]
    assert request.messages[1].content[0].cache_control == expected
    assert [tool.cache_control for tool in request.tools] == [expected, expected]


def test_an_assistant_turn_with_everything() -> None:
    turn = message(
        role="assistant",
        name="bot",
        content="Text",
        refusal="No",
        audio={"id": "audio_1"},
        annotations=[{"type": "url_citation", "url_citation": {"url": "https://x"}}],
        images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
        reasoning_content="Hm",
        tool_calls=[
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}, "index": 0}
            | {"extra_content": {"google": {"thought_signature": "sig"}}},
            {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "free"}},
        ],
        prefix=True,
    )
    assert turn.content == [
        Thinking(text="Hm", origin="openai_chat"),
        Text(text="Text", citations=[{"type": "url_citation", "url_citation": {"url": "https://x"}}]),
        Refusal(text="No"),
        Media(kind="image", media_type="image/png", data="AA"),
        Media(kind="audio", file_id="audio_1"),
        ToolCall(id="c1", name="f", arguments="{}", signature="sig"),
        ToolCall(id="c2", name="g", arguments="free", kind="custom"),
    ]
    assert turn.name == "bot"
    assert turn.extra == {"prefix": True}


def test_a_tool_result_of_text_or_parts() -> None:
    results = read(
        [
            {"role": "tool", "tool_call_id": "a", "content": "r", "name": "f"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "s"}]},
        ]
    ).messages
    assert results[0] == Message(
        role="tool", content=[ToolResult(tool_call_id="a", content=[Text(text="r")], name="f")]
    )
    assert results[1] == Message(role="tool", content=[ToolResult(tool_call_id="b", content=[Text(text="s")])])


def test_the_deprecated_functions_are_tools_whose_calls_and_results_find_each_other() -> None:
    request = read(
        [
            USER,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "r"},
        ],
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    call, result = request.messages[1].content[0], request.messages[2].content[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert call.name == "f"
    assert call.id
    assert call.id == result.tool_call_id
    assert request.messages[2].role == "tool"
    assert request.tools == [Tool(name="f", parameters={"type": "object"})]
    assert request.tool_choice == ToolChoice(mode="named", name="f")


def test_tools_of_every_kind() -> None:
    tools = read(
        tools=[
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
            },
            {
                "type": "custom",
                "custom": {
                    "name": "g",
                    "description": "d",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
                },
            },
            {"type": "custom", "custom": {"name": "h", "format": {"type": "text"}}},
            {"type": "openrouter:web_search", "parameters": {"max_results": 1}},
        ],
        web_search_options={"search_context_size": "low"},
    ).tools
    assert tools == [
        Tool(name="f", description="d", parameters={"type": "object"}, strict=True),
        Tool(kind="custom", name="g", description="d", grammar={"syntax": "lark", "definition": "x"}),
        Tool(kind="custom", name="h"),
        Tool(
            kind="server",
            name="web_search",
            type="openrouter:web_search",
            origin="openai_chat",
            extra={"parameters": {"max_results": 1}},
        ),
        Tool(
            kind="server",
            name="web_search",
            type="web_search_options",
            origin="openai_chat",
            extra={"search_context_size": "low"},
        ),
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ("any", ToolChoice(mode="required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode="named", name="f")),
        ({"type": "custom", "custom": {"name": "g"}}, ToolChoice(mode="named", name="g")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "custom", "custom": {"name": "g"}},
                    ],
                },
            },
            ToolChoice(mode="allowed", names=["f", "g"], allowed_mode="required"),
        ),
    ],
)
def test_tool_choices(choice: Any, expected: ToolChoice) -> None:
    assert read(tool_choice=choice).tool_choice == expected


def test_a_tool_choice_of_an_unknown_shape_is_kept_as_it_is() -> None:
    request = read(tool_choice={"type": "mcp", "server": "s"})
    assert request.tool_choice is None
    assert request.extra == {"tool_choice": {"type": "mcp", "server": "s"}}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"type": "text"}, ResponseFormat(type="text")),
        ({"type": "json_object"}, ResponseFormat(type="json_object")),
        (
            {"type": "json_object", "schema": {"type": "object"}},
            ResponseFormat(type="json_object", schema={"type": "object"}),
        ),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}, "strict": True},
            },
            ResponseFormat(type="json_schema", name="n", description="d", schema={"type": "object"}, strict=True),
        ),
        ({"type": "grammar", "grammar": "x"}, None),
    ],
)
def test_response_formats(wanted: dict[str, Any], expected: ResponseFormat | None) -> None:
    request = read(response_format=wanted)
    assert request.response_format == expected
    assert request.extra == ({} if expected else {"response_format": wanted})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reasoning_effort": "low"}, Reasoning(effort="low")),
        (
            {"reasoning": {"effort": "low", "max_tokens": 100, "exclude": True}},
            Reasoning(effort="low", budget_tokens=100, display="omitted"),
        ),
        ({"reasoning": {"enabled": False}}, Reasoning(mode="disabled")),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, Reasoning(mode="enabled", budget_tokens=5)),
        (
            {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
            Reasoning(mode="enabled", effort="high"),
        ),
    ],
)
def test_how_much_to_think_in_each_wording(fields: dict[str, Any], expected: Reasoning) -> None:
    assert read(**fields).reasoning == expected


def test_reasoning_details_come_back_as_thinking_of_their_origin() -> None:
    turn = message(
        role="assistant",
        content="Answer",
        reasoning_content="Long thoughtShort",
        reasoning_details=[
            {"type": "reasoning.text", "text": "Long thought", "signature": "sig", "format": "anthropic-claude-v1"},
            {"type": "reasoning.encrypted", "data": "red", "format": "anthropic-claude-v1"},
            {"type": "reasoning.summary", "summary": "Short", "format": "openai-responses-v1"},
            {"type": "reasoning.encrypted", "data": "enc", "id": "rs_1", "format": "openai-responses-v1"},
            {"type": "reasoning.text", "signature": "g", "format": "google-gemini-v1"},
            {"type": "reasoning.encrypted", "data": "x", "format": "xai-responses-v1"},
        ],
    )
    assert turn.content == [
        Thinking(text="Long thought", signature="sig", origin="anthropic_messages"),
        Thinking(redacted=True, encrypted="red", origin="anthropic_messages"),
        Thinking(text="Short", encrypted="enc", id="rs_1", origin="openai_responses"),
        Thinking(signature="g", origin="gemini"),
        Thinking(encrypted="x", origin="xai-responses-v1"),
        Text(text="Answer"),
    ]


def test_a_signature_without_its_text_takes_the_text_that_was_shown_plainly() -> None:
    turn = message(
        role="assistant",
        content="Answer",
        reasoning_content="Thought",
        reasoning_details=[{"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1"}],
    )
    assert turn.content[0] == Thinking(text="Thought", signature="sig", origin="anthropic_messages")


def test_mistral_thinking_chunks_are_thinking() -> None:
    turn = message(
        role="assistant",
        content=[
            {"type": "thinking", "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"type": "text", "text": "c"},
        ],
    )
    assert turn.content == [Thinking(text="ab", origin="openai_chat"), Text(text="c")]


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [USER, {"role": "user", "content": 5}]}, "messages[1].content"),
        ({"messages": [USER, {"role": "user", "content": [{"text": "Hi"}]}]}, "messages[1].content[0].type"),
        ({"messages": [USER, {"role": "user", "content": [{"type": 1}]}]}, "messages[1].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].image_url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
            "messages[0].content[0].file.file_data",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            "messages[0].content[0].input_audio.data",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": "x"}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]}, "messages[0].tool_calls[0].function"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [CALL, {**CALL, "function": {}}]}]},
            "messages[0].tool_calls[1].function.name",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [{**CALL, "id": 5}]}]}, "messages[0].tool_calls[0].id"),
        ({"model": 5}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"stop": [1]}, "stop"),
        ({"stop": 1}, "stop"),
        ({"modalities": [1]}, "modalities"),
        ({"logit_bias": []}, "logit_bias"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "custom"}]}, "tools[0].custom"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"functions": [{}]}, "functions[0].name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "some"}}},
            "tool_choice.allowed_tools.mode",
        ),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning": {"max_tokens": "many"}}, "reasoning.max_tokens"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ],
)
def test_a_malformed_request_is_refused_with_the_path_of_its_fault(body: dict[str, Any], param: str) -> None:
    whole = {"model": "m", "messages": [USER], **body}
    with pytest.raises(InvalidRequest) as caught:
        OpenAIChat().read_request(json.dumps(whole).encode())
    assert caught.value.param == param
    assert param in caught.value.message
    assert caught.value.code


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "JSON object"),
        (b"\xff", "UTF-8"),
        (b'{"model":"a","messages":[],"model":"b"}', "twice"),
        (b'{"model":"m","messages":[],"seed":1e999}', "not valid JSON"),
        (b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
    ],
)
def test_a_body_that_is_no_clean_object_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        OpenAIChat().read_request(body)
