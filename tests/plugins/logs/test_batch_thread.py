"""The queue and thread behind the logs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

import pytest

from gateway_plugins.logs.batch_thread import BatchThread


class Sink:
    """Takes batches; ``broken`` makes it refuse them, ``closed`` makes it wait."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.broken = False
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def __call__(self, items: Sequence[int]) -> bool:
        self.entered.set()
        self.open.wait(5)
        if self.broken:
            return False
        self.batches.append(list(items))
        return True

    @property
    def items(self) -> list[int]:
        return [item for batch in self.batches for item in batch]


def wait_until(what: str, condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, f"not within 5 s: {what}"
        time.sleep(0.005)


def test_everything_queued_before_a_stop_is_written_in_order() -> None:
    sink = Sink()
    thread: BatchThread[int] = BatchThread("t", sink, capacity=10_000, batch=64, linger=1.0)
    thread.start()
    for number in range(1000):
        assert thread.put(number)
    thread.stop()
    assert sink.items == list(range(1000))
    assert max(map(len, sink.batches)) <= 64
    assert len(thread) == 0


def test_items_are_written_within_the_linger_and_together() -> None:
    sink = Sink()
    thread: BatchThread[int] = BatchThread("t", sink, capacity=100, linger=0.05)
    thread.start()
    begun = time.monotonic()
    for number in range(5):
        thread.put(number)
    wait_until("written", lambda: len(sink.items) == 5)
    assert 0.04 < time.monotonic() - begun < 4.0
    assert sink.batches == [[0, 1, 2, 3, 4]]
    thread.stop()


def test_a_full_batch_does_not_linger() -> None:
    sink = Sink()
    thread: BatchThread[int] = BatchThread("t", sink, capacity=100, batch=10, linger=30.0)
    thread.start()
    for number in range(20):
        thread.put(number)
        time.sleep(0.002)
    wait_until("written", lambda: len(sink.items) >= 10)
    thread.stop()
    assert sink.items == list(range(20))


def test_a_full_queue_drops_and_counts_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    sink.open.clear()
    thread: BatchThread[int] = BatchThread("full", sink, capacity=3, batch=1, linger=0.0)
    thread.start()
    thread.put(0)
    assert sink.entered.wait(5)
    with caplog.at_level(logging.WARNING):
        taken = [thread.put(number) for number in range(1, 6)]
        assert taken == [True, True, False, False, False]
        assert thread.put(9, force=True)
        sink.open.set()
        thread.stop()
    assert sink.items == [0, 1, 2, 9]
    assert thread.dropped == 3
    assert [r.getMessage() for r in caplog.records if r.name == "gateway.full"] == [
        "3 entries were dropped since the start: the queue of 3 was full"
    ]


def test_a_batch_that_cannot_be_written_is_tried_again_and_nothing_is_lost() -> None:
    sink = Sink()
    sink.broken = True
    thread: BatchThread[int] = BatchThread("t", sink, capacity=100, linger=0.0)
    thread.start()
    thread.put(1)
    assert sink.entered.wait(5)
    thread.put(2)
    sink.broken = False
    wait_until("written", lambda: sink.items == [1, 2])
    thread.stop()
    assert thread.lost == 0


def test_a_stop_gives_up_in_time_and_counts_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    sink.broken = True
    thread: BatchThread[int] = BatchThread("t", sink, capacity=100, linger=0.0)
    thread.start()
    for number in range(7):
        thread.put(number)
    begun = time.monotonic()
    with caplog.at_level(logging.ERROR):
        thread.stop(timeout=0.3)
    assert time.monotonic() - begun < 4.0
    assert thread.lost == 7
    assert "7 entries are lost" in caplog.text


def test_a_defect_in_writing_costs_its_batch_and_not_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    written: list[int] = []

    def write(items: Sequence[int]) -> bool:
        if 1 in items:
            raise ZeroDivisionError
        written.extend(items)
        return True

    thread: BatchThread[int] = BatchThread("t", write, capacity=100, batch=1, linger=0.0)
    thread.start()
    for number in range(3):
        thread.put(number)
    thread.stop()
    assert written == [0, 2]
    assert thread.lost == 1
    assert "ZeroDivisionError" in caplog.text


def test_a_tick_comes_without_items() -> None:
    sink = Sink()
    thread: BatchThread[int] = BatchThread("t", sink, capacity=100, tick=0.01)
    thread.start()
    wait_until("ticks", lambda: len(sink.batches) >= 3)
    thread.stop()
    assert sink.items == []


def test_stops_that_race_with_items_never_hang_nor_lose() -> None:
    for _ in range(30):
        sink = Sink()
        thread: BatchThread[int] = BatchThread("t", sink, capacity=100, batch=3, linger=0.001)
        thread.start()
        for number in range(7):
            thread.put(number)
        thread.stop()
        assert sink.items == list(range(7))


def test_a_thread_that_never_started_stops_at_once() -> None:
    BatchThread("t", Sink(), capacity=1).stop()
