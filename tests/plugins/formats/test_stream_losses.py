"""A stream names what its dialect cannot say, as the whole reply does."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from gateway.errors import UpstreamProtocolError
from gateway.format import Dropped, Format, StreamWriter
from gateway.protocol import (
    ChatReply,
    ChatRequest,
    Choice,
    End,
    Finish,
    Media,
    Opaque,
    Part,
    PartDelta,
    PartStart,
    PartStop,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from gateway.protocol.unroll import events_of
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.openai_chat import OpenAIChat

CITED = {"type": "char_location", "cited_text": "x", "document_index": 0}
PARTS: list[Part] = [
    Text(text="a", citations=[CITED], extra={"mood": 1}),
    Thinking(text="b", signature="s", origin="elsewhere", extra={"depth": 1}),
    ToolCall(id="c", name="f", arguments="{}", extra={"caller": {"type": "direct"}}),
    Opaque(origin="elsewhere", type="code_execution", value={"type": "code_execution"}),
    Media(kind="video", url="https://x/v"),
    Refusal(text="no", extra={"why": 1}),
]


def reply() -> ChatReply:
    usage = Usage(prompt_tokens=1, completion_tokens=1, extra={"searches": 3})
    choice = Choice(content=[*PARTS], finish_reason="stop", extra={"container": {}})
    return ChatReply(
        id="r", model="m", choices=[choice], usage=usage, service_tier="odd", origin="elsewhere", extra={"novel": 1}
    )


@pytest.mark.parametrize("dialect", [OpenAIChat(), AnthropicMessages()], ids=lambda dialect: dialect.name)
def test_a_stream_names_what_the_whole_reply_names(dialect: Format) -> None:
    request = ChatRequest(model="m", origin=dialect.name)
    whole, streamed = Dropped(), Dropped()
    dialect.write_reply(reply(), whole, request)
    writer = dialect.stream_writer(request, streamed)
    for event in events_of(reply()):
        writer.write(event)
    assert streamed.reasons == whole.reasons
    path = "choices[0].message.content" if dialect.name == "openai_chat" else "content"
    assert whole.reasons.keys() >= {
        f"{path}[0].citations",
        f"{path}[0].mood",
        f"{path}[1].depth",
        f"{path}[2].caller",
        f"{path}[3]",
        f"{path}[4]",
        f"{path}[5].why",
        "service_tier",
        "novel",
        "usage.searches",
    }


def written(writer: StreamWriter, *events: Any) -> bytes:
    return b"".join(writer.write(event) for event in [Start(id="r", model="m"), *events, End()])


def test_a_message_names_other_choices_and_log_probabilities() -> None:
    dropped = Dropped()
    writer = AnthropicMessages().stream_writer(ChatRequest(model="m"), dropped)
    written(
        writer,
        PartStart(part=0, content=Text(text="")),
        PartStart(choice=1, part=0, content=Text(text="")),
        PartDelta(part=0, kind="text", value="a", logprobs={"content": []}),
        PartDelta(choice=1, part=0, kind="text", value="b"),
        Finish(finish_reason="stop"),
    )
    assert list(dropped.reasons) == ["choices[1]", "logprobs"]


def test_deltas_that_only_the_provider_understands_are_named() -> None:
    for dialect in (OpenAIChat(), AnthropicMessages()):
        dropped = Dropped()
        writer = dialect.stream_writer(ChatRequest(model="m"), dropped)
        stop = PartStop(part=0, extra={"deltas": [{"type": "novel_delta"}]})
        written(writer, PartStart(part=0, content=Text(text="a")), stop, Finish(finish_reason="stop"))
        assert [name.rpartition(".")[2] for name in dropped.reasons] == ["deltas"]


def test_citations_of_a_text_that_stays_empty_are_named_too() -> None:
    dropped = Dropped()
    writer = AnthropicMessages().stream_writer(ChatRequest(model="m"), dropped)
    cited = PartDelta(part=0, kind="citation", data={"url_citation": {"url": "https://x"}})
    written(writer, PartStart(part=0, content=Text(text="")), cited, PartStop(part=0), Finish(finish_reason="stop"))
    assert list(dropped.reasons) == ["content[0].citations"]


BAD = b'{"model": "a\xff", "id": "\xc3"}'


@pytest.mark.parametrize("wire", [OpenAIChat(), AnthropicMessages()], ids=lambda wire: wire.name)
def test_bytes_that_are_not_utf_8_are_the_providers_fault(wire: Format) -> None:
    with pytest.raises(UpstreamProtocolError):
        wire.read_reply(BAD)
    with contextlib.suppress(UpstreamProtocolError):
        assert wire.read_facts(BAD).usage is None
    reader = wire.stream_reader()
    with pytest.raises(UpstreamProtocolError):
        reader.feed(b"event: message_start\ndata: " + BAD + b"\n\n")
    assert wire.read_error(500, {}, BAD).status == 500
    watch = wire.stream_watch(hide_usage=True)
    assert BAD in watch.feed(b"event: message_start\ndata: " + BAD + b"\n\n") + watch.close()
