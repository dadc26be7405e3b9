"""Keys of [models.*] that routing plugins declare: strict, and told where they belong."""

from __future__ import annotations

import pytest

from gateway.config import TargetConfig
from tests.core.config_texts import built, problems_of

ECHO = '[plugins.echo]\n[models.x]\ntargets = ["echo/a", "echo/b"]\n'


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('sticky = "key"', 'sticky: unknown key for strategy "ordered"; it belongs to strategy = "weighted"'),
        ('strategy = "weighted"\nstiky = "key"', 'stiky: unknown key; did you mean "sticky"?'),
        ('strategy = "weighted"\nretires = 1', 'retires: unknown key; did you mean "retries"?'),
        ('strategy = "latency_budget"', "first_token: is missing; expected a number greater than 0"),
        ('strategy = "latency_budget"\nfirst_token = 0', "first_token: expected a number greater than 0, got a number"),
        (
            'strategy = "latency_budget"\nfirst_token = 1\ndegrade = ["echo/c"]',
            'degrade[0]: "echo/c" is none of the targets',
        ),
        ('strategy = "least_latency"\nexplore = 2', "explore: expected a number from 0 to 1, got 2"),
        ('canary = { target = "echo/c" }', "canary.percent: is missing; expected a number from 0 to 100"),
        (
            'canary = { target = "ehco/c", percent = 1 }',
            'canary.target: no plugin of the name "ehco"; did you mean "echo"?',
        ),
        (
            'canary = { target = "nonsense", percent = 1 }',
            'canary.target: expected { provider = "…", model = "…" } or "provider/model", got text',
        ),
        ('rules = [{ when = "stream" }]', "rules[0]: a rule has either targets or a model"),
        ('rules = [{ when = "stream", model = "y" }]', 'rules[0].model: "y" is no model of this file'),
        ('rules = [{ when = "stream", model = "x" }]', 'rules[0].model: "x" leads back to this model'),
        ("rules = []", "rules: expected a list that is not empty, got 0"),
        (
            'rules = [{ when = "tokens", targets = ["echo/a"] }]',
            'rules[0]: when = "tokens": column 1: a condition is true or false, and this is a number; compare it',
        ),
        ("ab = { arms = [{ name = 'a' }] }", "ab.arms: expected a list of length 2 or more, got 1"),
        (
            "ab = { arms = [{ name = 'a' }, { name = 'a' }] }",
            'ab.arms[1].name: "a" is the name of another arm',
        ),
    ],
)
def test_a_mistake_is_told_with_its_mend(lines: str, problem: str) -> None:
    (told,) = problems_of(ECHO + lines + "\n")
    assert "[models.x] " + problem in told


def test_a_strategy_that_is_not_known_is_one_mistake() -> None:
    (told,) = problems_of(ECHO + 'strategy = "wieghted"\nsticky = "key"\n')
    assert "no routing plugin offers" in told


def test_options_are_there_for_the_plugins_that_are_asked_and_no_others() -> None:
    gateway = built(
        ECHO + 'strategy = "weighted"\nsticky = "key"\ncanary = { target = "echo/c", percent = 5 }\n'
        '[models.y]\ntargets = ["echo/a"]\n'
    )
    assert set(gateway.options) == {("x", "weighted"), ("x", "splits")}
    assert gateway.options["x", "splits"].canary.target == TargetConfig(provider="echo", model="c")
    assert gateway.pipeline.settled("y")
    assert not gateway.pipeline.settled("x")


def test_a_plugin_that_is_off_takes_its_keys_with_it() -> None:
    (told,) = problems_of(ECHO + 'canary = { target = "echo/c", percent = 5 }\n[plugins.splits]\nenabled = false\n')
    assert "canary: unknown key" in told
