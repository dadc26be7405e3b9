"""What the board tells: whether a call may go, and how a target is."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.resilience.latency import Latency

State = Literal["ok", "cooling", "open", "half_open", "ejected"]


class Admission(msgspec.Struct, frozen=True):
    """Whether a call may go to a target, and if not, why and in how many seconds it may ask again.

    ``reason`` is empty, ``half_open`` or ``panic`` for a call that may go; else ``cooling``, ``open``, ``half_open``,
    ``ejected`` or ``throttled``. ``probe`` is the lease's number of a call that tries whether a target is well again, 0
    for all others. ``limited`` says that a rate limit is the reason.
    """

    allowed: bool
    reason: str = ""
    retry_after: float | None = None
    probe: int = 0
    limited: bool = False


ADMITTED = Admission(True)


class TargetHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a target is, as this worker knows it. ``until`` is on the health's clock; times are in milliseconds.

    ``error_rate`` is of the last ``samples`` answers within the breaker's window.
    """

    state: State = "ok"
    until: float | None = None
    in_flight: int = 0
    queued: int = 0
    first_token_ms: float | None = None
    error_rate: float = 0.0
    samples: int = 0
    reason: str = ""
    latency: Latency | None = None

    def first_token_p(self, share: float) -> float | None:
        """The time to the first token, in ms, that ``share`` (0 to 1) of the calls stayed within; None if unknown."""
        seconds = None if self.latency is None else self.latency.quantile(share)
        return None if seconds is None else seconds * 1000.0

    def first_token_for(self, tokens: int) -> float | None:
        """The decayed mean in ms for prompts of about this many tokens, else for all; None if unknown."""
        seconds = None if self.latency is None else self.latency.mean(tokens)
        return None if seconds is None else seconds * 1000.0
