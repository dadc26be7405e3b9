"""What one worker has learned of its targets: kept while the rules that it is judged by may change."""

from __future__ import annotations

from collections.abc import Callable

from gateway.resilience.circuit import Circuit
from gateway.resilience.evidence import Evidence
from gateway.resilience.latency import Latency
from gateway.resilience.shared import SharedCircuits
from gateway.resilience.store import HealthStore
from gateway.resilience.throttle import Throttle


class BoardState:
    """What outlives a change of the configuration."""

    def __init__(self, store: HealthStore, on_turn: Callable[[str, Circuit], None] | None = None) -> None:
        """``on_turn`` hears of each circuit that opens or closes."""
        self.circuits = SharedCircuits(store, self._turned)
        self._on_turn = on_turn
        self.evidence: dict[str, Evidence] = {}
        self.throttles: dict[str, Throttle] = {}
        self.latency: dict[str, Latency] = {}
        self.in_flight: dict[str, int] = {}
        self.swept: dict[str, float] = {}

    def _turned(self, target: str) -> None:
        """A circuit has opened or closed: what comes next is judged by itself."""
        if target in self.evidence:
            self.evidence[target].clear()
        if self._on_turn is not None:
            self._on_turn(target, self.circuits.get(target))
