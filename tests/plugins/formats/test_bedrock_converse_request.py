"""Converse requests from the normalised protocol: what is expressed, and what is named as lost."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.format import Dropped
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
from gateway_plugins.formats.bedrock_converse import BedrockConverse
from gateway_plugins.formats.bedrock_models import traits_of
from tests.wire.bedrock_meaning import check_request

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA, NOVA_2 = "us.amazon.nova-lite-v1:0", "us.amazon.nova-2-lite-v1:0"
LLAMA, OSS, R1 = "meta.llama3-2-1b-instruct-v1:0", "openai.gpt-oss-120b-1:0", "us.deepseek.r1-v1:0"
PDF, PNG = base64.b64encode(b"%PDF-1.7").decode(), base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
FUNCTION = Tool(name="add", description="adds", parameters={"type": "object", "properties": {"a": {"type": "number"}}})


def written(
    *messages: Message, model: str = CLAUDE, origin: str = "openai_chat", **fields: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    request = ChatRequest(model=model, origin=origin, messages=list(messages) or [user("hi")], **fields)
    body = json.loads(BedrockConverse().write_request(request, traits_of(model), dropped))
    check_request("Converse", model, body)
    return body, dropped.reasons


def user(*parts: str | Part) -> Message:
    return Message(role="user", content=[Text(text=part) if isinstance(part, str) else part for part in parts])


def assistant(*parts: str | Part) -> Message:
    return Message(role="assistant", content=user(*parts).content)


def result(call_id: str, *parts: Part, **more: Any) -> Message:
    return Message(role="tool", content=[ToolResult(tool_call_id=call_id, content=list(parts), **more)])


def contents(body: dict[str, Any]) -> list[Any]:
    return [message["content"] for message in body["messages"]]


def test_the_settings_have_their_places() -> None:
    body, lost = written(
        max_tokens=9,
        temperature=0.5,
        stop=["END"],
        user="u-1",
        metadata={"team": "a"},
        service_tier="priority",
        top_k=5,
    )
    assert body == {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "stopSequences": ["END"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "additionalModelRequestFields": {"top_k": 5},
        "serviceTier": {"type": "priority"},
        "requestMetadata": {"team": "a", "user": "u-1"},
    }
    assert not lost


@pytest.mark.parametrize(
    ("model", "more", "lost"),
    [
        (NOVA, {"inferenceConfig": {"topK": 5}}, False),
        ("mistral.mistral-large-2402-v1:0", {"top_k": 5}, False),
        ("cohere.command-r-v1:0", {"k": 5}, False),
        (LLAMA, None, True),
    ],
)
def test_top_k_is_said_in_each_familys_own_words(model: str, more: Any, lost: bool) -> None:
    body, reasons = written(model=model, top_k=5)
    assert body.get("additionalModelRequestFields") == more
    assert ("top_k" in reasons) == lost


def test_what_has_no_place_is_named() -> None:
    _, lost = written(seed=1, n=2, logprobs=True, metadata={"a": "{}", "b": 5}, service_tier="scale", temperature=2.0)
    assert lost.keys() == {"seed", "n", "logprobs", "metadata.a", "metadata.b", "service_tier", "temperature"}
    _, lost = written(seed=None, n=1, frequency_penalty=0, logprobs=False, service_tier="auto")
    assert not lost


def test_the_system_prompt_stands_apart_and_a_late_one_is_moved() -> None:
    system = Message(role="system", content=[Text(text="be brief", cache_control=CacheControl(ttl="1h"))])
    late = Message(role="developer", content=[Text(text="in French")])
    body, lost = written(system, user("hi"), assistant("yo"), late, user("so?"))
    assert body["system"] == [
        {"text": "be brief"},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"text": "in French"},
    ]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert lost.keys() == {"messages[3].role"}
    body, lost = written(user("hi"), late, assistant("yo"), user("so?"), model="global.anthropic.claude-opus-4-8")
    assert [message["role"] for message in body["messages"]] == ["user", "system", "assistant", "user"]
    assert not lost
    body, lost = written(system)
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert lost.keys() == {"messages[0].role"}


def test_a_model_without_system_prompts_hears_it_first() -> None:
    system = Message(role="system", content=[Text(text="be brief")])
    for model in (
        "amazon.titan-text-lite-v1",
        "mistral.mistral-7b-instruct-v0:2",
        "mistral.mixtral-8x7b-instruct-v0:1",
    ):
        body, lost = written(system, user("hi"), model=model)
        assert body == {"messages": [{"role": "user", "content": [{"text": "be brief"}, {"text": "hi"}]}]}
        assert lost.keys() == {"messages[0].role"}
    assert "system" in written(system, user("hi"), model="mistral.mistral-large-2402-v1:0")[0]
    body, _ = written(system, model="amazon.titan-text-lite-v1")
    assert body == {"messages": [{"role": "user", "content": [{"text": "be brief"}]}]}


def test_parallel_calls_and_results_keep_together() -> None:
    calls = [ToolCall(id=f"call|{n}", name="add", arguments=json.dumps({"a": n})) for n in (1, 2)]
    body, lost = written(
        user("go"),
        assistant("ok", *calls),
        user("by the way"),
        result("call|2", Text(text="two"), Media(kind="image", data=PNG)),
        result("call|1", Text(text="broke"), is_error=True),
        tools=[FUNCTION],
    )
    assert body["messages"][1]["content"] == [
        {"text": "ok"},
        {"toolUse": {"toolUseId": "call_1", "name": "add", "input": {"a": 1}}},
        {"toolUse": {"toolUseId": "call_2", "name": "add", "input": {"a": 2}}},
    ]
    assert body["messages"][2]["content"] == [
        {
            "toolResult": {
                "toolUseId": "call_2",
                "content": [{"text": "two"}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
            }
        },
        {"toolResult": {"toolUseId": "call_1", "content": [{"text": "broke"}], "status": "error"}},
        {"text": "by the way"},
    ]
    assert not lost


def test_ids_that_converse_refuses_are_made_to_fit() -> None:
    long = "call_" + "x" * 80
    calls = [ToolCall(id=long, name="add"), ToolCall(id=long, name="add")]
    body, _ = written(user("go"), assistant(*calls), result(long), result(long), tools=[FUNCTION])
    used = [block["toolUse"]["toolUseId"] for block in contents(body)[1]]
    assert used == [block["toolResult"]["toolUseId"] for block in contents(body)[2]]
    assert len(set(used)) == 2
    assert all(len(call_id) <= 64 for call_id in used)


def test_broken_arguments_are_refused_by_their_place() -> None:
    with pytest.raises(InvalidRequest, match=r"messages\[1\]\.content\[0\]\.arguments"):
        written(user("go"), assistant(ToolCall(id="1", name="add", arguments="[1")), tools=[FUNCTION])


def test_tools_and_the_choice_among_them() -> None:
    cached = Tool(name="sub", parameters={"type": "object"}, cache_control=CacheControl())
    body, lost = written(tools=[FUNCTION, cached], tool_choice=ToolChoice(mode="named", name="add"))
    assert body["toolConfig"] == {
        "tools": [
            {"toolSpec": {"name": "add", "description": "adds", "inputSchema": {"json": FUNCTION.parameters}}},
            {"toolSpec": {"name": "sub", "inputSchema": {"json": {"type": "object"}}}},
            {"cachePoint": {"type": "default"}},
        ],
        "toolChoice": {"tool": {"name": "add"}},
    }
    assert not lost


@pytest.mark.parametrize(
    ("model", "choice", "sent", "lost"),
    [
        (CLAUDE, ToolChoice(mode="auto"), {"auto": {}}, False),
        (CLAUDE, ToolChoice(mode="required"), {"any": {}}, False),
        ("us.anthropic.claude-opus-5-5", ToolChoice(mode="required"), {"auto": {}}, True),
        ("mistral.mistral-large-2402-v1:0", ToolChoice(mode="named", name="add"), {"any": {}}, True),
        (LLAMA, ToolChoice(mode="required"), {"auto": {}}, True),
        (CLAUDE, ToolChoice(mode="allowed", names=["add"], allowed_mode="required"), {"any": {}}, False),
    ],
)
def test_a_choice_is_what_the_model_can_be_made_to_do(model: str, choice: ToolChoice, sent: Any, lost: bool) -> None:
    body, reasons = written(model=model, tools=[FUNCTION, Tool(name="sub")], tool_choice=choice)
    assert body["toolConfig"]["toolChoice"] == sent
    assert ("tool_choice" in reasons) == lost
    assert len(body["toolConfig"]["tools"]) == (1 if choice.mode == "allowed" else 2)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, {"type": "auto"}),
        (ToolChoice(mode="auto"), {"type": "auto"}),
        (ToolChoice(mode="required"), {"type": "any"}),
        (ToolChoice(mode="named", name="add"), {"type": "tool", "name": "add"}),
    ],
)
def test_claude_is_held_to_one_call_at_a_time_in_its_own_words(choice: ToolChoice | None, said: dict[str, Any]) -> None:
    body, lost = written(tools=[FUNCTION], tool_choice=choice, parallel_tool_calls=False)
    assert body["additionalModelRequestFields"]["tool_choice"] == {**said, "disable_parallel_tool_use": True}
    assert "toolChoice" not in body["toolConfig"]
    assert lost == {}


def test_other_models_cannot_be_held_to_one_call_at_a_time() -> None:
    body, lost = written(
        tools=[FUNCTION], tool_choice=ToolChoice(mode="required"), parallel_tool_calls=False, model=NOVA
    )
    assert "additionalModelRequestFields" not in body
    assert body["toolConfig"]["toolChoice"] == {"any": {}}
    assert list(lost) == ["parallel_tool_calls"]


def test_parallel_calls_that_are_forbidden_need_tools_to_be_told_of() -> None:
    body, lost = written(parallel_tool_calls=False)
    assert "additionalModelRequestFields" not in body
    assert lost == {}


def test_no_tool_is_called_where_none_may_be() -> None:
    body, lost = written(tools=[FUNCTION], tool_choice=ToolChoice(mode="none"))
    assert "toolConfig" not in body
    assert not lost
    history = (user("go"), assistant(ToolCall(id="1", name="add")), result("1"))
    body, lost = written(*history, tools=[FUNCTION], tool_choice=ToolChoice(mode="none"))
    assert "toolChoice" not in body["toolConfig"]
    assert lost.keys() == {"tool_choice"}
    body, lost = written(*history)
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["add"]
    assert lost.keys() == {"tools"}
    body, lost = written(tools=[FUNCTION], model=R1)
    assert "toolConfig" not in body
    assert lost.keys() == {"tools[0]"}


def test_custom_and_server_tools() -> None:
    computer = Tool(
        kind="server",
        name="computer",
        type="computer_20250124",
        origin="anthropic_messages",
        extra={"display_width_px": 1},
    )
    search = Tool(kind="server", name="web_search", type="web_search_20250305", origin="anthropic_messages")
    custom = Tool(kind="custom", name="patch", description="a patch")
    body, lost = written(tools=[custom, computer, search], origin="anthropic_messages")
    (spec,) = body["toolConfig"]["tools"]
    assert spec["toolSpec"]["inputSchema"]["json"]["required"] == ["input"]
    assert body["additionalModelRequestFields"]["tools"] == [
        {"type": "computer_20250124", "name": "computer", "display_width_px": 1}
    ]
    assert lost.keys() == {"tools[0].type", "tools[2]"}
    body, lost = written(tools=[search], model=NOVA_2)
    assert body["toolConfig"]["tools"] == [{"systemTool": {"name": "nova_grounding"}}]
    assert not lost


def test_a_schema_goes_along_and_what_is_not_enforced_is_named() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}
    wanted = ResponseFormat(type="json_schema", name="num", schema=schema)
    body, lost = written(response_format=wanted)
    text = body["outputConfig"]["textFormat"]
    assert text["type"] == "json_schema"
    definition = text["structure"]["jsonSchema"]
    assert definition["name"] == "num"
    sent = json.loads(definition["schema"])
    assert sent["additionalProperties"] is False
    assert "minimum: 3" in sent["properties"]["n"]["description"]
    assert lost.keys() == {"response_format.json_schema.schema.properties.n.minimum"}
    assert not any("Anthropic" in why for why in lost.values())
    for model in (NOVA, "anthropic.claude-3-haiku-20240307-v1:0"):
        body, lost = written(response_format=wanted, model=model)
        assert "outputConfig" not in body
        assert lost.keys() == {"response_format"}
    _, lost = written(response_format=wanted, model=NOVA, origin="anthropic_messages")
    assert lost.keys() == {"output_config.format"}
    assert "response_format" in written(response_format=ResponseFormat(type="json_object"))[1]


@pytest.mark.parametrize(
    ("model", "reasoning", "more", "lost"),
    [
        (CLAUDE, Reasoning(effort="low"), {"thinking": {"type": "enabled", "budget_tokens": 2048}}, set()),
        (
            "us.anthropic.claude-opus-4-6-v1",
            Reasoning(effort="max"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
            set(),
        ),
        (
            NOVA_2,
            Reasoning(effort="medium"),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
            set(),
        ),
        (NOVA_2, Reasoning(effort="none"), {"reasoningConfig": {"type": "disabled"}}, set()),
        (OSS, Reasoning(effort="high"), {"reasoning_effort": "high"}, set()),
        (OSS, Reasoning(budget_tokens=1000), {"reasoning_effort": "low"}, {"reasoning.max_tokens"}),
        (OSS, Reasoning(effort="xhigh"), {"reasoning_effort": "high"}, {"reasoning_effort"}),
        (LLAMA, Reasoning(effort="high"), None, {"reasoning_effort"}),
        (LLAMA, Reasoning(effort="none"), None, set()),
        (R1, Reasoning(effort="none"), None, {"reasoning_effort"}),
    ],
)
def test_thinking_is_asked_for_in_each_familys_words(
    model: str, reasoning: Reasoning, more: Any, lost: set[str]
) -> None:
    body, reasons = written(model=model, reasoning=reasoning)
    assert body.get("additionalModelRequestFields") == more
    assert reasons.keys() == lost


def test_a_wish_for_summaries_alone_asks_for_no_thinking() -> None:
    for model in (NOVA_2, OSS, LLAMA):
        body, _ = written(model=model, reasoning=Reasoning(summary="auto"))
        assert "additionalModelRequestFields" not in body
    _, lost = written(model=OSS, reasoning=Reasoning(effort="low", summary="detailed"))
    assert lost.keys() == {"reasoning.summary"}
    body, lost = written(
        user("x"), model="arn:aws:bedrock:x:1:application-inference-profile/a", reasoning=Reasoning(effort="low")
    )
    assert "base_models" in lost["reasoning_effort"]


def test_opus_4_5_is_told_of_efforts_and_nova_takes_no_limit_at_its_highest() -> None:
    body, _ = written(model="us.anthropic.claude-opus-4-5-20251101-v1:0", reasoning=Reasoning(effort="high"))
    assert body["additionalModelRequestFields"]["anthropic_beta"] == ["effort-2025-11-24"]
    body, lost = written(model=NOVA_2, reasoning=Reasoning(effort="high"), max_tokens=5, temperature=0.1)
    assert "inferenceConfig" not in body
    assert lost.keys() == {"max_tokens", "temperature"}
    body, lost = written(reasoning=Reasoning(effort="high"), max_tokens=2000, temperature=0.1)
    assert body["inferenceConfig"]["maxTokens"] == 2000
    assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 1024
    assert lost.keys() == {"temperature"}


def test_signed_thinking_is_replayed_to_claude_and_to_nobody_else() -> None:
    signed = Thinking(text="hm", signature="sig", origin="anthropic_messages")
    hidden = Thinking(redacted=True, encrypted="EqQB", origin="anthropic_messages")
    turns = (user("hi"), assistant(signed, hidden, "yo"), user("and?"))
    body, lost = written(*turns)
    assert contents(body)[1] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": base64.b64encode(b"EqQB").decode()}},
        {"text": "yo"},
    ]
    assert not lost
    body, lost = written(*turns, model=OSS)
    assert contents(body)[1] == [{"text": "yo"}]
    assert lost.keys() == {"messages[1].content[0]", "messages[1].content[1]"}


def test_unsigned_thinking_goes_back_where_it_came_from() -> None:
    plain = Thinking(text="hm", origin="bedrock_converse")
    turns = (user("hi"), assistant(plain, "yo"), user("and?"))
    body, lost = written(*turns, model=OSS)
    assert contents(body)[1][0] == {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    assert not lost
    for model in (CLAUDE, R1, LLAMA):
        body, lost = written(*turns, model=model)
        assert contents(body)[1] == [{"text": "yo"}]
        assert lost.keys() == {"messages[1].content[0]"}
    foreign = Thinking(text="hm", encrypted="x", origin="openai_responses")
    assert "messages[1].content[0]" in written(user("hi"), assistant(foreign, "yo"), user("and?"))[1]


def test_media_have_their_formats_and_documents_their_names() -> None:
    body, lost = written(
        user(
            Media(kind="image", media_type="image/webp", data=PNG),
            Media(kind="document", media_type="application/pdf", data=PDF, name="Q3 report.pdf"),
            Media(kind="document", data=PDF, name="Q3 report.pdf"),
            Media(kind="document", media_type="text/plain", text="plain"),
            Media(kind="video", url="s3://bucket/a.mp4"),
            Media(kind="audio", media_type="audio/wav", data="UklGRg=="),
            "read them",
        )
    )
    blocks = contents(body)[0]
    assert blocks[0] == {"image": {"format": "png", "source": {"bytes": PNG}}}
    assert [blocks[at]["document"]["name"] for at in (1, 2, 3)] == ["Q3 report", "Q3 report-2", "document"]
    assert blocks[3]["document"]["source"] == {"bytes": base64.b64encode(b"plain").decode()}
    assert blocks[4] == {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/a.mp4"}}}}
    assert blocks[5]["audio"]["format"] == "wav"
    assert not lost


@pytest.mark.parametrize(
    ("media", "field"),
    [
        (Media(kind="image", url="https://example.com/a.png"), ""),
        (Media(kind="image", media_type="image/tiff", data="SUkq"), ""),
        (Media(kind="document", file_id="file-1"), ""),
        (Media(kind="document", media_type="application/zip", data="UEsD"), ""),
        (Media(kind="image", data=PNG, detail="high"), ".detail"),
        (Media(kind="document", data=PDF, name="a/b?.pdf"), ".name"),
    ],
)
def test_what_a_medium_loses_is_named(media: Media, field: str) -> None:
    body, lost = written(user("look", media))
    assert lost.keys() == {f"messages[0].content[1]{field}"}
    assert len(contents(body)[0]) == (2 if field else 1)


def test_anthropics_documents_keep_context_citations_and_blocks() -> None:
    source = {"type": "content", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}
    document = Media(
        kind="document",
        media_type="text/plain",
        text="one\n\ntwo",
        name="law",
        extra={"source": source, "context": "old", "citations": {"enabled": True}},
    )
    found = Opaque(
        origin="anthropic_messages",
        type="search_result",
        value={
            "type": "search_result",
            "source": "s",
            "title": "t",
            "content": [{"type": "text", "text": "x"}],
            "citations": {"enabled": True},
        },
    )
    body, lost = written(user(document, found, "so?"), origin="anthropic_messages")
    assert contents(body)[0][:2] == [
        {
            "document": {
                "name": "law",
                "source": {"content": [{"text": "one"}, {"text": "two"}]},
                "context": "old",
                "citations": {"enabled": True},
            }
        },
        {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}], "citations": {"enabled": True}}},
    ]
    assert not lost


def test_breakpoints_become_cache_points_where_the_model_takes_them() -> None:
    hour = CacheControl(ttl="1h")
    answer = ToolResult(tool_call_id="1", content=[Text(text="r", cache_control=hour)])
    turns = (
        user(Text(text="hi", cache_control=CacheControl())),
        assistant(ToolCall(id="1", name="add")),
        Message(role="tool", content=[answer]),
        user(Text(text=" ", cache_control=CacheControl())),
    )
    body, lost = written(*turns, tools=[FUNCTION])
    assert contents(body)[0] == [{"text": "hi"}, {"cachePoint": {"type": "default"}}]
    assert contents(body)[2][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert lost.keys() == {"messages[3].content[0].cache_control"}
    body, lost = written(*turns[:3], tools=[FUNCTION], model=NOVA)
    assert contents(body)[2][1] == {"cachePoint": {"type": "default"}}
    assert lost.keys() == {"messages[2].content[0].cache_control.ttl"}
    _, lost = written(*turns[:3], tools=[FUNCTION], model=LLAMA)
    assert lost.keys() == {"messages[0].content[0].cache_control", "messages[2].content[0].cache_control"}
    body, _ = written(cache_control=CacheControl())
    assert contents(body)[0] == [{"text": "hi"}, {"cachePoint": {"type": "default"}}]


def test_converses_own_fields_pass_from_any_dialect() -> None:
    extra = {
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "additionalModelRequestFields": {"foo": 1},
        "performanceConfig": {"latency": "optimized"},
        "unheard_of": 1,
    }
    body, lost = written(extra=extra, top_k=3, stop=["x"])
    assert body["guardrailConfig"] == extra["guardrailConfig"]
    assert body["performanceConfig"] == {"latency": "optimized"}
    assert body["additionalModelRequestFields"] == {"top_k": 3, "foo": 1}
    assert lost.keys() == {"unheard_of"}
    body, lost = written(extra={"context_management": {"edits": []}}, origin="anthropic_messages")
    assert body["additionalModelRequestFields"] == {"context_management": {"edits": []}}
    assert not lost


@pytest.mark.parametrize(
    ("model", "family"),
    [
        (CLAUDE, "anthropic"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0", "anthropic"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "nova"),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", "unknown"),
        ("moonshot.kimi-k2-thinking", "open"),
        ("qwen.qwen3-32b-v1:0", "qwen"),
    ],
)
def test_a_model_is_known_by_its_id(model: str, family: str) -> None:
    assert traits_of(model).options["family"] == family
    assert traits_of(model, 77).options["limit"] == 77
