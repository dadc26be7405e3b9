"""A secret's value with a repr that hides it."""

from __future__ import annotations

import hmac

FORWARD = "forward"
"""``api_key = "forward"`` passes the caller's own key on."""


class Secret:
    """A secret; ``source`` says where it came from: ``env:NAME``, ``file:PATH`` or ``plain``."""

    __slots__ = ("source", "value")

    def __init__(self, value: str, source: str = "plain") -> None:
        self.value = value
        self.source = source

    def __repr__(self) -> str:
        return f"Secret({self.source})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(other.value.encode(), self.value.encode())

    def __hash__(self) -> int:
        return hash(self.value)
