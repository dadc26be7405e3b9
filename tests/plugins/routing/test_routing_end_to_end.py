"""Strategies at work in a running gateway."""

from __future__ import annotations

import random

from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.routing.weighted import Weighted
from tests.plugins.upstream import ANSWER, ASK


def table(name: str, provider: ScriptedProvider) -> str:
    return f'[plugins.{name}]\nuse = "openai_compatible"\nbase_url = "{provider.url}/v1"\n'


def test_ordered_goes_down_the_list_when_targets_fail() -> None:
    model = '[models.fast]\ntargets = ["one/m", "two/m"]\nretries = 0\n'
    with ScriptedProvider() as one, ScriptedProvider() as two:
        one.reply(json=ANSWER)
        one.reply(json={"error": {"message": "down"}}, status=503)
        two.default_reply(json=ANSWER)
        with running_gateway(model + table("one", one) + table("two", two)) as gateway:
            answers = [gateway.post("/v1/chat/completions", ASK) for _ in range(2)]
    assert [answer.headers["x-gateway-provider"] for answer in answers] == ["one", "two"]
    assert [answer.headers["x-gateway-attempts"] for answer in answers] == ["1", "2"]


def test_weighted_splits_the_traffic_and_the_other_target_stands_in() -> None:
    model = """
        [models.fast]
        strategy = "weighted"
        targets = [{ provider = "one", model = "m", weight = 3 }, { provider = "two", model = "m", weight = 1 }]
        retries = 0
    """
    with ScriptedProvider() as one, ScriptedProvider() as two:
        one.default_reply(json=ANSWER)
        two.default_reply(json={"error": {"message": "down"}}, status=503)
        with running_gateway(model + table("one", one) + table("two", two)) as gateway:
            (plugin,) = [r.plugin for r in gateway.app.current.records if isinstance(r.plugin, Weighted)]
            plugin.rng = random.Random(5)
            answers = [gateway.post("/v1/chat/completions", ASK) for _ in range(40)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["x-gateway-provider"] for answer in answers} == {"one"}
    assert len(one.requests) == 40
    assert 4 <= len(two.requests) <= 17
