"""Budgets, backoff, latency, hedging, throttling, outliers, key pools and turnstiles, each by itself."""

from __future__ import annotations

from random import Random

import pytest

from gateway.resilience.backoff import FIRST, LONGEST, delay
from gateway.resilience.concurrency import LONGEST_WAIT, Turnstile
from gateway.resilience.extra import Extra, ExtraState
from gateway.resilience.keypool import LIMITED_SECONDS, REFUSED_SECONDS, KeyPool
from gateway.resilience.latency import HALF_LIFE, Latency
from gateway.resilience.outlier import outliers
from gateway.resilience.rules import BudgetRules, EjectionRules, HedgeRules
from gateway.resilience.throttle import MOST, Throttle
from gateway.resilience.window import Window


def test_a_window_forgets_what_is_older_and_takes_a_clock_that_stands_still() -> None:
    window = Window(10.0)
    window.add(100.0, first=3)
    window.add(105.0, second=2)
    window.add(104.0, first=1)
    assert window.totals(105.0) == (4, 2)
    assert window.totals(110.5) == (1, 2)
    assert window.totals(1e9) == (0, 0)


@pytest.mark.parametrize("retry", [0, 1, 5, 5000])
def test_a_pause_is_jittered_and_bounded(retry: int) -> None:
    rng = Random(1)
    pauses = [delay(retry, rng.random) for _ in range(100)]
    whole = min(FIRST * 2.0 ** min(retry, 16), LONGEST)
    assert all(whole / 2 <= pause <= whole for pause in pauses)
    assert len(set(pauses)) > 50


def test_a_pause_is_no_shorter_than_what_was_asked_for() -> None:
    assert 3.0 <= delay(0, Random(1).random, 3.0) <= 3.25
    assert delay(0, Random(1).random, 0.0) <= FIRST


def test_retries_are_a_share_of_requests_plus_a_floor_that_workers_share() -> None:
    def granted(workers: int, requests: int) -> int:
        extra = Extra(ExtraState(), {}, BudgetRules(ratio=0.2, floor=1.0), {}, workers)
        for _ in range(requests):
            extra.counted("m", 100.0)
        return sum(extra.may_retry("m", 100.0) for _ in range(1000))

    assert granted(1, 0) == 10
    assert granted(1, 100) == 30
    assert granted(4, 100) == 22
    assert granted(64, 0) == 1


def test_no_retry_is_granted_with_a_budget_of_nothing() -> None:
    extra = Extra(ExtraState(), {"m": BudgetRules(ratio=0.0, floor=0.0)}, BudgetRules(), {})
    extra.counted("m", 1.0)
    assert not extra.may_retry("m", 1.0)
    assert extra.may_retry("another", 1.0)


def test_quantiles_and_means_follow_what_came_of_late() -> None:
    latency = Latency(0.0)
    assert latency.quantile(0.5) is None
    assert latency.mean() is None
    for n in range(100):
        latency.add(n * 0.01, 0.5 if n % 10 else 5.0, 100)
    median, tail = latency.quantile(0.5), latency.quantile(0.95)
    assert median is not None
    assert tail is not None
    assert 0.5 <= median <= 0.5 * 1.16
    assert 5.0 <= tail <= 5.0 * 1.16
    for n in range(100):
        latency.add(20 * HALF_LIFE + n * 0.01, 1.0, 100)
    assert latency.mean() == pytest.approx(1.0, rel=0.01)
    assert latency.quantile(0.01) == pytest.approx(1.0, rel=0.16)


def test_prompts_of_different_sizes_are_told_apart() -> None:
    latency = Latency(0.0)
    latency.add(1.0, 0.2, 100)
    latency.add(1.0, 4.0, 100_000)
    assert latency.mean(50) == pytest.approx(0.2)
    assert latency.mean(70_000) == pytest.approx(4.0)
    assert latency.mean(5_000) == pytest.approx(2.1)  # none of this size: all of them


def test_years_of_samples_keep_their_numbers_finite() -> None:
    latency = Latency(0.0)
    for day in range(2000):
        latency.add(day * 86_400.0, 0.3, 10)
    assert latency.mean() == pytest.approx(0.3)
    assert latency.samples == 2000


def hedging(**rules: float) -> tuple[Extra, Latency]:
    extra = Extra(ExtraState(), {}, BudgetRules(), {"m": HedgeRules(**rules)})  # type: ignore[arg-type]
    latency = Latency(0.0)
    for _ in range(40):
        latency.add(1.0, 0.4, 10)
        extra.counted("m", 1.0)
    return extra, latency


def test_a_hedge_waits_for_the_percentile_and_ends_with_its_budget() -> None:
    extra, latency = hedging()
    assert extra.hedge_after("m", latency, 1.0) == pytest.approx(0.43, abs=0.04)
    extra.hedged("m", 1.0)
    extra.hedged("m", 1.0)
    assert extra.hedge_after("m", latency, 1.0) is None  # 2 of 40 are 5 %


def test_a_hedge_needs_samples_unless_a_time_is_fixed() -> None:
    extra, _ = hedging()
    assert extra.hedge_after("m", Latency(0.0), 1.0) is None
    assert extra.hedge_after("another", Latency(0.0), 1.0) is None
    fixed, _ = hedging(after=2.0)
    assert fixed.hedge_after("m", None, 1.0) == 2.0


def test_throttling_follows_the_share_that_is_refused_and_leaves_some_through() -> None:
    throttle = Throttle()
    for _ in range(500):
        throttle.sent(1.0)
    assert throttle.share(1.0) == 0.0  # too few to judge
    for _ in range(500):
        throttle.sent(1.0)
    assert throttle.share(1.0) == MOST
    for _ in range(400):
        throttle.taken(1.0)
    assert throttle.share(1.0) == pytest.approx(200 / 1001)
    assert throttle.share(500.0) == 0.0


def test_the_worst_of_a_group_is_left_out_and_never_the_last() -> None:
    rules = EjectionRules(samples=50, margin=0.2, share=0.5)
    shares = {"a": (0.9, 100), "b": (0.05, 100), "c": (0.6, 100), "d": (0.0, 100)}
    assert outliers(shares, (), rules) == ["a", "c"]
    assert outliers(shares, ("b",), rules) == ["a"]
    assert outliers({"a": (0.9, 100), "b": (0.0, 100)}, ("b",), EjectionRules(share=1.0)) == []
    assert outliers({"a": (0.9, 100), "b": (0.8, 100)}, (), rules) == []  # both are bad: no reason to prefer one
    assert outliers({"a": (0.9, 49), "b": (0.0, 100)}, (), rules) == []
    assert outliers({"a": (0.9, 100)}, (), rules) == []


def test_keys_are_used_in_turn_and_a_refused_one_is_left_alone() -> None:
    pool = KeyPool(3)
    assert [pool.pick(0.0) for _ in range(4)] == [0, 1, 2, 0]
    assert pool.refused(1, 0.0, 429, None)
    assert [pool.pick(0.0) for _ in range(4)] == [2, 0, 2, 0]
    assert 1 in {pool.pick(LIMITED_SECONDS) for _ in range(3)}


def test_without_any_fit_key_the_one_that_is_fit_the_soonest_is_used() -> None:
    pool = KeyPool(2)
    assert pool.refused(0, 0.0, 401, None)
    assert not pool.refused(1, 0.0, 429, 30.0)
    assert pool.pick(1.0) == 1
    assert pool.pick(31.0) == 1
    assert {pool.pick(REFUSED_SECONDS) for _ in range(2)} == {0, 1}


@pytest.mark.parametrize("status", [400, 404, 500, 503, 529])
def test_an_error_that_is_not_of_the_key_changes_nothing(status: int) -> None:
    pool = KeyPool(2)
    assert not pool.refused(0, 0.0, status, 5.0)
    assert pool.cooling == [0.0, 0.0]


def test_a_turnstile_lets_so_many_through_and_the_others_in_order() -> None:
    gate = Turnstile(2, 2)
    assert [gate.enter(n, 0.0, None) for n in range(5)] == ["go", "go", "wait", "wait", "full"]
    assert gate.leave(1.0, 1.0) == [2]
    assert gate.leave(1.0, 1.0) == [3]
    assert gate.leave(2.0, 1.0) == []
    assert gate.in_flight == 1


def test_who_could_not_be_in_time_is_refused_at_once_and_who_waited_too_long_is_passed_over() -> None:
    gate = Turnstile(1, 10)
    assert gate.enter(0, 0.0, None) == "go"
    assert gate.leave(4.0, 4.0) == []
    assert gate.enter(1, 4.0, None) == "go"
    assert gate.enter(2, 4.0, 7.0) == "late"  # one place, held for 4 s each
    assert gate.enter(3, 4.0, 9.0) == "wait"
    assert gate.enter(4, 4.0, None) == "wait"
    assert gate.leave(10.0, 4.0) == [4]
    assert gate.leave(10.0 + LONGEST_WAIT, 1.0) == []
    assert gate.in_flight == 0


def test_who_gives_up_is_not_admitted_and_a_wider_gate_lets_more_through() -> None:
    gate = Turnstile(1, 10)
    assert [gate.enter(n, 0.0, None) for n in range(4)] == ["go", "wait", "wait", "wait"]
    assert gate.give_up(1)
    assert not gate.give_up(1)
    assert gate.resize(2, 10, 0.0) == [2]
    assert gate.resize(0, 0, 0.0) == [3]
