"""AWS's binary event stream: whole messages at any byte boundary, and damage told at once."""

from __future__ import annotations

import struct
import uuid
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocolError
from gateway_plugins.formats.aws_event_stream import (
    EventMessage,
    EventStreamDecoder,
    encode_event,
    encode_exception,
    encode_message,
)

texts = st.text(max_size=30).filter(lambda text: len(text.encode()) < 100)


def framed(headers: bytes, payload: bytes = b"") -> bytes:
    """A message with these raw headers and right checksums."""
    start = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = start + struct.pack(">I", crc32(start)) + headers + payload
    return body + struct.pack(">I", crc32(body))


@given(
    st.lists(st.tuples(st.dictionaries(texts, texts, max_size=4), st.binary(max_size=200)), max_size=5),
    st.lists(st.integers(1, 60), min_size=1, max_size=20),
)
def test_messages_come_out_as_they_went_in(messages: list[tuple[dict[str, str], bytes]], sizes: list[int]) -> None:
    stream = b"".join(encode_message(*message) for message in messages)
    decoder = EventStreamDecoder()
    out: list[EventMessage] = []
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        out += decoder.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert out == messages
    assert not decoder.pending


def test_botocore_reads_what_is_written() -> None:
    eventstream = pytest.importorskip("botocore.eventstream")
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(encode_event("chunk", b"{}") + encode_exception("throttlingException", b"[]"))
    event, exception = list(buffer)
    assert event.headers[":event-type"] == "chunk"
    assert (event.payload, exception.payload) == (b"{}", b"[]")
    assert exception.headers[":message-type"] == "exception"


def test_every_type_of_header_is_read() -> None:
    def header(name: str, kind: int, raw: bytes) -> bytes:
        return bytes((len(name),)) + name.encode() + bytes((kind,)) + raw

    identity = uuid.UUID(int=7).bytes
    headers = b"".join(
        (
            header("yes", 0, b""),
            header("no", 1, b""),
            header("byte", 2, b"\xff"),
            header("short", 3, b"\x01\x00"),
            header("int", 4, b"\x00\x00\x00\x05"),
            header("long", 5, b"\x00" * 7 + b"\x06"),
            header("raw", 6, b"\x00\x02ab"),
            header("text", 7, b"\x00\x02cd"),
            header("time", 8, b"\x00" * 7 + b"\x09"),
            header("id", 9, identity),
        )
    )
    (message,) = EventStreamDecoder().feed(framed(headers, b"p"))
    assert message.headers == {
        "yes": True,
        "no": False,
        "byte": -1,
        "short": 256,
        "int": 5,
        "long": 6,
        "raw": b"ab",
        "text": "cd",
        "time": 9,
        "id": identity,
    }
    assert message.payload == b"p"
    assert (message.header("text"), message.header("int"), message.header("none")) == ("cd", "", "")


@pytest.mark.parametrize(
    "headers",
    [
        b"\x05ab",
        b"\x01a",
        b"\x01a\x0b",
        b"\x01a\x07\x00\x05ab",
        b"\x01\xff\x00",
        b"\x01a\x07\x00\x01\xff",
        b"\x01a\x05",
    ],
)
def test_a_header_that_is_none_is_damage(headers: bytes) -> None:
    with pytest.raises(UpstreamProtocolError, match="header"):
        EventStreamDecoder().feed(framed(headers))


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_flipped_byte_is_never_taken_for_a_message(at: int, flip: int) -> None:
    stream = bytearray(encode_event("chunk", b"x" * 150))
    if at >= len(stream):
        return
    stream[at] ^= flip
    decoder = EventStreamDecoder()
    with pytest.raises(UpstreamProtocolError, match="damaged"):
        decoder.feed(bytes(stream))


def test_a_message_beyond_the_limit_is_refused_by_its_prelude() -> None:
    whole = encode_event("chunk", b"x" * 2000)
    decoder = EventStreamDecoder(limit=1000)
    with pytest.raises(UpstreamProtocolError, match="more than 1000 bytes"):
        decoder.feed(whole[:12])


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (100, 85), (16 + 200_000, 200_000)])
def test_lengths_that_do_not_add_up_are_damage(total: int, headers: int) -> None:
    start = struct.pack(">II", total, headers)
    with pytest.raises(UpstreamProtocolError, match="add up"):
        EventStreamDecoder().feed(start + struct.pack(">I", crc32(start)))


def test_what_has_begun_is_pending() -> None:
    decoder = EventStreamDecoder()
    whole = encode_event("chunk", b"x")
    assert not decoder.pending
    assert decoder.feed(whole + whole[:-1]) == [EventMessage(decoder_headers(whole), b"x")]
    assert decoder.pending


def decoder_headers(whole: bytes) -> dict[str, str]:
    (message,) = EventStreamDecoder().feed(whole)
    return message.headers
