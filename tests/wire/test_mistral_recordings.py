"""Real exchanges with Mistral: what its own clients say, we say; what it answers, every dialect's caller can read."""

from __future__ import annotations

import json
from typing import Any

from anthropic.types import Message as AnthropicMessage
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.format import Dropped
from gateway.protocol import ChatRequest
from gateway.sse import decode_events
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.providers.preset_mistral import mistral_traits
from tests.wire import recordings
from tests.wire.openai_meaning import request_meaning

CHAT = list(recordings.files("chat", provider="mistral"))
WHOLE = [file for file in CHAT if not recordings.load(file).stream]
STREAMS = [file for file in CHAT if recordings.load(file).stream]


@recordings.each_of(CHAT)
def test_a_request_of_mistrals_own_client_is_what_we_write_for_the_same(file: str) -> None:
    recorded = recordings.load(file).request_json
    chat = OpenAIChat()
    dropped = Dropped()
    request = chat.read_request(recordings.load(file).request_body)
    thinks = recorded["model"].startswith("magistral")
    written = json.loads(chat.write_request(request, mistral_traits(thinking=thinks), dropped))
    assert dropped.reasons == {}
    for body in (written, recorded):
        if body.get("tool_choice") == "any":
            body["tool_choice"] = "required"  # Mistral's other word for it
    assert request_meaning(written) == request_meaning(recorded)
    assert "seed" not in written
    assert "stream_options" not in written


def told_of(message: dict[str, Any]) -> tuple[str, str]:
    """The thinking and the text of a message."""
    content = message["content"]
    chunks: list[dict[str, Any]] = (
        [{"type": "text", "text": content or ""}] if not isinstance(content, list) else content
    )
    thoughts = [part["text"] for chunk in chunks if chunk["type"] == "thinking" for part in chunk["thinking"]]
    return "".join(thoughts), "".join(chunk["text"] for chunk in chunks if chunk["type"] == "text")


@recordings.each_of(WHOLE)
def test_a_reply_is_valid_for_callers_of_every_dialect(file: str) -> None:
    body = json.loads(recordings.load(file).response_body)
    thinking, text = told_of(body["choices"][0]["message"])
    reply = OpenAIChat().read_reply(recordings.load(file).response_body)
    told = ChatCompletion.model_validate_json(OpenAIChat().write_reply(reply, Dropped())).choices[0].message
    assert (getattr(told, "reasoning_content", ""), told.content or "") == (thinking, text)
    claude = AnthropicMessage.model_validate_json(AnthropicMessages().write_reply(reply, Dropped()))
    assert "".join(block.text for block in claude.content if block.type == "text") == text
    assert "".join(block.thinking for block in claude.content if block.type == "thinking") == thinking


@recordings.each_of(STREAMS)
def test_a_stream_is_valid_for_openais_client(file: str) -> None:
    stream = recordings.load(file).response_body
    reader = OpenAIChat().stream_reader()
    writer = OpenAIChat().stream_writer(ChatRequest(model="m", include_usage=True))
    written = b"".join(writer.write(event) for event in [*reader.feed(stream), *reader.close()])
    *chunks, done = [event.data for event in decode_events(written)]
    assert done == b"[DONE]"
    told = [ChatCompletionChunk.model_validate_json(chunk) for chunk in chunks]
    assert told[-1].usage is not None
    deltas = [choice.delta for chunk in told for choice in chunk.choices]
    said = [json.loads(event.data) for event in decode_events(stream) if event.data != b"[DONE]"]
    pairs = [told_of(one["choices"][0]["delta"]) for one in said]
    assert "".join(delta.content or "" for delta in deltas) == "".join(text for _, text in pairs)
    thoughts = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thoughts == "".join(thought for thought, _ in pairs)
