"""Callers of the two great dialects, asked of Bedrock's models: recorded requests and replies across Converse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.format import Dropped
from gateway.protocol import ChatReply, ChatRequest, Choice, Event, PartDelta, PartStart, Start
from gateway.protocol.unroll import events_of
from gateway.sse import decode_events
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.bedrock_converse import BedrockConverse
from gateway_plugins.formats.bedrock_models import traits_of
from gateway_plugins.formats.openai_chat import OpenAIChat
from tests.wire import recordings
from tests.wire.anthropic_types import check_message, check_stream_events
from tests.wire.bedrock_meaning import check_request

openai_chat: Any = pytest.importorskip("openai.types.chat")

CONVERSE, CHAT, MESSAGES = BedrockConverse(), OpenAIChat(), AnthropicMessages()
# One that takes the most, one that takes the least, and two between them.
MODELS = (
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "us.anthropic.claude-opus-5-5",
    "us.amazon.nova-2-lite-v1:0",
    "meta.llama3-2-1b-instruct-v1:0",
)
REPLIES = recordings.each("converse", provider="bedrock", stream=False, good=True)
STREAMS = recordings.each("converse", provider="bedrock", stream=True, good=True)
# Fields that say nothing to a provider, or are ours to answer.
SILENT = frozenset(
    ("model", "messages", "system", "stream", "stream_options", "tools", "tool_choice", "functions", "function_call")
)
# Field → the places of a Converse request that express it.
PLACES: dict[str, tuple[str, ...]] = {
    "max_tokens": ("maxTokens",),
    "max_completion_tokens": ("maxTokens",),
    "temperature": ("temperature",),
    "top_p": ("topP",),
    "top_k": ("top_k", "topK"),
    "stop": ("stopSequences",),
    "stop_sequences": ("stopSequences",),
    "response_format": ("outputConfig",),
    "output_config": ("outputConfig", "output_config", "reasoningConfig"),
    "output_format": ("outputConfig",),
    "reasoning_effort": ("thinking", "output_config", "reasoningConfig"),
    "reasoning": ("thinking", "output_config", "reasoningConfig"),
    "thinking": ("thinking", "reasoningConfig"),
    "user": ("requestMetadata",),
    "metadata": ("requestMetadata",),
    "safety_identifier": ("requestMetadata",),
    "cache_control": ("cachePoint",),
    "service_tier": ("serviceTier",),
    "context_management": ("context_management",),
}
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "n": (1,),
    "store": (False,),
    "logprobs": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "parallel_tool_calls": (True,),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "verbosity": ("medium",),
    "service_tier": ("auto", "default", "standard_only"),
    "thinking": ({"type": "disabled"}, {"type": "between_tools"}),
    "reasoning_effort": ("none",),
    "reasoning": ({"effort": "none"}, {"enabled": False}),
}
ALIASES = {
    "max_completion_tokens": "max_tokens",
    "safety_identifier": "user",
    "random_seed": "seed",
    "thinking": "reasoning",
    "output_config": "reasoning",
    "output_format": "output_config",
}


@recordings.each("chat", "messages", good=True)
def test_a_request_is_expressed_or_its_losses_are_named(file: str) -> None:
    exchange = recordings.load(file)
    reader = MESSAGES if exchange.endpoint == "messages" else CHAT
    try:
        request = reader.read_request(exchange.request_body)
    except GatewayError:
        pytest.skip("the provider takes more than the dialect allows")
    for model in MODELS:
        dropped = Dropped()
        request.model = model
        try:
            body = CONVERSE.write_request(request, traits_of(model), dropped)
        except GatewayError as error:
            assert "JSON object" in error.message  # noqa: PT017  # the one refusal there is
        else:
            check_request("Converse", model, json.loads(body))
            check_losses(exchange.request_json, body, list(dropped.reasons))


def check_losses(asked: dict[str, Any], body: bytes, named: list[str]) -> None:
    """Every field and tool that was asked for is in the body, or named."""
    for field, value in asked.items():
        if field in SILENT or value in (None, [], {}) or value in DEFAULTS.get(field, ()):
            continue
        told = any(name.startswith((field, ALIASES.get(field, field), f"{field}.")) for name in named)
        assert told or any(f'"{place}"'.encode() in body for place in PLACES.get(field, ())), field
    off = asked.get("tool_choice") in ("none", {"type": "none"})
    for index, tool in enumerate(asked.get("tools") or ()):
        name = (tool.get("function") or tool).get("name")
        kept = name is not None and json.dumps({"n": name})[6:-1].encode() in body
        # Nova has a search and an interpreter of its own.
        own = b'"systemTool"' in body and str(tool.get("type")).startswith(("web_search", "code_execution"))
        assert kept or off or own or any(said.startswith((f"tools[{index}]", "tools")) for said in named), tool


def say_once(reply_or_start: Any) -> None:
    reply_or_start.id, reply_or_start.model, reply_or_start.created = "id", "m", 1


@REPLIES
def test_a_reply_becomes_a_chat_completion_and_a_message(file: str) -> None:
    said = json.loads(recordings.load(file).response_body)
    blocks = said["output"]["message"]["content"]
    calls = [b["toolUse"] for b in blocks if "toolUse" in b and b["toolUse"].get("type") != "server_tool_use"]
    usage = said["usage"]

    reply = CONVERSE.read_reply(recordings.load(file).response_body)
    say_once(reply)
    completion = openai_chat.ChatCompletion.model_validate(json.loads(CHAT.write_reply(reply, Dropped())), strict=True)
    made = completion.choices[0].message.tool_calls or []
    assert [(call.function.name, json.loads(call.function.arguments)) for call in made] == [
        (call["name"], call["input"]) for call in calls
    ]
    assert completion.usage.total_tokens == usage["totalTokens"]

    message = json.loads(MESSAGES.write_reply(reply, Dropped()))
    check_message(message)
    assert [(b["name"], b["input"]) for b in message["content"] if b["type"] == "tool_use"] == [
        (call["name"], call["input"]) for call in calls
    ]
    assert message["usage"]["input_tokens"] == usage["inputTokens"]
    assert message["usage"]["cache_read_input_tokens"] == usage.get("cacheReadInputTokens", 0)
    signatures = [
        b["reasoningContent"]["reasoningText"]["signature"]
        for b in blocks
        if "signature" in b.get("reasoningContent", {}).get("reasoningText", {})
    ]
    # As Anthropic itself gives them: a client may replay them at either.
    assert [b["signature"] for b in message["content"] if b["type"] == "thinking" and signatures] == signatures
    writer = MESSAGES.stream_writer(None)
    check_stream_events(b"".join(map(writer.write, events_of(reply))))


@pytest.mark.parametrize("caller", ["chat", "messages"])
@pytest.mark.parametrize("model", ["us.anthropic.claude-haiku-4-5-20251001-v1:0", "openai.gpt-oss-120b-1:0"])
@pytest.mark.parametrize("streamed", [False, True])
def test_thinking_survives_the_way_through_a_caller_and_back(caller: str, model: str, streamed: bool) -> None:
    claude = "claude" in model
    thought: list[dict[str, Any]] = [{"reasoningContent": {"reasoningText": {"text": "hm"}}}]
    if claude:
        thought[0]["reasoningContent"]["reasoningText"]["signature"] = "c2ln"
        thought.append({"reasoningContent": {"redactedContent": "RXFRQg=="}})
    call = {"toolUse": {"toolUseId": "tooluse_1", "name": "add", "input": {"a": 1}}}
    body = {"output": {"message": {"role": "assistant", "content": [*thought, call]}}, "stopReason": "tool_use"}
    reply = CONVERSE.read_reply(json.dumps({**body, "usage": {}}).encode())
    say_once(reply)
    tools: Any
    if caller == "chat":
        message = json.loads(CHAT.write_reply(reply, Dropped()))["choices"][0]["message"]
        if streamed:
            message = joined_chunks(events_of(reply))
        tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
        answer: dict[str, Any] = {"role": "tool", "tool_call_id": "tooluse_1", "content": "2"}
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": "go"}, message, answer]}
        request = CHAT.read_request(json.dumps({"model": model, "tools": tools, **asked}).encode())
    else:
        written = json.loads(MESSAGES.write_reply(reply, Dropped()))
        if streamed:
            writer = MESSAGES.stream_writer(None)
            again = MESSAGES.stream_reader()
            events = again.feed(b"".join(map(writer.write, events_of(reply))))
            written["content"] = joined_blocks(events)
        tools = [{"name": "add", "input_schema": {"type": "object"}}]
        answer = {"type": "tool_result", "tool_use_id": "tooluse_1", "content": "2"}
        turns = [{"role": "assistant", "content": written["content"]}, {"role": "user", "content": [answer]}]
        asked = {"messages": [{"role": "user", "content": "go"}, *turns], "max_tokens": 9}
        request = MESSAGES.read_request(json.dumps({"model": model, "tools": tools, **asked}).encode())
    dropped = Dropped()
    out = json.loads(CONVERSE.write_request(request, traits_of(model), dropped))
    assert out["messages"][1]["content"] == [*thought, call]
    assert not dropped.reasons


def joined_chunks(events: list[Event]) -> dict[str, Any]:
    """The assistant's message as a client puts it together from the chunks."""
    writer = CHAT.stream_writer(ChatRequest(model="m", stream=True))
    message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [], "reasoning_details": []}
    for event in decode_events(b"".join(map(writer.write, events))):
        if event.data == b"[DONE]":
            continue
        for choice in json.loads(event.data)["choices"]:
            delta = choice["delta"]
            message["reasoning_details"] += delta.get("reasoning_details") or ()
            for call in delta.get("tool_calls") or ():
                if call.get("id"):
                    message["tool_calls"].append(call)
                else:
                    message["tool_calls"][-1]["function"]["arguments"] += call["function"]["arguments"]
    for call in message["tool_calls"]:
        del call["index"]
    by_index: dict[int, dict[str, Any]] = {}
    for detail in message["reasoning_details"]:
        there = by_index.setdefault(detail["index"], {})
        for key, value in detail.items():
            there[key] = there[key] + value if key in ("text", "signature", "data") and key in there else value
    message["reasoning_details"] = list(by_index.values())
    return message


def joined_blocks(events: list[Event]) -> list[dict[str, Any]]:
    """The content as a client puts it together from the stream."""
    parts: dict[int, Any] = {}
    for event in events:
        if isinstance(event, PartStart):
            parts[event.part] = event.content
        elif isinstance(event, PartDelta):
            field = {"thinking": "text", "text": "text", "signature": "signature", "arguments": "arguments"}[event.kind]
            setattr(parts[event.part], field, (getattr(parts[event.part], field) or "") + event.value)
    reply = ChatReply(id="i", model="m", choices=[Choice(content=list(parts.values()))], origin="anthropic_messages")
    content: list[dict[str, Any]] = json.loads(MESSAGES.write_reply(reply, Dropped()))["content"]
    return content


def read_stream(file: str) -> list[Event]:
    reader = BedrockConverse(signer="anthropic_messages").stream_reader()
    events = [*reader.feed(recordings.load(file).response_body), *reader.close()]
    for event in events:
        if isinstance(event, Start):
            say_once(event)
    return events


@STREAMS
def test_a_stream_becomes_chunks_and_a_stream_of_messages(file: str) -> None:
    writer = CHAT.stream_writer(ChatRequest(model="m", stream=True, include_usage=True))
    out = b"".join(map(writer.write, read_stream(file)))
    assert out.endswith(b"data: [DONE]\n\n")
    chunks = [json.loads(event.data) for event in decode_events(out) if event.data != b"[DONE]"]
    for chunk in chunks:
        openai_chat.ChatCompletionChunk.model_validate(chunk, strict=True)
    assert chunks[-1]["usage"]["completion_tokens"] >= 0
    messages = MESSAGES.stream_writer(None)
    check_stream_events(b"".join(map(messages.write, read_stream(file))))
