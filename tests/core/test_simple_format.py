"""The short way to a wire format: what it fills in, names and refuses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import pytest

from gateway import Dropped, SimpleFormat, Traits, UpstreamProtocolError
from gateway.protocol import (
    ChatReply,
    ChatRequest,
    Choice,
    End,
    Event,
    Media,
    Message,
    PartDelta,
    PartStart,
    ResponseFormat,
    Text,
    Thinking,
    Usage,
)


class Whole(SimpleFormat):
    name: ClassVar[str] = "whole"
    carries: ClassVar[tuple[str, ...]] = ("max_tokens",)

    def to_wire(self, request: Any) -> Any:
        return {"m": request.model, "say": [message.text() for message in request.messages]}

    def from_wire(self, body: Any) -> ChatReply:
        choice = Choice(content=[Text(text=body["say"])], finish_reason="stop")
        return ChatReply(id="", model="", choices=[choice], usage=Usage(prompt_tokens=len(body["say"])))


class Streamed(Whole):
    def from_event(self, event: str, data: Any) -> Iterable[Event]:
        if event == "think":
            yield PartStart(part=1, content=Thinking())
        elif event == "end":
            yield End()
        else:
            yield PartDelta(part=0, kind="text", value=data["say"])


def written(**fields: Any) -> dict[str, str]:
    dropped = Dropped()
    body = Whole().write_request(ChatRequest(model="m", **fields), Traits(), dropped)
    assert body.startswith(b'{"m":"m"')
    return dropped.reasons


def test_what_is_not_carried_is_named() -> None:
    assert written(max_tokens=1) == {}
    assert written(temperature=0.0, seed=1) == {
        "temperature": "whole has no such field",
        "seed": "whole has no such field",
    }
    assert written(extra={"own": 1}) == {"own": "whole has no such field"}
    image = Media(kind="image", url="https://example.com/a.png")
    assert written(messages=[Message(role="user", content=[Text(text="a"), image])]) == {
        "messages[0].content[1]": "whole takes no Media"
    }


def test_what_says_nothing_is_not_named() -> None:
    assert written(stream=True, include_usage=True, n=1, tools=[], logprobs=False, stop=[]) == {}
    assert written(response_format=ResponseFormat(type="text"), origin="openai_chat", spelling={"a": "b"}) == {}
    assert list(written(response_format=ResponseFormat(type="json_object"))) == ["response_format"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"answer": 1}', b'{"say": 1}'])
def test_an_answer_that_is_not_understood_is_the_providers_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError, match="not understood"):
        Whole().read_reply(body)


def test_facts_are_read_from_the_reply() -> None:
    facts = Whole().read_facts(b'{"say": "hi"}')
    assert (facts.usage, facts.finish_reason, facts.error) == (Usage(prompt_tokens=2), "stop", None)


def test_a_whole_answer_is_told_as_a_stream_where_the_api_has_none() -> None:
    reader = Whole().stream_reader()
    assert reader.feed(b'{"sa') == []
    assert reader.feed(b'y": "hi"}') == []
    assert [type(event).__name__ for event in reader.close()] == [
        "Start",
        "PartStart",
        "PartDelta",
        "PartStop",
        "Finish",
        "UsageUpdate",
        "End",
    ]


def test_what_a_stream_leaves_out_is_filled_in() -> None:
    reader = Streamed().stream_reader()
    events = reader.feed(b'data: {"say": "a"}\n\ndata: {"say": "b"}\n\nevent: think\ndata: x\n\n')
    events += reader.feed(b"event: end\ndata: {}\n\n")
    assert [type(event).__name__ for event in events] == [
        "Start",
        "PartStart",
        "PartDelta",
        "PartDelta",
        "PartStart",
        "PartStop",
        "PartStop",
        "Finish",
        "End",
    ]
    assert reader.close() == []


def test_a_stream_without_its_end_has_none() -> None:
    reader = Streamed().stream_reader()
    reader.feed(b'data: {"say": "a"}\n\n')
    assert not any(isinstance(event, End) for event in reader.close())


def test_an_event_that_is_not_understood_is_the_providers_fault() -> None:
    with pytest.raises(UpstreamProtocolError, match="not understood: KeyError"):
        Streamed().stream_reader().feed(b'data: {"other": 1}\n\n')


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "retry"),
    [
        (401, b'{"message": "no token"}', "authentication", "no token", False),
        (404, b'{"detail": "no such engine"}', "not_found", "no such engine", False),
        (418, b"teapot", "invalid_request", "The provider answered with status 418.", False),
        (429, b'{"error": {"message": "slower"}}', "rate_limit", "slower", True),
        (500, b'{"error": "oh"}', "server_error", "oh", True),
        (503, b"[]", "overloaded", "The provider answered with status 503.", True),
        (507, b"", "server_error", "The provider answered with status 507.", True),
    ],
)
def test_errors_are_read_by_their_status(status: int, body: bytes, kind: str, message: str, retry: bool) -> None:
    error = Whole().read_error(status, {"retry-after": "7"}, body)
    assert (error.status, error.kind, error.message, error.can_retry) == (status, kind, message, retry)
    assert error.retry_after == 7.0
    assert Whole().read_error(status, {"retry-after": "soon"}, body).retry_after is None


def test_it_serves_no_callers() -> None:
    with pytest.raises(NotImplementedError, match="whole is a SimpleFormat"):
        Whole().read_request(b"{}")
