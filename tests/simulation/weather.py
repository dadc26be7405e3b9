"""What the simulated world does to the gateway: upstreams with scripted weather, and a shared store that fails."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from gateway.resilience.circuit import Circuit
from gateway.resilience.store import Change, StoreFailed

# kind of an error, seconds until it is there (least and most), whether a time to come back is named
FAULTS: dict[str, tuple[str, float, float, bool]] = {
    "refused": ("upstream", 0.0, 0.01, False),
    "broken": ("server_error", 0.05, 1.0, False),
    "silent": ("timeout", 2.0, 4.0, False),
    "limited": ("rate_limit", 0.02, 0.3, True),
    "limited_without_time": ("rate_limit", 0.02, 0.3, False),
    "overloaded": ("overloaded", 0.02, 0.3, True),
    "wrong_request": ("context_length", 0.02, 0.3, False),
    "bad_key": ("authentication", 0.02, 0.3, False),
}
NAMES = tuple(FAULTS)


class Upstream:
    """One upstream. Its weather changes at random moments; each kind strikes some share of the calls."""

    def __init__(self, rng: Random, until: float) -> None:
        self.changes: list[tuple[float, str, float]] = []
        at = 0.0
        while at < until:
            fault = rng.choice(NAMES) if rng.random() < 0.6 else ""
            self.changes.append((at, fault, rng.choice((0.3, 0.7, 1.0, 1.0))))
            at += rng.uniform(2.0, 25.0)
        self.changes.append((until, "", 0.0))

    def fault_at(self, now: float, rng: Random) -> str:
        """What strikes a call that is sent now; empty for none."""
        for at, fault, share in reversed(self.changes):
            if at <= now:
                return fault if fault and rng.random() < share else ""
        return ""


class WeatherStore:
    """A store of all workers: it can show an old state to those who load, fail all, and be wiped.

    ``troubled`` says that it ever did; ``lost`` that workers may have decided without each other.
    """

    def __init__(self) -> None:
        self.circuits: dict[str, Circuit] = {}
        self.version = 0
        self.dead = False
        self.lost = self.troubled = False
        self._old: tuple[int, dict[str, Circuit]] | None = None

    def turn(self, word: str) -> None:
        """Change its weather: ok, lag, dead or wipe."""
        self.dead = word == "dead"
        self._old = (self.version, dict(self.circuits)) if word == "lag" else None
        if word == "wipe":
            self.circuits = {}
            self.version += 1
        self.lost = self.lost or word in ("dead", "wipe")
        self.troubled = self.troubled or word != "ok"

    def load(self, version: int) -> tuple[int, Mapping[str, Circuit]] | None:
        if self.dead:
            raise StoreFailed("dead")
        if self._old is not None:
            return self._old if self._old[0] != version else None
        return None if version == self.version else (self.version, self.circuits)

    def update(self, target: str, change: Change) -> None:
        if self.dead:
            raise StoreFailed("dead")
        stored = self.circuits.get(target)
        changed = change(stored)
        if changed is not None and changed is not stored:
            self.circuits[target] = changed
            self.version += 1

    def lease(self, name: str, owner: int, now: float, seconds: float) -> bool:
        raise StoreFailed("nobody asks")

    def close(self) -> None:
        return
