"""Messages requests, read: each thing that the dialect can say finds its place."""

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
    Part,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from gateway_plugins.formats.anthropic_messages import AnthropicMessages

FORMAT = AnthropicMessages()
NAME = "anthropic_messages"


def read(**fields: Any) -> ChatRequest:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}
    return FORMAT.read_request(json.dumps(body).encode())


def read_content(*blocks: dict[str, Any], role: str = "user") -> list[Part]:
    messages = read(messages=[{"role": role, "content": list(blocks)}]).messages
    return [part for message in messages for part in message.content]


def test_the_least_request_is_read() -> None:
    assert read() == ChatRequest(
        model="m", max_tokens=9, messages=[Message(role="user", content=[Text(text="hi")])], origin=NAME
    )


def test_system_comes_first_as_a_string_or_as_blocks() -> None:
    assert read(system="be brief").messages[0] == Message(role="system", content=[Text(text="be brief")])
    blocks = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    assert read(system=blocks).messages[0].content == [Text(text="a", cache_control=CacheControl(ttl="1h"))]


def test_a_system_message_among_the_others_keeps_its_place() -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]
    found = read(messages=messages).messages
    assert [message.role for message in found] == ["user", "system"]
    assert found[1].content == [Text(text="b")]


def test_text_has_its_citations() -> None:
    citation = {"type": "char_location", "cited_text": "x", "document_index": 0}
    block = {"type": "text", "text": "a", "citations": [citation]}
    assert read_content(block, role="assistant") == [Text(text="a", citations=[citation])]
    assert read_content({"type": "text", "text": "a", "citations": None}) == [Text(text="a")]


@pytest.mark.parametrize(
    ("source", "media"),
    [
        (
            {"type": "base64", "media_type": "image/png", "data": "AAAA"},
            Media(kind="image", media_type="image/png", data="AAAA"),
        ),
        ({"type": "url", "url": "https://x/y"}, Media(kind="image", url="https://x/y")),
        ({"type": "file", "file_id": "f"}, Media(kind="image", file_id="f")),
    ],
)
def test_an_image_is_read_from_each_source(source: dict[str, Any], media: Media) -> None:
    assert read_content({"type": "image", "source": source}) == [media]


def test_a_document_has_its_title_context_and_citations() -> None:
    block = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
        "title": "t",
        "context": "c",
        "citations": {"enabled": True},
        "cache_control": {"type": "ephemeral"},
    }
    assert read_content(block) == [
        Media(
            kind="document",
            media_type="application/pdf",
            data="AAAA",
            name="t",
            cache_control=CacheControl(),
            extra={"context": "c", "citations": {"enabled": True}},
        )
    ]


def test_a_document_of_text_gives_its_text_to_other_formats() -> None:
    plain = {"type": "text", "media_type": "text/plain", "data": "words"}
    assert read_content({"type": "document", "source": plain}) == [
        Media(kind="document", media_type="text/plain", text="words")
    ]
    blocks = {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    (part,) = read_content({"type": "document", "source": blocks})
    assert isinstance(part, Media)
    assert part.text == "a\n\nb"


def test_a_source_that_is_not_known_keeps_the_block_whole() -> None:
    block = {"type": "image", "source": {"type": "hologram", "data": "x"}}
    assert read_content(block) == [Opaque(origin=NAME, type="image", value=block)]
    block = {"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": {}}]}}
    assert read_content(block) == [Opaque(origin=NAME, type="document", value=block)]


def test_thinking_has_its_signature_and_redacted_thinking_its_data() -> None:
    blocks = (
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    )
    assert read_content(*blocks, role="assistant") == [
        Thinking(text="hm", signature="s", origin=NAME),
        Thinking(redacted=True, encrypted="d", origin=NAME),
    ]


def test_a_tool_call_has_its_arguments_as_json() -> None:
    block = {"type": "tool_use", "id": "t", "name": "n", "input": {"a": [1, 2.5]}, "caller": {"type": "direct"}}
    assert read_content(block, role="assistant") == [
        ToolCall(id="t", name="n", arguments='{"a":[1,2.5]}', extra={"caller": {"type": "direct"}})
    ]


def test_tool_results_become_a_message_of_their_own_before_the_rest_of_the_turn() -> None:
    blocks = [
        {"type": "tool_result", "tool_use_id": "a", "content": "ok", "cache_control": {"type": "ephemeral"}},
        {
            "type": "tool_result",
            "tool_use_id": "b",
            "content": [
                {"type": "text", "text": "no"},
                {"type": "image", "source": {"type": "url", "url": "u"}},
                {"type": "tool_reference", "tool_name": "n"},
            ],
            "is_error": True,
        },
        {"type": "text", "text": "go on"},
    ]
    reference = {"type": "tool_reference", "tool_name": "n"}
    assert read(messages=[{"role": "user", "content": blocks}]).messages == [
        Message(
            role="tool",
            content=[
                ToolResult(tool_call_id="a", content=[Text(text="ok")], cache_control=CacheControl()),
                ToolResult(
                    tool_call_id="b",
                    content=[
                        Text(text="no"),
                        Media(kind="image", url="u"),
                        Opaque(origin=NAME, type="tool_reference", value=reference),
                    ],
                    is_error=True,
                ),
            ],
        ),
        Message(role="user", content=[Text(text="go on")]),
    ]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "mcp_tool_use", "id": "s", "name": "n", "server_name": "x", "input": {}},
        {"type": "bash_code_execution_tool_result", "tool_use_id": "s", "content": {}},
        {"type": "container_upload", "file_id": "f"},
        {"type": "search_result", "source": "s", "title": "t", "content": []},
        {"type": "of_next_year", "cache_control": {"type": "ephemeral"}},
    ],
)
def test_what_only_anthropic_understands_is_kept_whole(block: dict[str, Any]) -> None:
    assert read_content(block) == [Opaque(origin=NAME, type=block["type"], value=block)]


def test_tools_are_functions_or_run_at_the_provider() -> None:
    tools = [
        {
            "name": "f",
            "description": "d",
            "input_schema": {"type": "object"},
            "strict": True,
            "defer_loading": True,
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "custom", "name": "g", "input_schema": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
        {"type": "mcp_toolset", "mcp_server_name": "s"},
    ]
    assert read(tools=tools).tools == [
        Tool(
            name="f",
            description="d",
            parameters={"type": "object"},
            strict=True,
            cache_control=CacheControl(),
            extra={"defer_loading": True},
        ),
        Tool(name="g", parameters={"type": "object"}),
        Tool(kind="server", name="web_search", type="web_search_20250305", origin=NAME, extra={"max_uses": 2}),
        Tool(kind="server", name="", type="mcp_toolset", origin=NAME, extra={"mcp_server_name": "s"}),
    ]


@pytest.mark.parametrize(
    ("said", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(mode="required"), False),
        ({"type": "tool", "name": "n"}, ToolChoice(mode="named", name="n"), None),
        ({"type": "none"}, ToolChoice(mode="none"), None),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice(mode="auto"), True),
    ],
)
def test_the_choice_of_a_tool_is_read(said: dict[str, Any], choice: ToolChoice, parallel: bool | None) -> None:
    request = read(tool_choice=said)
    assert request.tool_choice == choice
    assert request.parallel_tool_calls is parallel


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Reasoning(mode="enabled", budget_tokens=2000)),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            Reasoning(mode="adaptive", display="summarized"),
        ),
        ({"thinking": {"type": "disabled"}}, Reasoning(mode="disabled")),
        ({"thinking": {"type": "between_tools"}}, Reasoning(mode="disabled")),
        ({"output_config": {"effort": "max"}}, Reasoning(effort="max")),
        ({}, None),
    ],
)
def test_thinking_and_effort_are_read(fields: dict[str, Any], reasoning: Reasoning | None) -> None:
    assert read(**fields).reasoning == reasoning


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_the_format_of_the_output_is_read_from_its_old_and_its_new_place(place: str) -> None:
    wanted: dict[str, Any] = {"type": "json_schema", "schema": {"type": "object"}}
    request = read(**{place: wanted if place == "output_format" else {"format": wanted}})
    assert request.response_format == ResponseFormat(type="json_schema", schema={"type": "object"})
    assert request.extra == {}


def test_the_settings_are_read() -> None:
    request = read(
        stop_sequences=["x"],
        metadata={"user_id": "u", "other": 1},
        service_tier="auto",
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        stream=True,
        cache_control={"type": "ephemeral"},
        container=None,
        mcp_servers=[{"name": "s"}],
    )
    assert (request.stop, request.user, request.service_tier) == (["x"], "u", "auto")
    assert (request.temperature, request.top_p, request.top_k, request.stream) == (0.5, 0.9, 4, True)
    assert request.cache_control == CacheControl()
    assert request.extra == {"metadata": {"other": 1}, "mcp_servers": [{"name": "s"}]}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.source"),
        ({"tools": [{"name": "x"}]}, "tools.0.input_schema"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"stop_sequences": [1]}, "stop_sequences"),
        ({"stream": "yes"}, "stream"),
        ({"thinking": "on"}, "thinking"),
        ({"temperature": True}, "temperature"),
    ],
)
def test_a_mistake_is_named_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b"{", b'{"model":"a","model":"b"}', b'{"a":"\xff"}', b'{"a":' + b"[" * 9999]
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        FORMAT.read_request(body)
