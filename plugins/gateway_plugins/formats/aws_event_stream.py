"""AWS's binary event stream without I/O: bytes → messages, and back for tests and scripted servers.

A message is a prelude (total length, length of the headers, and the CRC of these two), the headers, the payload, and
the CRC of all before it; numbers are big-endian, the CRCs those of zlib. Byte boundaries do not matter; what does not
add up is refused at once, and nothing is held beyond the largest message that is allowed.
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html describes the layout.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

from gateway.errors import UpstreamProtocolError
from gateway.sse import MAX_EVENT_BYTES

MAX_HEADER_BYTES = 128 * 1024
"""The most that AWS allows the headers of one message to take."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LEAST = _PRELUDE.size + _CRC.size
_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9
# Header type → the size of its value, where that is fixed.
_NUMBERS = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8}


class EventMessage(NamedTuple):
    """One message; ``headers`` keep their text and drop their types."""

    headers: dict[str, Any]
    payload: bytes

    def header(self, name: str) -> str:
        """A header that is text; empty where it is absent or something else."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class EventStreamDecoder:
    """Cuts a byte stream into messages; raises UpstreamProtocolError for bytes that are none."""

    __slots__ = ("_buffer", "_limit", "_total")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._total = 0

    @property
    def pending(self) -> bool:
        """Whether a message has begun and is not whole yet."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[EventMessage]:
        """Take bytes; return the messages that are whole by now."""
        buffer = self._buffer
        buffer += data
        out: list[EventMessage] = []
        at = 0
        while True:
            left = len(buffer) - at
            if not self._total:
                if left < _PRELUDE.size:
                    break
                self._total = self._prelude(at)
            if left < self._total:
                break
            out.append(self._message(bytes(buffer[at : at + self._total])))
            at += self._total
            self._total = 0
        if at:
            del buffer[:at]
        return out

    def _prelude(self, at: int) -> int:
        """The length of the message at ``at``, once its prelude is known to be whole and sane."""
        total, headers, crc = _PRELUDE.unpack_from(self._buffer, at)
        if crc32(self._buffer[at : at + 8]) != crc:
            raise UpstreamProtocolError("The provider's event stream is damaged: the checksum of a prelude is wrong.")
        if total > self._limit:
            raise UpstreamProtocolError(f"The provider sent an event of more than {self._limit} bytes.")
        if headers > MAX_HEADER_BYTES or headers + _LEAST > total:
            raise UpstreamProtocolError("The provider's event stream is damaged: lengths do not add up.")
        return int(total)

    @staticmethod
    def _message(whole: bytes) -> EventMessage:
        if crc32(whole[:-4]) != _CRC.unpack_from(whole, len(whole) - 4)[0]:
            raise UpstreamProtocolError("The provider's event stream is damaged: the checksum of a message is wrong.")
        end = _PRELUDE.size + _PRELUDE.unpack_from(whole)[1]
        return EventMessage(dict(_headers(whole[_PRELUDE.size : end])), whole[end:-4])


def _headers(data: bytes) -> Iterator[tuple[str, Any]]:
    at = 0
    try:
        while at < len(data):
            size = data[at]
            name = _exactly(data, at + 1, size).decode()
            kind = data[at + 1 + size]
            at += size + 2
            if kind in (_TRUE, _FALSE):
                yield name, kind == _TRUE
                continue
            if kind in (_BYTES, _STRING):
                length = int.from_bytes(_exactly(data, at, 2), "big")
                at += 2
            else:
                length = 16 if kind == _UUID else _NUMBERS[kind]
            raw = _exactly(data, at, length)
            at += length
            if kind == _STRING:
                yield name, raw.decode()
            else:
                yield name, int.from_bytes(raw, "big", signed=True) if kind in _NUMBERS else raw
    except (LookupError, UnicodeDecodeError):
        raise UpstreamProtocolError("The provider's event stream is damaged: a header is unreadable.") from None


def _exactly(data: bytes, at: int, size: int) -> bytes:
    raw = data[at : at + size]
    if len(raw) != size:
        raise IndexError(at)
    return raw


def encode_message(headers: dict[str, str], payload: bytes) -> bytes:
    """One message's bytes, with text headers."""
    packed = bytearray()
    for name, value in headers.items():
        key, text = name.encode(), value.encode()
        packed += bytes((len(key),)) + key + bytes((_STRING,)) + len(text).to_bytes(2, "big") + text
    start = struct.pack(">II", _LEAST + len(packed) + len(payload), len(packed))
    body = start + _CRC.pack(crc32(start)) + packed + payload
    return body + _CRC.pack(crc32(body))


def encode_event(kind: str, payload: bytes) -> bytes:
    """An event's message, as Bedrock sends it."""
    return encode_message({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


def encode_exception(kind: str, payload: bytes) -> bytes:
    """An exception's message, as Bedrock sends it in place of further events."""
    return encode_message(
        {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}, payload
    )
