"""One worker's view of all targets: what is held against them, by its own evidence and by that of the other workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from gateway.resilience.answers import ADMITTED, Admission, TargetHealth
from gateway.resilience.board_state import BoardState
from gateway.resilience.circuit import (
    GO,
    Circuit,
    Verdict,
    ask,
    close,
    cool,
    eject,
    force_open,
    hurry,
    look,
    probed,
    quiet,
    trip,
)
from gateway.resilience.evidence import Evidence
from gateway.resilience.latency import Latency
from gateway.resilience.outlier import outliers
from gateway.resilience.remembered import remembered
from gateway.resilience.rules import EAGER, EjectionRules, TargetRules
from gateway.resilience.throttle import Throttle

FAULTS = frozenset({"timeout", "upstream", "server_error", "overloaded"})  # others show a target alive
LIMITS = frozenset({"rate_limit", "quota"})


class Board:
    """Admits calls to targets, and learns from how they end.

    ``rules`` are those of each target, ``other`` those of one that no model names. ``groups`` are the targets of each
    model, which stand in for each other.
    """

    def __init__(
        self,
        state: BoardState,
        rng: Callable[[], float],
        rules: Mapping[str, TargetRules],
        other: Callable[[str], TargetRules],
        groups: Mapping[str, tuple[str, ...]],
        ejection: EjectionRules | None = None,
    ) -> None:
        self.state = state
        self.circuits = state.circuits
        self.rng = rng
        self.groups = groups
        self.ejection = ejection
        self._rules = dict(rules)
        self._other = other
        self._others: dict[str, TargetRules] = {}
        self._siblings: dict[str, tuple[str, ...]] = {}
        for group in groups.values():
            for target in group:
                self._siblings[target] = tuple(dict.fromkeys((*self._siblings.get(target, ()), *group)))

    def rules(self, target: str) -> TargetRules:
        """What holds for a target."""
        found = self._rules.get(target) or self._others.get(target)
        return remembered(self._others, target, self._other(target)) if found is None else found

    def admit(self, target: str, now: float, model: str | None = None) -> Admission:
        """May a call go? An answer with ``probe`` holds a lease, which ``ended`` gives back."""
        if now >= self.circuits.next_sync:
            self.circuits.sync(now)
        if (throttle := self.state.throttles.get(target)) is not None and self.rng() < throttle.share(now):
            return Admission(False, "throttled", 1.0)
        if not self.circuits.held:
            return ADMITTED
        return self._admit_held(target, now, model)

    def _admit_held(self, target: str, now: float, model: str | None) -> Admission:
        """The answer where something is held against some target."""
        held = self.circuits.held
        half_open = []
        for key in (target, target.partition("/")[0]):
            if (circuit := held.get(key)) is None:
                continue
            verdict = look(circuit, now, self.rules(key).breaker)
            if not verdict.allowed:
                if verdict.state == "ejected" and self._panics(target, now, model):
                    return Admission(True, "panic")
                if verdict.state != "open" or now < circuit.since + EAGER or not self._panics(target, now, model):
                    return self._refused(key, verdict, now)
                self.circuits.change(key, now, lambda known: hurry(known, now))
                half_open.append(key)
                continue
            if verdict.state == "half_open":
                half_open.append(key)
            elif quiet(circuit, now):
                del held[key]
        return self._admit_probe(target, half_open, now) if half_open else ADMITTED

    def _admit_probe(self, target: str, half_open: list[str], now: float) -> Admission:
        ticket = int(self.rng() * 2**52) + 1
        leased = 0
        for key in half_open:
            verdict = self._probe(key, now, ticket)
            if not verdict.allowed:
                self._end_probe(target, now, ticket, None, "")
                return self._refused(key, verdict, now)
            leased = leased or verdict.probe  # none, where another worker has closed it since
        return Admission(True, "half_open", None, ticket) if leased else ADMITTED

    def began(self, target: str, now: float) -> None:
        """A call that was admitted has begun; ``ended`` must follow."""
        state = self.state
        state.in_flight[target] = state.in_flight.get(target, 0) + 1
        if self.rules(target).throttle:
            if (throttle := state.throttles.get(target)) is None:
                throttle = remembered(state.throttles, target, Throttle())
            throttle.sent(now)

    def first_token(self, target: str, seconds: float, tokens: int, now: float, probe: int = 0) -> None:
        """The first token came, ``seconds`` after the request. For a probe that is enough to close the circuit."""
        latency = self.state.latency.get(target)
        if latency is None:
            latency = remembered(self.state.latency, target, Latency(now))
        latency.add(now, seconds, tokens)
        if probe:
            self._end_probe(target, now, probe, True, "")

    def ended(
        self,
        target: str,
        outcome: str,
        now: float,
        *,
        kind: str | None = None,
        retry_after: float | None = None,
        cancelled: bool = False,
        scope: str = "target",
        probe: int = 0,
        another_key: bool = False,
    ) -> None:
        """A call has ended. Without a word on the target where it was cancelled, by the caller or by us."""
        state = self.state
        if (count := state.in_flight.pop(target, 0)) > 1:
            state.in_flight[target] = count - 1
        if cancelled or outcome == "cancelled":
            if probe:
                self._end_probe(target, now, probe, None, "")
            return
        good = outcome == "ok" or (kind is not None and kind not in FAULTS)
        if probe:
            self._end_probe(target, now, probe, good, f"a probe failed ({kind or outcome})")
        if kind is not None and not another_key and (kind in LIMITS or (not good and retry_after is not None)):
            self._cool(target, now, kind, retry_after, scope)
        if (throttle := state.throttles.get(target)) is not None and kind not in LIMITS and kind != "overloaded":
            throttle.taken(now)
        self._weigh(target, now, kind, good=good)

    def ended_well(self, target: str, now: float) -> None:
        """A call that was no probe has ended with a good answer: what ``ended`` does for ``ok``, in less time."""
        state = self.state
        evidence = state.evidence.get(target)
        if evidence is None or state.throttles or self.circuits.held:
            self.ended(target, "ok", now)
            return
        if (count := state.in_flight.pop(target, 0)) > 1:
            state.in_flight[target] = count - 1
        evidence.good(now)

    def _weigh(self, target: str, now: float, kind: str | None, *, good: bool) -> None:
        """Count an answer for or against a target, and open its circuit where that is enough."""
        held = self.circuits.held.get(target)
        if held is not None and held.is_open:
            return  # only probes count now, and calls from before it opened are no news
        breaker = self.rules(target).breaker
        evidence = self.state.evidence.get(target)
        if evidence is None:
            evidence = remembered(self.state.evidence, target, Evidence(breaker.window))
        if good:
            evidence.good(now)
            return
        reason = evidence.bad(now, breaker)
        if reason is None:
            self._sweep(target, now)
            return
        text = reason + (f", the last with {kind}" if kind else "")
        self.circuits.change(target, now, lambda c: c if c.is_open else trip(c, now, breaker, text))

    def spared(self, target: str, now: float, probe: int) -> None:
        """A probe that never began gives its lease back."""
        self._end_probe(target, now, probe, None, "")

    def checked(self, provider: str, good: bool, now: float, until: float, reason: str) -> None:
        """An active health check's word on a whole provider; a bad one holds ``until``, or to the next good one."""
        if good and provider not in self.circuits.known:
            return
        self.circuits.change(
            provider, now, lambda circuit: close(circuit, now) if good else force_open(circuit, now, until, reason)
        )

    def snapshot(self, target: str, now: float, queued: int = 0) -> TargetHealth:
        """How a target is. Takes no probe's lease, and touches no store but to know what others know."""
        state = self.state
        if now >= self.circuits.next_sync:
            self.circuits.sync(now)
        latency, evidence = state.latency.get(target), state.evidence.get(target)
        share, samples = evidence.share(now) if evidence is not None else (0.0, 0)
        mean = latency.mean() if latency is not None else None
        known = TargetHealth(
            in_flight=state.in_flight.get(target, 0),
            queued=queued,
            first_token_ms=None if mean is None else mean * 1000.0,
            error_rate=share,
            samples=samples,
            latency=latency,
        )
        for key in (target, target.partition("/")[0]):
            if (held := self.circuits.held.get(key)) is None:
                continue
            verdict = look(held, now, self.rules(key).breaker)
            if verdict.state != "ok":
                until = verdict.until or None
                return msgspec.structs.replace(known, state=verdict.state, until=until, reason=held.reason)
        return known

    def _refused(self, key: str, verdict: Verdict, now: float) -> Admission:
        held = self.circuits.get(key)
        limited = verdict.state == "cooling" and held.limited
        return Admission(False, verdict.state, max(verdict.until - now, 0.001), 0, limited)

    def _panics(self, target: str, now: float, model: str | None) -> bool:
        """Whether none that could stand in for a target is fit, so that it must be asked all the same."""
        group = self.groups.get(model or "") or self._siblings.get(target, ())
        return not any(self._is_fit(other, now) for other in group if other != target)

    def _is_fit(self, target: str, now: float) -> bool:
        held = self.circuits.held
        keys = (target, target.partition("/")[0])
        return all(key not in held or look(held[key], now, self.rules(key).breaker).allowed for key in keys)

    def _probe(self, key: str, now: float, ticket: int) -> Verdict:
        rules = self.rules(key).breaker
        verdict = GO

        def take(circuit: Circuit) -> Circuit:
            nonlocal verdict
            taken, verdict = ask(circuit, now, ticket, rules)
            return taken

        self.circuits.change(key, now, take)
        return verdict

    def _end_probe(self, target: str, now: float, ticket: int, good: bool | None, why: str) -> None:
        for key in (target, target.partition("/")[0]):
            if key in self.circuits.known:
                rules = self.rules(key).breaker
                self.circuits.change(key, now, partial(probed, now=now, ticket=ticket, rules=rules, good=good, why=why))

    def _cool(self, target: str, now: float, kind: str, retry_after: float | None, scope: str) -> None:
        rules = self.rules(target)
        if retry_after is None:
            if rules.alone:
                return  # nobody could stand in for it, and it did not ask for it
            retry_after = rules.quota_cooldown if kind == "quota" else rules.cooldown
        until = now + min(max(retry_after, 0.0), rules.longest_cooldown)
        key = target.partition("/")[0] if scope == "provider" else target
        if until > max(now, self.circuits.get(key).cooling):
            limited = kind in LIMITS
            reason = f"{kind}: asked to be left alone" if limited else f"{kind}, with a time to come back"
            self.circuits.change(key, now, lambda circuit: cool(circuit, until, limited=limited, reason=reason))

    def _sweep(self, target: str, now: float) -> None:
        """Leave out those that do worse than their siblings."""
        state, rules, group = self.state, self.ejection, self._siblings.get(target, ())
        if rules is None or len(group) < 2 or now < state.swept.get(target, 0.0):
            return
        state.swept[target] = now + rules.sweep
        evidence = {name: state.evidence.get(name) for name in group}
        shares = {name: seen.share(now) if seen is not None else (0.0, 0) for name, seen in evidence.items()}
        out = {name for name in group if not self._is_fit(name, now)}
        for name in outliers(shares, out, rules):
            reason = f"{shares[name][0]:.0%} of its calls failed, more than of its siblings'"
            self.circuits.change(
                name, now, partial(eject, now=now, seconds=rules.seconds, longest=rules.longest, reason=reason)
            )
