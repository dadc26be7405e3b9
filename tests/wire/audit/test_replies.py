"""Every recorded answer, told to callers of four dialects: what arrives means what the provider said, or is named.

Nothing here reads with the gateway's own readers but the readers under test: what was said is taken from the raw bytes.
"""

from __future__ import annotations

import re
from functools import cache

import pytest

from gateway.errors import UpstreamRejected
from gateway.format import Dropped
from tests.golden.cells import chat_formats
from tests.wire import recordings
from tests.wire.audit.callers import CALLERS, streamed, told_by, understood, whole
from tests.wire.audit.exchanges import audited, cuts, whole_events, wire_of
from tests.wire.audit.meaning import Meaning, differences
from tests.wire.audit.providers import meaning_of

# The names by which each aspect's loss may be told.
_PART = r"(choices\[0\]\.)?(message\.)?content\[\d+\]"
NAMES = {
    "choices": r"choices\[1\]",
    "text": rf"{_PART}(\.transcript)?",
    "reasoning": _PART,
    "calls": _PART,
    "ids": _PART,
    "pictures": _PART,
    "cited": rf"{_PART}\.citations|choices\[0\]\.message\.citations",
    "finish": rf"{_PART}(\.refusal)?",
}


@cache
def said_in(file: str) -> Meaning:
    """What the provider said."""
    exchange = recordings.load(file)
    return meaning_of(wire_of(file), exchange.response_body, stream=exchange.stream)


def unnamed(said: Meaning, told: Meaning, dropped: Dropped) -> dict[str, object]:
    """The differences that nothing in ``dropped`` tells of."""
    return {
        aspect: pair
        for aspect, pair in differences(said, told).items()
        if not (aspect in NAMES and any(re.fullmatch(NAMES[aspect], name) for name in dropped.reasons))
    }


@recordings.each_of(audited(stream=False, good=True))
def test_a_whole_answer_means_to_each_caller_what_the_provider_said(file: str) -> None:
    formats, said = chat_formats(), said_in(file)
    for caller in CALLERS:
        dropped = Dropped()
        if said.error:
            with pytest.raises(UpstreamRejected):
                whole(formats[caller], formats[wire_of(file)], recordings.load(file).response_body, dropped)
            continue
        told = whole(formats[caller], formats[wire_of(file)], recordings.load(file).response_body, dropped)
        assert unnamed(said, told, dropped) == {}, (caller, dropped.reasons)


@recordings.each_of(audited(stream=True, good=True))
def test_a_stream_means_to_each_caller_what_the_provider_said(file: str) -> None:
    formats, said, wire = chat_formats(), said_in(file), wire_of(file)
    for caller in CALLERS:
        dropped = Dropped()
        stream = streamed(formats[caller], formats[wire], [recordings.load(file).response_body], dropped)
        told = understood(caller, stream, foreign=caller != wire)
        if said.error or not said.ended:
            assert not told.ended
        else:
            assert unnamed(said, told, dropped) == {}, (caller, dropped.reasons)


@recordings.each_of(audited(stream=True, good=True))
def test_a_stream_cut_politely_or_not_has_no_end_that_nobody_said(file: str) -> None:
    """Behind its last events, behind some others, and within some: the finish and the end are the provider's."""
    body, wire, formats = recordings.load(file).response_body, wire_of(file), chat_formats()
    for at in cuts(file, body, wire):
        said = meaning_of(wire, whole_events(wire, body, at), stream=True)
        finished = bool(said.answers) and all(answer.finish for answer in said.answers)
        for caller in CALLERS:
            stream = streamed(formats[caller], formats[wire], [body[:at]], Dropped())
            told = told_by(caller, stream)
            assert not told.ended or said.ended or finished, (caller, at, stream[-300:])
            for one, other in zip(said.answers, told.answers, strict=False):
                if caller != "openai_responses":  # its deltas count for nothing without its last event
                    assert not other.finish or one.finish or said.ended, (caller, at)
                    assert other.text + other.refusal == one.text + one.refusal, (caller, at)
