"""A target's circuit: opening, probing, closing, cooling, ejecting, and two copies of it."""

from __future__ import annotations

from gateway.resilience.circuit import CLOSED, ask, close, cool, eject, force_open, look, merge, probed, quiet, trip
from gateway.resilience.rules import BreakerRules

RULES = BreakerRules(open_for=5.0, longest=60.0, probes=2, lease=30.0)


def test_it_stays_open_twice_as_long_each_time_up_to_the_longest() -> None:
    circuit, lengths, now = CLOSED, [], 0.0
    for _ in range(6):
        circuit = trip(circuit, now, RULES, "")
        lengths.append(circuit.until - now)
        now = circuit.until
    assert lengths == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_after_a_long_time_of_health_it_begins_anew() -> None:
    circuit = trip(trip(CLOSED, 0.0, RULES, ""), 5.0, RULES, "")
    closed = close(circuit, 20.0)
    assert trip(closed, 30.0, RULES, "").until == 30.0 + 20.0
    assert trip(closed, 100.0, RULES, "").until == 100.0 + 5.0


def test_two_probes_may_go_and_the_third_call_is_told_to_come_back() -> None:
    circuit = trip(CLOSED, 0.0, RULES, "")
    assert look(circuit, 4.9, RULES).state == "open"
    circuit, first = ask(circuit, 5.0, 1, RULES)
    circuit, second = ask(circuit, 5.0, 2, RULES)
    _, third = ask(circuit, 5.0, 3, RULES)
    assert (first.probe, second.probe) == (1, 2)
    assert not third.allowed
    assert third.until == 6.0
    _, later = ask(circuit, 36.0, 3, RULES)  # leases that nobody gave back have run out
    assert later.probe == 3


def test_a_probe_that_succeeds_closes_it_and_one_that_is_cancelled_frees_its_place() -> None:
    circuit = trip(CLOSED, 0.0, RULES, "")
    circuit, _ = ask(circuit, 5.0, 1, RULES)
    freed = probed(circuit, 6.0, 1, RULES, good=None, why="")
    assert freed.is_open
    assert not freed.leases
    assert quiet(probed(circuit, 6.0, 1, RULES, good=True, why=""), 6.0)


def test_a_probe_of_an_earlier_round_neither_closes_nor_opens() -> None:
    circuit = trip(CLOSED, 0.0, RULES, "")
    circuit, _ = ask(circuit, 5.0, 1, RULES)
    circuit, _ = ask(circuit, 5.0, 2, RULES)
    again = probed(circuit, 6.0, 1, RULES, good=False, why="it failed")
    assert again.until == 16.0
    for good in (True, False):
        late = probed(again, 7.0, 2, RULES, good=good, why="")
        assert (late.is_open, late.until, late.trips, late.leases) == (True, 16.0, 2, ())
    assert probed(again, 7.0, 99, RULES, good=True, why="") is again


def test_a_shorter_cooldown_changes_nothing() -> None:
    circuit = cool(CLOSED, 30.0, limited=True, reason="")
    assert cool(circuit, 20.0, limited=True, reason="") is circuit
    assert cool(circuit, 40.0, limited=False, reason="").cooling == 40.0


def test_an_ejection_grows_while_it_happens_often() -> None:
    first = eject(CLOSED, 1000.0, 30.0, 300.0, "")
    second = eject(first, 1031.0, 30.0, 300.0, "")
    assert (first.ejected, second.ejected) == (1030.0, 1091.0)
    assert eject(second, 2000.0, 30.0, 300.0, "").ejected == 2030.0


def test_of_two_copies_the_later_holds_and_no_cooldown_is_lost() -> None:
    old = cool(CLOSED, 50.0, limited=True, reason="")
    new = close(trip(trip(CLOSED, 0.0, RULES, ""), 1.0, RULES, ""), 2.0)
    both = merge(old, new)
    assert both == merge(new, old)
    assert (both.is_open, both.cooling, both.limited) == (False, 50.0, True)


def test_a_health_check_opens_until_it_says_otherwise() -> None:
    circuit = force_open(CLOSED, 0.0, 95.0, "no answer")
    assert look(circuit, 90.0, RULES).until == 95.0
    assert quiet(close(circuit, 91.0), 91.0)
    assert close(CLOSED, 91.0) is CLOSED
