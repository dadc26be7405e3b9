"""Strategies that learn, with real providers behind them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from contextlib import ExitStack

from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from gateway_plugins.routing.least_latency import LeastLatency
from tests.plugins.upstream import ANSWER, ASK, STREAM


def table(name: str, provider: ScriptedProvider) -> str:
    return f'[plugins.{name}]\nuse = "openai_compatible"\nbase_url = "{provider.url}/v1"\n'


def firsts(gateway: RunningGateway, calls: int, **more: object) -> Counter[str]:
    """Who answered so many calls."""
    answers = [gateway.post("/v1/chat/completions", {**ASK, **more}) for _ in range(calls)]
    assert {answer.status for answer in answers} == {200}
    return Counter(answer.headers["x-gateway-provider"] for answer in answers)


def test_least_latency_finds_the_faster_provider_and_the_change_of_its_pace() -> None:
    model = '[models.fast]\nstrategy = "least_latency"\nexplore = 0.1\ntargets = ["one/m", "two/m"]\n'
    with ScriptedProvider() as one, ScriptedProvider() as two:
        one.default_reply(json=ANSWER, delay=0.03)
        two.default_reply(json=ANSWER)
        with running_gateway(model + table("one", one) + table("two", two)) as gateway:
            (plugin,) = [r.plugin for r in gateway.app.current.records if isinstance(r.plugin, LeastLatency)]
            plugin.rng = random.Random(11)
            assert firsts(gateway, 40)["two"] >= 32
            one.default_reply(json=ANSWER)
            two.default_reply(json=ANSWER, delay=0.06)
            firsts(gateway, 40)
            assert firsts(gateway, 20)["one"] >= 15


def test_latency_budget_leaves_a_target_that_became_slow() -> None:
    model = '[models.fast]\nstrategy = "latency_budget"\nfirst_token = 0.06\npercentile = 50\n'
    model += 'targets = ["one/m", "two/m"]\n'
    with ScriptedProvider() as one, ScriptedProvider() as two:
        one.default_stream(STREAM)
        two.default_stream(STREAM)
        with running_gateway(model + table("one", one) + table("two", two)) as gateway:
            assert firsts(gateway, 10, stream=True) == {"one": 10}

            one.default_reply(json=ANSWER, delay=0.12)
            two.default_reply(json=ANSWER)
            firsts(gateway, 20)
            assert firsts(gateway, 5) == {"two": 5}


def test_least_busy_spreads_calls_that_run_at_once() -> None:
    with ExitStack() as stack:
        providers = {name: stack.enter_context(ScriptedProvider()) for name in ("one", "two", "three")}
        for provider in providers.values():
            provider.default_reply(json=ANSWER, delay=0.3)
        model = '[models.fast]\nstrategy = "least_busy"\ntargets = ["one/m", "two/m", "three/m"]\n'
        gateway = stack.enter_context(running_gateway(model + "".join(table(*item) for item in providers.items())))
        ask = threading.Barrier(9)

        def one_call() -> None:
            ask.wait()
            assert gateway.post("/v1/chat/completions", ASK).status == 200

        threads = [threading.Thread(target=one_call) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [len(provider.requests) for provider in providers.values()] == [3, 3, 3]


def test_prefix_affinity_keeps_each_conversation_with_one_replica() -> None:
    with ScriptedProvider() as one, ScriptedProvider() as two:
        one.default_reply(json=ANSWER)
        two.default_reply(json=ANSWER)
        model = '[models.fast]\nstrategy = "prefix_affinity"\ntargets = ["one/m", "two/m"]\n'
        with running_gateway(model + table("one", one) + table("two", two)) as gateway:
            for number in range(12):
                turns = [{"role": "user", "content": f"question {number}"}]
                replicas: Counter[str] = Counter()
                for _ in range(3):
                    replicas += firsts(gateway, 1, messages=turns)
                    turns += [{"role": "assistant", "content": "yo"}, {"role": "user", "content": "and then?"}]
                assert len(replicas) == 1
    assert one.requests
    assert two.requests
