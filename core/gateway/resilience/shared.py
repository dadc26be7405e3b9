"""The circuits that a worker knows: its own changes and those of the others, through a store that may fail."""

from __future__ import annotations

from collections.abc import Callable

from gateway.resilience.circuit import CLOSED, Circuit, merge, quiet
from gateway.resilience.store import HealthStore, StoreFailed

SYNC_SECONDS = 0.1
"""How old what is known of the other workers may be."""
STORE_REST = 1.0
"""How long a store that failed is left alone."""
_ANOTHER_CLOCK = 3600.0
"""A record from this far ahead was made before the machine was restarted."""


class SharedCircuits:
    """Circuits by target, or by provider. ``held`` are those that may refuse a call: as a rule, none.

    ``on_turn`` is called with the name of one that has opened or closed. While the store fails, the worker goes on
    with what it knows; no method raises.
    """

    def __init__(self, store: HealthStore, on_turn: Callable[[str], None]) -> None:
        self.store = store
        self.known: dict[str, Circuit] = {}
        self.held: dict[str, Circuit] = {}
        self.next_sync = 0.0
        self.failures = 0
        self._on_turn = on_turn
        self._version = -1
        self._rests_until = 0.0
        self._alone = False

    def get(self, key: str) -> Circuit:
        """What is known of it."""
        return self.known.get(key, CLOSED)

    def sync(self, now: float) -> None:
        """Take over what other workers have written."""
        self.next_sync = now + SYNC_SECONDS
        if now < self._rests_until:
            return
        try:
            loaded = self.store.load(self._version)
        except StoreFailed:
            self._failed(now)
            return
        if loaded is None:
            return
        self._version, stored = loaded
        news = []
        for key, circuit in stored.items():
            if not _of_another_clock(circuit, now):
                self._keep(key, merge(self.get(key), circuit), now)
            if self.get(key) != circuit:
                news.append(key)
        # What the others do not know: it was decided while the store failed, or the store has lost it.
        news += [key for key in (self.known if self._alone else self.held) if key not in stored]
        self._alone = False
        for key in news:
            self.change(key, now, lambda circuit: circuit)

    def change(self, key: str, now: float, change: Callable[[Circuit], Circuit]) -> None:
        """Change a circuit in the store and here; where the store fails, here alone."""
        mine = self.get(key)
        result = mine

        def apply(stored: Circuit | None) -> Circuit | None:
            nonlocal result
            base = mine if stored is None or _of_another_clock(stored, now) else merge(mine, stored)
            result = change(base)
            return None if result == stored else result

        if now >= self._rests_until:
            try:
                self.store.update(key, apply)
            except StoreFailed:
                self._failed(now)
                result = change(mine)
        else:
            result = change(mine)
        self._keep(key, result, now)

    def lease(self, name: str, owner: int, now: float, seconds: float) -> bool:
        """Whether this worker is the one to do something; where the store fails, each does it for itself."""
        if now < self._rests_until:
            return True
        try:
            return self.store.lease(name, owner, now, seconds)
        except StoreFailed:
            self._failed(now)
            return True

    def _keep(self, key: str, circuit: Circuit, now: float) -> None:
        before = self.get(key)
        if circuit is before:
            return
        self.known[key] = circuit
        if quiet(circuit, now):
            self.held.pop(key, None)
        else:
            self.held[key] = circuit
        if circuit.is_open != before.is_open:
            self._on_turn(key)

    def _failed(self, now: float) -> None:
        self._rests_until = now + STORE_REST
        self._alone = True
        self._version = -1
        self.failures += 1


def _of_another_clock(stored: Circuit, now: float) -> bool:
    return stored.since > now + 1.0 or max(stored.cooling, stored.until, stored.ejected) > now + _ANOTHER_CLOCK
