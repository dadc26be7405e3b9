"""Gemini's real exchanges told to callers of other dialects, and other dialects' real requests told to Gemini.

Judges are the vendors' own packages: openai and anthropic for what we answer, google-genai for what we ask.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from gateway.errors import InvalidRequest, UpstreamError
from gateway.format import Dropped, Format
from gateway.protocol import ChatReply, ChatRequest, End, PartDelta, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway.sse import decode_events
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.gemini import Gemini
from gateway_plugins.formats.gemini_models import traits_of
from gateway_plugins.formats.openai_chat import OpenAIChat
from tests.wire import recordings
from tests.wire.anthropic_types import check_message, check_stream_events

types: Any = pytest.importorskip("google.genai.types")

CHAT = "generateContent"
MODELS = ("gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-flash-preview")
ASKED = ChatRequest(model="m", stream=True, include_usage=True)
_MEMBERS: dict[str, TypeAdapter[Any]] = {
    "contents": TypeAdapter(list[types.Content]),
    "systemInstruction": TypeAdapter(types.Content),
    "tools": TypeAdapter(list[types.Tool]),
    "toolConfig": TypeAdapter(types.ToolConfig),
    "generationConfig": TypeAdapter(types.GenerationConfig),
    "serviceTier": TypeAdapter(str),
}


def reply_of(file: str) -> ChatReply:
    reply = Gemini().read_reply(recordings.load(file).response_body)
    return msgspec.structs.replace(reply, id=reply.id or "r", created=reply.created or 1, model=reply.model or "m")


def check_request(body: bytes) -> dict[str, Any]:
    """A request that we wrote: every member by its type, which takes no unknown fields."""
    value: dict[str, Any] = json.loads(body)
    assert value.keys() <= _MEMBERS.keys()
    for name, item in value.items():
        _MEMBERS[name].validate_python(item)
    return value


def check_conversation(contents: list[dict[str, Any]]) -> None:
    """Roles alternate, and each answer of a function stands in the turn behind its call."""
    roles = [content["role"] for content in contents]
    assert all(role in ("user", "model") for role in roles)
    assert all(one != other for one, other in pairwise(roles))
    assert all(content["parts"] for content in contents)


@recordings.each(CHAT, stream=False, good=True)
def test_a_reply_is_a_chat_completion(file: str) -> None:
    reply = reply_of(file)
    written = json.loads(OpenAIChat().write_reply(reply, Dropped()))
    TypeAdapter(ChatCompletion).validate_python(written, strict=False)
    for choice, message in zip(reply.choices, (one["message"] for one in written["choices"]), strict=True):
        assert (message.get("content") or "") == "".join(p.text for p in choice.content if isinstance(p, Text))
        calls = [part for part in choice.content if isinstance(part, ToolCall)]
        assert [call["id"] for call in message.get("tool_calls") or []] == [call.id for call in calls]
        signed = [part.signature for part in choice.content if isinstance(part, Thinking | ToolCall) and part.signature]
        assert all(signature in json.dumps(message) for signature in signed)


@recordings.each(CHAT, stream=False, good=True)
def test_a_reply_is_a_message_of_anthropic(file: str) -> None:
    reply = reply_of(file)
    if len(reply.choices) != 1:
        pytest.skip("Anthropic's messages have one answer")
    check_message(json.loads(AnthropicMessages().write_reply(reply, Dropped())))


@recordings.each(CHAT, stream=True, good=True)
def test_a_stream_is_one_of_chunks(file: str) -> None:
    stream = recordings.load(file).response_body
    reader, writer = Gemini().stream_reader(), OpenAIChat().stream_writer(ASKED)
    events = reader.feed(stream) + reader.close()
    assert isinstance(events[-1], End)
    out = b"".join(writer.write(event) for event in events)
    data = [event.data for event in decode_events(out)]
    assert data[-1] == b"[DONE]"
    text = ""
    for chunk in data[:-1]:
        value = ChatCompletionChunk.model_validate_json(chunk)
        text += "".join(choice.delta.content or "" for choice in value.choices)
    said = [event.value for event in events if isinstance(event, PartDelta) and event.kind == "text"]
    assert text == "".join(said)


@recordings.each(CHAT, stream=True, good=True)
def test_a_stream_is_one_of_anthropics_events(file: str) -> None:
    stream = recordings.load(file).response_body
    reader, writer = Gemini().stream_reader(), AnthropicMessages().stream_writer(ASKED)
    events = reader.feed(stream) + reader.close()
    if any(getattr(event, "choice", 0) for event in events):
        pytest.skip("Anthropic's messages have one answer")
    check_stream_events(b"".join(writer.write(event) for event in events))


@recordings.each(CHAT, stream=False, good=True)
@pytest.mark.parametrize("other", [OpenAIChat(), AnthropicMessages()], ids=lambda one: one.name)
def test_a_reply_replayed_through_another_dialect_keeps_its_signatures(file: str, other: Format) -> None:
    body = recordings.load(file).response_body
    reply = reply_of(file)
    written = json.loads(other.write_reply(reply, Dropped()))
    message = written["choices"][0]["message"] if "choices" in written else written
    turns = [
        {"role": "user", "content": "hi"},
        {key: message[key] for key in message if key in ("role", "content", "tool_calls", "reasoning_details")},
    ]
    if not turns[1].get("content") and not turns[1].get("tool_calls"):
        pytest.skip("nothing was said")
    request = other.read_request(json.dumps({"model": "m", "max_tokens": 9, "messages": turns}).encode())
    again = Gemini().write_request(request, traits_of("gemini-2.5-pro"), Dropped())
    for candidate in json.loads(body)["candidates"][:1]:
        for part in candidate.get("content", {}).get("parts", []):
            if any(kind in part for kind in ("text", "functionCall")) and "thoughtSignature" in part:
                assert part["thoughtSignature"] in again.decode()
            if "functionCall" in part and part["functionCall"].get("id"):
                assert part["functionCall"]["id"] in again.decode()
    check_request(again)


@recordings.each_of([file for file in recordings.files("chat", "messages", good=True) if "cohere/" not in file])
@pytest.mark.parametrize("model", MODELS)
def test_requests_of_other_dialects_are_requests_of_gemini(file: str, model: str) -> None:
    exchange = recordings.load(file)
    source: Format = AnthropicMessages() if exchange.endpoint == "messages" else OpenAIChat()
    request = source.read_request(exchange.request_body)
    assert isinstance(request, ChatRequest)
    dropped = Dropped()
    try:
        value = check_request(Gemini().write_request(request, traits_of(model), dropped))
    except InvalidRequest as error:
        # A call whose arguments are no object, a result of no call, or nothing to say: Gemini cannot be asked so.
        known = any(words in error.message for words in ("JSON object", "answers no call", "with content"))
        if not known:
            raise
        return
    check_conversation(value["contents"])
    said = json.dumps(value)
    lost = " ".join(dropped.reasons)
    for message in request.messages:
        for part in message.content:
            if isinstance(part, Text) and part.text:
                assert json.dumps(part.text)[1:-1] in said
            elif isinstance(part, ToolCall | ToolResult) and isinstance(part, ToolCall):
                assert json.dumps(part.name) in said
    if request.tools and not lost:
        assert "tools" in value


@recordings.each(CHAT)
@pytest.mark.parametrize("other", [OpenAIChat(), AnthropicMessages()], ids=lambda one: one.name)
def test_requests_of_gemini_go_to_other_formats_with_nothing_lost_in_silence(file: str, other: Format) -> None:
    exchange = recordings.load(file)
    request = Gemini().read_request(exchange.request_body)
    request.model = "m"
    dropped = Dropped()
    written = other.write_request(request, traits_of("m"), dropped).decode()
    for number, message in enumerate(request.messages):
        for place, part in enumerate(message.content):
            path = f"messages[{number}].content[{place}]"
            if isinstance(part, Text) and part.text.strip() and not any(path in field for field in dropped.reasons):
                assert json.dumps(part.text, ensure_ascii=False)[1:-1] in written
            if isinstance(part, ToolCall):
                assert json.dumps(part.name) in written


def other_format(file: str) -> Format:
    return AnthropicMessages() if "/messages-" in file else OpenAIChat()


REPLIES = [file for file in recordings.files("chat", "messages", stream=False, good=True) if "cohere/" not in file]
STREAMS = [file for file in recordings.files("chat", "messages", stream=True, good=True) if "cohere/" not in file]


@recordings.each_of(REPLIES)
def test_replies_of_other_formats_are_answers_of_generate_content(file: str) -> None:
    try:
        reply = other_format(file).read_reply(recordings.load(file).response_body)
    except UpstreamError:
        pytest.skip("the answer is an error")
    assert isinstance(reply, ChatReply)
    value = types.GenerateContentResponse.model_validate(json.loads(Gemini().write_reply(reply, Dropped())))
    for choice, candidate in zip(reply.choices, value.candidates or [], strict=True):
        parts = candidate.content.parts
        said = "".join(part.text for part in choice.content if isinstance(part, Text | Refusal))
        assert "".join(part.text or "" for part in parts if not part.thought) == said
        calls = [part.function_call for part in parts if part.function_call]
        assert [call.name for call in calls] == [part.name for part in choice.content if isinstance(part, ToolCall)]
        assert candidate.finish_reason is not None


@recordings.each_of(STREAMS)
def test_streams_of_other_formats_are_streams_of_generate_content(file: str) -> None:
    reader, writer = other_format(file).stream_reader(), Gemini().stream_writer(None)
    events = reader.feed(recordings.load(file).response_body) + reader.close()
    if not isinstance(events[-1], End):
        pytest.skip("the stream was cut, or is an error")
    out = b"".join(writer.write(event) for event in events)
    values = [types.GenerateContentResponse.model_validate_json(event.data) for event in decode_events(out)]
    text = ""
    for value in values:
        for candidate in value.candidates or []:
            text += "".join(part.text or "" for part in candidate.content.parts if not part.thought)
    said = [event.value for event in events if isinstance(event, PartDelta) and event.kind in ("text", "refusal")]
    assert text == "".join(said)
    assert all(candidate.finish_reason for candidate in values[-1].candidates)
    again = Gemini().stream_reader()
    assert isinstance((again.feed(out) + again.close())[-1], End)
    cut = Gemini().stream_reader()
    cut.feed(out[: out.rfind(b"data: ")])
    assert not any(isinstance(event, End) for event in cut.close())
