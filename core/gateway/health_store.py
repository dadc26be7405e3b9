"""Which store the workers share what they know of targets in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.resilience.store import HealthStore, MemoryStore
from gateway.settings import file_name

if TYPE_CHECKING:
    from gateway.config import GatewayConfig


def place_of(config: GatewayConfig) -> Path | None:
    """The folder of the shared store; None where one worker keeps it for itself."""
    store = config.health.store or ("memory" if config.server.workers == 1 else "lmdb")
    if store == "memory":
        return None
    if config.health.path is not None:
        return config.folder / config.health.path
    from gateway.lmdb_store import default_path  # noqa: PLC0415  # not needed by one worker

    return default_path(config.folder / file_name(config.path))


def open_store(place: Path | None) -> HealthStore:
    """The store at a place; opened with its first use."""
    if place is None:
        return MemoryStore()
    from gateway.lmdb_store import LmdbStore  # noqa: PLC0415  # not needed by one worker

    return LmdbStore(place)
