"""A stream whose provider dies goes on with a provider of another format: by its first words, or from the start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.sse import decode_events
from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from tests.faults.bench import PROVIDERS
from tests.faults.faults import cut
from tests.faults.more_verdicts import judge_any
from tests.faults.more_wires import EVERY
from tests.faults.verdicts import Seen
from tests.faults.wall import Scene, Wall, ask, row_of
from tests.faults.wires import ANSWER_TOKENS, HALF, PROMPT_TOKENS, TEXT, WORDS

CASES = [
    # (the caller's dialect, the wire of the provider that dies, that of the one that goes on)
    ("responses", "anthropic", "gemini"),
    ("responses", "responses", "anthropic"),
    ("responses", "responses", "responses"),
    ("gemini", "gemini", "openai"),
    ("array", "gemini", "anthropic"),
    ("array", "converse", "gemini"),
    ("completions", "completions", "anthropic"),
    ("openai", "invoke", "cohere"),
    ("openai", "ollama", "converse"),
    ("anthropic", "cohere", "gemini"),
    ("anthropic", "invoke", "ollama"),
]
CALL = "the-call-of-a-caller"
SAID = "".join(WORDS[:HALF])


@contextmanager
def pair(first: str, second: str, folder: Path, *, prefill: bool) -> Iterator[tuple[RunningGateway, Wall, Wall]]:
    """A gateway whose model ``m`` is served by ``first``, and resumed by ``second``."""
    lines = [f'[plugins.audit_log]\npath = "{folder / "audit.sqlite"}"\n']
    with ScriptedProvider() as one, ScriptedProvider() as two:
        for name, wire, provider in (("one", first, one), ("two", second, two)):
            use, below, more = PROVIDERS[wire]
            lines.append(
                f'[plugins.{name}]\nuse = "{use}"\napi_key = "k"\nbase_url = "{provider.url}{below}"\n{more}\n'
                f'[catalogue."{name}/*"]\nprices = {{ input = 1.0, output = 2.0 }}\nprefill = {str(prefill).lower()}\n'
            )
        lines.append('[models.m]\ntargets = ["one/m"]\nfallbacks = ["two/m"]\nretries = 0\nrescue = "resume"\n')
        with running_gateway("\n".join(lines), folder=folder) as gateway:
            yield gateway, Wall(one, EVERY[first]), Wall(two, EVERY[second])


async def the_rest(scene: Scene) -> None:
    """What a model says that was given the first words."""
    wire = scene.wire
    await scene.good([*wire.opening(), *wire.words(HALF), *wire.closing(), wire.end_mark])


def asked_of(gateway: RunningGateway, caller: str) -> Seen:
    """Ask for a stream as a caller of a dialect."""
    return ask(gateway.url, EVERY[caller], "m", stream=True, call_id=CALL, timeout=8)


@pytest.mark.parametrize("prefill", [True, False], ids=["by its first words", "from the start"])
@pytest.mark.parametrize(("caller", "first", "second"), CASES, ids=["-".join(case) for case in CASES])
def test_another_format_goes_on_with_a_stream_that_was_cut(
    caller: str, first: str, second: str, prefill: bool, tmp_path: Path
) -> None:
    with pair(first, second, tmp_path, prefill=prefill) as (gateway, one, two):
        one.behaviours["m"] = cut
        if prefill:
            two.behaviours["m"] = the_rest
        seen = asked_of(gateway, caller)
        row = row_of(tmp_path / "audit.sqlite", CALL)
        (sent,) = two.asked["m"]
    verdict = judge_any(seen, caller, stream=True)
    assert (verdict.what, verdict.text) == ("complete", TEXT)
    assert (SAID.rstrip() in json.dumps(sent, ensure_ascii=False)) is prefill
    assert row is not None
    assert [item["provider"] for item in row.attempts] == ["one", "two"]
    assert row.attempts[0]["error_kind"]
    assert row.call["cost_nano"] == sum(item["cost_nano"] for item in row.attempts)
    # The caller is billed for both.
    assert row.call["prompt_tokens"] > PROMPT_TOKENS
    assert row.call["completion_tokens"] > ANSWER_TOKENS


def test_a_response_goes_on_with_its_ids_and_numbers_and_ends_with_the_whole_text(tmp_path: Path) -> None:
    with pair("responses", "gemini", tmp_path, prefill=True) as (gateway, one, two):
        one.behaviours["m"] = cut
        two.behaviours["m"] = the_rest
        seen = asked_of(gateway, "responses")
    values = [json.loads(event.data) for event in decode_events(seen.body)]
    assert [value["sequence_number"] for value in values] == list(range(len(values)))
    assert {value["item_id"] for value in values if "item_id" in value} == {"msg_1"}
    assert {value["response"]["id"] for value in values if "response" in value} == {"resp_1"}
    last = values[-1]
    assert last["type"] == "response.completed"
    (item,) = last["response"]["output"]
    assert (item["id"], item["status"], item["content"][0]["text"]) == ("msg_1", "completed", TEXT)
    assert last["response"]["usage"]["output_tokens"] > ANSWER_TOKENS


async def an_error_behind_the_reason(scene: Scene) -> None:
    """All but the last event, and an error in its place."""
    await scene.good([*scene.wire.stream()[:-1], scene.wire.error_event()])


@pytest.mark.parametrize("caller", ["anthropic", "openai", "responses"])
@pytest.mark.parametrize("first", ["anthropic", "openai", "converse"])
def test_an_error_behind_the_reason_costs_nothing_where_streams_are_resumed(
    caller: str, first: str, tmp_path: Path
) -> None:
    with pair(first, "openai", tmp_path, prefill=False) as (gateway, one, two):
        one.behaviours["m"] = an_error_behind_the_reason
        seen = asked_of(gateway, caller)
    verdict = judge_any(seen, caller, stream=True)
    assert (verdict.what, verdict.text) == ("complete", TEXT)
    # A dialect that tells its reason only with the end has none yet, and another target has to say it all again.
    assert two.count("m") == (0 if caller in ("openai", first) else 1)
