"""Recorded streams, translated, as the vendors' own clients gather them: no piece of ours that a package chokes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from gateway.format import Dropped
from tests.golden.cells import chat_formats
from tests.wire import recordings
from tests.wire.audit.callers import streamed
from tests.wire.audit.exchanges import audited, wire_of
from tests.wire.audit.meaning import Meaning, differences
from tests.wire.audit.providers import meaning_of

EACH = 4
"""One in so many streams: every provider's are among them."""
SAMPLE = [file for at, file in enumerate(audited(stream=True, good=True)) if at % EACH == 0]
NAMED_ELSEWHERE = ("choices", "cited", "text", "ids", "calls", "pictures")
"""What a dialect may have no place for, which the audit of streams finds named."""


def answering(stream: bytes) -> httpx2.Client:
    """A client whose server answers anything with this stream."""
    head = {"content-type": "text/event-stream"}
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=head, content=stream)))


def by_chat(stream: bytes) -> Any:
    client = openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=answering(stream))
    with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "hi"}]) as events:
        for _ in events:
            pass
        return events.current_completion_snapshot


def by_responses(stream: bytes) -> Any:
    client = openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=answering(stream))
    with client.responses.stream(model="m", input="hi") as events:
        return events.get_final_response()


def by_messages(stream: bytes) -> Any:
    client = anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=answering(stream))
    with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as events:
        return events.get_final_message()


GATHER: dict[str, Callable[[bytes], Any]] = {
    "openai_chat": by_chat,
    "openai_responses": by_responses,
    "anthropic_messages": by_messages,
}


def said_in(file: str) -> Meaning:
    """What the provider said."""
    return meaning_of(wire_of(file), recordings.load(file).response_body, stream=True)


def gathered_by(caller: str) -> list[str]:
    """The streams that this package gathers at all; OpenAI's wants responses that were completed."""
    said = {file: said_in(file) for file in SAMPLE if wire_of(file) != caller}
    wanted = ("stop", "tool_calls") if caller == "openai_responses" else ("stop", "tool_calls", "length", "filter")
    return [file for file, one in said.items() if one.ended and not one.error and one.answers[0].finish in wanted]


PAIRS = [(file, caller) for caller in GATHER for file in gathered_by(caller)]


@pytest.mark.skipif(not SAMPLE, reason=recordings.MISSING)
@pytest.mark.parametrize(("file", "caller"), PAIRS)
def test_a_vendors_client_gathers_what_the_provider_said(file: str, caller: str) -> None:
    exchange, wire, formats = recordings.load(file), wire_of(file), chat_formats()
    said = said_in(file)
    gathered = GATHER[caller](streamed(formats[caller], formats[wire], [exchange.response_body], Dropped()))
    told = meaning_of(caller, gathered.to_json().encode(), stream=False)
    found = {aspect: pair for aspect, pair in differences(said, told).items() if aspect not in NAMED_ELSEWHERE}
    assert found == {}
    assert len(told.answers[0].calls) == len(said.answers[0].calls)
