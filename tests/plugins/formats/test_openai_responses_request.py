"""Requests of the responses API: what is read of them, and what reaches targets of other formats and of this one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import (
    CacheControl,
    ChatReply,
    ChatRequest,
    Choice,
    Media,
    Message,
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
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_responses import OpenAIResponses

RESPONSES = OpenAIResponses()
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edit files",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "x"'},
}


def read(**fields: Any) -> ChatRequest:
    return RESPONSES.read_request(msgspec.json.encode({"model": "m", "input": "hi", **fields}))


def again(**fields: Any) -> dict[str, Any]:
    """The request as it is written for a provider of its own format; nothing may be lost."""
    dropped = Dropped()
    written: dict[str, Any] = json.loads(RESPONSES.write_request(read(**fields), Traits(), dropped))
    assert dropped.reasons == {}
    return written


def chat_of(request: ChatRequest, **options: Any) -> tuple[dict[str, Any], Dropped]:
    dropped = Dropped()
    written: dict[str, Any] = json.loads(OpenAIChat().write_request(request, Traits(options=options), dropped))
    return written, dropped


def asked(traits: Traits | None = None, **fields: Any) -> tuple[dict[str, Any], Dropped]:
    """A chat caller's request, written for the responses API."""
    dropped = Dropped()
    fields.setdefault("messages", [Message(role="user", content=[Text(text="hi")])])
    request = ChatRequest(model="m", origin="openai_chat", **fields)
    written: dict[str, Any] = json.loads(RESPONSES.write_request(request, traits or Traits(), dropped))
    return written, dropped


CODEX = {
    "model": "gpt-5-codex",
    "instructions": "You are Codex.",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions/>"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "fix it"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "A"}], "encrypted_content": "gAAA"},
        {"type": "function_call", "name": "shell", "arguments": '{"command":["ls"]}', "call_id": "call_1"},
        {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch", "call_id": "call_2"},
        {"type": "function_call_output", "call_id": "call_1", "output": "a.py"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
    ],
    "tools": [
        {"type": "function", "name": "shell", "description": "Run", "strict": False, "parameters": {"type": "object"}},
        PATCH,
        {"type": "web_search", "external_web_access": True},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "thread-1",
    "client_metadata": {"x-codex-installation-id": "1"},
    "text": {"verbosity": "medium"},
}


def test_codex_reaches_chat_completions_with_its_tools_its_turns_and_named_losses() -> None:
    written, dropped = chat_of(RESPONSES.read_request(msgspec.json.encode(CODEX)), custom_tools=False)
    assert [message["role"] for message in written["messages"]] == [
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
        "tool",
    ]
    calls = written["messages"][3]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["shell", "apply_patch"]
    assert json.loads(calls[1]["function"]["arguments"]) == {"input": "*** Begin Patch"}
    assert [tool["function"]["name"] for tool in written["tools"]] == ["shell", "apply_patch"]
    assert written["reasoning_effort"] == "medium"
    assert written["prompt_cache_key"] == "thread-1"
    assert "store" not in written
    assert {"client_metadata", "tools[2]", "reasoning.summary", "messages[3].content[0]"} <= dropped.reasons.keys()
    assert "include" not in dropped.reasons


def test_codex_comes_back_as_it_was() -> None:
    dropped = Dropped()
    written = json.loads(RESPONSES.write_request(RESPONSES.read_request(msgspec.json.encode(CODEX)), Traits(), dropped))
    for message in written["input"][:2]:
        message["content"] = [{"type": "input_text", "text": message["content"]}]
    assert written == CODEX
    assert dropped.reasons == {}


def test_reasoning_and_calls_between_two_inputs_are_one_turn() -> None:
    request = RESPONSES.read_request(msgspec.json.encode(CODEX))
    turn = request.messages[3]
    assert [type(part) for part in turn.content] == [Thinking, ToolCall, ToolCall]
    thought = turn.content[0]
    assert isinstance(thought, Thinking)
    assert (thought.text, thought.encrypted, thought.origin) == ("A", "gAAA", "openai_responses")


def test_every_kind_of_content_is_read() -> None:
    request = read(
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "see"},
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0", "detail": "high"},
                    {"type": "input_image", "file_id": "file-1", "detail": "auto"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                    {"type": "input_file", "file_url": "https://x/y.pdf"},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        ]
    )
    parts = request.messages[0].content
    assert parts[1:] == [
        Media(kind="image", media_type="image/png", data="iVBORw0", detail="high"),
        Media(kind="image", file_id="file-1", detail="auto"),
        Media(kind="document", media_type="application/pdf", data="JVBE", name="a.pdf"),
        Media(kind="document", url="https://x/y.pdf"),
        Media(kind="audio", media_type="audio/wav", data="AAAA"),
    ]


def test_tool_results_may_hold_images() -> None:
    output = [{"type": "input_text", "text": "shot"}, {"type": "input_image", "image_url": "https://x/a.png"}]
    items = [
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": output},
    ]
    assert again(input=items)["input"] == items
    written, _ = chat_of(read(input=items))
    assert written["messages"][-1]["content"][1]["image_url"]["url"] == "https://x/a.png"


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": {"type": "function", "name": "f"}, "tools": [{"type": "function", "name": "f"}]},
        {"tool_choice": {"type": "custom", "name": "apply_patch"}, "tools": [PATCH]},
        {
            "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
        },
        {"tool_choice": {"type": "mcp", "server_label": "x"}, "tools": [{"type": "mcp", "server_label": "x"}]},
        {"tools": [{"type": "apply_patch"}, {"type": "shell"}], "tool_choice": {"type": "apply_patch"}},
        {
            "tools": [
                {
                    "type": "namespace",
                    "name": "crm",
                    "description": "CRM",
                    "tools": [{"type": "function", "name": "find"}, {"type": "function", "name": "put"}],
                }
            ],
            "tool_choice": {"type": "function", "name": "find", "namespace": "crm"},
        },
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}}},
        {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
        {"reasoning": {"effort": "high", "summary": "detailed", "context": "all_turns"}},
        {"include": ["message.output_text.logprobs", "web_search_call.action.sources"], "top_logprobs": 3},
        {"max_output_tokens": 9, "max_tool_calls": 2, "temperature": 0.5, "top_p": 0.1, "truncation": "auto"},
        {"previous_response_id": "resp_1", "store": True, "background": True, "service_tier": "flex"},
        {"metadata": {"a": "b"}, "user": "u", "safety_identifier": "s", "prompt_cache_retention": "24h"},
        {"safety_identifier": "s", "parallel_tool_calls": True, "truncation": "disabled"},
        {"conversation": "conv_1", "prompt": {"id": "pmpt_1"}, "stream": True, "stream_options": {"a": 1}},
        {
            "input": [
                {"type": "message", "role": "user", "content": "a", "id": "msg_0"},
                {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
                {"type": "item_reference", "id": "msg_1"},
                {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "later"}]},
                {"type": "computer_call", "call_id": "c", "action": {"type": "wait"}},
                {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"},
                {
                    "type": "apply_patch_call",
                    "id": "apc_1",
                    "call_id": "p",
                    "status": "completed",
                    "operation": {"type": "delete_file", "path": "a"},
                },
                {"type": "apply_patch_call_output", "call_id": "p", "status": "failed", "output": "no such file"},
            ]
        },
        {
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {
                            "type": "input_text",
                            "text": "long",
                            "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
                        },
                        {"type": "input_text", "text": "short", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    ],
                }
            ]
        },
    ],
)
def test_what_the_dialect_can_say_comes_back_as_it_was(fields: dict[str, Any]) -> None:
    assert again(**fields) == {"model": "m", "input": "hi", **fields}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": 3}, "input"),
        ({"input": [3]}, "input[0]"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"temperature": "hot"}, "temperature"),
        ({"instructions": 7}, "instructions"),
        ({"input": None}, "input"),
    ],
)
def test_what_the_dialect_does_not_allow_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert caught.value.param == param


def test_a_namespace_is_flattened_for_others_and_its_calls_keep_their_names() -> None:
    tools = [{"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find"}]}]
    items = [
        {"type": "function_call", "call_id": "c", "name": "find", "namespace": "crm", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
    ]
    written, dropped = chat_of(read(tools=tools, input=items))
    assert written["tools"][0]["function"]["name"] == "crm__find"
    assert written["messages"][0]["tool_calls"][0]["function"]["name"] == "crm__find"
    assert dropped.reasons == {}


def test_tools_that_an_item_adds_are_offered_to_others() -> None:
    added = {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "later"}]}
    written, dropped = chat_of(read(input=[{"role": "user", "content": "a"}, added]))
    assert [tool["function"]["name"] for tool in written["tools"]] == ["later"]
    assert len(written["messages"]) == 1
    assert dropped.reasons == {}


def test_tools_that_codex_adds_in_namespaces_are_offered_and_its_calls_keep_their_names() -> None:
    """As of Codex 0.169 with its newest models: no ``tools`` at all, and a JavaScript tool of free text."""
    tools = [
        {
            "type": "namespace",
            "name": "functions",
            "description": "",
            "tools": [{"type": "custom", "name": "exec", "description": "Run JavaScript"}],
        },
        {"type": "web_search"},
    ]
    items = [
        {"type": "additional_tools", "role": "developer", "tools": tools},
        {"role": "user", "content": "a"},
        {"type": "custom_tool_call", "call_id": "c", "namespace": "functions", "name": "exec", "input": "1"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "2"},
    ]
    request = read(input=items)
    written, dropped = chat_of(request, custom_tools=False)
    assert [tool["function"]["name"] for tool in written["tools"]] == ["functions__exec"]
    assert written["messages"][1]["tool_calls"][0]["function"]["name"] == "functions__exec"
    assert [field for field in dropped.reasons if field.startswith("tools")] == ["tools[1]"]
    assert again(input=items)["input"][0] == items[0]
    assert again(input=items)["input"][2] == items[2]
    call = ToolCall(id="d", name="functions__exec", arguments='{"input":"3"}')
    reply = ChatReply(id="x", model="m", choices=[Choice(content=[call], finish_reason="tool_calls")])
    (item,) = json.loads(RESPONSES.write_reply(reply, Dropped(), request))["output"]
    assert (item["type"], item["namespace"], item["name"], item["input"]) == (
        "custom_tool_call",
        "functions",
        "exec",
        "3",
    )


def test_a_search_for_tools_that_the_caller_runs_is_a_function_and_what_it_finds_is_offered() -> None:
    search = {
        "type": "tool_search",
        "execution": "client",
        "description": "Find tools",
        "parameters": {"type": "object", "properties": {"goal": {"type": "string"}}},
    }
    found = [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}]
    said = {"execution": "client", "status": "completed"}
    items = [
        {"type": "tool_search_call", "id": "tsc_1", "call_id": "s", "arguments": {"goal": "weather"}, **said},
        {"type": "tool_search_output", "call_id": "s", "tools": found, **said},
    ]
    request = read(tools=[search], input=items)
    written, dropped = chat_of(request)
    assert [tool["function"]["name"] for tool in written["tools"]] == ["tool_search", "get_weather"]
    assert json.loads(written["messages"][0]["tool_calls"][0]["function"]["arguments"]) == {"goal": "weather"}
    assert json.loads(written["messages"][1]["content"]) == found
    assert dropped.reasons == {}
    assert again(tools=[search], input=items) == {"model": "m", "tools": [search], "input": items}
    call = ToolCall(id="t", name="tool_search", arguments='{"goal":"more"}')
    reply = ChatReply(id="x", model="m", choices=[Choice(content=[call], finish_reason="tool_calls")])
    (item,) = json.loads(RESPONSES.write_reply(reply, Dropped(), request))["output"]
    assert (item["type"], item["call_id"], item["arguments"]) == ("tool_search_call", "t", {"goal": "more"})


def test_the_callers_own_tools_are_functions_elsewhere() -> None:
    items = [
        {
            "type": "shell_call",
            "id": "sh_1",
            "call_id": "s",
            "status": "completed",
            "action": {"commands": ["ls"], "timeout_ms": None},
        },
        {
            "type": "shell_call_output",
            "call_id": "s",
            "output": [{"stdout": "a.py", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
        },
    ]
    written, dropped = chat_of(read(tools=[{"type": "shell"}, {"type": "apply_patch"}], input=items))
    assert [tool["function"]["name"] for tool in written["tools"]] == ["shell", "apply_patch"]
    call = written["messages"][0]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"commands": ["ls"]}
    assert written["messages"][1]["content"] == "a.py\n(exit code 0)"
    assert dropped.reasons == {}


def test_losses_are_named_where_the_caller_wrote_them() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "a", "new": 1}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "A"}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "phase": "commentary", "content": "b"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "async": True},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file", "file_id": "file-1"}]},
    ]
    request = read(input=items, instructions="x", text={"verbosity": "low"}, safety_identifier="s", max_output_tokens=9)
    unsupported = dict.fromkeys(("verbosity", "user", "max_tokens"), "no")
    dropped = Dropped()
    OpenAIChat().write_request(request, Traits(unsupported=unsupported), dropped)
    assert {RESPONSES.caller_field(field, request) for field in dropped.reasons} == {
        "input[0].content[0].new",
        "input[1]",
        "input[2].phase",
        "input[3]",
        "input[4].async",
        "input[5].output[0]",
        "text.verbosity",
        "safety_identifier",
        "max_output_tokens",
    }


def test_a_breakpoint_of_the_cache_reaches_anthropic() -> None:
    part = {"type": "input_text", "text": "long", "prompt_cache_breakpoint": {"mode": "explicit"}}
    request = read(input=[{"role": "user", "content": [part]}])
    assert request.messages[0].content[0].cache_control == CacheControl()
    dropped = Dropped()
    written = json.loads(AnthropicMessages().write_request(request, Traits(max_tokens_default=9), dropped))
    assert written["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}


def test_logprobs_are_asked_for_by_include() -> None:
    written, _ = chat_of(read(include=["message.output_text.logprobs"], top_logprobs=2))
    assert (written["logprobs"], written["top_logprobs"]) == (True, 2)


def test_a_chat_callers_request_is_said_in_full() -> None:
    written, dropped = asked(
        messages=[
            Message(role="system", content=[Text(text="be brief")]),
            Message(role="user", content=[Text(text="hi"), Media(kind="image", url="https://x/a.png")]),
            Message(
                role="assistant",
                content=[
                    Text(text="let me see"),
                    ToolCall(id="c", name="f"),
                    ToolCall(id="k", name="g", kind="custom"),
                ],
            ),
            Message(role="tool", content=[ToolResult(tool_call_id="c", content=[Text(text="1")])]),
            Message(role="tool", content=[ToolResult(tool_call_id="k", content=[Text(text="2")])]),
        ],
        tools=[Tool(name="f", parameters={"type": "object"}), Tool(kind="custom", name="g")],
        tool_choice=ToolChoice(mode="named", name="g"),
        response_format=ResponseFormat(type="json_schema", name="a", schema={"type": "object"}),
        reasoning=Reasoning(effort="high"),
        max_tokens=7,
        logprobs=True,
        stream=True,
    )
    assert written == {
        "model": "m",
        "instructions": "be brief",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "hi"},
                    {"type": "input_image", "image_url": "https://x/a.png", "detail": "auto"},
                ],
            },
            {"type": "message", "role": "assistant", "content": "let me see"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "k", "name": "g", "input": ""},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
            {"type": "custom_tool_call_output", "call_id": "k", "output": "2"},
        ],
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
            {"type": "custom", "name": "g"},
        ],
        "tool_choice": {"type": "custom", "name": "g"},
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": False}},
        "reasoning": {"effort": "high"},
        "max_output_tokens": 7,
        "store": False,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
        "stream": True,
    }
    assert dropped.reasons == {}


def test_what_has_no_place_in_the_responses_api_is_named() -> None:
    _, dropped = asked(seed=1, stop=["x"], logit_bias={"1": 2}, n=2, top_k=3, frequency_penalty=0.5, extra={"x": 1})
    assert dropped.reasons.keys() == {"seed", "stop", "logit_bias", "n", "top_k", "frequency_penalty", "x"}


def test_a_thinking_budget_becomes_an_effort_and_its_summary_is_asked_for() -> None:
    written, dropped = asked(reasoning=Reasoning(mode="enabled", budget_tokens=5000))
    assert written["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert dropped.reasons.keys() == {"reasoning.budget_tokens"}


def test_the_effort_is_said_in_a_word_that_the_model_knows() -> None:
    written, dropped = asked(Traits(options={"efforts": ["low", "medium"]}), reasoning=Reasoning(effort="xhigh"))
    assert written["reasoning"] == {"effort": "medium"}
    assert dropped.reasons.keys() == {"reasoning.effort"}


def test_a_model_that_does_not_reason_is_not_asked_for_its_reasoning() -> None:
    written, _ = asked(Traits(unsupported={"reasoning": "no"}), reasoning=Reasoning(effort="high"))
    assert "reasoning" not in written
    assert "include" not in written


def test_reasoning_of_openai_goes_back_to_it_from_a_caller_of_any_dialect() -> None:
    turn = [
        Thinking(text="A", id="rs_1", origin="openai_responses"),
        Thinking(text="B", id="rs_1", origin="openai_responses", encrypted="gAAA"),
        Thinking(text="signed", signature="s", origin="anthropic_messages"),
        Text(text="yes"),
    ]
    written, dropped = asked(
        messages=[Message(role="user", content=[Text(text="hi")]), Message(role="assistant", content=list(turn))]
    )
    assert written["input"][1] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}],
        "encrypted_content": "gAAA",
    }
    assert written["include"] == ["reasoning.encrypted_content"]
    assert dropped.reasons.keys() == {"messages[1].content[2]"}


def test_what_was_carried_for_others_does_not_pass_to_openai() -> None:
    carried = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gw1.e30="}
    own = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"}
    body = JsonObject(msgspec.json.encode({"model": "m", "input": [carried, own]}))
    assert json.loads(RESPONSES.lane_patches(body, Traits())["input"]) == [own]
    assert RESPONSES.lane_patches(JsonObject(msgspec.json.encode({"input": [own]})), Traits()) == {}
