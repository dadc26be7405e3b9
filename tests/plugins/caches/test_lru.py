"""Memory: what is kept, for how long, and how much it is."""

from __future__ import annotations

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_plugins.caches.lru import Entry, Lru


def entry(stored: float = 0.0, *chunks: bytes) -> Entry:
    return Entry(
        stored=stored, stream=False, chunks=chunks or (b"x",), content_type=b"", model="m", finish_reason="stop"
    )


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_an_entry_lives_for_its_time_and_not_longer() -> None:
    lru = Lru(10_000, ttl=10.0)
    lru.put(key(1), entry(100.0))
    assert lru.get(key(1), 109.9) is not None
    assert lru.get(key(1), 110.0) is None
    assert (len(lru), lru.bytes) == (0, 0)


def test_the_least_recently_used_makes_room() -> None:
    lru = Lru(3 * entry().size, ttl=10.0)
    for number in (1, 2, 3):
        lru.put(key(number), entry())
    lru.get(key(1), 0.0)
    lru.put(key(4), entry())
    assert [lru.get(key(number), 0.0) is not None for number in (1, 2, 3, 4)] == [True, False, True, True]


def test_an_entry_larger_than_the_cache_is_not_kept_and_its_old_one_is_gone() -> None:
    lru = Lru(2 * entry().size, ttl=10.0)
    lru.put(key(1), entry())
    lru.put(key(2), entry())
    lru.put(key(1), entry(0.0, b"x" * 5000))
    assert [lru.get(key(number), 0.0) is not None for number in (1, 2)] == [False, True]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3000), st.integers(0, 3)), max_size=60))
def test_the_bytes_counted_are_those_of_the_entries_and_within_the_bound(steps: list[tuple[int, int, int]]) -> None:
    lru, kept = Lru(8000, ttl=5.0), dict[bytes, Entry]()
    now = 0.0
    for name, size, pause in steps:
        now += pause
        kept[key(name)] = entry(now, b"x" * size)
        lru.put(key(name), kept[key(name)])
        assert lru.bytes <= 8000
    found = {name: lru.get(name, now) for name in kept}
    assert all(got is None or got is kept[name] for name, got in found.items())
    assert lru.bytes == sum(got.size for got in found.values() if got is not None)
    lru.clear()
    assert (len(lru), lru.bytes) == (0, 0)


def test_the_bytes_counted_are_about_those_of_the_process() -> None:
    lru = Lru(1 << 30, ttl=10.0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2000):
            chunks = tuple(bytes(100) for _ in range(20))
            lru.put(
                key(number),
                Entry(
                    stored=float(number),
                    stream=True,
                    chunks=chunks,
                    content_type=b"text/event-stream" + bytes(number % 3),
                    model=f"model-{number}",
                    finish_reason="stop",
                ),
            )
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.85 < used / lru.bytes < 1.05
