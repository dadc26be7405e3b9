"""Answers in memory, least recently used out first, without clock or I/O."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

ENTRY_BYTES = 640
"""What an entry costs beside its chunks: key, Struct, table slot, headers (measured with sys.getsizeof, rounded up)."""
CHUNK_BYTES = 48
"""What a bytes object costs beside its bytes, and its place in the tuple."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A complete answer as it went out. ``chunks`` is one body, or a stream's chunks. ``stored`` is in seconds."""

    stored: float
    stream: bool
    chunks: tuple[bytes, ...]
    content_type: bytes
    model: str | None
    finish_reason: str | None

    @property
    def size(self) -> int:
        """Bytes of memory that the entry holds."""
        return ENTRY_BYTES + sum(map(len, self.chunks)) + CHUNK_BYTES * len(self.chunks)


class Lru:
    """At most ``max_bytes`` of entries, each for ``ttl`` seconds. ``now`` is in seconds of any steady clock."""

    def __init__(self, max_bytes: int, ttl: float) -> None:
        self.max_bytes = max_bytes
        self.ttl = ttl
        self.bytes = 0
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes, now: float) -> Entry | None:
        """A living entry, which becomes the most recently used; one that is too old is dropped."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now - entry.stored >= self.ttl:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: Entry) -> None:
        """Keep an entry in place of the key's old one, and drop the least recently used until all fit."""
        if key in self._entries:
            self._drop(key)
        if entry.size > self.max_bytes:
            return
        self._entries[key] = entry
        self.bytes += entry.size
        while self.bytes > self.max_bytes:
            self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.bytes = 0

    def _drop(self, key: bytes) -> None:
        self.bytes -= self._entries.pop(key).size
