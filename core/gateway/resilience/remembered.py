"""What is kept for each target or model, bounded: callers may name any model of a provider."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")

MOST = 4096


def remembered(known: dict[str, T], target: str, value: T) -> T:
    """Remember a value of a target; the oldest is forgotten where there are too many."""
    if len(known) >= MOST:
        del known[next(iter(known))]
    known[target] = value
    return value
