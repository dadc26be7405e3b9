"""Requests of other formats, written for Anthropic: all that it can express, and every loss named."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway.protocol import (
    CacheControl,
    ChatRequest,
    Media,
    Message,
    Opaque,
    Part,
    Refusal,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.anthropic_models import traits_of

OWN = "anthropic_messages"
HAIKU = traits_of("claude-haiku-4-5")
OPUS = traits_of("claude-opus-5-5")
PNG, PDF = "iVBORw0KGgo=", "JVBERi0xLjQ="


def write(request: ChatRequest, traits: Traits = HAIKU) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    request.origin = request.origin or "openai_chat"
    return json.loads(AnthropicMessages().write_request(request, traits, dropped)), dropped.reasons


def say(*messages: Message, traits: Traits = HAIKU, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """What is written for a conversation, and the names of what is lost."""
    asked = list(messages) or [Message(role="user", content=[Text(text="hi")])]
    written, lost = write(ChatRequest(model="m", messages=asked, **fields), traits)
    return written, sorted(lost)


def user(*parts: Part | str) -> Message:
    return Message(role="user", content=[Text(text=part) if isinstance(part, str) else part for part in parts])


def system(text: str) -> Message:
    return Message(role="system", content=[Text(text=text)])


def assistant(*parts: Part | str) -> Message:
    return Message(role="assistant", content=[Text(text=part) if isinstance(part, str) else part for part in parts])


def result(call: str, text: str = "ok") -> Message:
    return Message(role="tool", content=[ToolResult(tool_call_id=call, content=[Text(text=text)])])


CALL = ToolCall(id="a", name="f", arguments='{"x":1}')
CALLED = {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}


# Messages


def test_leading_instructions_become_the_system_prompt() -> None:
    developer = Message(role="developer", content=[Text(text="b")])
    written, lost = say(system("a"), developer, user("hi"))
    assert written["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert written["messages"] == [{"role": "user", "content": "hi"}]
    assert not lost


def test_a_later_system_message_stays_where_the_model_takes_it() -> None:
    written, lost = say(user("a"), system("b"), assistant("c"), user("d"), system("e"), traits=OPUS)
    assert [(turn["role"], turn["content"]) for turn in written["messages"]] == [
        ("user", "a"),
        ("system", "b"),
        ("assistant", "c"),
        ("user", "d"),
        ("system", "e"),
    ]
    assert not lost


def test_a_later_system_message_moves_behind_the_user_turn_that_it_precedes() -> None:
    written, lost = say(user("a"), assistant("b"), system("c"), user("d"), traits=OPUS)
    assert [turn["role"] for turn in written["messages"]] == ["user", "assistant", "user", "system"]
    assert lost == ["messages[2].role"]


def test_a_later_system_message_goes_into_the_prompt_where_the_model_takes_none() -> None:
    written, lost = say(system("a"), user("b"), system("c"))
    assert [block["text"] for block in written["system"]] == ["a", "c"]
    assert [turn["role"] for turn in written["messages"]] == ["user"]
    assert lost == ["messages[2].role"]
    written, lost = say(user("b"), assistant("x"), system("c"), assistant("y"), traits=OPUS)
    assert written["system"] == "c"
    assert lost == ["messages[2].role"]


def test_instructions_alone_are_asked_as_the_users() -> None:
    written, lost = say(system("a"), system("b"))
    assert written["system"] == "a"
    assert written["messages"] == [{"role": "user", "content": "b"}]
    assert lost == ["messages[1].role"]


def test_turns_of_one_role_are_merged() -> None:
    written, _ = say(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert [turn["role"] for turn in written["messages"]] == ["user", "assistant", "user"]
    assert [block["text"] for block in written["messages"][0]["content"]] == ["a", "b"]


def test_parallel_tool_results_come_first_in_one_user_turn() -> None:
    second = ToolCall(id="b", name="f", arguments="")
    written, lost = say(user("go"), assistant("so", CALL, second), result("a"), user("hurry"), result("b"))
    assert written["messages"][1]["content"] == [
        {"type": "text", "text": "so"},
        CALLED,
        {"type": "tool_use", "id": "b", "name": "f", "input": {}},
    ]
    assert written["messages"][2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "ok"},
            {"type": "tool_result", "tool_use_id": "b", "content": "ok"},
            {"type": "text", "text": "hurry"},
        ],
    }
    assert not lost


def test_a_tool_result_holds_images_and_errors() -> None:
    image = Media(kind="image", media_type="image/png", data=PNG)
    failed = ToolResult(tool_call_id="a", content=[Text(text="no"), image], is_error=True)
    written, _ = say(user("go"), assistant(CALL), Message(role="tool", content=[failed]))
    (block,) = written["messages"][2]["content"]
    assert block["is_error"] is True
    assert [inner["type"] for inner in block["content"]] == ["text", "image"]


def test_ids_are_made_to_fit_and_stay_with_their_calls() -> None:
    odd = ToolCall(id="functions.f:0", name="f", arguments="{}")
    conversation = (user("go"), assistant(odd), result("functions.f:0"), assistant(odd), result("functions.f:0"))
    written, _ = say(*conversation)
    ids = [written["messages"][at]["content"][0] for at in (1, 2, 3, 4)]
    assert ids[0]["id"] == ids[1]["tool_use_id"] == "functions_f_0"
    assert ids[2]["id"] == ids[3]["tool_use_id"] == "functions_f_0_2"


def test_empty_text_and_empty_turns_are_left_out() -> None:
    written, lost = say(user("a"), assistant(""), user("", "  \n", "b"))
    assert written["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ]
    assert not lost


def test_a_conversation_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        say(user(""))
    assert caught.value.param == "messages"


@pytest.mark.parametrize("arguments", ["{", '"text"', "[1]"])
def test_arguments_that_are_no_object_are_refused_by_name(arguments: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        say(user("go"), assistant(ToolCall(id="a", name="f", arguments=arguments)))
    assert caught.value.param == "messages[1].content[0].arguments"


def test_white_space_at_the_end_of_a_prefill_is_cut_and_named() -> None:
    written, lost = say(user("a"), assistant("The answer is "))
    assert written["messages"][1]["content"] == "The answer is"
    assert lost == ["messages[1].content"]


def test_names_of_participants_and_unknown_fields_are_named() -> None:
    message = Message(role="user", content=[Text(text="a", extra={"y": 2})], name="bob", extra={"x": 1})
    _, lost = say(message, extra={"z": 3})
    assert lost == ["messages[0].content[0].y", "messages[0].name", "messages[0].x", "z"]


# Parts


def source_of(media: Media) -> tuple[Any, list[str]]:
    written, lost = say(user("x", media))
    content = written["messages"][0]["content"]
    return (content[1] if isinstance(content, list) else None), lost


@pytest.mark.parametrize(
    ("media", "block"),
    [
        (
            Media(kind="image", media_type="image/png", data=PNG),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        # A wrong or missing type is corrected by what the file is.
        (
            Media(kind="image", media_type="image/jpg", data=PNG),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        (
            Media(kind="image", data="/9j/4AAQ"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"}},
        ),
        (
            Media(kind="image", url="https://x/y.png", detail="auto"),
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        ),
        (
            Media(kind="document", data=PDF, name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            Media(kind="document", media_type="text/csv", data=base64.b64encode("ä,b".encode()).decode()),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ä,b"}},
        ),
        (
            Media(kind="document", text="words"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        ),
        (
            Media(kind="document", url="https://x/y.pdf"),
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
        ),
    ],
)
def test_images_and_documents_are_written(media: Media, block: dict[str, Any]) -> None:
    assert source_of(media) == (block, [])


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="audio", media_type="audio/wav", data="AAAA"),
        Media(kind="video", url="https://x/y.mp4"),
        Media(kind="image", media_type="image/tiff", data="AAAA"),
        Media(kind="image", file_id="file-1"),
        Media(kind="document", media_type="application/msword", data="AAAA"),
        Media(kind="document", media_type="text/plain", data="/w=="),
    ],
)
def test_media_that_anthropic_does_not_take_is_named(media: Media) -> None:
    assert source_of(media) == (None, ["messages[0].content[1]"])


def test_the_resolution_of_an_image_is_named() -> None:
    _, lost = source_of(Media(kind="image", url="u", detail="high"))
    assert lost == ["messages[0].content[1].detail"]


def test_media_stands_in_user_turns_only() -> None:
    image = Media(kind="image", url="u")
    _, lost = say(Message(role="system", content=[Text(text="s"), image]), user("x"), assistant("y", image))
    assert lost == ["messages[0].content[1]", "messages[2].content[1]"]


def test_signed_thinking_is_replayed_before_everything_else() -> None:
    signed = Thinking(text="hm", signature="s", origin=OWN)
    redacted = Thinking(redacted=True, encrypted="d", origin=OWN)
    written, lost = say(user("go"), assistant("so", signed, redacted, CALL), result("a"))
    assert [block["type"] for block in written["messages"][1]["content"]] == [
        "thinking",
        "redacted_thinking",
        "text",
        "tool_use",
    ]
    assert written["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "s"}
    assert not lost


@pytest.mark.parametrize("part", [Thinking(text="hm", origin="openai_chat"), Thinking(text="hm", origin=OWN)])
def test_thinking_that_anthropic_has_not_signed_is_named(part: Thinking) -> None:
    written, lost = say(user("go"), assistant(part, "so"))
    assert written["messages"][1]["content"] == "so"
    assert lost == ["messages[1].content[0]"]


def test_refusals_opaque_parts_and_thought_signatures_are_named() -> None:
    parts = (
        Refusal(text="no"),
        Opaque(origin="gemini", type="executableCode", value={}),
        ToolCall(id="a", name="f", signature="g"),
    )
    written, lost = say(user("go"), assistant(*parts), result("a"))
    assert written["messages"][1]["content"][0] == {"type": "text", "text": "no"}
    assert lost == ["messages[1].content[0]", "messages[1].content[1]", "messages[1].content[2].signature"]


def test_cache_control_is_kept_with_its_ttl() -> None:
    part = Text(text="a", cache_control=CacheControl(ttl="1h"))
    tool = Tool(name="f", cache_control=CacheControl())
    written, lost = say(Message(role="user", content=[part]), tools=[tool], cache_control=CacheControl())
    assert written["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert written["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert written["cache_control"] == {"type": "ephemeral"}
    assert not lost


def test_citations_of_another_provider_are_named() -> None:
    _, lost = say(user("a"), assistant(Text(text="b", citations=[{"url": "u"}])))
    assert lost == ["messages[1].content[0].citations"]


# Tools


def test_functions_have_a_schema_of_an_object() -> None:
    tools = [
        Tool(name="a", description="d", parameters={"type": "object", "properties": {"x": {"type": "string"}}}),
        Tool(name="b"),
        Tool(name="c", parameters={"properties": {}}),
        Tool(name="d", parameters={"$ref": "#/$defs/D", "$defs": {"D": {"type": "object"}}}),
    ]
    written, lost = say(tools=tools)
    assert written["tools"] == [
        {
            "name": "a",
            "description": "d",
            "input_schema": {"type": "object", "properties": {"x": {"type": "string"}}},
        },
        {"name": "b", "input_schema": {"type": "object", "properties": {}}},
        {"name": "c", "input_schema": {"type": "object", "properties": {}}},
        {"name": "d", "input_schema": {"type": "object", "$defs": {"D": {"type": "object"}}}},
    ]
    assert not lost


def test_a_choice_at_the_top_of_a_schema_is_named() -> None:
    tool = Tool(name="a", parameters={"type": "object", "anyOf": [{"required": ["x"]}]})
    written, lost = say(tools=[tool])
    assert written["tools"][0]["input_schema"] == {"type": "object"}
    assert lost == ["tools[0].function.parameters.anyOf"]


def test_strict_tools_have_closed_schemas() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}, "required": ["x"]}
    written, lost = say(tools=[Tool(name="a", parameters=schema, strict=True)])
    assert written["tools"][0]["strict"] is True
    assert written["tools"][0]["input_schema"]["additionalProperties"] is False
    assert lost == ["tools[0].function.parameters.properties.x.minimum"]
    for name in ("claude-of-next-year", "another"):
        written, _ = say(tools=[Tool(name="a", parameters=schema, strict=True)], traits=traits_of(name))
        assert written["tools"][0]["strict"] is True
    old = traits_of("claude-3-5-haiku-latest")
    written, lost = say(tools=[Tool(name="a", parameters=schema, strict=True)], traits=old)
    assert "strict" not in written["tools"][0]
    assert written["tools"][0]["input_schema"] == schema
    assert lost == ["tools[0].strict"]


def test_a_custom_tool_is_a_function_of_one_string_and_its_grammar_is_told_and_named() -> None:
    tool = Tool(kind="custom", name="patch", description="d", grammar={"syntax": "lark", "definition": "start: x"})
    call = ToolCall(id="a", name="patch", arguments="*** Begin", kind="custom")
    written, lost = say(user("go"), assistant(call), result("a"), tools=[tool])
    assert written["tools"][0]["input_schema"]["properties"] == {"input": {"type": "string"}}
    assert written["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}
    assert written["tools"][0]["description"].endswith("lark grammar:\nstart: x")
    assert lost == ["tools[0].custom.format"]


def test_anthropics_own_server_tools_pass_and_others_are_named() -> None:
    tools = [
        Tool(kind="server", name="bash", type="bash_20250124", origin=OWN, extra={"x": 1}),
        Tool(kind="server", name="", type="code_interpreter", origin="openai_responses"),
    ]
    written, lost = say(tools=tools)
    assert written["tools"] == [{"type": "bash_20250124", "name": "bash"}]
    assert lost == ["tools[0].x", "tools[1]"]


def test_a_web_search_is_asked_of_anthropic() -> None:
    place = {"type": "approximate", "approximate": {"city": "Paris", "country": "FR"}}
    extra = {"user_location": place, "search_context_size": "high"}
    tool = Tool(kind="server", name="web_search", type="web_search_options", origin="openai_chat", extra=extra)
    written, lost = say(tools=[tool])
    assert written["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "user_location": {"type": "approximate", "city": "Paris", "country": "FR"},
        }
    ]
    assert lost == ["web_search_options.search_context_size"]


def test_geminis_search_is_asked_of_anthropic() -> None:
    extra = {"excludeDomains": ["x.example"], "timeRangeFilter": {}}
    tool = Tool(kind="server", name="googleSearch", type="web_search", origin="gemini", extra=extra)
    written, lost = say(tools=[tool])
    assert written["tools"] == [{"type": "web_search_20250305", "name": "web_search", "blocked_domains": ["x.example"]}]
    assert lost == ["tools[0].timeRangeFilter"]


F, G = Tool(name="f"), Tool(name="g")


@pytest.mark.parametrize(
    ("choice", "parallel", "said"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="auto"), None, {"type": "auto"}),
        (ToolChoice(mode="none"), False, {"type": "none"}),
        (ToolChoice(mode="required"), True, {"type": "any"}),
        (ToolChoice(mode="named", name="f"), False, {"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
    ],
)
def test_the_choice_of_a_tool_is_written(choice: ToolChoice | None, parallel: bool | None, said: Any) -> None:
    written, lost = say(tools=[F, G], tool_choice=choice, parallel_tool_calls=parallel)
    assert written.get("tool_choice") == said
    assert not lost


def test_allowed_tools_are_the_only_ones_sent() -> None:
    choice = ToolChoice(mode="allowed", names=["g"], allowed_mode="required")
    written, lost = say(tools=[F, G], tool_choice=choice)
    assert [tool["name"] for tool in written["tools"]] == ["g"]
    assert written["tool_choice"] == {"type": "any"}
    assert not lost


def test_a_forced_tool_is_named_where_the_model_takes_none_or_there_is_none() -> None:
    written, lost = say(tools=[F], tool_choice=ToolChoice(mode="required"), traits=OPUS)
    assert written["tool_choice"] == {"type": "auto"}
    assert lost == ["tool_choice"]
    written, lost = say(tool_choice=ToolChoice(mode="named", name="f"))
    assert "tool_choice" not in written
    assert lost == ["tool_choice"]


# Settings


def test_a_limit_is_always_sent() -> None:
    assert say()[0]["max_tokens"] == 64_000
    assert say(traits=Traits())[0]["max_tokens"] == 4096
    assert say(traits=Traits(max_tokens_default=7))[0]["max_tokens"] == 7
    assert say(max_tokens=5) == ({**say()[0], "max_tokens": 5}, [])
    written, lost = say(max_tokens=100_000)
    assert written["max_tokens"] == 64_000
    assert lost == ["max_tokens"]


@pytest.mark.parametrize(
    ("traits", "fields", "sent", "lost"),
    [
        (Traits(), {"temperature": 0.5, "top_p": 0.9, "top_k": 3}, {"temperature": 0.5, "top_p": 0.9, "top_k": 3}, []),
        (HAIKU, {"temperature": 1.7}, {"temperature": 1}, ["temperature"]),
        (HAIKU, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ["top_p"]),
        (HAIKU, {"temperature": 0.5, "top_p": 1}, {"temperature": 0.5}, []),
        (OPUS, {"temperature": 0.5, "top_p": 0.9, "top_k": 3}, {}, ["temperature", "top_k", "top_p"]),
        (OPUS, {"temperature": 1, "top_p": 1}, {}, []),
    ],
)
def test_sampling_is_what_the_model_takes(
    traits: Traits, fields: dict[str, Any], sent: dict[str, Any], lost: list[str]
) -> None:
    written, named = say(traits=traits, **fields)
    assert {key: value for key, value in written.items() if key in ("temperature", "top_p", "top_k")} == sent
    assert named == lost


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frequency_penalty", 0.5),
        ("presence_penalty", 0.5),
        ("repetition_penalty", 1.1),
        ("min_p", 0.1),
        ("seed", 1),
        ("logit_bias", {"1": 1.0}),
        ("logprobs", True),
        ("top_logprobs", 2),
        ("n", 2),
        ("metadata", {"a": "b"}),
        ("prompt_cache_key", "k"),
        ("verbosity", "low"),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "x"}),
        ("prediction", {"type": "content"}),
        ("store", True),
    ],
)
def test_what_anthropic_has_nothing_for_is_named(field: str, value: Any) -> None:
    assert say(**{field: value}) == (say()[0], [field])


def test_what_asks_for_nothing_is_not_named() -> None:
    idle: dict[str, Any] = {
        "frequency_penalty": 0.0,
        "presence_penalty": 0,
        "n": 1,
        "logprobs": False,
        "logit_bias": {},
        "store": False,
        "modalities": ["text"],
        "parallel_tool_calls": True,
        "response_format": ResponseFormat(type="text"),
        "verbosity": "medium",
    }
    assert say(**idle) == (say()[0], [])


def test_stops_user_and_tier_are_written() -> None:
    written, lost = say(stop=["a", " \n", "b"], user="u", service_tier="default", stream=True, include_usage=True)
    assert written["stop_sequences"] == ["a", "b"]
    assert written["metadata"] == {"user_id": "u"}
    assert written["service_tier"] == "standard_only"
    assert written["stream"] is True
    assert lost == ["stop[1]"]
    assert say(service_tier="flex")[1] == ["service_tier"]


def test_an_answer_by_schema_is_asked_for() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "maxLength": 3}}}
    wanted = ResponseFormat(type="json_schema", name="thing", description="d", schema=schema, strict=True)
    written, lost = say(response_format=wanted)
    assert written["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"x": {"type": "string", "description": "{maxLength: 3}"}},
            "additionalProperties": False,
            "title": "thing",
            "description": "d",
        },
    }
    assert lost == ["response_format.json_schema.schema.properties.x.maxLength"]


def test_an_answer_in_json_without_a_schema_is_named() -> None:
    assert say(response_format=ResponseFormat(type="json_object"))[1] == ["response_format"]
    wanted = ResponseFormat(type="json_schema", schema={"type": "object"})
    assert say(response_format=wanted, traits=traits_of("claude-3-haiku-20240307"))[1] == ["response_format"]


def test_traits_of_a_provider_are_data() -> None:
    traits = Traits(
        unsupported={"tools": "no tools here", "stop": "no stops here"},
        renames={"stop_sequences": "stops", "max_tokens": "limit"},
        defaults={"x": 1, "model": "never"},
    )
    written, lost = say(traits=traits, tools=[F], stop=["s"])
    assert written == {"model": "m", "limit": 4096, "messages": [{"role": "user", "content": "hi"}], "x": 1}
    assert lost == ["stop", "tools"]


def test_what_this_dialect_said_goes_out_as_it_came_in_whatever_the_traits() -> None:
    request = ChatRequest(
        model="m",
        messages=[user("a", ""), system("b"), assistant("c ")],
        origin=OWN,
        temperature=0.5,
        top_p=0.5,
        max_tokens=999_999,
        stop=[" "],
        extra={"container": "c"},
    )
    written, lost = write(request, OPUS)
    assert written["temperature"] == written["top_p"] == 0.5
    assert written["max_tokens"] == 999_999
    assert written["stop_sequences"] == [" "]
    assert written["container"] == "c"
    assert written["messages"][-1]["content"] == "c "
    assert not lost


def test_thinking_carried_for_another_provider_never_reaches_anthropic() -> None:
    parts = [Thinking(text="hm", signature="s", origin="gemini"), Text(text="so")]
    request = ChatRequest(model="m", messages=[user("a"), Message(role="assistant", content=parts)], origin=OWN)
    written, lost = write(request)
    assert written["messages"][1]["content"] == "so"
    assert list(lost) == ["messages[1].content[0]"]
