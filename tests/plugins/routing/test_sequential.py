"""The tests that take a canary back: they hold their error rate however often one looks, and find what is worse."""

from __future__ import annotations

import random

import pytest

from gateway_plugins.routing.sequential import RateTest, SignTest


def pairs_until_shown(mine: float, theirs: float, seed: int, most: int, alpha: float = 0.01) -> int | None:
    """After how many pairs a higher rate of failures is shown, looking after each."""
    rng, test = random.Random(seed), RateTest()
    for pair in range(1, most + 1):
        test.observe(rng.random() < mine, rng.random() < theirs)
        if test.shown(alpha):
            return pair
    return None


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.3, 1.0])
def test_a_canary_that_is_no_worse_is_rarely_taken_back_however_often_one_looks(rate: float) -> None:
    wrong = sum(pairs_until_shown(rate, rate, seed, 1500, alpha=0.05) is not None for seed in range(200))
    assert wrong <= 200 * 0.05


def test_a_better_canary_is_not_taken_back() -> None:
    assert all(pairs_until_shown(0.01, 0.05, seed, 1500) is None for seed in range(100))


def test_one_that_always_fails_is_found_within_a_few_pairs() -> None:
    assert pairs_until_shown(1.0, 0.0, 1, 100) == 6


@pytest.mark.parametrize(("mine", "theirs", "within"), [(0.5, 0.01, 40), (0.2, 0.02, 150), (0.06, 0.01, 1000)])
def test_one_that_fails_more_often_is_found(mine: float, theirs: float, within: int) -> None:
    found = [pairs_until_shown(mine, theirs, seed, 3000) for seed in range(50)]
    assert all(pair is not None for pair in found)
    assert sorted(pair or 0 for pair in found)[25] <= within


def test_what_holds_for_more_than_half_of_the_pairs_is_shown_and_what_holds_for_half_is_not() -> None:
    def shown_after(rate: float, seed: int) -> int | None:
        rng, test = random.Random(seed), SignTest()
        for pair in range(1, 2001):
            test.observe(rng.random() < rate)
            if test.shown(0.01):
                return pair
        return None

    assert sum(shown_after(0.5, seed) is not None for seed in range(200)) <= 2
    assert all((shown_after(0.8, seed) or 9999) < 200 for seed in range(50))
    assert shown_after(1.0, 1) == 10
    assert shown_after(0.1, 1) is None
