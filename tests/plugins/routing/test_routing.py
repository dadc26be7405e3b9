"""The order in which targets are tried."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from gateway import PluginConfig, Target
from gateway_plugins.routing.ordered import Ordered
from gateway_plugins.routing.weighted import Weighted, by_weight
from tests.plugins.made_calls import CONTEXT, made_call


def targets(*weights: float) -> tuple[Target, ...]:
    return tuple(
        Target(provider=name, model="m", weight=weight) for name, weight in zip("abcdef", weights, strict=False)
    )


def names(chosen: tuple[Target, ...]) -> str:
    return "".join(target.provider for target in chosen)


def test_ordered_keeps_the_declared_order_and_leaves_other_strategies_alone() -> None:
    plugin = Ordered(PluginConfig(), CONTEXT)
    declared = targets(1, 9, 5)
    assert plugin.route(made_call(targets=declared)) == declared
    assert plugin.route(made_call(targets=declared, strategy="weighted")) is None


def test_weighted_answers_for_its_own_strategy_only() -> None:
    plugin = Weighted(PluginConfig(), CONTEXT)
    declared = targets(1, 9, 5)
    assert plugin.route(made_call(targets=declared)) is None
    chosen = plugin.route(made_call(targets=declared, strategy="weighted"))
    assert chosen is not None
    assert sorted(names(tuple(chosen))) == ["a", "b", "c"]


@pytest.mark.parametrize("weights", [(90, 10), (1, 1, 1, 1), (5, 3, 2), (0.2, 0.7, 0.1, 1e-9)])
def test_the_first_target_is_drawn_in_proportion_to_its_weight(weights: tuple[float, ...]) -> None:
    rng, draws = random.Random(20260101), 20_000
    declared = targets(*weights)
    first = Counter(by_weight(declared, rng)[0].provider for _ in range(draws))
    expected = {target.provider: draws * target.weight / sum(weights) for target in declared}
    square = sum((first[name] - count) ** 2 / count for name, count in expected.items() if count >= 5)
    assert square < 16.27, "the 99.9 % point of chi-square with 3 degrees of freedom"


def test_the_others_follow_the_heaviest_first_and_equals_in_declared_order() -> None:
    declared = targets(1, 5, 3, 5)
    orders = {names(by_weight(declared, random.Random(seed))) for seed in range(200)}
    assert orders == {"abdc", "bdca", "cbda", "dbca"}


def test_a_target_without_weight_only_stands_in() -> None:
    orders = {names(by_weight(targets(0, 4, -1, 2), random.Random(seed))) for seed in range(100)}
    assert orders == {"bdac", "dbac"}


def test_without_any_weight_the_declared_order_stands() -> None:
    assert names(by_weight(targets(0, 0), random.Random(1))) == "ab"
    assert by_weight((), random.Random(1)) == ()


def test_the_same_seed_draws_the_same_targets() -> None:
    plugins = [Weighted(PluginConfig(), CONTEXT) for _ in range(2)]
    for plugin in plugins:
        plugin.rng = random.Random(7)
    declared = targets(1, 2, 3)
    first, second = ([p.route(made_call(targets=declared, strategy="weighted")) for _ in range(20)] for p in plugins)
    assert first == second
