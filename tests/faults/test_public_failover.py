"""The sixteen scenarios of Failover Bench, a public test of gateways, with its checks, at a tenth of its times.

Its provider is picked by the model's name, says sixty words, and each system has two retries and one fallback. A
scenario is passed where the caller gets the whole answer (or, at the content filter, the provider's own error), and
every check holds, the advisory ones as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.testing import ScriptedProvider, running_gateway
from tests.faults.verdicts import Seen, Verdict, judge
from tests.faults.wall import Row, Scene, Wall, ask, row_of, until_left
from tests.faults.wires import ANSWER_TOKENS, OpenAI, compact

WIRE = OpenAI()
PACE = 10
"""How much faster than the published profile."""
SECONDS_DOWN, APART, RECOVERED = 60 / PACE, 4 / PACE, 30 / PACE


class World(NamedTuple):
    """What a scenario was: the caller's view, the provider's, and the books."""

    seen: Seen
    verdict: Verdict
    first: list[float]
    fallback: int
    row: Row


def refuses(status: int, times: int = 10**6, code: str | None = None, **headers: str) -> Callable[[Wall], Any]:
    """An error for the first so many requests, then good answers."""

    def made(wall: Wall) -> Any:
        async def run(scene: Scene) -> None:
            if len(wall.times[model_of(scene)]) > times:
                await scene.good()
            else:
                error = {"message": "No.", "type": "error", "param": None, "code": code}
                await scene.reply(status, compact({"error": error}), **headers)

        return run

    return made


def plainly(run: Callable[[Scene], Any]) -> Callable[[Wall], Any]:
    """A fault that does not depend on what came before."""
    return lambda _: run


def model_of(scene: Scene) -> str:
    """The model that was asked for."""
    return str(json.loads(scene.exchange.request.body)["model"])


def reset_once(wall: Wall) -> Any:
    """A reset before the head, once."""

    async def run(scene: Scene) -> None:
        if len(wall.times[model_of(scene)]) > 1:
            await scene.good()
        else:
            scene.exchange.reset()

    return run


async def slow(scene: Scene) -> None:
    await scene.head()
    await scene.exchange.sleep(20 / PACE)
    await scene.events(scene.wire.stream())


async def cut(scene: Scene) -> None:
    await scene.begin()
    scene.exchange.close()


async def stall(scene: Scene) -> None:
    await scene.begin()
    await scene.exchange.sleep(30 / PACE)
    scene.exchange.close()


async def malformed(scene: Scene) -> None:
    pieces = scene.wire.stream()
    await scene.good([*pieces[:5], b'data: {"id": "x", "choices": [{"delta": {"content": \n\n', *pieces[5:]])


async def no_done(scene: Scene) -> None:
    await scene.good(scene.wire.stream()[:-1])


async def no_prefill(scene: Scene) -> None:
    if scene.exchange.request.json()["messages"][-1]["role"] == "assistant":
        error = {
            "message": "no prefill",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "invalid_prefill",
        }
        await scene.reply(400, compact({"error": error}))
    else:
        await scene.good([piece.replace(b'"real"', b'"fallback"') for piece in scene.wire.stream()])


SCENARIOS: dict[str, Callable[[Wall], Any]] = {
    "s01_429_with_retry_after": refuses(429, 1, retry_after="1"),
    "s02_429_persistent": refuses(429),
    "s03_500_once": refuses(500, 1),
    "s04_503_persistent": refuses(503),
    "s05_reset_before_headers": reset_once,
    "s06_no_response": plainly(until_left),
    "s07_slow_first_token": plainly(slow),
    "s08_stream_cut": plainly(cut),
    "s09_stream_stalls": plainly(stall),
    "s10_malformed_chunk": plainly(malformed),
    "s11_no_done": plainly(no_done),
    "s12_context_length": refuses(400, code="context_length_exceeded"),
    "s13_content_filter": refuses(400, code="content_policy_violation"),
    "s14_fallback_refuses_prefill": plainly(cut),
    "s16_accounting": refuses(503),
}
CHECKS: dict[str, Callable[[World], bool]] = {
    "s01_429_with_retry_after": lambda w: len(w.first) == 2 and w.first[1] - w.first[0] >= 0.9,
    "s02_429_persistent": lambda w: within(w.first, 3) <= 4 and len(w.first) <= 6,
    "s03_500_once": lambda w: len(w.first) == 2,
    "s04_503_persistent": lambda w: len(w.first) <= 6,
    "s06_no_response": lambda w: len(w.first) == 1 and w.seen.seconds <= 100 / PACE,
    "s07_slow_first_token": lambda w: w.seen.seconds <= 15 / PACE,
    "s09_stream_stalls": lambda w: w.seen.seconds <= 45 / PACE,
    "s11_no_done": lambda w: w.seen.seconds <= 8 / PACE and b'"completion_tokens":23' in w.seen.body,
    "s12_context_length": lambda w: len(w.first) == 1,
    "s13_content_filter": lambda w: len(w.first) == 1 and b"content_policy_violation" in w.seen.body,
    "s14_fallback_refuses_prefill": lambda w: w.fallback == 2,
    "s16_accounting": lambda w: (
        len(w.first) <= 6
        and w.verdict.model == "fallback"
        and b'"completion_tokens":23' in w.seen.body
        and w.row.call["completion_tokens"] == ANSWER_TOKENS
        and [item["cost_nano"] for item in w.row.attempts][:-1] == [None] * len(w.first)
    ),
}


def within(times: list[float], seconds: float) -> int:
    """How many requests came in the first so many seconds."""
    return sum(at - times[0] < seconds for at in times)


def configuration(one: str, two: str, names: list[str]) -> str:
    """What somebody would write who takes the test: a fallback for each model, limits, and the rescue."""
    limit = 30 / PACE
    text = f"""
[plugins.audit_log]
path = "audit.sqlite"
[plugins.one]
use = "openai_compatible"
base_url = "{one}/v1"
[plugins.two]
use = "openai_compatible"
base_url = "{two}/v1"
[catalogue."*/*"]
prefill = true
prices = {{ input = 1.0, output = 2.0 }}
[health.breaker]
open_for = {5 / PACE}
longest = {15 / PACE}
[defaults]
retries = 2
rescue = "resume"
timeouts = {{ first_token = {10 / PACE}, idle = {15 / PACE}, total = {4 * limit} }}
"""
    for name in names:
        text += f'[models.{name}]\ntargets = ["one/{name}"]\nfallbacks = ["two/ok-{name}"]\n'
    return text


class Stage(NamedTuple):
    """The gateway and its two providers."""

    url: str
    one: Wall
    two: Wall
    audit: Path


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("public")
    with ExitStack() as stack:
        one = Wall(stack.enter_context(ScriptedProvider()), WIRE)
        two = Wall(stack.enter_context(ScriptedProvider()), WIRE)
        toml = configuration(one.provider.url, two.provider.url, [*SCENARIOS, "s15_flap"])
        gateway = stack.enter_context(running_gateway(toml, folder=folder))
        for name, made in SCENARIOS.items():
            one.behaviours[name] = made(one)
            two.behaviours[f"ok-{name}"] = no_prefill if name.startswith(("s14", "s16")) else Scene.good
        yield Stage(gateway.url, one, two, folder / "audit.sqlite")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_of_the_public_test_is_passed(name: str, stage: Stage) -> None:
    seen = ask(stage.url, WIRE, name, stream=True, call_id=name, timeout=20)
    verdict = judge(seen, "openai", stream=True)
    row = row_of(stage.audit, name)
    assert row is not None
    assert verdict.what == ("error" if name.startswith("s13") else "complete"), seen
    world = World(seen, verdict, stage.one.times[name], stage.two.count(f"ok-{name}"), row)
    assert name not in CHECKS or CHECKS[name](world), world
    assert row.call["attempts"] == len(world.first) + world.fallback or name.startswith("s05")


def test_a_target_that_flaps_is_left_alone_and_then_asked_again(stage: Stage) -> None:
    began = time.monotonic()
    down = began + SECONDS_DOWN

    async def flap(scene: Scene) -> None:
        if scene.exchange.request.arrived_at < down:
            await scene.reply(503, scene.wire.error())
        else:
            await scene.good()

    stage.one.behaviours["s15_flap"] = flap
    for number in range(20):
        time.sleep(max(0.0, began + number * APART - time.monotonic()))
        seen = ask(stage.url, WIRE, "s15_flap", stream=True, call_id=f"s15-{number}", timeout=10)
        assert judge(seen, "openai", stream=True).what == "complete", (number, seen)
    asked = stage.one.times["s15_flap"]
    recovered = [at - down for at in asked if at >= down]
    assert recovered
    assert recovered[0] <= RECOVERED
    assert sum(at < down for at in asked) <= SECONDS_DOWN / APART  # no more probes than calls
