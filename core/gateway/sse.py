"""Server-sent events without I/O: bytes → events → bytes, by the WHATWG rules.

Byte boundaries, CR / LF / CRLF line ends, a byte order mark and split UTF-8 do not matter: work is done on bytes, and
an event is cut out only when whole. Each byte is looked at a bounded number of times, so a stream costs linear time.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.errors import UpstreamProtocolError

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""The largest event taken from a provider: an image as base64 fits, a runaway line does not."""

_BOM = b"\xef\xbb\xbf"
# Two line ends in a row. A CR counts alone only when the byte behind it is known and is no LF.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?=[^\n]))(?:\r\n|\n|\r(?=[^\n]))")
_LINE_END = re.compile(rb"\r\n|\n|\r")
# The same where all bytes are known: a CR at the very end counts.
_BLOCK_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")


class SSEEvent(NamedTuple):
    """One event. ``data`` is the payload with its lines joined by LF; ``event`` is empty when unnamed."""

    event: str
    data: bytes


class SSESplitter:
    """Cuts a byte stream behind blank lines: ``feed`` returns the prefix that holds only whole events, unchanged."""

    __slots__ = ("_limit", "_pending", "_scanned", "_size")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._pending: list[bytes] = []
        self._size = 0
        self._scanned = b""
        self._limit = limit

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return all that is complete by now: often all of it, sometimes nothing."""
        if not self._pending and data.endswith(b"\n\n"):
            return data
        # Only the new bytes are searched, with the last three before them, where a blank line may have begun.
        seam = self._scanned + data
        cut = self._last_cut(seam)
        if not cut:
            self._pending.append(data)
            self._size += len(data)
            self._scanned = seam[-3:]
            if self._size > self._limit:
                raise UpstreamProtocolError(f"The provider sent an event of more than {self._limit} bytes.")
            return b""
        # Zero where ``data`` only shows that the CR before it was a line end of its own.
        at = cut - len(self._scanned)
        whole = b"".join((*self._pending, data[:at]))
        rest = data[at:]
        self._pending = [rest] if rest else []
        self._size = len(rest)
        self._scanned = rest[-3:]
        return whole

    @staticmethod
    def _last_cut(seam: bytes) -> int:
        if b"\r" not in seam:
            return seam.rfind(b"\n\n") + 2 if b"\n\n" in seam else 0
        cut = 0
        for match in _BLANK_LINE.finditer(seam):
            cut = match.end()
        return cut

    def close(self) -> bytes:
        """The bytes behind the last whole event; a lone CR at the very end may have completed one."""
        rest = b"".join(self._pending)
        self._pending, self._size, self._scanned = [], 0, b""
        return rest


class SSEReader:
    """Decodes a byte stream into events."""

    __slots__ = ("_first", "_splitter")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._splitter = SSESplitter(limit)
        self._first = True

    def feed(self, data: bytes) -> list[SSEEvent]:
        """Take bytes; return the events that are complete by now. Comments and empty events are left out."""
        whole = self._splitter.feed(data)
        return self._decode(whole) if whole else []

    def close(self) -> list[SSEEvent]:
        """The stream ended. A last event without its blank line counts when its last line is whole JSON or [DONE].

        The standard discards such an event; providers that forget the final newline exist, so it is given to the
        reader, which finds out by parsing whether it is whole.
        """
        rest = self._splitter.close()
        return self._decode(rest) if rest.strip() else []

    def _decode(self, whole: bytes) -> list[SSEEvent]:
        if self._first:
            self._first = False
            whole = whole.removeprefix(_BOM)
        return decode_events(whole)


def decode_events(whole: bytes) -> list[SSEEvent]:
    """Decode bytes that hold only whole events."""
    events: list[SSEEvent] = []
    lines = _LINE_END.split(whole) if b"\r" in whole else whole.split(b"\n")
    data: list[bytes] = []
    event = ""
    for line in lines:
        if not line:
            if data:
                events.append(SSEEvent(event, data[0] if len(data) == 1 else b"\n".join(data)))
                data = []
            event = ""
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            event = value.decode("utf-8", "replace")
    if data:
        events.append(SSEEvent(event, data[0] if len(data) == 1 else b"\n".join(data)))
    return events


def split_events(whole: bytes) -> list[bytes]:
    """Cut bytes that hold only whole events behind each blank line: joined again, they are the same bytes."""
    if b"\r" not in whole:
        pieces = whole.split(b"\n\n")
        last = pieces.pop()
        blocks = [piece + b"\n\n" for piece in pieces]
    else:
        blocks, at = [], 0
        for match in _BLOCK_END.finditer(whole):
            blocks.append(whole[at : match.end()])
            at = match.end()
        last = whole[at:]
    if last:
        blocks.append(last)
    return blocks


def encode_event(data: bytes, event: str = "") -> bytes:
    """One event's bytes. ``data`` holds no line end, as JSON from an encoder never does."""
    if event:
        return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
