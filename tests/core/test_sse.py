"""Server-sent events: any splitting of the bytes gives the same events, in linear time."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocolError
from gateway.sse import SSEEvent, SSEReader, SSESplitter, decode_events, encode_event, split_events

FRAGMENTS = st.lists(
    st.sampled_from(
        (
            b"data: a",
            b"data:b",
            b"data",
            b"event: error",
            b": ping",
            b"id: 7",
            b"retry: 1",
            b" data: x",
            b"data: \xe2",
            b'data: {"t":"\xe2\x82\xac"}',
            b":",
            b"\xef\xbb\xbf",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"\r\n\r\n",
            b"\r\r",
        )
    ),
    max_size=24,
).map(b"".join)


def by_the_standard(stream: bytes) -> list[SSEEvent]:
    """What the WHATWG algorithm gives for the whole stream, but for a last event without its blank line."""
    events: list[SSEEvent] = []
    data: list[bytes] = []
    name = b""
    lines = re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf"))
    for line in lines[:-1]:
        if not line:
            if data:
                events.append(SSEEvent(name.decode("utf-8", "replace"), b"\n".join(data)))
            data, name = [], b""
        elif not line.startswith(b":"):
            field, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = value
    return events


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in pairwise(places)]


@settings(deadline=None)
@given(stream=FRAGMENTS, cuts=st.lists(st.integers(0, 400), max_size=8))
@example(stream=b"data: a\r\rdata: b\n\n", cuts=[8, 9, 10])
@example(stream=b"data: a\r\n\r\ndata: b\r\n\r\n", cuts=[8, 9, 10, 11])
@example(stream=b"\xef\xbb\xbfdata: a\n\n", cuts=[1, 2])
def test_events_do_not_depend_on_how_the_bytes_are_split(stream: bytes, cuts: list[int]) -> None:
    whole = b"data: first\n\n" + stream + b"\n\n"
    reader = SSEReader()
    events = [event for piece in pieces(whole, cuts) for event in reader.feed(piece)]
    assert events + reader.close() == by_the_standard(whole)


@settings(deadline=None)
@given(stream=FRAGMENTS, cuts=st.lists(st.integers(0, 400), max_size=8))
@example(stream=b"data: a\r\r", cuts=[8])
def test_the_splitter_loses_and_adds_no_byte_and_returns_whole_events_only(stream: bytes, cuts: list[int]) -> None:
    splitter = SSESplitter()
    whole: list[bytes] = []
    for piece in pieces(stream, cuts):
        block = splitter.feed(piece)
        if block:
            assert re.search(rb"(\r\n|\n|\r)(\r\n|\n|\r)\Z", block)
            whole.append(block)
    rest = splitter.close()
    assert b"".join(whole) + rest == stream
    assert splitter.close() == b""
    assert not re.search(rb"\n\n|\r\n\r\n|\r\r.", rest, re.DOTALL)


@settings(deadline=None)
@given(stream=FRAGMENTS)
def test_every_byte_on_its_own_gives_what_the_whole_gives(stream: bytes) -> None:
    one, all_at_once = SSEReader(), SSEReader()
    singly = [event for at in range(len(stream)) for event in one.feed(stream[at : at + 1])] + one.close()
    assert singly == all_at_once.feed(stream) + all_at_once.close()


@settings(deadline=None)
@given(stream=FRAGMENTS)
def test_blocks_hold_one_event_each_and_join_to_the_same_bytes(stream: bytes) -> None:
    splitter = SSESplitter()
    whole = splitter.feed(stream)
    blocks = split_events(whole)
    assert b"".join(blocks) == whole
    assert all(len(decode_events(block)) <= 1 for block in blocks)
    assert [event for block in blocks for event in decode_events(block)] == decode_events(whole)


def test_an_event_ended_by_two_carriage_returns_is_given_with_the_next_byte() -> None:
    splitter = SSESplitter()
    assert splitter.feed(b"data: a\r\r") == b""
    assert splitter.feed(b"d") == b"data: a\r\r"
    assert splitter.close() == b"d"


def test_a_last_event_without_its_blank_line_is_given_at_close() -> None:
    reader = SSEReader()
    assert reader.feed(b"data: a\n\ndata: [DONE]") == [SSEEvent("", b"a")]
    assert reader.close() == [SSEEvent("", b"[DONE]")]


def test_comments_and_unknown_fields_make_no_event() -> None:
    assert decode_events(b": keep-alive\n\nid: 3\nretry: 10\n\n") == []
    assert decode_events(b"event: ping\n\ndata: a\n\n") == [SSEEvent("", b"a")]


def test_an_encoded_event_reads_back() -> None:
    assert decode_events(encode_event(b'{"a":1}', "error") + encode_event(b"[DONE]")) == [
        SSEEvent("error", b'{"a":1}'),
        SSEEvent("", b"[DONE]"),
    ]


def test_an_event_without_end_is_refused_at_the_limit() -> None:
    splitter = SSESplitter(limit=1000)
    for _ in range(1000):
        splitter.feed(b"x")
    with pytest.raises(UpstreamProtocolError, match="1000 bytes"):
        splitter.feed(b"x")


def test_a_large_event_in_small_pieces_costs_linear_time() -> None:
    def seconds(size: int) -> float:
        splitter = SSESplitter(limit=1 << 30)
        piece = b"x" * 64
        began = time.thread_time()  # what others do on the machine is not counted
        for _ in range(size // 64):
            splitter.feed(piece)
        splitter.feed(b"\n\n")
        return time.thread_time() - began

    small = min(seconds(200_000) for _ in range(3))
    large = min(seconds(1_600_000) for _ in range(3))
    # Eight times the bytes: 8 if linear, 64 if quadratic.
    assert large / small < 24
