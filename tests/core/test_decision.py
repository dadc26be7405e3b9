"""The record of why a call went where it went."""

from __future__ import annotations

import msgspec

from gateway import Target
from gateway.decision import Candidate, Decision, decision_of
from tests.plugins.made_calls import made_call

A, B = Target(provider="a", model="m"), Target(provider="b", model="m")


def test_candidates_stand_in_the_order_in_which_they_are_tried_and_the_others_behind() -> None:
    decision = Decision(strategy="cheapest")
    decision.scored(A, 0.25, "dollars expected")
    decision.candidate("c/m").why = "takes no images"
    decision.candidate("d/m")
    decision.order([B, A, B])
    assert [(entry.target, entry.kept, entry.why) for entry in decision.candidates] == [
        ("b/m", True, None),
        ("a/m", True, None),
        ("c/m", False, "takes no images"),
        ("d/m", False, "not chosen"),
    ]
    assert decision.candidate("a/m").score == 0.25


def test_a_call_has_one_decision_and_it_can_be_written_and_read() -> None:
    call = made_call(strategy="weighted")
    assert call.decision is None
    decision = decision_of(call)
    assert decision is decision_of(call) is call.decision
    assert decision.strategy == "weighted"
    decision.candidates.append(Candidate(target="a/m"))
    assert msgspec.json.decode(msgspec.json.encode(decision), type=Decision) == decision
