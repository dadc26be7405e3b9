"""The health of targets as the gateway holds it: by the configuration, over a reload, and on a real socket."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.config import parse_config
from gateway.errors import RateLimited, Unavailable, UpstreamRejected
from gateway.health import Admission, Health
from gateway.registry import Gateway, build
from gateway.slots import NO_SLOT, Slot
from gateway.testing import ScriptedProvider, running_gateway

ONE = """
[plugins.one]
use = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
breaker = { failures = 2, open_for = 3 }
cooldown = 7
max_in_flight = 8

[plugins.two]
use = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"

[models.fast]
targets = ["one/m", { provider = "two", model = "m", max_in_flight = 3, queue = 1 }]
fallbacks = ["two/spare"]
retry_budget = { ratio = 0, floor = 0.1 }
hedge = { after = 1.5 }

[models.lone]
targets = ["two/lone"]
"""
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
QUESTION = {"model": "one/m", "messages": [{"role": "user", "content": "hello"}]}


def built(toml: str, previous: Gateway | None = None) -> Gateway:
    return build(parse_config(toml, path=None, folder=Path()), previous)


def fail(health: Health, target: str, times: int, kind: str = "timeout") -> None:
    for _ in range(times):
        health.began(target)
        health.ended(target, "error", kind=kind)


def test_the_numbers_of_the_file_are_those_that_hold() -> None:
    health = built(ONE).health
    one, two, spare, lone = (health.board.rules(name) for name in ("one/m", "two/m", "two/spare", "two/lone"))
    assert (one.breaker.failures, one.breaker.open_for, one.breaker.samples) == (2, 3.0, 20)
    assert (one.cooldown, two.cooldown) == (7.0, 5.0)
    assert (one.max_in_flight, one.queue, two.max_in_flight, two.queue, spare.max_in_flight) == (8, 8, 3, 1, 0)
    assert (one.alone, spare.alone, lone.alone) == (False, False, True)
    assert health.board.rules("one/any").max_in_flight == 8
    assert isinstance(health.slot("one/any"), Slot)
    assert isinstance(health.slot("two/m"), Slot)
    assert health.slot("two/lone") is NO_SLOT
    assert health.may_retry("fast")
    assert not health.may_retry("fast")
    for _ in range(40):
        health.counted("fast")
    assert health.hedge_after("fast", "one/m") == 1.5
    assert health.hedge_after("lone", "two/lone") is None


def test_with_all_defaults_a_lone_target_is_refused_only_after_five_failures_in_a_row() -> None:
    health = built(ONE).health
    fail(health, "two/lone", 4)
    health.began("two/lone")
    health.ended("two/lone", "ok")
    fail(health, "two/lone", 4)
    assert health.admit("two/lone").allowed
    fail(health, "two/lone", 1)
    refused = health.admit("two/lone")
    assert (refused.allowed, refused.reason) == (False, "open")
    assert refused.retry_after == pytest.approx(5.0, abs=0.5)
    assert health.snapshot("two/lone").state == "open"
    assert "5 failures in a row" in health.snapshot("two/lone").reason


@pytest.mark.parametrize(
    "kind", ["invalid_request", "not_found", "context_length", "content_filter", "authentication", "permission"]
)
def test_an_error_of_the_request_or_the_key_never_counts_against_a_target(kind: str) -> None:
    health = built(ONE).health
    fail(health, "one/m", 50, kind)
    assert health.admit("one/m").allowed
    assert health.snapshot("one/m").error_rate == 0.0


def test_a_rate_limit_cools_a_target_that_has_others_beside_it_and_a_lone_one_only_if_it_says_so() -> None:
    health = built(ONE).health
    fail(health, "one/m", 1, "rate_limit")
    fail(health, "two/lone", 1, "rate_limit")
    cooling = health.admit("one/m")
    assert (cooling.reason, cooling.limited) == ("cooling", True)
    assert cooling.retry_after == pytest.approx(7.0, abs=0.5)
    assert health.admit("two/lone").allowed
    health.began("two/lone")
    health.ended("two/lone", "error", kind="rate_limit", retry_after=1e9)
    assert health.admit("two/lone").retry_after == pytest.approx(300.0, abs=0.5)


def test_a_provider_whose_models_share_what_is_used_up_is_left_alone_as_a_whole() -> None:
    health = built(ONE).health
    health.began("two/m")
    health.ended("two/m", "error", kind="rate_limit", retry_after=20.0, scope="provider")
    assert not health.admit("two/spare").allowed
    assert health.admit("one/m").allowed


def test_an_error_of_one_key_among_several_is_not_held_against_the_target() -> None:
    health = built(ONE).health
    health.began("one/m")
    health.ended("one/m", "error", kind="rate_limit", retry_after=20.0, another_key=True)
    assert health.admit("one/m").allowed


def test_the_answer_when_nobody_can_be_asked_says_why_and_when_to_come_back() -> None:
    health = built(ONE).health
    limited = Admission(False, "cooling", 12.0, 0, True)
    down = Admission(False, "open", 3.0)
    both = health.refusal([("a/m", limited), ("b/m", down)])
    assert isinstance(both, Unavailable)
    assert both.retry_after == 3.0
    assert "a/m" in both.message
    only = health.refusal([("a/m", limited)])
    assert isinstance(only, RateLimited)
    assert (only.status, only.retry_after) == (429, 12.0)
    assert health.refusal([]).status == 503


def test_what_was_learned_survives_a_change_of_the_configuration() -> None:
    first = built(ONE)
    fail(first.health, "one/m", 2)
    first.health.began("one/m")
    second = built(ONE.replace("cooldown = 7", "cooldown = 9"), first)
    assert not second.health.admit("one/m").allowed
    assert second.health.snapshot("one/m").in_flight == 1
    first.health.ended("one/m", "cancelled", cancelled=True)
    assert second.health.snapshot("one/m").in_flight == 0
    assert second.health.board.rules("one/m").cooldown == 9.0


def test_workers_share_a_store_by_default_and_one_alone_needs_none(tmp_path: Path) -> None:
    assert built(ONE).health.state.place is None
    two = f'[server]\nworkers = 2\n[health]\npath = "{tmp_path}/health"\n{ONE}'
    here, there = built(two).health, built(two).health
    fail(here, "one/m", 2)
    assert not there.admit("one/m").allowed
    for health in (here, there):
        health.hold()
        health.let_go()
    assert here.admit("two/m").allowed  # a closed store is one that fails: nobody hears of it


def test_a_store_that_cannot_be_used_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "health").write_text("no folder")
    health = built(f'[server]\nworkers = 2\n[health]\npath = "{tmp_path}/health"\n{ONE}').health
    fail(health, "one/m", 2)
    assert not health.admit("one/m").allowed
    assert health.state.board.circuits.failures > 0


def test_callers_who_invent_models_do_not_fill_the_memory() -> None:
    health = built(ONE).health
    for n in range(6000):
        name = f"two/{n}"
        health.counted(name)
        health.began(name)
        health.first_token(name, 0.1)
        health.ended(name, "error", kind="timeout")
    state = health.state
    sizes = (state.board.evidence, state.board.latency, state.board.in_flight, state.extra.retries)
    assert [len(known) for known in sizes] == [4096, 4096, 0, 4096]


def test_a_check_finds_out_that_a_provider_is_down_and_that_it_is_back() -> None:
    with ScriptedProvider() as provider:
        provider.default_reply(json={"error": {"message": "no"}}, status=503)
        toml = f"""
[plugins.one]
use = "openai_compatible"
base_url = "{provider.url}/v1"
api_key = "sk-check"
health_check = {{ path = "/models", every = 0.05, timeout = 1, failures = 2 }}
"""
        with running_gateway(toml) as gateway:
            health = gateway.app.current.health
            wait(lambda: not health.admit("one/m").allowed)
            assert "health check failed: status 503" in health.snapshot("one/m").reason
            asked = provider.requests[0]
            assert (asked.method, asked.path) == ("GET", "/v1/models")
            assert asked.headers["authorization"] == "Bearer sk-check"
            provider.default_reply(json={"data": []})
            wait(lambda: health.admit("one/m").allowed)
            assert health.snapshot("one/m").state == "ok"


def wait(ready: object) -> None:
    end = time.monotonic() + 10.0
    while not ready():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_a_pool_of_keys_is_used_in_turn_and_a_refused_key_is_left_alone() -> None:
    with ScriptedProvider() as provider:
        provider.default_reply(json=ANSWER)
        toml = f"""
[plugins.one]
use = "openai_compatible"
base_url = "{provider.url}/v1"
api_keys = [{{ env = "POOL_KEY_A" }}, {{ env = "POOL_KEY_B" }}, {{ env = "POOL_KEY_C" }}]
"""
        keys = {"POOL_KEY_A": "sk-aaaaaaaa", "POOL_KEY_B": "sk-bbbbbbbb", "POOL_KEY_C": "sk-cccccccc"}
        with running_gateway(toml, env=keys) as gateway:
            assert [gateway.post("/v1/chat/completions", json=QUESTION).status for _ in range(3)] == [200] * 3
            assert sent(provider) == ["sk-aaaaaaaa", "sk-bbbbbbbb", "sk-cccccccc"]
            provider.reply(json={"error": {"message": "bad key", "code": "invalid_api_key"}}, status=401)
            assert gateway.post("/v1/chat/completions", json=QUESTION).status == 200
            assert [gateway.post("/v1/chat/completions", json=QUESTION).status for _ in range(4)] == [200] * 4
            assert "sk-aaaaaaaa" not in sent(provider)[4:]
            assert sent(provider)[3:5] == ["sk-aaaaaaaa", "sk-bbbbbbbb"]


def sent(provider: ScriptedProvider) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in provider.requests]


def test_a_call_is_sent_around_the_pool_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedProvider() as provider:
        provider.default_reply(json={"error": {"message": "slow down"}}, status=429, headers={"retry-after": "0"})
        toml = f"""
[plugins.one]
use = "openai_compatible"
base_url = "{provider.url}/v1"
api_keys = [{{ env = "POOL_KEY_A" }}, {{ env = "POOL_KEY_B" }}]
[defaults]
retries = 0
"""
        with running_gateway(toml, env={"POOL_KEY_A": "sk-aaaaaaaa", "POOL_KEY_B": "sk-bbbbbbbb"}) as gateway:
            assert gateway.post("/v1/chat/completions", json=QUESTION).status == 429
            assert sent(provider) == ["sk-aaaaaaaa", "sk-bbbbbbbb"]


def test_without_a_pool_no_other_key_is_fit() -> None:
    provider = built(ONE).providers["one"]
    error = UpstreamRejected("no", status=401, kind="authentication")
    assert not provider.rejected(None, error)  # type: ignore[arg-type]


def test_where_nobody_else_can_answer_an_open_circuit_is_probed_every_second() -> None:
    health = built(ONE).health
    now = health.now()
    for target in ("one/m", "two/m", "two/spare"):
        for _ in range(5):
            health.began(target, now)
            health.ended(target, "error", now, kind="upstream")
    assert health.admit("one/m", now + 0.9, model="fast").reason == "open"
    probe = health.admit("one/m", now + 1.1, model="fast")
    assert (probe.allowed, probe.reason) == (True, "half_open")
    health.began("one/m", now + 1.1)
    health.ended("one/m", "error", now + 1.2, kind="upstream", probe=probe.probe)
    assert not health.admit("one/m", now + 2.1, model="fast").allowed
    probe = health.admit("one/m", now + 2.3, model="fast")
    health.began("one/m", now + 2.3)
    health.ended("one/m", "ok", now + 2.4, probe=probe.probe)
    assert health.admit("one/m", now + 2.5, model="fast").reason == ""
    # One that is well takes all, and the others rest for their time.
    assert health.admit("two/m", now + 2.5, model="fast").reason == "open"
