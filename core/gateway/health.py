"""The health of targets: who may be asked now, who failed of late, how fast they are, and what may be tried again."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.errors import GatewayError, RateLimited, Unavailable
from gateway.health_settings import HealthConfig
from gateway.health_store import open_store, place_of
from gateway.resilience.answers import Admission, TargetHealth
from gateway.resilience.backoff import delay
from gateway.resilience.board import Board
from gateway.resilience.board_state import BoardState
from gateway.resilience.circuit import Circuit
from gateway.resilience.extra import Extra, ExtraState
from gateway.resilience.rules import BreakerRules, BudgetRules, EjectionRules, HedgeRules, TargetRules
from gateway.resilience.store import HealthStore
from gateway.slots import NO_SLOT, Gate, NoSlot, Slot

if TYPE_CHECKING:
    from gateway.config import GatewayConfig, ModelConfig
    from gateway.provider import Provider

__all__ = ["Admission", "Health", "NoSlot", "Slot", "TargetHealth"]

log = logging.getLogger("gateway")

_random = random.Random()  # noqa: S311  # jitter and chance, not secrets


class HealthState:
    """What outlives a change of the configuration: all that was learned."""

    def __init__(self, store: HealthStore, place: object) -> None:
        self.store = store
        self.place = place
        self.board = BoardState(store, _tell)
        self.extra = ExtraState()
        self.gates: dict[str, Gate] = {}
        self.users = 0


class Health:
    """What ``forward`` and the routing strategies ask of targets, written ``provider/model``.

    No method raises or waits, but for ``slot``. ``now`` is on the clock of ``now()``, and may be left out.
    """

    def __init__(
        self, config: GatewayConfig, providers: Mapping[str, Provider], previous: Health | None = None
    ) -> None:
        self.settings = config.health
        self.workers = max(config.server.workers, 1)
        place = place_of(config)
        kept: HealthState | None = None if previous is None else previous.state
        self.state: HealthState = kept if kept and kept.place == place else HealthState(open_store(place), place)
        self._providers = providers
        models = config.models.values()
        groups = {model.name: tuple(map(str, (*model.targets, *model.fallbacks))) for model in models}
        groups = {name: tuple(dict.fromkeys(group)) for name, group in groups.items()}
        ejection = EjectionRules() if config.health.eject else None
        rules = self._rules(models, groups)
        self.board = Board(self.state.board, _random.random, rules, self._other, groups, ejection)
        self.extra = Extra(
            self.state.extra,
            {model.name: _budget(model) for model in models},
            _budget(config.defaults),
            {model.name: hedge for model in models if (hedge := _hedge(model)) is not None},
            self.workers,
        )
        self.limited = {name for name, rule in rules.items() if rule.max_in_flight} | {
            name for name, provider in providers.items() if _setting(provider, "max_in_flight")
        }

    @staticmethod
    def now() -> float:
        """Seconds on the clock that all workers of a machine share."""
        return time.monotonic()

    def admit(self, target: str, now: float | None = None, *, model: str | None = None) -> Admission:
        """May a call go to ``target``? ``model`` is the name asked for, whose other targets could stand in."""
        return self.board.admit(target, time.monotonic() if now is None else now, model)

    def began(self, target: str, now: float | None = None) -> None:
        """A call that was admitted begins; ``ended`` must follow, once, however it ends."""
        self.board.began(target, time.monotonic() if now is None else now)

    def first_token(
        self, target: str, seconds: float, prompt_tokens: int = 0, *, probe: int = 0, now: float | None = None
    ) -> None:
        """The first token came ``seconds`` after the request was sent."""
        self.board.first_token(target, seconds, prompt_tokens, time.monotonic() if now is None else now, probe)

    def ended_well(self, target: str) -> None:
        """A call that ``began`` has ended with a good answer, and was no probe."""
        self.board.ended_well(target, time.monotonic())

    def ended(
        self,
        target: str,
        outcome: str,
        now: float | None = None,
        *,
        kind: str | None = None,
        retry_after: float | None = None,
        cancelled: bool = False,
        scope: str = "target",
        probe: int = 0,
        another_key: bool = False,
    ) -> None:
        """A call that ``began`` has ended: ``ok``, ``error``, ``interrupted``, ``cancelled``; ``kind`` is the error's.

        ``scope`` is ``provider`` where all its models share what is used up. ``another_key`` says that the error was of
        one key among several, and is not held against the target.
        """
        now = time.monotonic() if now is None else now
        before = self.state.board.circuits.failures
        self.board.ended(
            target,
            outcome,
            now,
            kind=kind,
            retry_after=retry_after,
            cancelled=cancelled,
            scope=scope,
            probe=probe,
            another_key=another_key,
        )
        if self.state.board.circuits.failures != before and not before:
            log.warning("the workers' shared health store cannot be used; each goes on with what it knows itself")

    def spared(self, target: str, probe: int) -> None:
        """A call that was admitted never began: give the lease back that it may hold."""
        if probe:
            self.board.spared(target, time.monotonic(), probe)

    def slot(self, target: str, deadline: float | None = None) -> Slot | NoSlot:
        """``async with``: a place at a target with ``max_in_flight``; raises Unavailable if there is none in time."""
        if not self.limited or (target not in self.limited and target.partition("/")[0] not in self.limited):
            return NO_SLOT
        rules = self.board.rules(target)
        limit = max(1, rules.max_in_flight // self.workers)
        queue = -(-rules.queue // self.workers)
        gate = self.state.gates.get(target)
        if gate is None:
            gate = self.state.gates[target] = Gate(limit, queue)
        elif gate.turnstile.limit != limit or gate.turnstile.queue != queue:
            gate.resize(limit, queue)
        return Slot(gate, target, deadline)

    def counted(self, model: str, now: float | None = None) -> None:
        """A caller's request for ``model``; once, before its first attempt."""
        self.extra.counted(model, time.monotonic() if now is None else now)

    def may_retry(self, model: str, now: float | None = None) -> bool:
        """Whether one more attempt is within the retry budget; True spends it."""
        return self.extra.may_retry(model, time.monotonic() if now is None else now)

    def retry_delay(self, retry: int, retry_after: float | None = None) -> float:
        """Seconds before retry number ``retry``, from 0: jittered, and no less than the provider asked for."""
        return delay(retry, _random.random, retry_after)

    def hedge_after(self, model: str, target: str, now: float | None = None) -> float | None:
        """Seconds without a first token after which a second target may be started; None where it may not."""
        if model not in self.extra.hedges:
            return None
        latency = self.state.board.latency.get(target)
        return self.extra.hedge_after(model, latency, time.monotonic() if now is None else now)

    def hedged(self, model: str, now: float | None = None) -> None:
        """A second target was started."""
        self.extra.hedged(model, time.monotonic() if now is None else now)

    def snapshot(self, target: str, now: float | None = None) -> TargetHealth:
        """How a target is, for strategies and explanations; changes nothing."""
        gate = self.state.gates.get(target)
        queued = 0 if gate is None else len(gate.turnstile.waiting)
        return self.board.snapshot(target, time.monotonic() if now is None else now, queued)

    def refusal(self, refused: Iterable[tuple[str, Admission]]) -> GatewayError:
        """The answer where no target may be asked: 429 if all are rate limited, else 503, and when to come back."""
        pairs = [(target, admission) for target, admission in refused if not admission.allowed]
        soonest = min((admission.retry_after or 1.0 for _, admission in pairs), default=1.0)
        words = ", ".join(f"{target} ({_WORDS.get(admission.reason, admission.reason)})" for target, admission in pairs)
        if pairs and all(admission.limited for _, admission in pairs):
            return RateLimited(f"The provider's rate limit is reached: {words}.", retry_after=soonest)
        return Unavailable(
            f"No target can be asked now: {words}." if words else "No target can be asked now.",
            code="no_healthy_target",
            retry_after=soonest,
        )

    def checked(self, provider: str, good: bool, until: float, reason: str) -> None:
        """An active health check's word on all targets of a provider; a bad one holds ``until`` then, or a good one."""
        self.board.checked(provider, good, time.monotonic(), until, reason)

    def lease(self, name: str, owner: int, now: float, seconds: float) -> bool:
        """Whether this worker is the one of all to do something for the next ``seconds``."""
        return self.state.board.circuits.lease(name, owner, now, seconds)

    def hold(self) -> None:
        """A Gateway begins to use it."""
        self.state.users += 1

    def let_go(self) -> None:
        """A Gateway is done with it; the last closes the store."""
        self.state.users -= 1
        if self.state.users <= 0:
            self.state.store.close()

    def _rules(self, models: Iterable[ModelConfig], groups: Mapping[str, tuple[str, ...]]) -> dict[str, TargetRules]:
        together = {target for group in groups.values() if len(group) > 1 for target in group}
        rules: dict[str, TargetRules] = {}
        for model in models:
            for target in (*model.targets, *model.fallbacks):
                name = str(target)
                found = self._target_rules(
                    target.provider, alone=name not in together, limit=target.max_in_flight, queue=target.queue
                )
                known = rules.get(name)
                # The same target in two models has the narrower limit of both.
                if known is None or not known.max_in_flight or 0 < found.max_in_flight < known.max_in_flight:
                    rules[name] = found
        return rules

    def _other(self, target: str) -> TargetRules:
        """The rules of a provider as a whole, or of a target that no model names."""
        return self._target_rules(target.partition("/")[0], alone=True)

    def _target_rules(
        self, provider: str, *, alone: bool, limit: int | None = None, queue: int | None = None
    ) -> TargetRules:
        plugin = self._providers.get(provider)
        health = self.settings
        limit = limit or _setting(plugin, "max_in_flight") or 0
        if queue is None:
            queue = _setting(plugin, "queue")
        return TargetRules(
            breaker=_breaker(health, _setting(plugin, "breaker")),
            cooldown=_setting(plugin, "cooldown") or health.cooldown,
            longest_cooldown=health.longest_cooldown,
            throttle=health.throttle,
            alone=alone,
            max_in_flight=limit,
            queue=limit if queue is None else queue,
        )


def _tell(target: str, circuit: Circuit) -> None:
    if circuit.is_open:
        log.warning("%s is left alone: %s", target, circuit.reason)
    else:
        log.info("%s is asked again: a probe was answered", target)


_WORDS = {
    "cooling": "it asked to be left alone",
    "open": "it failed of late",
    "half_open": "it is being tried",
    "ejected": "it does worse than the others",
    "throttled": "it refuses many calls",
}


def _setting(provider: Provider | None, key: str) -> Any:
    return None if provider is None else getattr(provider.config, key, None)


def _breaker(health: HealthConfig, own: Any) -> BreakerRules:
    values: dict[str, Any] = {}
    for table in (health.breaker, own):
        if table is not None:
            values |= {key: value for key in table.__struct_fields__ if (value := getattr(table, key)) is not None}
    return BreakerRules(**values)


def _budget(model: ModelConfig) -> BudgetRules:
    return BudgetRules(ratio=model.retry_budget.ratio, floor=model.retry_budget.floor)


def _hedge(model: ModelConfig) -> HedgeRules | None:
    if model.hedge is None:
        return None
    return HedgeRules(percentile=model.hedge.percentile, after=model.hedge.after, budget=model.hedge.budget)
