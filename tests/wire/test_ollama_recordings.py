"""Real exchanges with Ollama's /api/chat: requests by meaning, answers and lines whole, split, cut, and told on."""

from __future__ import annotations

import json
import random
from typing import Any

from anthropic.types import Message as AnthropicMessage
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, End, Event, PartDelta
from gateway.sse import decode_events
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.ollama_chat import OllamaChat
from gateway_plugins.formats.openai_chat import OpenAIChat
from tests.wire import recordings

FORMAT = OllamaChat()
CHAT = list(recordings.files("ollama-chat", provider="ollama"))
WHOLE = [file for file in CHAT if not recordings.load(file).stream]
STREAMS = [file for file in CHAT if recordings.load(file).stream]


def in_openais_words(body: dict[str, Any]) -> dict[str, Any]:
    """The same request as a caller of chat completions says it."""
    said = {key: body[key] for key in ("model", "messages", "tools", "stream") if body.get(key)}
    said |= {key: value for key, value in (body.get("options") or {}).items() if key in ("temperature", "seed")}
    said["messages"] = [dict(message) for message in said["messages"]]
    for message in said["messages"]:
        if message.get("tool_calls"):
            message["tool_calls"] = [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])},
                }
                for call in message["tool_calls"]
            ]
        if message["role"] == "tool":
            message["tool_call_id"] = "call_1"
    return said


@recordings.each_of(CHAT)
def test_a_request_of_ollamas_own_package_is_what_we_write_for_the_same(file: str) -> None:
    recorded = recordings.load(file).request_json
    dropped = Dropped()
    request = OpenAIChat().read_request(json.dumps(in_openais_words(recorded)).encode())
    written = json.loads(FORMAT.write_request(request, Traits(), dropped))
    assert dropped.reasons == {}
    # The package sends empty fields for what is not said.
    assert {key: value for key, value in recorded.items() if value not in (None, "", [], {})} == {
        key: value for key, value in written.items() if key != "messages"
    } | {"messages": recorded["messages"]}
    for ours, theirs in zip(written["messages"], recorded["messages"], strict=True):
        for call in ours.get("tool_calls", []):
            call.pop("id")
        for key in ("tool_name", "tool_call_id"):
            ours.pop(key, None)  # newer versions read them
        assert ours == theirs


@recordings.each_of(WHOLE)
def test_a_reply_is_valid_for_callers_of_other_dialects(file: str) -> None:
    body = json.loads(recordings.load(file).response_body)
    reply = FORMAT.read_reply(recordings.load(file).response_body)
    message = body["message"]
    reply.id = "r"
    chat = ChatCompletion.model_validate_json(OpenAIChat().write_reply(reply, Dropped()))
    told = chat.choices[0].message
    assert (told.content or "") == message["content"]
    assert getattr(told, "reasoning_content", "") == message.get("thinking", "")
    calls = [call.function for call in told.tool_calls or () if call.type == "function"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        (call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls", [])
    ]
    assert chat.choices[0].finish_reason == ("tool_calls" if calls else body["done_reason"])
    assert chat.usage is not None
    assert chat.usage.completion_tokens == body["eval_count"]
    claude = AnthropicMessage.model_validate_json(AnthropicMessages().write_reply(reply, Dropped()))
    assert "".join(block.text for block in claude.content if block.type == "text") == message["content"]


def read(*pieces: bytes) -> list[Event]:
    reader = FORMAT.stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


@recordings.each_of(STREAMS)
def test_a_stream_means_the_same_however_it_is_split(file: str) -> None:
    stream = recordings.load(file).response_body
    events = read(stream)
    assert isinstance(events[-1], End)
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events
    messages = [json.loads(line)["message"] for line in stream.splitlines() if line]
    for kind, field in (("text", "content"), ("thinking", "thinking")):
        said = [event.value for event in events if isinstance(event, PartDelta) and event.kind == kind]
        assert "".join(said) == "".join(message.get(field, "") for message in messages)


@recordings.each_of(STREAMS)
def test_a_stream_is_valid_for_openais_client(file: str) -> None:
    writer = OpenAIChat().stream_writer(ChatRequest(model="m", include_usage=True))
    written = b"".join(writer.write(event) for event in read(recordings.load(file).response_body))
    *chunks, done = [event.data for event in decode_events(written)]
    assert done == b"[DONE]"
    assert [ChatCompletionChunk.model_validate_json(chunk) for chunk in chunks][-1].usage is not None


@recordings.each_of(STREAMS)
def test_a_cut_is_never_a_clean_end(file: str) -> None:
    stream = recordings.load(file).response_body
    limit = stream.rindex(b"\n{")
    chance = random.Random(file)
    for at in [chance.randrange(1, limit) for _ in range(20)]:
        assert not any(isinstance(event, End) for event in read(stream[:at]))
