"""Requests: what Gemini is asked for a caller of another dialect, and what is read of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.catalogue import ModelInfo, lookup
from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
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
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.gemini import Gemini
from gateway_plugins.formats.gemini_models import traits_of
from gateway_plugins.formats.openai_chat import OpenAIChat

NEWER, OLDER = "gemini-3-flash-preview", "gemini-2.5-flash"


def user(*parts: Part | str) -> Message:
    return Message(role="user", content=[Text(text=part) if isinstance(part, str) else part for part in parts])


def said(*parts: Part) -> Message:
    return Message(role="assistant", content=list(parts))


def answered(*results: ToolResult) -> Message:
    return Message(role="tool", content=list(results))


def asked(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(model="m", origin="openai_chat", messages=list(messages or (user("hi"),)), **fields)


def write(
    request: ChatRequest, model: str = NEWER, traits: Traits | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    body = Gemini().write_request(request, traits or traits_of(model), dropped)
    return json.loads(body), dropped.reasons


def config(request: ChatRequest, model: str = NEWER) -> tuple[dict[str, Any], dict[str, str]]:
    value, lost = write(request, model)
    return value.get("generationConfig", {}), lost


def test_a_conversation_alternates_and_instructions_stand_apart() -> None:
    system = Message(role="system", content=[Text(text="be brief")])
    value, lost = write(asked(system, user("a"), user("b"), said(Text(text="c")), user("d")))
    assert value["systemInstruction"] == {"parts": [{"text": "be brief"}]}
    assert [(c["role"], [p["text"] for p in c["parts"]]) for c in value["contents"]] == [
        ("user", ["a", "b"]),
        ("model", ["c"]),
        ("user", ["d"]),
    ]
    assert not lost


def test_instructions_alone_are_asked_and_late_ones_are_moved_by_name() -> None:
    value, _ = write(asked(Message(role="developer", content=[Text(text="say hi")])))
    assert value == {"contents": [{"role": "user", "parts": [{"text": "say hi"}]}]}
    value, lost = write(asked(user("a"), Message(role="system", content=[Text(text="s")])))
    assert value["systemInstruction"] == {"parts": [{"text": "s"}]}
    assert list(lost) == ["messages[1].role"]
    value, _ = write(asked(Message(role="system", content=[Text(text="s")]), user("a")), "gemma-3-27b-it")
    assert value == {"contents": [{"role": "user", "parts": [{"text": "s"}, {"text": "a"}]}]}


def test_nothing_to_say_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="with content"):
        write(asked(user("")))


def test_parallel_calls_and_their_answers_stand_together() -> None:
    calls = said(
        ToolCall(id="a", name="f", arguments='{"x": 1}'), ToolCall(id="b", name="g", arguments="", signature="c2ln")
    )
    value, lost = write(
        asked(
            user("hi"),
            calls,
            answered(ToolResult(tool_call_id="a", content=[Text(text='{"y": 2}')])),
            answered(ToolResult(tool_call_id="b", content=[Text(text="no")], is_error=True)),
            user("go on"),
        )
    )
    assert value["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": "a", "name": "f", "args": {"x": 1}},
                    "thoughtSignature": "skip_thought_signature_validator",
                },
                {"functionCall": {"id": "b", "name": "g", "args": {}}, "thoughtSignature": "c2ln"},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "f", "response": {"y": 2}}},
                {"functionResponse": {"id": "b", "name": "g", "response": {"error": "no"}}},
                {"text": "go on"},
            ],
        },
    ]
    assert not lost
    older, _ = write(asked(user("hi"), calls), OLDER)
    assert "thoughtSignature" not in older["contents"][1]["parts"][0]


def test_an_id_that_we_made_up_does_not_come_back() -> None:
    reply = Gemini().read_reply(
        json.dumps(
            {
                "responseId": "r",
                "candidates": [
                    {
                        "content": {"parts": [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}]},
                        "finishReason": "STOP",
                    }
                ],
            }
        ).encode()
    )
    calls = [part for part in reply.choices[0].content if isinstance(part, ToolCall)]
    assert len({call.id for call in calls}) == 2
    results = [ToolResult(tool_call_id=call.id, content=[Text(text="1")]) for call in calls]
    value, _ = write(asked(user("hi"), said(*calls), answered(*results)))
    for content in value["contents"][1:]:
        for part in content["parts"]:
            assert "id" not in part.get("functionCall", part.get("functionResponse"))
            assert part.get("functionCall", part.get("functionResponse"))["name"] == "f"


def test_a_result_of_no_call_and_broken_arguments_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="answers no call"):
        write(asked(user("hi"), answered(ToolResult(tool_call_id="z"))))
    with pytest.raises(InvalidRequest, match="not a JSON object"):
        write(asked(user("hi"), said(ToolCall(id="a", name="f", arguments="[1]"))))


def test_media_of_every_kind() -> None:
    parts = (
        Media(kind="image", data="iVBORw0="),
        Media(kind="document", media_type="application/pdf", data="JVBERi0=", name="a.pdf"),
        Media(kind="audio", media_type="audio/x-wav", data="AA=="),
        Media(kind="image", url="https://x.test/a.webp?b=1"),
        Media(kind="document", text="plain"),
        Media(kind="video", url="https://youtu.be/1"),
        Media(kind="document", file_id="file-1"),
    )
    value, lost = write(asked(user(*parts)))
    assert value["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://x.test/a.webp?b=1"}},
        {"inlineData": {"mimeType": "text/plain", "data": "cGxhaW4="}},
        {"fileData": {"fileUri": "https://youtu.be/1"}},
    ]
    assert set(lost) == {"messages[0].content[1].name", "messages[0].content[6]"}


def test_media_in_a_result_go_with_it_or_beside_it() -> None:
    result = ToolResult(tool_call_id="a", content=[Text(text="see"), Media(kind="image", data="iVBORw0=")])
    messages = (user("hi"), said(ToolCall(id="a", name="f")), answered(result))
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}}
    newer, _ = write(asked(*messages))
    assert newer["contents"][2]["parts"][0]["functionResponse"]["parts"] == [picture]
    older, _ = write(asked(*messages), OLDER)
    assert older["contents"][2]["parts"][1] == picture


def test_what_has_no_place_is_named() -> None:
    message = said(
        Thinking(text="t", signature="s", origin="anthropic_messages"),
        Opaque(origin="anthropic_messages", type="server_tool_use", value={}),
        Refusal(text="no"),
        Text(text="x", citations=[{"url": "u"}], cache_control=CacheControl()),
    )
    request = asked(
        user("hi"),
        message,
        user="u",
        logit_bias={"1": 1.0},
        metadata={"a": "b"},
        prompt_cache_key="k",
        parallel_tool_calls=False,
        store=True,
        stop=["1", "2", "3", "4", "5", "6"],
        top_logprobs=2,
        verbosity="low",
        extra={"new_field": 1},
    )
    value, lost = write(request)
    assert value["generationConfig"]["stopSequences"] == ["1", "2", "3", "4", "5"]
    assert set(lost) == {
        "messages[1].content[0]",
        "messages[1].content[1]",
        "messages[1].content[2]",
        "messages[1].content[3].citations",
        "messages[1].content[3].cache_control",
        *("user", "logit_bias", "metadata", "prompt_cache_key", "parallel_tool_calls", "store", "stop[5]"),
        *("top_logprobs", "verbosity", "new_field"),
    }


def test_sampling_and_limits() -> None:
    request = asked(
        max_tokens=9, temperature=0.5, top_p=0.9, top_k=4, seed=1, n=2, presence_penalty=0.1, frequency_penalty=0.2
    )
    found, lost = config(request)
    assert found == {
        "maxOutputTokens": 9,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 4,
        "seed": 1,
        "candidateCount": 2,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
    }
    assert not lost
    assert config(asked(logprobs=True, top_logprobs=3, modalities=["text", "image"]))[0] == {
        "responseLogprobs": True,
        "logprobs": 3,
        "responseModalities": ["TEXT", "IMAGE"],
    }


@pytest.mark.parametrize(
    ("model", "reasoning", "written", "lost"),
    [
        (NEWER, Reasoning(effort="high"), {"thinkingLevel": "HIGH", "includeThoughts": True}, []),
        (NEWER, Reasoning(effort="max"), {"thinkingLevel": "HIGH", "includeThoughts": True}, ["reasoning.effort"]),
        (NEWER, Reasoning(effort="none"), {"thinkingLevel": "MINIMAL"}, ["reasoning.effort"]),
        (NEWER, Reasoning(budget_tokens=99), {"thinkingBudget": 99, "includeThoughts": True}, []),
        ("gemini-3-pro-preview", Reasoning(effort="medium"), {"thinkingLevel": "LOW", "includeThoughts": True},
         ["reasoning.effort"]),
        (OLDER, Reasoning(effort="low"), {"thinkingBudget": 1024, "includeThoughts": True}, []),
        (OLDER, Reasoning(mode="adaptive"), {"thinkingBudget": -1}, []),
        (OLDER, Reasoning(mode="disabled"), {"thinkingBudget": 0}, []),
        (OLDER, Reasoning(budget_tokens=99999), {"thinkingBudget": 24576, "includeThoughts": True},
         ["reasoning.budget_tokens"]),
        (OLDER, Reasoning(budget_tokens=99, display="omitted"), {"thinkingBudget": 99}, []),
        ("gemini-2.5-pro", Reasoning(effort="none"), {"thinkingBudget": 128}, ["reasoning.effort"]),
        ("gemini-2.0-flash", Reasoning(effort="low"), None, ["reasoning.effort"]),
        ("gemini-2.0-flash", Reasoning(effort="none"), None, []),
    ],
)  # fmt: skip
def test_thinking_in_the_words_of_the_model(
    model: str, reasoning: Reasoning, written: dict[str, Any] | None, lost: list[str]
) -> None:
    found, reasons = config(asked(reasoning=reasoning), model)
    assert found.get("thinkingConfig") == written
    assert list(reasons) == lost


def test_the_catalogue_counts_before_the_rules() -> None:
    hydrogen = traits_of("gemini-4-hydrogen", lookup("gemini", "gemini-4-hydrogen"))
    body, lost = write(asked(reasoning=Reasoning(effort="xhigh"), max_tokens=2_000_000), traits=hydrogen)
    assert body["generationConfig"]["thinkingConfig"]["thinkingLevel"] == "XHIGH"
    assert body["generationConfig"]["maxOutputTokens"] == 1_048_576
    assert list(lost) == ["max_tokens"]
    body, lost = write(asked(reasoning=Reasoning(effort="minimal")), traits=hydrogen)
    assert body["generationConfig"]["thinkingConfig"]["thinkingLevel"] == "LOW"
    assert list(lost) == ["reasoning.effort"]


def test_what_the_configuration_says_of_a_model_counts() -> None:
    info = ModelInfo(name="house", efforts=("none", "low", "high"), tools=False, structured_output=False)
    wanted = ResponseFormat(type="json_object")
    request = asked(reasoning=Reasoning(effort="none"), tools=[Tool(name="f")], response_format=wanted)
    body, lost = write(request, traits=traits_of("house", info))
    assert body["generationConfig"] == {"thinkingConfig": {"thinkingBudget": 0}}
    assert "tools" not in body
    assert set(lost) == {"tools", "response_format"}
    body, lost = write(
        asked(reasoning=Reasoning(effort="low")), traits=traits_of("gemini-3-x", ModelInfo(name="x", reasoning=False))
    )
    assert "generationConfig" not in body
    assert list(lost) == ["reasoning.effort"]


def test_older_models_keep_their_budgets_whatever_words_the_catalogue_knows() -> None:
    info = ModelInfo(name="gemini-2.5-flash", efforts=("low", "high"))
    body, _ = write(asked(reasoning=Reasoning(effort="low")), traits=traits_of("gemini-2.5-flash", info))
    assert body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 1024


def test_tools_of_every_kind() -> None:
    tools = [
        Tool(name="f", description="d", parameters={"type": "object", "properties": {"x": {"const": 1}}}),
        Tool(name="c", kind="custom", grammar={"syntax": "lark", "definition": "start: x"}),
        Tool(name="web_search", kind="server", type="web_search_20250305", origin="anthropic_messages"),
        Tool(name="computer", kind="server", type="computer_20250124", origin="anthropic_messages"),
    ]
    value, lost = write(asked(tools=tools, tool_choice=ToolChoice(mode="named", name="f")))
    functions, search = value["tools"]
    assert functions["functionDeclarations"][0] == {
        "name": "f",
        "description": "d",
        "parametersJsonSchema": {"type": "object", "properties": {"x": {"enum": [1], "type": "integer"}}},
    }
    assert functions["functionDeclarations"][1]["parametersJsonSchema"]["required"] == ["input"]
    assert search == {"googleSearch": {}}
    assert value["toolConfig"] == {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]},
        "includeServerSideToolInvocations": True,
    }
    assert set(lost) == {"tools[1].custom.format", "tools[3]"}
    older, lost = write(asked(tools=tools[:1] + tools[2:3]), OLDER)
    assert len(older["tools"]) == 1
    assert list(lost) == ["tools[1]"]


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="allowed", names=["f"]), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (
            ToolChoice(mode="allowed", names=["f"], allowed_mode="required"),
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_choices_among_tools(choice: ToolChoice, written: dict[str, Any]) -> None:
    value, lost = write(asked(tools=[Tool(name="f")], tool_choice=choice))
    assert value["toolConfig"] == {"functionCallingConfig": written}
    assert not lost


def test_structured_output() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "format": "email"}}}
    wanted = ResponseFormat(type="json_schema", name="n", description="d", schema=schema, strict=True)
    found, lost = config(asked(response_format=wanted))
    assert found == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "properties": {"a": {"type": "string", "description": 'format: "email"'}},
            "title": "n",
            "description": "d",
        },
    }
    assert list(lost) == ["response_format.json_schema.schema.properties.a.format"]
    assert config(asked(response_format=ResponseFormat(type="json_object")))[0] == {
        "responseMimeType": "application/json"
    }
    found, lost = config(asked(response_format=wanted, tools=[Tool(name="f")]), OLDER)
    assert not found
    assert list(lost) == ["response_format"]


def test_metadata_becomes_labels_on_vertex() -> None:
    request = asked(metadata={"team": "a-1", "Trace": "X"})
    value, lost = write(request, traits=Traits(options={"labels": True}))
    assert value["labels"] == {"team": "a-1"}
    assert list(lost) == ["metadata.Trace"]


@pytest.mark.parametrize("other", [OpenAIChat(), AnthropicMessages()], ids=lambda one: one.name)
def test_a_request_of_gemini_is_understood_by_others(other: Any) -> None:
    body = {
        "system_instruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "weather?"},
                                       {"inline_data": {"mime_type": "image/png", "data": "iVBORw0="}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"x": 1}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "sun"}}}]},
        ],
        "tools": [{"function_declarations": [{"name": "f", "parameters": {
            "type": "OBJECT", "properties": {"x": {"type": "INTEGER", "nullable": True}}}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {"maxOutputTokens": 9, "stopSequences": ["x"]},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    }  # fmt: skip
    request = Gemini().read_request(json.dumps(body).encode())
    request.model = "m"
    dropped = Dropped()
    text = other.write_request(request, Traits(), dropped).decode()
    assert list(dropped.reasons) == ["safetySettings"]
    for words in ("be brief", "weather?", "iVBORw0=", "sun", '"integer"', '"null"'):
        assert words in text
    value = json.loads(text)
    assert value["tool_choice"] in ("required", {"type": "any"})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"contents": "hi"}, "contents"),
        ({"contents": [{"role": "assistant", "parts": []}]}, "valid role"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "parts\\[0\\].text"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, "mode"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "name"),
    ],
)
def test_a_request_that_is_none_is_refused_by_its_field(body: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        Gemini().read_request(json.dumps(body).encode())


def test_losses_are_told_in_the_callers_own_words() -> None:
    body = {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"parts": [{"functionResponse": {"name": "f", "response": {}}}, {"text": "x"}]},
            {"role": "model", "parts": [{"text": "y"}]},
        ],
    }
    codec = Gemini()
    request = codec.read_request(json.dumps(body).encode())
    assert codec.caller_field("messages[0].content[0]", request) == "systemInstruction.parts[0]"
    assert codec.caller_field("messages[2].content[0].extra", request) == "contents[0].parts[1].extra"
    assert codec.caller_field("messages[3].content[0]", request) == "contents[1].parts[0]"
    assert codec.caller_field("reasoning.budget_tokens", request) == "generationConfig.thinkingConfig.thinkingBudget"
    assert codec.caller_field("stop[4]", request) == "generationConfig.stopSequences[4]"
    assert codec.caller_field("response_format.schema.properties.a", request) == (
        "generationConfig.responseSchema.properties.a"
    )
    assert codec.caller_field("safetySettings", request) == "safetySettings"
