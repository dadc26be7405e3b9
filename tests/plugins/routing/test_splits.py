"""Canaries and A/B tests: shares, stable assignment, and a canary that is taken back."""

from __future__ import annotations

import logging
import random
from collections import Counter
from typing import Any

import pytest

from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from gateway_plugins.routing.splits import REMEMBERED, Splits
from gateway_plugins.routing.trial import Canary, Outcome, Rollback, Trial
from tests.plugins.routing.test_strategies import asked, gateway_of, seeded
from tests.plugins.upstream import ANSWER, ASK, STREAM, chunk

PROVIDERS = '[plugins.a]\nuse = "vllm"\n[plugins.b]\nuse = "vllm"\n[plugins.c]\nuse = "vllm"\n'
MODEL = PROVIDERS + '[models.fast]\ntargets = ["a/m", "b/m"]\n{}\n'


def table(name: str, provider: ScriptedProvider) -> str:
    return f'[plugins.{name}]\nuse = "openai_compatible"\nbase_url = "{provider.url}/v1"\n'


def splits_of(gateway: RunningGateway) -> Splits:
    (plugin,) = [record.plugin for record in gateway.app.current.records if isinstance(record.plugin, Splits)]
    return plugin


def test_a_canary_gets_its_share_and_the_stable_targets_stand_behind_it() -> None:
    gateway = gateway_of(MODEL.format('canary = { target = "c/new", percent = 10 }'))
    seeded(gateway, "splits")
    calls = [asked(gateway) for _ in range(1000)]
    orders = Counter(tuple(str(target) for target in call.targets) for call in calls)
    assert set(orders) == {("a/m", "b/m"), ("c/new", "a/m", "b/m")}
    assert 70 < orders["c/new", "a/m", "b/m"] < 130
    assert {call.decision.split for call in calls if call.decision} == {"canary", "stable"}


def test_a_canary_by_user_keeps_each_user_on_one_side() -> None:
    gateway = gateway_of(MODEL.format('canary = { target = "c/new", percent = 30, by = "user" }'))
    sides: Counter[str] = Counter()
    for number in range(300):
        side = {str(asked(gateway, user=f"u{number}").targets[0]) for _ in range(2)}
        assert len(side) == 1
        sides[side.pop()] += 1
    assert 60 < sides["c/new"] < 120


def test_the_strategy_orders_what_stands_behind_a_canary() -> None:
    options = 'strategy = "least_busy"\ncanary = { target = "c/new", percent = 100 }'
    gateway = gateway_of(MODEL.format(options))
    gateway.health.began("a/m")
    assert [str(target) for target in asked(gateway).targets] == ["c/new", "b/m", "a/m"]


def test_arms_are_assigned_by_share_and_stay() -> None:
    ab = (
        'ab = { name = "prompts", by = "header:x-session", arms = [{ name = "now", share = 3 }, '
        '{ name = "new", share = 1, targets = ["c/new"] }] }'
    )
    gateway, renamed = gateway_of(MODEL.format(ab)), gateway_of(MODEL.format(ab.replace("prompts", "again")))
    arms: Counter[tuple[str | None, str]] = Counter()
    moved = 0
    for number in range(400):
        header = {b"x-session": str(number).encode()}
        calls = [asked(gateway, headers=header) for _ in range(2)]
        found = {(call.decision.split if call.decision else "", str(call.targets[0])) for call in calls}
        assert len(found) == 1
        (arm,) = found
        arms[arm] += 1
        other = asked(renamed, headers=header)
        moved += str(other.targets[0]) != arm[1]
    assert set(arms) == {("ab:prompts=now", "a/m"), ("ab:prompts=new", "c/new")}
    assert 70 < arms["ab:prompts=new", "c/new"] < 130
    assert moved > 100


def test_a_call_without_the_header_is_assigned_by_its_key() -> None:
    ab = 'ab = { by = "header:x", arms = [{ name = "p", targets = ["c/m"] }, { name = "q", targets = ["b/m"] }] }'
    gateway = gateway_of(MODEL.format(ab))
    assert len({str(asked(gateway).targets[0]) for _ in range(20)}) == 1


def test_an_arm_that_cannot_answer_leaves_the_call_to_the_models_own_targets() -> None:
    ab = 'ab = { arms = [{ name = "p", targets = ["c/m"] }, { name = "q", targets = ["c/m"] }] }'
    gateway = gateway_of(MODEL.format(ab + '\n[catalogue."c/m"]\ntools = false'))
    call = asked(gateway, tools=[{"type": "function", "function": {"name": "f"}}])
    assert [str(target) for target in call.targets] == ["a/m", "b/m"]


def until_taken_back(
    gateway: RunningGateway, calls: int, ask: dict[str, Any] | None = None
) -> tuple[int | None, list[int]]:
    """After how many calls the canary was taken back, and the statuses that callers saw."""
    plugin, statuses = splits_of(gateway), []
    for number in range(1, calls + 1):
        statuses.append(gateway.post("/v1/chat/completions", ask or ASK).status)
        trial = plugin.trials.get("fast")
        if trial is not None and trial.verdict is not None:
            return number, statuses
    return None, statuses


def test_a_canary_that_fails_is_taken_back_and_no_caller_sees_it(caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedProvider() as stable, ScriptedProvider() as new:
        stable.default_reply(json=ANSWER)
        new.default_reply(json={"error": {"message": "wrong"}}, status=400)
        toml = table("a", stable) + table("c", new) + '[models.fast]\ntargets = ["a/m"]\nretries = 0\n'
        toml += 'canary = { target = "c/new", percent = 50 }\n'
        with running_gateway(toml) as gateway, caplog.at_level(logging.WARNING, "gateway.splits"):
            splits_of(gateway).rng = random.Random(3)
            after, _ = until_taken_back(gateway, 80)
            seen = len(new.requests)
            statuses = [gateway.post("/v1/chat/completions", ASK).status for _ in range(10)]
            assert splits_of(gateway).trials["fast"].verdict == "6 of 6 calls failed, of the stable ones 0"
            gateway.reload(toml.replace("percent = 50", "percent = 60"))
            splits_of(gateway).rng = random.Random(3)
            for _ in range(10):
                gateway.post("/v1/chat/completions", ASK)
    assert after is not None
    assert after < 40
    assert statuses == [200] * 10
    assert [record.message for record in caplog.records if "taken back: 6 of 6 calls failed" in record.message]
    assert len(new.requests) > seen, "another canary is another trial"


def test_a_canary_that_is_as_good_stays() -> None:
    with ScriptedProvider() as stable, ScriptedProvider() as new:
        stable.default_reply(json=ANSWER)
        new.default_reply(json=ANSWER)
        toml = table("a", stable) + table("c", new) + '[models.fast]\ntargets = ["a/m"]\n'
        toml += 'canary = { target = "c/new", percent = 50, rollback = { latency = 100 } }\n'
        with running_gateway(toml) as gateway:
            splits_of(gateway).rng = random.Random(3)
            after, statuses = until_taken_back(gateway, 60)
    assert after is None
    assert set(statuses) == {200}
    assert 15 < len(new.requests) < 45


def test_a_canary_whose_streams_break_is_taken_back() -> None:
    with ScriptedProvider() as stable, ScriptedProvider() as new:
        stable.default_stream(STREAM)
        new.default_stream([chunk({"content": "yo"})], cut=True)
        # The circuit breaker would take it away sooner, for some seconds, again and again.
        toml = "[health]\nbreaker = { failures = 1000, samples = 1000 }\neject = false\n"
        toml += table("a", stable) + table("c", new) + '[models.fast]\ntargets = ["a/m"]\nretries = 0\n'
        toml += 'canary = { target = "c/new", percent = 50 }\n'
        with running_gateway(toml) as gateway:
            splits_of(gateway).rng = random.Random(3)
            after, _ = until_taken_back(gateway, 80, {**ASK, "stream": True})
    assert after is not None


def outcomes(trial: Trial, canary: Outcome, stable: Outcome, most: int) -> str | None:
    for _ in range(most):
        verdict = trial.ended("stable", stable) or trial.ended("canary", canary)
        if verdict is not None:
            return verdict
    return None


def canary(**rollback: Any) -> Canary:
    from gateway import Target

    return Canary(target=Target(provider="c", model="m"), percent=5, rollback=Rollback(**rollback))


def test_a_canary_that_is_slower_by_more_than_allowed_is_taken_back() -> None:
    fast, slow = Outcome(failed=False, first_token=0.2), Outcome(failed=False, first_token=0.5)
    verdict = outcomes(Trial(canary(latency=2.0)), slow, fast, 100)
    assert verdict is not None
    assert verdict.endswith("pairs its first token took more than 2 times as long")
    assert outcomes(Trial(canary(latency=3.0)), slow, fast, 500) is None
    assert outcomes(Trial(canary()), slow, fast, 500) is None


def test_errors_count_only_where_they_are_asked_for() -> None:
    failed, good = Outcome(failed=True), Outcome(failed=False)
    assert outcomes(Trial(canary(errors=False)), failed, good, 500) is None
    assert outcomes(Trial(canary()), failed, good, 20) is not None
    assert outcomes(Trial(canary()), failed, failed, 500) is None


def test_a_canary_that_scores_lower_is_taken_back_also_by_scores_that_come_later() -> None:
    gateway = gateway_of(MODEL.format('canary = { target = "c/m", percent = 50, rollback = { score = 0.1 } }'))
    seeded(gateway, "splits")
    (plugin,) = [record.plugin for record in gateway.records if isinstance(record.plugin, Splits)]
    from gateway import Attempt

    verdict = None
    for number in range(200):
        call = asked(gateway)
        call.id = f"req_{number}"
        call.attempts.append(Attempt(target=call.targets[0], started=0.0, first_byte=0.1))
        call.outcome = "ok"
        arm = "canary" if call.targets[0].provider == "c" else "stable"
        score = 0.5 if arm == "canary" else 0.9
        if number % 2:
            call.score = score
        plugin.on_complete(call)
        gateway.score(call.id, score)
        verdict = plugin.trials["fast"].verdict
        if verdict is not None:
            break
    assert verdict is not None
    assert verdict.endswith("pairs it scored lower by more than 0.1")
    assert "taken back" in (asked(gateway).decision or Any).notes[0]  # type: ignore[union-attr]
    gateway.score("req_nobody", 2.0)


def test_ties_of_scores_and_scores_within_the_margin_change_nothing() -> None:
    trial = Trial(canary(score=0.3))
    for _ in range(300):
        assert trial.scored("stable", 0.9) is None
        assert trial.scored("canary", 0.9) is None
        assert trial.scored("stable", 0.9) is None
        assert trial.scored("canary", 0.7) is None


def test_calls_that_await_a_score_are_forgotten_after_a_while() -> None:
    gateway = gateway_of(MODEL.format('canary = { target = "c/m", percent = 50, rollback = { score = 0.1 } }'))
    (plugin,) = [record.plugin for record in gateway.records if isinstance(record.plugin, Splits)]
    from gateway import Attempt

    call = asked(gateway)
    call.attempts.append(Attempt(target=call.targets[0], started=0.0))
    call.outcome = "ok"
    for number in range(REMEMBERED + 5):
        call.id = f"req_{number}"
        plugin.on_complete(call)
    assert len(plugin._recent) == REMEMBERED


def test_rules_come_before_splits_whatever_the_order_of_the_file() -> None:
    rules = 'rules = [{ when = "true", targets = ["b/m"] }]\ncanary = { target = "c/new", percent = 100 }\n'
    gateway = gateway_of("[plugins.splits]\n" + MODEL.format(rules))
    assert [str(target) for target in asked(gateway).targets] == ["b/m"]


def test_a_canary_that_cannot_answer_a_request_does_not_get_it() -> None:
    options = 'canary = { target = "c/new", percent = 100 }\n[catalogue."c/new"]\ntools = false\n'
    call = asked(gateway_of(MODEL.format(options)), tools=[{"type": "function", "function": {"name": "f"}}])
    assert [str(target) for target in call.targets] == ["a/m", "b/m"]
    assert call.decision is not None
    assert call.decision.candidate("c/new").why == "calls no tools"
