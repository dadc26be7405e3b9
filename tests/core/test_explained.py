"""The decision on a call, told in the head of the answer and in the record of a log."""

from __future__ import annotations

import json
from typing import Any

from gateway.call import Attempt, Target
from gateway.decision import Decision, decision_of
from gateway.explained import LONGEST_LINE, decision_line, explanation_json
from gateway.needs import needs_of
from gateway.testing import ScriptedProvider, running_gateway
from tests.plugins.made_calls import made_call
from tests.plugins.upstream import ANSWER, ASK

ONE, TWO = Target(provider="one", model="m"), Target(provider="two", model="m")
EXPLAIN = {"x-gateway-explain": "1"}


def line_of(call: Any) -> Any:
    line = decision_line(call)
    assert line is not None
    assert len(line) <= LONGEST_LINE
    assert line.isascii()
    assert b"\n" not in line
    return json.loads(line)


def test_one_target_taken_as_declared_leaves_no_record() -> None:
    call = made_call()
    call.attempts = [Attempt(target=call.targets[0], started=0.0, ended=0.1, status=200)]
    assert explanation_json(call) is None


def test_a_call_that_never_came_to_a_choice_has_no_line() -> None:
    assert decision_line(made_call()) is None


def test_a_note_alone_is_kept() -> None:
    call = made_call()
    call.note("up/m was passed over: open")
    assert json.loads(explanation_json(call) or "") == {"strategy": "ordered", "notes": ["up/m was passed over: open"]}


def test_the_record_has_candidates_scores_reasons_and_what_the_request_was_found_to_need() -> None:
    call = made_call(targets=(ONE, TWO), strategy="cheapest")
    decision = decision_of(call)
    decision.scored(TWO, 0.25, "dollars expected")
    decision.candidate("one/m").why = "takes no images"
    decision.order([TWO])
    decision.rule = "tokens > 5"
    call.note("two/m was passed over: open")
    assert needs_of(call).tokens > 0
    found = json.loads(explanation_json(call) or "")
    assert found["candidates"] == [
        {"target": "two/m", "score": 0.25, "detail": "dollars expected"},
        {"target": "one/m", "kept": False, "why": "takes no images"},
    ]
    assert (found["strategy"], found["rule"]) == ("cheapest", "tokens > 5")
    assert found["needs"] == {"tokens": needs_of(call).tokens}
    assert found["notes"] == ["two/m was passed over: open"]


def test_a_name_that_is_no_unicode_is_escaped() -> None:
    call = made_call()
    call.note("x/\ud800 was passed over")
    assert json.loads(explanation_json(call) or "")["notes"] == ["x/\ud800 was passed over"]


def test_the_line_is_short_and_whole_json_however_much_there_is_to_tell() -> None:
    call = made_call(targets=(ONE, TWO))
    call.decision = Decision(strategy="ordered", rule="\x02" * 5000, split="ß" * 3000)
    for place in range(200):
        entry = call.decision.candidate(f"provider/{'ü' * 50}{place}")
        entry.why = "because\n" * 50
    odd = Target(provider="p", model="\x01ä" * 3000)
    call.attempts = [Attempt(target=odd, started=0.0, status=503, error_kind="server_error")] * 40
    call.model = "ä\x7f" * 5000
    found = line_of(call)
    assert found["cut"] is True
    assert found["attempts"][-1]["status"] == 503


def test_the_least_important_goes_first() -> None:
    call = made_call(targets=(ONE, TWO))
    decision = decision_of(call)
    decision.candidate("one/m").why = "w" * 100
    decision.candidate("two/m")
    decision.notes = ["n" * 3000]
    found = line_of(call)
    assert found["cut"] is True
    assert "notes" not in found
    assert found["candidates"][0] == {"target": "one/m", "why": "w" * 100}


def toml(one: ScriptedProvider, two: ScriptedProvider) -> str:
    tables = "".join(
        f'[plugins.{name}]\nuse = "openai_compatible"\nbase_url = "{up.url}/v1"\n'
        for name, up in (("one", one), ("two", two))
    )
    return f'{tables}[models.fast]\ntargets = ["one/m", "two/m"]\nretries = 0\n[models.solo]\ntargets = ["two/m"]\n'


def test_a_caller_who_asks_is_told_what_was_tried_and_why() -> None:
    with ScriptedProvider() as one, ScriptedProvider() as two:
        one.default_reply(json={"error": {"message": "down"}}, status=503)
        two.default_reply(json=ANSWER)
        with running_gateway(toml(one, two)) as gateway:
            asked = gateway.post("/v1/chat/completions", ASK, headers=EXPLAIN)
            silent = gateway.post("/v1/chat/completions", ASK)
            no = gateway.post("/v1/chat/completions", ASK, headers={"x-gateway-explain": "0"})
            solo = gateway.post("/v1/chat/completions", {**ASK, "model": "solo"}, headers=EXPLAIN)
            wrong = gateway.post("/v1/chat/completions", {**ASK, "model": "none"}, headers=EXPLAIN)
    assert asked.status == 200
    found = json.loads(asked.headers["x-gateway-decision"])
    assert (found["model"], found["strategy"]) == ("fast", "ordered")
    assert [entry["target"] for entry in found["candidates"]] == ["one/m", "two/m"]
    first, second = found["attempts"]
    assert (first["target"], first["status"]) == ("one/m", 503)
    assert first["ended_ms"] >= first["at_ms"]
    assert first["error"]
    assert (second["target"], second["status"]) == ("two/m", 200)
    assert "x-gateway-decision" not in silent.headers
    assert "x-gateway-decision" not in no.headers
    assert json.loads(solo.headers["x-gateway-decision"])["candidates"] == [{"target": "two/m"}]
    assert wrong.status == 404
    assert "x-gateway-decision" not in wrong.headers


def test_an_error_is_explained_too_and_one_setting_turns_it_off() -> None:
    with ScriptedProvider() as one, ScriptedProvider() as two:
        for up in (one, two):
            up.default_reply(json={"error": {"message": "down"}}, status=500)
        with running_gateway(toml(one, two)) as gateway:
            failed = gateway.post("/v1/chat/completions", ASK, headers=EXPLAIN)
        with running_gateway("[server]\ngateway_headers = false\n" + toml(one, two)) as gateway:
            off = gateway.post("/v1/chat/completions", ASK, headers=EXPLAIN)
    assert failed.status >= 500
    assert len(json.loads(failed.headers["x-gateway-decision"])["attempts"]) == 2
    assert "x-gateway-decision" not in off.headers
