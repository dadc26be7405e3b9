"""The rate algorithm: never a unit too many, hardly one too few, and exact books for what is reserved."""

from __future__ import annotations

import ast
import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_plugins.limits import buckets, gcra
from gateway_plugins.limits.gcra import FULL, MINUTE, Bucket, Limit, admit, is_full, reserve, settle

SECOND = MINUTE // 60

limits = st.builds(Limit, st.integers(1, 5_000), st.integers(1, 500))
arrivals = st.lists(st.tuples(st.integers(0, MINUTE), st.integers(1, 20)), max_size=60)


def assert_within(limit: Limit, spent: list[tuple[int, int]]) -> None:
    """In every window of (time, units), at most ``burst + rate · t`` units."""
    for first in range(len(spent)):
        units = 0
        for when, cost in spent[first:]:
            units += cost
            allowed = limit.burst * MINUTE + limit.per_minute * (when - spent[first][0])
            assert units * MINUTE <= allowed, f"{units} units within {when - spent[first][0]} ns"


@settings(deadline=None)
@given(limits, arrivals)
def test_what_is_admitted_never_exceeds_burst_and_rate_in_any_window(
    limit: Limit, offered: list[tuple[int, int]]
) -> None:
    now, bucket, admitted = 0, FULL, []
    for gap, cost in offered:
        now += gap
        decision, bucket = admit(limit, bucket, now, cost)
        if decision.allowed:
            admitted.append((now, cost))
    assert_within(limit, admitted)


@settings(deadline=None)
@given(limits, st.lists(st.tuples(st.integers(0, MINUTE), st.integers(0, 20), st.integers(0, 20)), max_size=50))
def test_reservations_and_their_settling_keep_to_the_rate_too(limit: Limit, steps: list[tuple[int, int, int]]) -> None:
    now, bucket = 0, FULL
    in_flight: list[tuple[int, int]] = []
    admitted: dict[int, int] = {}
    settled: list[tuple[int, int]] = []
    for number, (gap, cost, which) in enumerate(steps):
        now += gap
        if which % 2 and in_flight:
            begun, reserved = in_flight.pop(which % len(in_flight))
            actual = min(reserved, cost)
            bucket = settle(limit, bucket, now, reserved, actual)
            settled.append((now, actual))
            admitted[begun] = actual
        else:
            decision, bucket = reserve(limit, bucket, now, cost)
            if decision.allowed:
                in_flight.append((now * 64 + number, cost))
                admitted[now * 64 + number] = cost
    assert_within(limit, settled)
    assert_within(limit, [(begun // 64, units) for begun, units in sorted(admitted.items())])


@settings(deadline=None)
@given(limits, arrivals, st.integers(0, 10 * MINUTE), st.integers(1, 20))
def test_a_refused_cost_passes_after_the_wait_and_not_a_nanosecond_earlier(
    limit: Limit, before: list[tuple[int, int]], pause: int, cost: int
) -> None:
    now, bucket = 0, FULL
    for gap, earlier in before:
        now += gap
        bucket = admit(limit, bucket, now, earlier)[1]
    now += pause
    decision, after = admit(limit, bucket, now, cost)
    if decision.allowed:
        return
    assert after == bucket
    if decision.wait is None:
        assert cost > limit.burst
        return
    assert admit(limit, bucket, now + decision.wait, cost)[0].allowed
    assert not admit(limit, bucket, now + decision.wait - 1, cost)[0].allowed


@settings(deadline=None)
@given(limits, arrivals)
def test_what_remains_is_exactly_what_may_still_come_at_once(limit: Limit, before: list[tuple[int, int]]) -> None:
    now, bucket = 0, FULL
    for gap, cost in before:
        now += gap
        decision, bucket = admit(limit, bucket, now, cost)
        if decision.remaining:
            assert admit(limit, bucket, now, decision.remaining)[0].allowed
        assert not admit(limit, bucket, now, decision.remaining + 1)[0].allowed


@pytest.mark.parametrize("rate", [1, 7, 60, 61, 999, 6_007])
def test_under_steady_pressure_nearly_the_whole_rate_is_admitted(rate: int) -> None:
    limit = Limit(rate, rate)
    bucket, admitted, step = FULL, 0, MINUTE // rate // 3
    for now in range(0, 10 * MINUTE, step):
        decision, bucket = admit(limit, bucket, now)
        admitted += decision.allowed
    assert admitted <= 11 * rate
    assert admitted >= 11 * rate * 0.99 - 1


@pytest.mark.parametrize("rate", [7, 59, 61, 997, 3_001])
def test_callers_who_wait_exactly_as_told_keep_to_the_rate(rate: int) -> None:
    limit, bucket, now, admitted = Limit(rate, 2), FULL, 0, list[tuple[int, int]]()
    for _ in range(200):
        decision, bucket = admit(limit, bucket, now)
        if decision.allowed:
            admitted.append((now, 1))
        else:
            assert decision.wait is not None
            now += decision.wait
    assert_within(limit, admitted)
    assert len(admitted) == 101


def test_a_whole_burst_may_come_at_once_whatever_the_rate() -> None:
    for rate in (1, 7, 59, 60, 61, 1_000_003):
        limit = Limit(rate, 5)
        assert admit(limit, FULL, 0, 5)[0].allowed
        assert not admit(limit, admit(limit, FULL, 0, 5)[1], 0)[0].allowed


def test_a_full_bucket_equals_none_and_tells_when_it_will_be_full() -> None:
    limit = Limit(60, 10)
    decision, bucket = admit(limit, FULL, 100 * SECOND, 3)
    assert (decision.remaining, decision.reset) == (7, 3 * SECOND)
    assert not is_full(bucket, 103 * SECOND - 1)
    assert is_full(bucket, 103 * SECOND)
    assert admit(limit, bucket, 103 * SECOND)[0] == admit(limit, FULL, 103 * SECOND)[0]


def test_a_cost_above_the_burst_never_passes() -> None:
    decision, bucket = admit(Limit(60, 10), FULL, 0, 11)
    assert not decision.allowed
    assert decision.wait is None
    assert bucket == FULL


def test_what_was_reserved_and_not_used_is_back_at_once() -> None:
    limit = Limit(60, 100)
    decision, held = reserve(limit, FULL, 0, 80)
    assert decision.remaining == 20
    assert not is_full(held, 10 * MINUTE)
    assert admit(limit, settle(limit, held, SECOND, 80, 5), SECOND, 0)[0].remaining == 95


def test_what_was_used_beyond_the_reservation_is_owed() -> None:
    limit = Limit(60, 100)
    bucket = settle(limit, reserve(limit, FULL, 0, 80)[1], 0, 80, 150)
    decision = admit(limit, bucket, 0, 1)[0]
    assert not decision.allowed
    assert decision.wait == 51 * SECOND


def test_what_is_held_does_not_refill_so_that_a_late_refund_adds_nothing() -> None:
    limit = Limit(60, 100)
    bucket = reserve(limit, FULL, 0, 100)[1]
    assert not reserve(limit, bucket, 10 * MINUTE, 1)[0].allowed
    bucket = settle(limit, bucket, 10 * MINUTE, 100, 100)
    assert admit(limit, bucket, 10 * MINUTE, 0)[0].remaining == 0


def test_a_settlement_without_its_reservation_cannot_make_room() -> None:
    assert settle(Limit(60, 10), Bucket(), 0, 10, 0) == Bucket()


@pytest.mark.parametrize("module", [gcra, buckets])
def test_the_logic_has_neither_clock_nor_chance_nor_io(module: object) -> None:
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    imported |= {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert imported.isdisjoint({"time", "datetime", "random", "asyncio", "threading", "os"})
