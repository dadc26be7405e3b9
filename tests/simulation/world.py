"""A day of the gateway in milliseconds: workers, a shared store and upstreams on a virtual clock, from one seed.

First the safety half: calls come while upstreams and the store fail. Then the liveness half: all is well, and within
the longest time that anything may be held against a target, every call must succeed again.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from random import Random
from typing import Any

from gateway.resilience.answers import Admission
from gateway.resilience.board import FAULTS as AGAINST
from gateway.resilience.board import Board
from gateway.resilience.board_state import BoardState
from gateway.resilience.extra import Extra, ExtraState
from gateway.resilience.rules import BreakerRules, BudgetRules, EjectionRules, TargetRules
from gateway.resilience.shared import SYNC_SECONDS
from tests.simulation.weather import FAULTS, Upstream, WeatherStore

TARGETS = ("a/m", "b/m", "c/m")
WORKERS = 4
STORM = 40.0
MOST_ATTEMPTS = 4
BREAKER = BreakerRules(
    failures=3, error_share=0.5, samples=8, window=20.0, open_for=1.0, longest=8.0, probes=2, lease=6.0
)
RULES = TargetRules(breaker=BREAKER, cooldown=1.0, longest_cooldown=9.0, alone=False)
EJECTION = EjectionRules(samples=6, margin=0.2, share=0.7, seconds=3.0, longest=8.0, sweep=1.0)
BUDGET = BudgetRules(ratio=0.2, floor=1.0, window=10.0)
CALM = 9.0 + BREAKER.lease + 4.0
"""Seconds after the storm in which everything that may be held against a target is over, and open calls have ended."""


class Broken(AssertionError):
    """An invariant does not hold."""


class Flight:
    """One attempt under way."""

    __slots__ = ("call", "over", "probe", "target", "worker")

    def __init__(self, call: Flying, target: str, probe: int) -> None:
        self.call = call
        self.worker = call.worker
        self.target = target
        self.probe = probe
        self.over = False


class Flying:
    """One call."""

    __slots__ = ("attempts", "first_byte", "left", "outcome", "refused", "worker")

    def __init__(self, worker: Worker, order: list[str]) -> None:
        self.worker = worker
        self.left = order
        self.attempts = 0
        self.first_byte = False
        self.refused: list[Admission] = []
        self.outcome = ""


class Worker:
    """One process, with what the checks know of it besides."""

    def __init__(self, store: WeatherStore, rng: Random) -> None:
        rules = dict.fromkeys(TARGETS, RULES)
        self.board = Board(BoardState(store), rng.random, rules, lambda _: RULES, {"model": TARGETS}, EJECTION)
        self.extra = Extra(ExtraState(), {"model": BUDGET}, BUDGET, {}, WORKERS)
        self.cooling = dict.fromkeys(TARGETS, 0.0)
        self.row = dict.fromkeys(TARGETS, (0.0, 0))
        self.originals: deque[float] = deque()
        self.retries: deque[float] = deque()


class World:
    """One run. ``run`` raises Broken where an invariant does not hold."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)
        self.now = 0.0
        self.store = WeatherStore()
        self.workers = [Worker(self.store, rng) for _ in range(WORKERS)]
        self.upstreams = {target: Upstream(rng, STORM) for target in TARGETS}
        self.cooling = dict.fromkeys(TARGETS, 0.0)
        self.cooled_at = dict.fromkeys(TARGETS, 0.0)
        self.probes: dict[str, int] = dict.fromkeys(TARGETS, 0)
        self.calm: list[Flying] = []
        self.seen: set[str] = set()
        self._events: list[tuple[float, int, str, Any]] = []
        self._number = 0

    def run(self) -> None:
        """Storm, calm, and the last look."""
        rng = self.rng
        at = 0.0
        while at < STORM:
            for _ in range(rng.choice((1, 1, 2, 6))):
                self._at(at, "call", None)
            at += rng.expovariate(0.9)
        at = rng.uniform(0.0, STORM)
        while at < STORM:
            self._at(at, "store", rng.choice(("lag", "dead", "wipe")))
            at += rng.uniform(0.5, 8.0)
            self._at(min(at, STORM), "store", "ok")
            at += rng.uniform(1.0, STORM)
        for place in range(WORKERS * len(TARGETS)):
            worker, target = divmod(place, len(TARGETS))
            self._at(STORM + CALM + place, "call", (self.workers[worker], TARGETS[target]))
        while self._events:
            self.now, _, kind, data = heappop(self._events)
            if kind == "call":
                self._call(*(data or (self.workers[int(rng.random() * WORKERS)], None)))
            elif kind == "store":
                self.store.turn(data)
            elif not data[0].over:
                self._end(*data)
        self._last_look()

    def _at(self, when: float, kind: str, data: Any) -> None:
        self._number += 1
        heappush(self._events, (when, self._number, kind, data))

    def _call(self, worker: Worker, first: str | None) -> None:
        """A call comes in; ``first`` is the target that it asks first, in the calm."""
        worker.extra.counted("model", self.now)
        worker.originals.append(self.now)
        order = list(TARGETS)
        self.rng.shuffle(order)
        if first is not None:
            order = [first, *(target for target in order if target != first)]
        call = Flying(worker, [*order, order[0]])
        if first is not None:
            self.calm.append(call)
        self._try(call)

    def _try(self, call: Flying) -> None:
        worker, now, rng = call.worker, self.now, self.rng
        if call.first_byte:
            raise Broken("I5: an attempt behind the first byte")
        while call.left:
            if call.attempts and not worker.extra.may_retry("model", now):
                call.outcome = "error"
                return
            target = call.left.pop(0)
            admission = worker.board.admit(target, now, "model")
            self._check(worker, target, admission)
            if not admission.allowed:
                call.refused.append(admission)
                continue
            if call.attempts:
                self._check_budget(worker)
            worker.board.began(target, now)
            call.attempts += 1
            if call.attempts > MOST_ATTEMPTS:
                raise Broken("I4: too many attempts")
            flight = Flight(call, target, admission.probe)
            fault = self.upstreams[target].fault_at(now, rng)
            if fault:
                kind, least, most, named = FAULTS[fault]
                after = rng.choice((0.0, 0.5, 3.0, 30.0, 1e9)) if named else None
                self._at(now + rng.uniform(least, most), "end", (flight, kind, after))
            else:
                self._at(now + rng.uniform(0.05, 3.0), "end", (flight, "", None))
            if now < STORM and rng.random() < 0.1:
                self._at(now + rng.uniform(0.0, 1.0), "end", (flight, "cancelled", None))
            return
        call.outcome = "error" if call.attempts else "refused"
        if not call.attempts:
            self._check_refusal(call)

    def _end(self, flight: Flight, kind: str, after: float | None) -> None:
        flight.over = True
        call, worker, target, now = flight.call, flight.worker, flight.target, self.now
        if flight.probe:
            self.probes[target] -= 1
        if kind == "cancelled":
            worker.board.ended(target, "cancelled", now, cancelled=True, probe=flight.probe)
            call.outcome = "cancelled"
            self._check_leases(target)
            return
        if not kind:
            call.first_byte = True
            worker.board.first_token(target, 0.2, 100, now, flight.probe)
        limits = kind == "rate_limit" or (kind in AGAINST and after is not None)
        if limits:
            until = now + min(RULES.cooldown if after is None else after, RULES.longest_cooldown)
            worker.cooling[target] = max(worker.cooling[target], until)
            if until > self.cooling[target]:
                self.cooling[target], self.cooled_at[target] = until, now
        before = worker.board.circuits.get(target)
        worker.board.ended(
            target, "error" if kind else "ok", now, kind=kind or None, retry_after=after, probe=flight.probe
        )
        self._check_leases(target)
        if not before.is_open:
            self._check_row(worker, target, before.since, failed=kind in AGAINST)
        if kind in ("context_length", "authentication") or not kind:
            call.outcome = kind or "ok"
        else:
            self._try(call)

    def _check(self, worker: Worker, target: str, admission: Admission) -> None:
        """What must hold of every answer of the board."""
        now = self.now
        if admission.allowed and now < worker.cooling[target]:
            raise Broken(f"I8: {target} is asked {worker.cooling[target] - now:.3f} s before the end of its cooldown")
        known = not self.store.troubled and now >= self.cooled_at[target] + SYNC_SECONDS
        if admission.allowed and known and now < self.cooling[target]:
            raise Broken(f"I8: {target} is asked although another worker was told to wait")
        if not admission.allowed and admission.reason == "cooling" and now >= self.cooling[target]:
            raise Broken(f"I8: {target} cools for longer than anyone asked")
        self.seen.add(admission.reason)
        if admission.probe:
            self.probes[target] += 1
            most = BREAKER.probes * (WORKERS if self.store.lost else 1)
            if self.probes[target] > most:
                raise Broken(f"I6: {self.probes[target]} probes at once of {target}")
        if not admission.allowed and not (admission.retry_after and 0.0 < admission.retry_after <= CALM):
            raise Broken(f"I7: refused without a time to come back: {admission}")

    def _check_refusal(self, call: Flying) -> None:
        """Nobody was asked: each says why and until when, and not all are merely left out."""
        reasons = {admission.reason for admission in call.refused}
        if not reasons or ("ejected" in reasons and "half_open" not in reasons):
            raise Broken(f"I7: a target is left out, and none of the others takes its place: {reasons}")
        self.seen.add("nobody")

    def _check_leases(self, target: str) -> None:
        """Whoever is done holds no lease any more."""
        if not self.store.lost and target in self.store.circuits:
            held = sum(end > self.now for _, end in self.store.circuits[target].leases)
            if held > self.probes[target]:
                raise Broken(f"I10: {held} leases of {target} are held, by {self.probes[target]} probes")

    def _check_row(self, worker: Worker, target: str, since: float, *, failed: bool) -> None:
        """So many failures in a row, as one worker sees them since the circuit last closed, open it."""
        last, row = worker.row[target]
        row = (row + 1 if last == since else 1) if failed else 0
        worker.row[target] = (since, row)
        if row >= BREAKER.failures and not worker.board.circuits.get(target).is_open:
            raise Broken(f"I4: {target} is asked on after {row} failures in a row")

    def _check_budget(self, worker: Worker) -> None:
        """Called with each retry that was granted, its own not yet counted."""
        now = self.now
        worker.retries.append(now)
        while worker.retries[0] <= now - BUDGET.window * 0.9:
            worker.retries.popleft()
        while worker.originals and worker.originals[0] <= now - BUDGET.window:
            worker.originals.popleft()
        allowed = BUDGET.ratio * len(worker.originals) + BUDGET.floor / WORKERS * BUDGET.window
        if len(worker.retries) > allowed:
            raise Broken(f"I4: {len(worker.retries)} retries within {BUDGET.window} s, where {allowed:.1f} are allowed")

    def _last_look(self) -> None:
        for worker in self.workers:
            if worker.board.state.in_flight:
                raise Broken(f"I10: calls seem to be under way: {worker.board.state.in_flight}")
        if any(self.probes.values()):
            raise Broken(f"I10: probes seem to be under way: {self.probes}")
        if lost := [call.outcome for call in self.calm if call.outcome != "ok" or call.attempts != 1]:
            raise Broken(f"I11: {len(lost)} of {len(self.calm)} calls failed after the storm: {lost}")
        self.now += SYNC_SECONDS * 2
        for worker in self.workers:
            for target in TARGETS:
                health = worker.board.snapshot(target, self.now)
                if health.state != "ok":
                    raise Broken(f"I11: {target} is still {health.state} after the storm: {health.reason}")
