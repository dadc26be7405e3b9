"""Recorded exchanges with Claude by InvokeModel: Anthropic's own words within Bedrock's envelope."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from itertools import pairwise

from gateway.format import Dropped, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import End, Event, Finish, PartDelta, Start, UsageUpdate
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.aws_event_stream import EventStreamDecoder
from gateway_plugins.formats.bedrock_invoke_anthropic import BedrockInvokeAnthropic, enveloped
from tests.wire import recordings
from tests.wire.anthropic_meaning import reply_meaning, request_meaning
from tests.wire.anthropic_types import check_message
from tests.wire.bedrock_meaning import model_of

FORMAT, MESSAGES = BedrockInvokeAnthropic(), AnthropicMessages()
# The spelling that the readers of requests demand, which stands elsewhere on Bedrock.
EXTRA = ("anthropic_version", "anthropic_beta")


def claude(*, stream: bool, good: bool | None = True) -> Iterator[str]:
    """The recorded exchanges whose model is Claude and speaks Messages."""
    for file in recordings.files("invoke", provider="bedrock", stream=stream, good=good):
        exchange = recordings.load(file)
        if "claude" in model_of(exchange) and "messages" in exchange.request_json:
            yield file


WHOLE = recordings.each_of(list(claude(stream=False)))
STREAMS = recordings.each_of(list(claude(stream=True)))


def read(*pieces: bytes) -> list[Event]:
    reader = FORMAT.stream_reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


@recordings.each_of([*claude(stream=False), *claude(stream=True)])
def test_a_recorded_request_is_written_again_from_anthropics_dialect(file: str) -> None:
    exchange = recordings.load(file)
    recorded = exchange.request_json
    asked = {key: value for key, value in recorded.items() if key not in EXTRA}
    caller = json.dumps({"model": "m", "stream": exchange.stream, **asked}).encode()
    dropped = Dropped()
    written = json.loads(FORMAT.write_request(MESSAGES.read_request(caller), Traits(), dropped))
    assert not dropped
    assert written.pop("anthropic_version") == "bedrock-2023-05-31"
    assert "model" not in written
    assert "stream" not in written
    assert request_meaning({**written, "model": "m"}) == request_meaning({**asked, "model": "m"})
    # The lane keeps the very bytes.
    passed = enveloped(JsonObject(caller), (), dropped)
    assert json.loads(passed) == {**asked, "anthropic_version": "bedrock-2023-05-31"}
    messages = JsonObject(caller).raw("messages")
    assert messages is not None
    assert messages in passed


@WHOLE
def test_a_recorded_reply_is_anthropics_own(file: str) -> None:
    body = recordings.load(file).response_body
    reply = FORMAT.read_reply(body)
    written = json.loads(MESSAGES.write_reply(reply, Dropped()))
    assert reply_meaning(written) == reply_meaning(json.loads(body))
    check_message(written)
    facts = FORMAT.read_facts(body)
    assert (facts.model, facts.usage) == (reply.model, reply.usage)


@STREAMS
def test_a_stream_is_the_same_wherever_its_bytes_are_cut(file: str) -> None:
    stream = recordings.load(file).response_body
    events = read(stream)
    assert isinstance(events[0], Start)
    assert isinstance(events[-1], End)
    assert sum(isinstance(event, Finish) for event in events) == 1
    assert sum(isinstance(event, UsageUpdate) for event in events) == 1
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events
    chance = random.Random(file)
    places = sorted({0, len(stream), *(chance.randrange(len(stream)) for _ in range(60))})
    assert read(*(stream[a:b] for a, b in pairwise(places))) == events
    said = [json.loads(base64.b64decode(json.loads(m.payload)["bytes"])) for m in EventStreamDecoder().feed(stream)]
    text = "".join(event["delta"].get("text", "") for event in said if event["type"] == "content_block_delta")
    assert text == "".join(event.value for event in events if isinstance(event, PartDelta) and event.kind == "text")


@STREAMS
def test_a_cut_stream_never_ends_clean(file: str) -> None:
    stream = recordings.load(file).response_body
    sizes = [len(message.payload) for message in EventStreamDecoder().feed(stream)]
    # Behind message_delta the answer is whole: only its last event is missing.
    told = len(stream) - sizes[-1] - 300
    chance = random.Random(file)
    for cut in (0, 1, *(chance.randrange(told) for _ in range(20))):
        events = read(stream[:cut])
        assert not any(isinstance(event, End) for event in events) or any(isinstance(event, Finish) for event in events)
        if not any(isinstance(event, Finish) for event in events):
            assert not any(isinstance(event, End) for event in events)
