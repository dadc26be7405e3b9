"""A passing stream of chunks: its bytes are the provider's, its facts are known, its end is honest."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.format import StreamWatch
from gateway.protocol import Usage
from gateway_plugins.formats.openai_chat import OpenAIChat

DONE = b"data: [DONE]\n\n"
COUNTED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def event(value: Any, **options: Any) -> bytes:
    return b"data: " + json.dumps(value, **options).encode() + b"\n\n"


def chunk(content: str | None = None, finish: str | None = None, index: int = 0, **fields: Any) -> bytes:
    delta = {} if content is None else {"content": content}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return event({"id": "x", "model": "m", "choices": [choice], **fields}, separators=(",", ":"))


USAGE = event({"id": "x", "model": "m", "choices": [], "usage": COUNTED})
GOOD = [chunk("a"), chunk("b"), chunk(None, "stop"), USAGE, DONE]


def watch(*pieces: bytes, hide_usage: bool = False) -> tuple[bytes, StreamWatch]:
    found = OpenAIChat().stream_watch(hide_usage=hide_usage)
    return b"".join([*map(found.feed, pieces), found.close()]), found


def test_a_good_stream_passes_unchanged_and_its_facts_are_known() -> None:
    out, facts = watch(*GOOD)
    assert out == b"".join(GOOD)
    assert facts.complete
    assert (facts.model, facts.finish_reason, facts.error) == ("m", "stop", None)
    assert facts.usage == Usage(prompt_tokens=3, completion_tokens=2)


def test_usage_that_only_we_asked_for_is_kept_back() -> None:
    out, facts = watch(b"".join(GOOD), hide_usage=True)
    assert out == b"".join([*GOOD[:3], DONE])
    assert facts.usage == Usage(prompt_tokens=3, completion_tokens=2)


def test_usage_beside_a_choice_passes_for_it_was_not_our_doing() -> None:
    stream = [chunk("a"), chunk(None, "stop", usage=COUNTED), DONE]
    out, facts = watch(*stream, hide_usage=True)
    assert out == b"".join(stream)
    assert facts.usage is not None
    _, groq = watch(chunk("a"), chunk(None, "stop", x_groq={"usage": COUNTED}), DONE)
    assert groq.usage == facts.usage


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 1000), max_size=8), ending=st.sampled_from([b"\n", b"\r\n", b"\r"]))
@example(cuts=list(range(600)), ending=b"\r\n")
def test_splitting_changes_nothing(cuts: list[int], ending: bytes) -> None:
    stream = b": hello\n\n" + b"".join(GOOD)
    stream = stream.replace(b"\n", ending)
    hidden = stream.replace(USAGE.replace(b"\n", ending), b"")
    places = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    pieces = [stream[start:end] for start, end in pairwise(places)]
    for hide_usage, expected in ((False, stream), (True, hidden)):
        out, facts = watch(*pieces, hide_usage=hide_usage)
        # A lone CR at the very end is an end of a line only once the stream is over, and is then given as LF.
        assert out.replace(b"\n", b"\r") == expected.replace(b"\n", b"\r")
        assert facts.complete
        assert facts.usage is not None
        assert facts.finish_reason == "stop"


@settings(deadline=None)
@given(at=st.integers(0, 1000))
def test_a_cut_stream_is_never_complete_nor_torn(at: int) -> None:
    stream = b"".join(GOOD)
    at %= stream.index(b'"finish_reason":"stop"')
    out, facts = watch(stream[:at])
    assert not facts.complete
    assert stream.startswith(out)
    assert out == b"" or out.endswith(b"\n\n")


def test_a_missing_end_mark_is_supplied_behind_the_finish_reason_of_every_choice() -> None:
    out, facts = watch(*GOOD[:3])
    assert out == b"".join([*GOOD[:3], DONE])
    assert facts.complete
    two = [chunk("a"), chunk("b", index=1), chunk(None, "stop")]
    out, facts = watch(*two)
    assert out == b"".join(two)
    assert not facts.complete
    out, facts = watch(*two, chunk(None, "length", index=1))
    assert out.endswith(DONE)
    assert facts.complete
    reverse = [chunk("b", index=1), chunk("a"), chunk(None, "stop", index=1)]
    assert not watch(*reverse)[1].complete


def test_a_last_event_without_its_blank_line_is_completed_if_it_is_whole() -> None:
    out, facts = watch(b"".join(GOOD).rstrip())
    assert out == b"".join(GOOD)
    assert facts.complete
    out, facts = watch(chunk("a"), chunk(None, "stop").rstrip())
    assert out == chunk("a") + chunk(None, "stop") + DONE
    assert facts.complete
    out, facts = watch(chunk("a"), chunk(None, "stop").rstrip()[:-1])
    assert out == chunk("a")
    assert not facts.complete
    assert watch(chunk("a"), b"data: [DO")[0] == chunk("a")


def test_an_error_event_passes_and_nothing_behind_it_does() -> None:
    failed = event({"error": {"message": "Broke", "type": "server_error", "param": None, "code": "x"}})
    out, facts = watch(chunk("a"), failed + DONE, DONE)
    assert out == chunk("a") + failed
    assert not facts.complete
    assert facts.error is not None
    assert (facts.error.kind, facts.error.message) == ("server_error", "Broke")


@pytest.mark.parametrize(
    "failed",
    [
        event({"error": "Broke"}),
        event({"object": "error", "message": "Broke", "code": 500}),
        event({"id": "x", "choices": [{"index": 0, "delta": {}, "error": {"code": 502, "message": "Broke"}}]}),
        b"event: error\n" + event({"message": "Broke"}),
    ],
)
def test_an_error_in_another_shape_is_put_into_the_shape_that_openais_client_raises(failed: bytes) -> None:
    out, facts = watch(chunk("a"), failed, DONE)
    written = json.loads(out.removeprefix(chunk("a")).removeprefix(b"data: "))
    assert written["error"]["message"] == "Broke"
    assert written["error"].keys() == {"message", "type", "param", "code"}
    assert facts.error is not None
    assert not facts.complete


def test_an_error_event_with_bytes_that_are_no_text_is_an_error_all_the_same() -> None:
    out, facts = watch(chunk("a"), b'data: {"error":{"message":"Broke"},"x":"\xff"}\n\n', DONE)
    assert facts.error is not None
    assert facts.error.message == "Broke"
    assert DONE not in out
    assert OpenAIChat().read_facts(b'{"error":{"message":"Broke"},"x":"\xff"}').error is not None


def test_the_models_own_words_are_no_facts() -> None:
    words = [
        '"usage"',
        '"error"',
        "[DONE]",
        '"finish_reason":"stop"',
        "usage",
        "error",
        'data: {"error":{}}',
        "event: error",
    ]
    stream = b"".join([chunk("a"), *map(chunk, words)])
    out, facts = watch(stream)
    assert out == stream
    assert (facts.usage, facts.error, facts.finish_reason, facts.complete) == (None, None, None, False)


def test_json_with_spaces_and_nulls_is_understood_as_well() -> None:
    stream = [
        event({"id": "", "model": "", "choices": [], "error": None, "usage": None}),
        event({"id": "x", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": None}], "usage": None}),
        event({"id": "x", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}),
        event({"id": "x", "model": "m", "choices": [], "usage": COUNTED}),
        DONE,
    ]
    out, facts = watch(*stream, hide_usage=True)
    assert out == b"".join([*stream[:3], DONE])
    assert (facts.model, facts.finish_reason, facts.complete) == ("m", "length", True)


def test_closing_twice_gives_nothing_more() -> None:
    found = OpenAIChat().stream_watch(hide_usage=False)
    found.feed(chunk("a") + chunk(None, "stop"))
    assert found.close() == DONE
    assert found.close() == b""
    cut = OpenAIChat().stream_watch(hide_usage=False)
    cut.feed(chunk("a") + b"data: {")
    assert cut.close() == b""
    assert cut.close() == b""
    assert not cut.complete
