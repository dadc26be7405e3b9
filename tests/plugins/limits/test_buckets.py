"""Several limits of one name at once, and names that come and go."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gateway_plugins.limits.buckets import Buckets, Rule, Taken
from gateway_plugins.limits.gcra import MINUTE, Limit

SECOND = MINUTE // 60


def test_a_refusal_by_one_limit_takes_nothing_from_the_others() -> None:
    buckets, both = Buckets(), Rule(requests=Limit(60, 10), tokens=Limit(1000, 100), concurrency=5)
    assert buckets.take("a", both, 0, 90).taken is not None
    refused = buckets.take("a", both, 0, 50)
    assert refused.taken is None
    assert refused.requests is not None
    assert refused.tokens is not None
    assert (refused.requests.allowed, refused.requests.remaining) == (True, 9)
    assert (refused.tokens.allowed, refused.tokens.remaining) == (False, 10)
    again = buckets.take("a", both, 0, 10)
    assert again.requests is not None
    assert again.requests.remaining == 8


def test_a_crowd_is_refused_until_one_has_ended() -> None:
    buckets, alone = Buckets(), Rule(concurrency=1, requests=Limit(60, 60))
    first = buckets.take("a", alone, 0, 0).taken
    assert first is not None
    crowded = buckets.take("a", alone, 0, 0)
    assert crowded.crowded
    assert crowded.taken is None
    assert crowded.requests is not None
    assert crowded.requests.remaining == 59
    buckets.give_back(first, 0, 0)
    assert buckets.take("a", alone, 0, 0).taken is not None


def test_names_do_not_share() -> None:
    buckets, one = Buckets(), Rule(requests=Limit(1, 1))
    assert buckets.take("a", one, 0, 0).taken is not None
    assert buckets.take(("a", "m"), one, 0, 0).taken is not None
    assert buckets.take("a", one, 0, 0).taken is None


def test_a_settlement_uses_the_limit_that_the_call_began_with() -> None:
    buckets = Buckets()
    taken = buckets.take("a", Rule(tokens=Limit(60, 60)), 0, 60).taken
    assert taken is not None
    wider = Rule(tokens=Limit(600, 600))
    buckets.give_back(taken, 0, 30)
    verdict = buckets.take("a", wider, 30 * SECOND, 0)
    assert verdict.tokens is not None
    assert verdict.tokens.remaining == 600


def test_names_that_are_idle_are_forgotten() -> None:
    buckets, quick = Buckets(), Rule(requests=Limit(60, 60), tokens=Limit(60_000, 60_000))
    most = 0
    for number in range(20_000):
        taken = buckets.take(number, quick, number * SECOND // 100, 10).taken
        assert taken is not None
        buckets.give_back(taken, number * SECOND // 100, 10)
        most = max(most, len(buckets))
    assert most < 300, "a request refills within a second, in which 100 names come"


def test_a_name_with_a_call_in_flight_is_kept() -> None:
    buckets, two = Buckets(), Rule(concurrency=2)
    held = buckets.take("held", two, 0, 0).taken
    assert held is not None
    for number in range(100):
        taken = buckets.take(number, two, number * MINUTE, 0).taken
        assert taken is not None
        buckets.give_back(taken, number * MINUTE, 0)
    assert buckets.take("held", two, 1000 * MINUTE, 0).taken is not None
    assert buckets.take("held", two, 1000 * MINUTE, 0).crowded


class Traffic(RuleBasedStateMachine):
    """Calls come, end in any order and use what they like; the books must always balance."""

    flying = Bundle("flying")
    limits = Rule(requests=Limit(90, 7), tokens=Limit(6000, 300), concurrency=4)

    def __init__(self) -> None:
        super().__init__()
        self.buckets = Buckets()
        self.now = 0
        self.in_flight: dict[str, int] = {}
        self.admitted: dict[str, list[int]] = {}

    @rule(gap=st.integers(0, 20 * SECOND))
    def pass_time(self, gap: int) -> None:
        self.now += gap

    @rule(target=flying, name=st.sampled_from("ab"), tokens=st.integers(0, 350))
    def call(self, name: str, tokens: int) -> Taken | None:
        verdict = self.buckets.take(name, self.limits, self.now, tokens)
        crowded = self.in_flight.get(name, 0) == 4
        assert verdict.crowded == crowded
        assert tokens <= 300 or verdict.taken is None
        if verdict.taken is not None:
            self.in_flight[name] = self.in_flight.get(name, 0) + 1
            self.admitted.setdefault(name, []).append(self.now)
        return verdict.taken

    @rule(taken=consumes(flying), actual=st.integers(0, 400))
    def end(self, taken: Taken | None, actual: int) -> None:
        if taken is not None:
            assert isinstance(taken.name, str)
            self.in_flight[taken.name] -= 1
            self.buckets.give_back(taken, self.now, actual)

    @invariant()
    def requests_keep_to_burst_and_rate(self) -> None:
        for times in self.admitted.values():
            for first, begun in enumerate(times):
                assert (len(times) - first) * MINUTE <= 7 * MINUTE + 90 * (times[-1] - begun)


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
