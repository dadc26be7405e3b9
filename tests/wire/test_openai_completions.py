"""Real exchanges of legacy completions: what is read is written again, cuts are no ends, others can carry it."""

from __future__ import annotations

import json
import random
from typing import Any

from anthropic.types import Message as AnthropicMessage
from openai.types import Completion
from openai.types.chat import ChatCompletion

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, End, Event, PartDelta
from gateway.sse import decode_events
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_completions import OpenAICompletions
from tests.wire import recordings

FORMAT = OpenAICompletions()
# Portkey's are answers of chat completions to a request of its own.
ALL = [file for file in recordings.files("completions") if not file.startswith("portkey/")]
WHOLE = [file for file in ALL if not recordings.load(file).stream and recordings.load(file).status < 400]
STREAMS = [file for file in ALL if recordings.load(file).stream]
REFUSED = [file for file in ALL if recordings.load(file).status >= 400]
# Writer's streams hold words alone, with no mark of their end.
ENDLESS = [file for file in STREAMS if file.startswith("writer/")]


def plain(value: Any) -> Any:
    """Without nulls and empty objects, which say nothing, and numbers by value."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, list) else value


def read(*pieces: bytes) -> list[Event]:
    reader = FORMAT.stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


@recordings.each_of(ALL)
def test_a_recorded_request_is_read_and_written_by_meaning(file: str) -> None:
    exchange = recordings.load(file)
    dropped = Dropped()
    written = json.loads(FORMAT.write_request(FORMAT.read_request(exchange.request_body), Traits(), dropped))
    said = plain(exchange.request_json)
    if not said.get("stream"):
        said.pop("stream", None)
    else:
        said["stream_options"] = {"include_usage": True}
    assert written == said
    assert dropped.reasons == {}


@recordings.each_of(WHOLE)
def test_a_recorded_reply_is_read_and_written_by_meaning(file: str) -> None:
    body = recordings.load(file).response_body
    reply = FORMAT.read_reply(body)
    dropped = Dropped()
    written = json.loads(FORMAT.write_reply(reply, dropped))
    assert dropped.reasons == {}
    said = plain(json.loads(body))
    usage = said.get("usage")
    if usage is not None:
        usage.setdefault("completion_tokens", 0)
    for at, choice in enumerate(said["choices"]):
        choice.setdefault("index", at)
    got = plain(written)
    if file.startswith("writer/"):
        got = {key: got[key] for key in said}
    assert got == said
    facts = FORMAT.read_facts(body)
    assert (facts.model, facts.usage, facts.finish_reason) == (
        reply.model,
        reply.usage,
        reply.choices[0].finish_reason,
    )
    if not file.startswith("writer/"):
        Completion.model_validate(written)


@recordings.each_of(WHOLE)
def test_a_recorded_reply_is_valid_for_callers_of_other_dialects(file: str) -> None:
    reply = FORMAT.read_reply(recordings.load(file).response_body)
    text = "".join(part.text for part in reply.choices[0].content)  # type: ignore[attr-defined]
    chat = ChatCompletion.model_validate_json(OpenAIChat().write_reply(reply, Dropped()))
    assert (chat.choices[0].message.content or "") == text
    message = AnthropicMessage.model_validate_json(AnthropicMessages().write_reply(reply, Dropped()))
    assert "".join(block.text for block in message.content if block.type == "text") == text


@recordings.each_of(STREAMS)
def test_a_recorded_stream_means_the_same_however_it_is_split_and_written_again(file: str) -> None:
    stream = recordings.load(file).response_body
    events = read(stream)
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events
    assert isinstance(events[-1], End) is (file not in ENDLESS)
    writer = FORMAT.stream_writer(ChatRequest(model="m", include_usage=True))
    written = b"".join(writer.write(event) for event in events)
    chunks = [event.data for event in decode_events(written)]
    for data in chunks:
        if data != b"[DONE]":
            # OpenAI's own streams say null, which its types forget.
            Completion.model_validate_json(data.replace(b'"finish_reason":null', b'"finish_reason":"stop"'))
    if file not in ENDLESS:
        assert chunks[-1] == b"[DONE]"
        again = read(written)
        assert text_of(again) == text_of(events)
        assert [type(event) for event in again if not isinstance(event, PartDelta)] == [
            type(event) for event in events if not isinstance(event, PartDelta)
        ]


def text_of(events: list[Event]) -> str:
    return "".join(event.value for event in events if isinstance(event, PartDelta))


@recordings.each_of(STREAMS)
def test_a_cut_of_a_recorded_stream_is_never_a_clean_end(file: str) -> None:
    stream = recordings.load(file).response_body
    ends = [at for at in (stream.find(b'"finish_reason":"'), stream.find(b"data: [DONE]")) if at >= 0]
    limit = min(ends, default=len(stream))
    chance = random.Random(file)
    for at in [chance.randrange(1, limit) for _ in range(12)]:
        assert not any(isinstance(event, End) for event in read(stream[:at]))
        watch = FORMAT.stream_watch(hide_usage=False)
        watch.feed(stream[:at])
        watch.close()
        assert not watch.complete


@recordings.each_of(STREAMS)
def test_a_watch_passes_a_recorded_stream_and_knows_its_end(file: str) -> None:
    stream = recordings.load(file).response_body
    watch = FORMAT.stream_watch(hide_usage=False)
    assert watch.feed(stream) + watch.close() == stream
    assert watch.complete is (file not in ENDLESS)


@recordings.each_of(REFUSED)
def test_a_recorded_error_is_understood(file: str) -> None:
    exchange = recordings.load(file)
    error = FORMAT.read_error(exchange.status, exchange.response_headers, exchange.response_body)
    assert (error.status, error.message) == (exchange.status, json.loads(exchange.response_body)["error"]["message"])
    assert error.kind in ("invalid_request", "model_not_found")
