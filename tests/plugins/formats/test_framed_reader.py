"""A fault in a stream takes nothing away from what came before it, however the bytes were cut."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.errors import UpstreamProtocolError
from gateway.format import Format, StreamReader
from gateway.protocol import End, Event, PartDelta, PartStart, Text
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.aws_event_stream import encode_event
from gateway_plugins.formats.bedrock_converse import BedrockConverse
from gateway_plugins.formats.bedrock_invoke_anthropic import BedrockInvokeAnthropic
from gateway_plugins.formats.cohere_chat import CohereChat
from gateway_plugins.formats.gemini import Gemini
from gateway_plugins.formats.ollama_chat import OllamaChat
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_completions import OpenAICompletions
from gateway_plugins.formats.openai_responses import OpenAIResponses


def sse(*values: Any) -> list[bytes]:
    return [b"data: " + json.dumps(value).encode() + b"\n\n" for value in values]


def frames(*events: tuple[str, Any]) -> list[bytes]:
    return [encode_event(kind, json.dumps(value).encode()) for kind, value in events]


ANTHROPIC = [
    {"type": "message_start", "message": {"id": "m", "model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
]
INVOKED = [("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()}) for event in ANTHROPIC]
ITEM = {"type": "message", "id": "i", "role": "assistant", "content": []}
PLACE = {"item_id": "i", "output_index": 0, "content_index": 0}
STREAMS: dict[str, tuple[Format, list[bytes], bytes]] = {
    "openai_chat": (
        OpenAIChat(),
        sse({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "hello"}}]}),
        b"data: {broken\n\n",
    ),
    "openai_completions": (
        OpenAICompletions(),
        sse({"id": "c", "model": "m", "choices": [{"index": 0, "text": "hello"}]}),
        b"data: []\n\n",
    ),
    "openai_responses": (
        OpenAIResponses(),
        sse(
            {"type": "response.created", "response": {"id": "r", "model": "m"}},
            {"type": "response.output_item.added", "output_index": 0, "item": ITEM},
            {"type": "response.content_part.added", **PLACE, "part": {"type": "output_text", "text": ""}},
            {"type": "response.output_text.delta", **PLACE, "delta": "hello"},
        ),
        b"data: {broken\n\n",
    ),
    "anthropic_messages": (AnthropicMessages(), sse(*ANTHROPIC), b"data: {broken\n\n"),
    "gemini": (
        Gemini(),
        sse({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hello"}]}}]}),
        b"data: {broken\n\n",
    ),
    "cohere_chat": (
        CohereChat(),
        sse(
            {"type": "message-start", "id": "c"},
            {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "hello"}}}},
        ),
        b"data: 5\n\n",
    ),
    "ollama_chat": (OllamaChat(), [b'{"model":"m","message":{"content":"hello"},"done":false}\n'], b"{broken\n"),
    "bedrock_converse": (
        BedrockConverse(),
        frames(
            ("messageStart", {"role": "assistant"}),
            ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hello"}}),
        ),
        encode_event("contentBlockDelta", b"{broken"),
    ),
    "bedrock_invoke_anthropic": (BedrockInvokeAnthropic(), frames(*INVOKED), encode_event("chunk", b'{"bytes": "?"}')),
}


def words(events: list[Event]) -> str:
    begun = [event.content.text for event in events if isinstance(event, PartStart) and isinstance(event.content, Text)]
    return "".join(begun) + "".join(event.value for event in events if isinstance(event, PartDelta))


def feed(reader: StreamReader, pieces: list[bytes], out: list[Event]) -> None:
    for piece in pieces:
        out += reader.feed(piece)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("together", [True, False])
def test_what_came_before_a_fault_is_given_and_then_the_fault(name: str, together: bool) -> None:
    format_, good, bad = STREAMS[name]
    reader = format_.stream_reader()
    pieces = [b"".join([*good, bad]), b""] if together else [*good, bad]
    out: list[Event] = []
    with pytest.raises(UpstreamProtocolError):
        feed(reader, pieces, out)
    assert words(out) == "hello"
    assert isinstance(reader.fault, UpstreamProtocolError)
    with pytest.raises(UpstreamProtocolError):
        reader.close()


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_is_cut_between_two_frames_has_no_end(name: str) -> None:
    format_, good, _ = STREAMS[name]
    reader = format_.stream_reader()
    out = [event for piece in good for event in reader.feed(piece)] + reader.close()
    assert words(out) == "hello"
    assert not any(isinstance(event, End) for event in out)
