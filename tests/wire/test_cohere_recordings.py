"""Real exchanges with Cohere: requests by meaning, answers and streams read whole, split, cut, and told to others."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

from anthropic.types import Message as AnthropicMessage
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, End, Event, PartDelta
from gateway.sse import decode_events
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.cohere_chat import CohereChat
from gateway_plugins.formats.cohere_embed import CohereEmbed
from gateway_plugins.formats.cohere_rerank import CohereRerank
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_embeddings import OpenAIEmbeddings
from tests.wire import recordings

FORMAT = CohereChat()
# Calls of the first version are another API, which the gateway does not speak.
CHAT = list(recordings.files("chat", provider="cohere"))
WHOLE = [file for file in CHAT if not recordings.load(file).stream]
STREAMS = [file for file in CHAT if recordings.load(file).stream]
CHOICES = {"REQUIRED": "required", "NONE": "none"}


def in_openais_words(body: dict[str, Any]) -> dict[str, Any]:
    """The same request as a caller of chat completions says it."""
    said = {key: value for key, value in body.items() if value is not None}
    if "tool_choice" in said:
        said["tool_choice"] = CHOICES[said["tool_choice"]]
    said["messages"] = [dict(message) for message in body["messages"]]
    for message in said["messages"]:
        content = message.get("content")
        thinking = [one for one in content if one["type"] == "thinking"] if isinstance(content, list) else []
        if thinking:
            message["reasoning_content"] = "".join(one["thinking"] for one in thinking)
            message["content"] = [one for one in content if one["type"] != "thinking"]
    return said


@recordings.each_of(CHAT)
def test_a_request_of_coheres_own_package_is_what_we_write_for_the_same(file: str) -> None:
    recorded = recordings.load(file).request_json
    dropped = Dropped()
    request = OpenAIChat().read_request(json.dumps(in_openais_words(recorded)).encode())
    written = json.loads(FORMAT.write_request(request, Traits(), dropped))
    assert dropped.reasons == {}
    for message in recorded["messages"]:
        if message.get("content") is None:
            message.pop("content", None)
    assert written == recorded


@recordings.each_of(WHOLE)
def test_a_reply_is_valid_for_callers_of_other_dialects(file: str) -> None:
    body = recordings.load(file).response_body
    message = json.loads(body)["message"]
    text = "".join(block.get("text", "") for block in message.get("content") or ())
    thinking = "".join(block.get("thinking", "") for block in message.get("content") or ())
    reply = FORMAT.read_reply(body)
    reply.model = "m"
    chat = ChatCompletion.model_validate_json(OpenAIChat().write_reply(reply, Dropped()))
    told = chat.choices[0].message
    assert (told.content or "") == text
    assert getattr(told, "reasoning_content", "") == message.get("tool_plan", "") + thinking
    calls = message.get("tool_calls", [])
    assert [(call.id, call.function.name) for call in told.tool_calls or () if call.type == "function"] == [
        (call["id"], call["function"]["name"]) for call in calls
    ]
    assert (chat.choices[0].finish_reason == "tool_calls") is bool(calls)
    claude = AnthropicMessage.model_validate_json(AnthropicMessages().write_reply(reply, Dropped()))
    assert "".join(block.text for block in claude.content if block.type == "text") == text
    assert sum(block.type == "tool_use" for block in claude.content) == len(calls)
    usage = json.loads(body)["usage"]
    assert chat.usage is not None
    assert chat.usage.prompt_tokens == usage["tokens"]["input_tokens"]
    assert chat.usage.completion_tokens == usage["tokens"]["output_tokens"]


def read(*pieces: bytes) -> list[Event]:
    reader = FORMAT.stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


@recordings.each_of(STREAMS)
def test_a_stream_means_the_same_however_it_is_split(file: str) -> None:
    stream = recordings.load(file).response_body
    events = read(stream)
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events
    assert isinstance(events[-1], End)
    chance = random.Random(file)
    places = sorted({0, len(stream), *(chance.randrange(len(stream)) for _ in range(50))})
    assert read(*(stream[start:end] for start, end in pairwise(places))) == events
    deltas = [json.loads(one.data) for one in decode_events(stream) if one.data != b"[DONE]"]
    words = [one["delta"]["message"]["content"]["text"] for one in deltas if one["type"] == "content-delta"]
    assert "".join(event.value for event in events if isinstance(event, PartDelta)) == "".join(words)


@recordings.each_of(STREAMS)
def test_a_stream_is_valid_for_openais_client(file: str) -> None:
    writer = OpenAIChat().stream_writer(ChatRequest(model="m", include_usage=True))
    written = b"".join(writer.write(event) for event in read(recordings.load(file).response_body))
    *chunks, done = [event.data for event in decode_events(written)]
    assert done == b"[DONE]"
    told = [ChatCompletionChunk.model_validate_json(chunk) for chunk in chunks]
    assert told[-1].usage is not None


@recordings.each_of(STREAMS)
def test_a_cut_is_never_a_clean_end(file: str) -> None:
    stream = recordings.load(file).response_body
    limit = stream.index(b"event: message-end")
    chance = random.Random(file)
    for at in [chance.randrange(1, limit) for _ in range(20)]:
        assert not any(isinstance(event, End) for event in read(stream[:at]))


@recordings.each("embeddings", provider="cohere")
def test_embeddings(file: str) -> None:
    exchange = recordings.load(file)
    embed = CohereEmbed()
    if exchange.status >= 400:
        error = embed.read_error(exchange.status, exchange.response_headers, exchange.response_body)
        assert error.kind == "model_not_found"
        return
    recorded = {key: value for key, value in exchange.request_json.items() if value is not None}
    openai = {"model": recorded["model"], "input": recorded["texts"]}
    openai |= {key: recorded[key] for key in ("input_type", "truncate") if key in recorded}
    dropped = Dropped()
    request = OpenAIEmbeddings().read_request(json.dumps(openai).encode())
    written = json.loads(embed.write_request(request, Traits(), dropped))
    assert written == {"embedding_types": ["float"], **recorded}
    assert dropped.reasons == {}
    reply = embed.read_reply(exchange.response_body)
    assert [one.vector for one in reply.embeddings] == json.loads(exchange.response_body)["embeddings"]["float"]
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 0


@recordings.each("rerank")
def test_reranking_of_cohere_and_voyage(file: str) -> None:
    exchange = recordings.load(file)
    rerank = CohereRerank()
    recorded = {key: value for key, value in exchange.request_json.items() if value is not None}
    voyage = file.startswith("voyage/")
    traits = Traits(renames={"top_n": "top_k"}) if voyage else Traits()
    dropped = Dropped()
    request = rerank.read_request(exchange.request_body)
    written = json.loads(rerank.write_request(request, traits, dropped))
    recorded["documents"] = [one["text"] if isinstance(one, dict) else one for one in recorded["documents"]]
    assert written == recorded
    assert dropped.reasons == {}
    reply = rerank.read_reply(exchange.response_body)
    told = json.loads(rerank.write_reply(reply, dropped, request))
    body = json.loads(exchange.response_body)
    results = body["data"] if voyage else body["results"]
    assert [(one["index"], one["relevance_score"]) for one in told["results"]] == [
        (one["index"], one["relevance_score"]) for one in results
    ]
    if voyage:
        assert told["usage"]["total_tokens"] == body["usage"]["total_tokens"]
    else:
        assert told["meta"].get("billed_units") == body["meta"].get("billed_units")
