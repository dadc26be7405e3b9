"""Where the workers of a gateway share what they hold against targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from gateway.resilience.circuit import Circuit

Change = Callable[[Circuit | None], Circuit | None]
"""From what is stored to what shall be; the same object, or None, writes nothing."""


class StoreFailed(Exception):
    """The store cannot be used now. Callers go on with what they know themselves."""


class HealthStore(Protocol):
    """Circuits by target. Each method may raise StoreFailed, and takes microseconds where it does not."""

    def load(self, version: int) -> tuple[int, Mapping[str, Circuit]] | None:
        """All circuits and their version; None where nothing has changed since ``version``."""

    def update(self, target: str, change: Change) -> None:
        """Read, change and write one circuit, with no other worker in between."""

    def lease(self, name: str, owner: int, now: float, seconds: float) -> bool:
        """Whether ``owner`` holds ``name`` from now on for ``seconds``: it did, or nobody does."""

    def close(self) -> None:
        """Let go of it."""


class MemoryStore:
    """For one worker: nothing is shared, and nothing fails."""

    def __init__(self) -> None:
        self.version = 0
        self.circuits: dict[str, Circuit] = {}
        self.leases: dict[str, tuple[int, float]] = {}

    def load(self, version: int) -> tuple[int, Mapping[str, Circuit]] | None:
        """As HealthStore."""
        return None if version == self.version else (self.version, self.circuits)

    def update(self, target: str, change: Change) -> None:
        """As HealthStore."""
        stored = self.circuits.get(target)
        changed = change(stored)
        if changed is not None and changed is not stored:
            self.circuits[target] = changed
            self.version += 1

    def lease(self, name: str, owner: int, now: float, seconds: float) -> bool:
        """As HealthStore."""
        held = self.leases.get(name)
        if held is not None and held[0] != owner and held[1] > now:
            return False
        self.leases[name] = (owner, now + seconds)
        return True

    def close(self) -> None:
        """As HealthStore."""
