"""A Gemini stream that passes unread: what ends it, and what an error event ends."""

from __future__ import annotations

import json

import pytest

from gateway_plugins.formats.gemini import Gemini

GOOD = {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "a"}]}}], "modelVersion": "m"}
LAST = {"candidates": [{"index": 0, "content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"}]}
ERROR = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}


def sse(*values: object) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\r\n\r\n" for value in values)


@pytest.mark.parametrize("together", [True, False])
def test_nothing_passes_behind_an_error_event(together: bool) -> None:
    watch = Gemini().stream_watch(hide_usage=False)
    pieces = [sse(GOOD, ERROR, LAST)] if together else [sse(GOOD), sse(ERROR), sse(LAST)]
    out = b"".join(watch.feed(piece) for piece in pieces) + watch.close()
    assert out == sse(GOOD, ERROR)
    assert watch.error is not None
    assert watch.error.kind == "overloaded"
    assert not watch.complete


def test_a_stream_with_a_reason_is_complete_and_one_without_is_not() -> None:
    for values, complete in (((GOOD, LAST), True), ((GOOD,), False)):
        watch = Gemini().stream_watch(hide_usage=False)
        assert watch.feed(sse(*values)) + watch.close() == sse(*values)
        assert watch.complete is complete
