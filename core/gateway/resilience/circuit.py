"""What is held against a target: an open circuit, a cooldown, an ejection. Small, immutable, shared between workers.

Opening, closing and probing raise ``seq``, so that of two copies the later one is known without a clock. Cooldowns and
ejections only end by the time, so that of two the longer one holds.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from gateway.resilience.rules import BreakerRules

MOST_DOUBLINGS = 16
RETRY_HALF_OPEN = 1.0
"""What a caller is told where all probes are under way: their end is not known."""


class Circuit(msgspec.Struct, frozen=True, array_like=True):
    """One target's record. Times are on the workers' common clock, 0 where nothing holds.

    ``trips`` counts how often it opened in a row; ``leases`` are the probes under way, with their ends. ``limited``
    says that the cooldown is a rate limit's; ``since`` is the last change of ``is_open``.
    """

    seq: int = 0
    is_open: bool = False
    until: float = 0.0
    trips: int = 0
    leases: tuple[tuple[int, float], ...] = ()
    cooling: float = 0.0
    limited: bool = False
    ejected: float = 0.0
    ejections: int = 0
    since: float = 0.0
    reason: str = ""


CLOSED = Circuit()


class Verdict(msgspec.Struct, frozen=True):
    """What a circuit says to one call: go, go as a probe, or not before ``until``."""

    allowed: bool
    state: str = "ok"
    until: float = 0.0
    probe: int = 0


GO = Verdict(True)


def quiet(circuit: Circuit, now: float) -> bool:
    """Whether nothing is held against the target."""
    return not circuit.is_open and circuit.cooling <= now and circuit.ejected <= now


def look(circuit: Circuit, now: float, rules: BreakerRules) -> Verdict:
    """What a call would be told, without taking a probe's lease."""
    if circuit.cooling > now:
        until = max(circuit.cooling, circuit.until) if circuit.is_open else circuit.cooling
        return Verdict(False, "cooling", until)
    if circuit.is_open:
        if now < circuit.until:
            return Verdict(False, "open", circuit.until)
        ends = [end for _, end in circuit.leases if end > now]
        if len(ends) >= rules.probes:
            return Verdict(False, "half_open", min(*ends, now + RETRY_HALF_OPEN))
        return Verdict(True, "half_open")
    if circuit.ejected > now:
        return Verdict(False, "ejected", circuit.ejected)
    return GO


def ask(circuit: Circuit, now: float, ticket: int, rules: BreakerRules) -> tuple[Circuit, Verdict]:
    """May a call go? A half-open circuit gives it a probe's lease under ``ticket``, a number of its own."""
    verdict = look(circuit, now, rules)
    if not verdict.allowed or verdict.state != "half_open":
        return circuit, verdict
    live = tuple(lease for lease in circuit.leases if lease[1] > now)
    taken = change(circuit, leases=(*live, (ticket, now + rules.lease)))
    return taken, Verdict(True, "half_open", 0.0, ticket)


def trip(circuit: Circuit, now: float, rules: BreakerRules, reason: str) -> Circuit:
    """Open it, twice as long as the last time if it has not been well for long.

    Probes that are still under way keep their leases, or there would be too many beside those to come.
    """
    trips = 0 if not circuit.is_open and now - circuit.since > rules.longest else circuit.trips
    length = min(rules.open_for * 2 ** min(trips, MOST_DOUBLINGS), rules.longest)
    return change(circuit, is_open=True, until=now + length, trips=trips + 1, since=now, reason=reason)


def force_open(circuit: Circuit, now: float, until: float, reason: str) -> Circuit:
    """Open it until a given time, by an active health check's word."""
    return change(circuit, is_open=True, until=until, since=now, reason=reason)


def hurry(circuit: Circuit, now: float) -> Circuit:
    """Let probes go now: nobody else can answer, so waiting longer helps no one."""
    return change(circuit, until=now) if circuit.is_open and circuit.until > now else circuit


def close(circuit: Circuit, now: float) -> Circuit:
    """Close it: a probe, or an active health check, was answered."""
    return change(circuit, is_open=False, until=0.0, leases=(), since=now, reason="") if circuit.is_open else circuit


def probed(circuit: Circuit, now: float, ticket: int, rules: BreakerRules, *, good: bool | None, why: str) -> Circuit:
    """A probe has ended: well, badly, or (None) without a word on the target, which only frees its lease.

    A probe whose lease is no longer there has nothing to say, and neither has one of an earlier round: another has
    failed since, and the circuit is open again.
    """
    if all(lease[0] != ticket for lease in circuit.leases):
        return circuit
    freed = change(circuit, leases=tuple(lease for lease in circuit.leases if lease[0] != ticket))
    if good is None or now < circuit.until:
        return freed
    return close(circuit, now) if good else trip(freed, now, rules, why)


def cool(circuit: Circuit, until: float, *, limited: bool, reason: str) -> Circuit:
    """Leave the target alone until a time; never shorter than what was asked for before."""
    if until <= circuit.cooling:
        return circuit
    return replace(circuit, cooling=until, limited=limited, reason=reason)


def eject(circuit: Circuit, now: float, seconds: float, longest: float, reason: str) -> Circuit:
    """Leave the target out for ``seconds``, times how often that happened of late."""
    count = 1 if now - circuit.ejected > longest else circuit.ejections + 1
    return replace(circuit, ejected=now + min(seconds * count, longest), ejections=count, reason=reason)


def merge(mine: Circuit, theirs: Circuit) -> Circuit:
    """Of two copies the later one, with the longer cooldown and ejection of both."""
    first, second = (mine, theirs) if _rank(mine) >= _rank(theirs) else (theirs, mine)
    if second.cooling > first.cooling:
        reason = first.reason if first.is_open else second.reason
        first = replace(first, cooling=second.cooling, limited=second.limited, reason=reason)
    if second.ejected > first.ejected:
        reason = first.reason if first.is_open else second.reason
        first = replace(first, ejected=second.ejected, ejections=second.ejections, reason=reason)
    return first


def change(circuit: Circuit, **changes: object) -> Circuit:
    """A later copy."""
    return replace(circuit, seq=circuit.seq + 1, **changes)


def _rank(circuit: Circuit) -> tuple[int, bool, float]:
    return circuit.seq, circuit.is_open, circuit.until
