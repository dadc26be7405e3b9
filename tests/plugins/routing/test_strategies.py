"""The orders of the strategies, from the health of targets and the request."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import Call, Target
from gateway.choosing import choose
from gateway.config import parse_config
from gateway.decision import Decision
from gateway.loading import load_format
from gateway.registry import build
from gateway.state import Gateway

PROVIDERS = '[plugins.a]\nuse = "vllm"\n[plugins.b]\nuse = "vllm"\n[plugins.c]\nuse = "vllm"\n'
MODEL = PROVIDERS + '[models.fast]\ntargets = ["a/m", "b/m", "c/m"]\nstrategy = "{}"\n{}\n'


def gateway_of(toml: str) -> Gateway:
    return build(parse_config(toml, path=None, folder=Path()))


def strategy(name: str, options: str = "") -> Gateway:
    """A gateway whose model ``fast`` has three targets and this strategy."""
    return gateway_of(MODEL.format(name, options))


def asked(gateway: Gateway, model: str = "fast", headers: dict[bytes, bytes] | None = None, **body: Any) -> Call:
    """A call that has been routed."""
    call = Call(
        gateway=gateway,
        dialect=gateway.dialects[0],
        format=load_format("openai_chat"),
        id="req_1",
        headers=headers or {},
    )
    call.body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "hi"}], **body})
    call.model, call.model_config = model, gateway.resolve(model, None)
    call.targets = call.model_config.targets
    choose(call)
    return call


def names(call: Call) -> str:
    return "".join(target.provider for target in call.targets)


def decided(call: Call) -> Decision:
    assert call.decision is not None
    return call.decision


def seeded(gateway: Gateway, name: str, seed: int = 7) -> None:
    """Give a plugin a generator with a known seed."""
    (plugin,) = [record.plugin for record in gateway.records if record.name == name]
    plugin.rng = random.Random(seed)  # type: ignore[attr-defined]


def answered(gateway: Gateway, target: str, seconds: float, times: int = 5, outcome: str = "ok", **more: Any) -> None:
    """Let a target answer some calls."""
    for _ in range(times):
        gateway.health.began(target)
        gateway.health.first_token(target, seconds, 10)
        gateway.health.ended(target, outcome, **more)


def busy(gateway: Gateway, target: str, calls: int) -> None:
    for _ in range(calls):
        gateway.health.began(target)


def test_least_latency_prefers_the_faster_of_two_and_still_sees_the_others() -> None:
    gateway = strategy("least_latency", "explore = 0.1")
    seeded(gateway, "least_latency")
    for target, seconds in (("a/m", 2.0), ("b/m", 0.2), ("c/m", 0.5)):
        answered(gateway, target, seconds)
    firsts = Counter(names(asked(gateway))[0] for _ in range(300))
    assert firsts["b"] > firsts["c"] > firsts["a"] > 0
    assert firsts["b"] > 150
    entry = decided(asked(gateway)).candidate("b/m")
    assert entry.score == pytest.approx(200, rel=0.2)
    assert entry.detail == "ms to a first token, times the calls there"


def test_least_latency_counts_the_calls_that_wait_and_tries_who_was_never_seen() -> None:
    gateway = gateway_of(MODEL.format("least_latency", "explore = 0").replace(', "c/m"', ""))
    answered(gateway, "a/m", 0.2)
    assert names(asked(gateway)) == "ba"
    busy(gateway, "b/m", 2)
    assert names(asked(gateway)) == "ab"
    for _ in range(2):
        gateway.health.ended("b/m", "ok")
    answered(gateway, "b/m", 0.4)
    assert names(asked(gateway)) == "ab"
    busy(gateway, "a/m", 3)
    assert names(asked(gateway)) == "ba"


def test_least_busy_asks_who_has_fewest_calls_for_its_weight() -> None:
    targets = '[{ provider = "a", model = "m", weight = 4 }, "b/m", { provider = "c", model = "m", weight = 0 }]'
    gateway = gateway_of(PROVIDERS + f'[models.fast]\nstrategy = "least_busy"\ntargets = {targets}\n')
    assert names(asked(gateway)) == "abc"
    busy(gateway, "a/m", 2)
    assert names(asked(gateway)) == "abc"
    busy(gateway, "a/m", 3)
    assert names(asked(gateway)) == "bac"


def test_least_busy_draws_among_equals() -> None:
    gateway = strategy("least_busy")
    seeded(gateway, "least_busy")
    firsts = Counter(names(asked(gateway))[0] for _ in range(90))
    assert min(firsts[name] for name in "abc") > 15


PRICES = """
[catalogue."a/m"]
prices = { input = 1.0, output = 2.0 }
[catalogue."b/m"]
prices = { input = 0.1, output = 8.0 }
"""


def test_cheapest_weighs_the_prompt_against_the_expected_answer() -> None:
    gateway = strategy("cheapest", "output_tokens = 400" + PRICES)
    long = [{"role": "user", "content": "word " * 4000}]
    assert names(asked(gateway)) == "abc"
    assert names(asked(gateway, messages=long)) == "bac"
    assert names(asked(gateway, messages=long[:1], max_tokens=1)) == "bac"
    call = asked(gateway)
    assert decided(call).candidate("c/m").why == "behind the others: its price is not known"
    assert decided(call).candidate("a/m").score == pytest.approx((16 * 1.0 + 400 * 2.0) / 1e6, rel=0.02)


def test_cheapest_puts_those_that_miss_a_constraint_behind() -> None:
    gateway = strategy("cheapest", "max_first_token = 1.0\nmax_error_rate = 0.2" + PRICES)
    answered(gateway, "a/m", 3.0, times=30)
    assert names(asked(gateway)) == "bca"
    answered(gateway, "b/m", 0.1, times=30)
    answered(gateway, "b/m", 0.1, times=12, outcome="error", kind="server_error")
    call = asked(gateway)
    assert names(call)[0] == "c"
    assert (decided(call).candidate("a/m").why or "").startswith("behind those that meet the constraints: 95 %")


def test_latency_budget_takes_the_first_that_fits_and_degrades_in_the_declared_order() -> None:
    gateway = strategy("latency_budget", 'first_token = 0.5\ndegrade = ["c/m", "a/m", "b/m"]')
    assert names(asked(gateway)) == "abc"
    answered(gateway, "a/m", 2.0, times=40)
    assert names(asked(gateway)) == "bca"
    answered(gateway, "b/m", 2.0, times=40)
    answered(gateway, "c/m", 2.0, times=40)
    call = asked(gateway)
    assert names(call) == "cab"
    assert decided(call).notes == ["no target fits the latency budget: degraded in the declared order"]
    assert decided(call).candidate("a/m").why == "beyond the budget of 500 ms"


def conversation(start: str, turns: int = 1) -> list[dict[str, str]]:
    more = [{"role": "assistant", "content": "ok"}, {"role": "user", "content": "go on"}] * turns
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": start}, *more]


def test_prefix_affinity_keeps_a_conversation_where_it_began_and_spreads_others() -> None:
    gateway, other = strategy("prefix_affinity"), strategy("prefix_affinity")
    firsts: Counter[str] = Counter()
    for number in range(90):
        orders = {
            names(asked(one, messages=conversation(f"topic {number}", turns)))
            for one in (gateway, other)
            for turns in (0, 1, 5)
        }
        assert len(orders) == 1
        firsts[orders.pop()[0]] += 1
    assert min(firsts[name] for name in "abc") > 15


def test_prefix_affinity_shares_a_long_system_prompt_and_hears_of_a_cache_key() -> None:
    gateway = strategy("prefix_affinity", "prefix_bytes = 1000")
    system = {"role": "system", "content": "You are a helpful assistant. " * 100}
    orders = {names(asked(gateway, messages=[system, {"role": "user", "content": str(n)}])) for n in range(20)}
    assert len(orders) == 1
    by_key = {names(asked(gateway, messages=conversation(str(n)), prompt_cache_key="k")) for n in range(20)}
    assert len(by_key) == 1


def test_prefix_affinity_passes_on_what_would_overload_a_target() -> None:
    gateway = strategy("prefix_affinity")
    order = names(asked(gateway, messages=conversation("x")))
    busy(gateway, f"{order[0]}/m", 4)
    call = asked(gateway, messages=conversation("x"))
    assert names(call) == order[1] + order[0] + order[2]
    assert decided(call).candidate(f"{order[0]}/m").why == "full: it has 4 of 4 calls"


def test_prefix_affinity_takes_prompts_of_any_shape() -> None:
    gateway = strategy("prefix_affinity")
    bodies: list[dict[str, Any]] = [
        *({"messages": value} for value in ("x", [], [1])),
        {"input": "text", "messages": None},
    ]
    for body in bodies:
        assert sorted(names(asked(gateway, **body))) == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["least_latency", "least_busy", "cheapest", "prefix_affinity"])
def test_a_target_that_cools_down_stands_last(name: str) -> None:
    gateway = strategy(name)
    gateway.health.began("a/m")
    gateway.health.ended("a/m", "error", kind="rate_limit", retry_after=30.0)
    assert gateway.health.snapshot("a/m").state == "cooling"
    calls = [asked(gateway, messages=conversation(str(number))) for number in range(20)]
    assert {names(call)[-1] for call in calls} == {"a"}
    assert "behind" in (decided(calls[0]).candidate("a/m").why or "")


def test_weighted_keeps_a_caller_with_its_target_where_asked() -> None:
    options = 'sticky = "header:x-session-id"'
    targets = '[{ provider = "a", model = "m", weight = 3 }, "b/m", { provider = "c", model = "m", weight = 0 }]'
    toml = PROVIDERS + f'[models.fast]\nstrategy = "weighted"\n{options}\ntargets = {targets}\n'
    gateway = gateway_of(toml)
    firsts: Counter[str] = Counter()
    for number in range(400):
        header = {b"x-session-id": str(number).encode()}
        orders = {names(asked(gateway, headers=header)) for _ in range(2)}
        assert len(orders) == 1
        firsts[orders.pop()] += 1
    assert set(firsts) == {"abc", "bac"}
    assert 270 < firsts["abc"] < 330
    assert len({names(asked(gateway)) for _ in range(60)}) == 2


def test_a_users_calls_stay_together_in_either_dialect() -> None:
    gateway = strategy("weighted", 'sticky = "user"')
    for body in ({"user": "u1"}, {"safety_identifier": "u2"}, {"metadata": {"user_id": "u3"}}):
        assert len({names(asked(gateway, **body)) for _ in range(20)}) == 1
    assert len({names(asked(gateway, user=f"u{n}")) for n in range(40)}) > 1
    assert len({names(asked(gateway, user=7)) for n in range(60)}) > 1


def test_rendezvous_moves_only_the_callers_of_a_target_that_goes() -> None:
    from gateway_plugins.routing.identity import rendezvous

    targets = [Target(provider=name, model="m") for name in "abcd"]
    for number in range(200):
        order = rendezvous(str(number), targets)
        less = rendezvous(str(number), [target for target in targets if target is not order[-1]])
        assert less == order[:-1]
