"""A JSON array as it arrives: its objects, one by one."""

from __future__ import annotations

import re

from gateway.errors import UpstreamProtocolError
from gateway.sse import MAX_EVENT_BYTES

# What can change the depth, or end a text; an escaped character changes nothing.
_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'"|\\')
_QUOTE, _OPEN, _CLOSE, _BACKSLASH = 0x22, b"{[", b"}]", 0x5C


class ArrayReader:
    """Cuts the objects of a top-level array out of bytes; each byte is looked at once.

    ``complete`` turns true with the bracket that ends the array.
    """

    __slots__ = ("_at", "_depth", "_inside", "_pending", "_start", "complete")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._at = 0
        self._depth = 0
        self._start = 0
        self._inside = False
        self.complete = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the objects that are complete by now."""
        found: list[bytes] = []
        buffer = self._pending
        buffer += data
        at = self._at
        while (match := (_INSIDE if self._inside else _OUTSIDE).search(buffer, at)) is not None:
            at = match.end()
            mark = buffer[match.start()]
            if mark == _BACKSLASH:
                if at == len(buffer):
                    at -= 1  # what is escaped is still to come
                    break
                at += 1
            elif mark == _QUOTE:
                self._inside = not self._inside
            elif mark in _OPEN:
                if self._depth == 1:
                    self._start = match.start()
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 1:
                    found.append(bytes(buffer[self._start : at]))
                elif self._depth == 0:
                    self.complete = True
        else:
            at = len(buffer)
        # Only an object that has begun is kept.
        cut = self._start if self._depth > 1 else at
        del buffer[:cut]
        self._at, self._start = at - cut, 0
        if len(buffer) > MAX_EVENT_BYTES:
            raise UpstreamProtocolError(f"The provider sent an event of more than {MAX_EVENT_BYTES} bytes.")
        return found
