"""Recorded exchanges across the two dialects: chat completions asked of Anthropic, and messages of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.errors import GatewayError
from gateway.format import Dropped
from gateway.protocol import ChatReply, End, ErrorEvent, Event
from gateway.protocol.unroll import events_of
from gateway.sse import decode_events
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.anthropic_models import traits_of
from gateway_plugins.formats.openai_chat import OpenAIChat
from tests.wire import recordings
from tests.wire.anthropic_types import check_message, check_stream_events, types

openai_chat: Any = pytest.importorskip("openai.types.chat")

MESSAGES, CHAT = AnthropicMessages(), OpenAIChat()
REQUEST: TypeAdapter[Any] = TypeAdapter(types.message_create_params.MessageCreateParams)
# The newest model that takes the fewest settings, and an older one that takes the most.
MODELS = ("claude-opus-5-5", "claude-haiku-4-5")
# Fields of a chat completions request that say nothing to a provider, or are ours to answer.
SILENT = ("model", "messages", "stream_options")
# Field → the places of a messages request that express it.
EXPRESSED: dict[str, tuple[str, ...]] = {
    "max_tokens": ("max_tokens",),
    "max_completion_tokens": ("max_tokens",),
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "top_k": ("top_k",),
    "stop": ("stop_sequences",),
    "tools": ("tools",),
    "functions": ("tools",),
    "web_search_options": ("tools",),
    "tool_choice": ("tool_choice",),
    "function_call": ("tool_choice",),
    "parallel_tool_calls": ("tool_choice",),
    "response_format": ("output_config",),
    "reasoning_effort": ("thinking", "output_config"),
    "reasoning": ("thinking", "output_config"),
    "thinking": ("thinking",),
    "user": ("metadata",),
    "safety_identifier": ("metadata",),
    "service_tier": ("service_tier",),
    "stream": ("stream",),
    "cache_control": ("cache_control",),
}
# What asks for nothing beyond what is done anyway.
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "n": (1,),
    "stream": (False,),
    "store": (False,),
    "logprobs": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "tool_choice": ("auto", "none"),
    "parallel_tool_calls": (True,),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "verbosity": ("medium",),
    "seed": (),
}
# The normalised name under which a field is named where it differs from the caller's.
ALIASES = {"max_completion_tokens": "max_tokens", "safety_identifier": "user", "random_seed": "seed"}


@pytest.mark.parametrize("model", MODELS)
@recordings.each("chat", good=True)
def test_a_chat_request_is_expressed_or_its_losses_are_named(file: str, model: str) -> None:
    exchange = recordings.load(file)
    try:
        request = CHAT.read_request(exchange.request_body)
    except GatewayError:
        pytest.skip("the provider takes more than the dialect allows")
    request.model = model
    dropped = Dropped()
    body = MESSAGES.write_request(request, traits_of(model), dropped)
    written = json.loads(body)
    REQUEST.validate_python(written)
    named = list(dropped.reasons)
    for field, value in exchange.request_json.items():
        if field in SILENT or value in (None, [], {}) or value in DEFAULTS.get(field, ()):
            continue
        is_named = any(name.startswith((field, ALIASES.get(field, field))) for name in named)
        assert is_named or any(place in written for place in EXPRESSED.get(field, ())), field
    for index, message in enumerate(exchange.request_json["messages"]):
        if not any(name.startswith(f"messages[{index}].content") for name in named):
            for text in texts_of(message):
                assert json.dumps(text)[1:-1] in json.dumps(written), text
    for index, tool in enumerate(exchange.request_json.get("tools") or ()):
        name = (tool.get("function") or tool).get("name")
        assert f"tools[{index}]" in named or name in [found.get("name") for found in written["tools"]]


def texts_of(message: dict[str, Any]) -> Iterator[str]:
    """What is said in a message, and what it calls."""
    content = message.get("content")
    for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str) and text.strip():
            yield text.rstrip()
    for call in message.get("tool_calls") or ():
        yield call["function"]["name"]


@recordings.each("messages", provider="anthropic", stream=False, good=True)
def test_a_recorded_message_becomes_a_chat_completion(file: str) -> None:
    reply = MESSAGES.read_reply(recordings.load(file).response_body)
    reply.created = 1
    written = json.loads(CHAT.write_reply(reply, Dropped()))
    completion = openai_chat.ChatCompletion.model_validate(written, strict=True)
    said = json.loads(recordings.load(file).response_body)
    texts = [block["text"] for block in said["content"] if block["type"] == "text"]
    assert (completion.choices[0].message.content or "") == "".join(texts)
    calls = [(block["id"], block["name"], block["input"]) for block in said["content"] if block["type"] == "tool_use"]
    made = completion.choices[0].message.tool_calls or []
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in made] == calls
    usage = said["usage"]
    whole = sum(
        usage.get(key) or 0 for key in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    assert completion.usage.prompt_tokens == whole
    assert completion.usage.completion_tokens == usage["output_tokens"]


def read_stream(format: Any, body: bytes) -> list[Event]:
    reader = format.stream_reader()
    return [*reader.feed(body), *reader.close()]


@recordings.each("messages", provider="anthropic", stream=True, good=True)
def test_a_recorded_stream_becomes_chunks_of_a_chat_completion(file: str) -> None:
    body = recordings.load(file).response_body
    request = CHAT.read_request(
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,"stream_options":{"include_usage":true}}'
    )
    writer = CHAT.stream_writer(request)
    events = read_stream(MESSAGES, body)
    for event in events:
        if hasattr(event, "created"):
            event.created = 1
    out = b"".join(map(writer.write, events))
    assert out.endswith(b"data: [DONE]\n\n")
    chunks = [json.loads(event.data) for event in decode_events(out) if event.data != b"[DONE]"]
    text, arguments = "", ""
    for chunk in chunks:
        openai_chat.ChatCompletionChunk.model_validate(chunk, strict=True)
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or ():
                arguments += call["function"].get("arguments") or ""
    said = [json.loads(event.data) for event in decode_events(body)]
    deltas = [event["delta"] for event in said if event["type"] == "content_block_delta"]
    assert text == "".join(delta.get("text", "") for delta in deltas)
    # Inputs of server tools are not the caller's to run, and an input without deltas is an empty object.
    client = {
        e["index"] for e in said if e["type"] == "content_block_start" and e["content_block"]["type"] == "tool_use"
    }
    pieces = "".join(
        event["delta"].get("partial_json", "")
        for event in said
        if event["type"] == "content_block_delta" and event["index"] in client
    )
    assert arguments.replace("{}", "") == pieces.replace("{}", "")
    assert chunks[-1]["usage"]["completion_tokens"] > 0


@recordings.each("chat", stream=False, good=True)
def test_a_recorded_chat_completion_becomes_a_message(file: str) -> None:
    try:
        reply = CHAT.read_reply(recordings.load(file).response_body)
    except GatewayError:
        pytest.skip("the answer is an error")
    dropped = Dropped()
    written = json.loads(MESSAGES.write_reply(reply, dropped))
    check_message(written)
    assert_message_says(reply, written)
    # The same reply told as a stream says the same.
    writer = MESSAGES.stream_writer(None)
    events = check_stream_events(b"".join(map(writer.write, events_of(reply))))
    assert events[-2]["delta"]["stop_reason"] == written["stop_reason"]
    assert events[-2]["usage"].items() <= {**written["usage"], "x": 0}.items() or reply.usage is None
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    text = "".join(delta.get("text", "") for delta in deltas)
    assert text == "".join(block["text"] for block in written["content"] if block["type"] == "text")


def assert_message_says(reply: ChatReply, written: dict[str, Any]) -> None:
    choice = json.loads(CHAT.write_reply(reply, Dropped()))["choices"][0]
    message = choice["message"]
    texts = [block["text"] for block in written["content"] if block["type"] == "text"]
    assert "".join(texts) == (message["content"] or "") + (message.get("refusal") or "")
    calls = [block["name"] for block in written["content"] if block["type"] == "tool_use"]
    made = [(call.get("function") or call.get("custom"))["name"] for call in message.get("tool_calls") or ()]
    assert calls == made
    assert (written["stop_reason"] == "tool_use") == bool(calls) or choice["finish_reason"] == "length"


@recordings.each("chat", stream=True, good=True)
def test_a_recorded_chat_stream_becomes_a_stream_of_messages(file: str) -> None:
    try:
        events = read_stream(CHAT, recordings.load(file).response_body)
    except GatewayError:
        pytest.skip("the answer is an error")
    if not any(isinstance(event, End) for event in events) or any(isinstance(event, ErrorEvent) for event in events):
        pytest.skip("the provider did not end its stream well")
    writer = MESSAGES.stream_writer(None)
    check_stream_events(b"".join(map(writer.write, events)))
