"""The generic cell rate algorithm, without clock or I/O: ``(limit, bucket, now, cost) → (decision, bucket)``.

A bucket holds ``burst`` units and refills at ``per_minute`` units a minute. Instead of a level it keeps the time at
which it will be full again, so an untouched bucket needs no refilling and a full one equals no bucket at all.

All times are whole nanoseconds, and one unit costs a whole number of them, rounded up: no float drifts, and what is
admitted in any span t is at most ``burst + per_minute · t``, never a unit more. (Rounding costs the caller under one
thousandth of the rate, at up to 60 million units a minute.)

A cost that is known is charged (``admit``). One that is known only afterwards, such as a completion's tokens, is
reserved and settled. What is reserved does not refill while it is held: otherwise, a refund could return units that
had already come back by time. So a bucket never has more in flight than its burst, and refunds are exact.
"""

from __future__ import annotations

import msgspec

MINUTE = 60_000_000_000


class Limit(msgspec.Struct, frozen=True):
    """``per_minute`` units a minute, of which ``burst`` may come at once."""

    per_minute: int
    burst: int

    @property
    def interval(self) -> int:
        """Nanoseconds in which one unit refills."""
        return -(-MINUTE // self.per_minute)


class Bucket(msgspec.Struct, frozen=True):
    """``full_at`` is when all that was charged has refilled; ``held`` is what is reserved, in nanoseconds of refill."""

    full_at: int = 0
    held: int = 0


class Decision(msgspec.Struct, frozen=True):
    """``remaining`` units are left now; the bucket is full in ``reset`` nanoseconds if nothing more comes.

    ``wait`` is, for a refusal, the time until the same cost passes; None where it exceeds the burst and never will.
    """

    allowed: bool
    remaining: int
    reset: int
    wait: int | None = 0


FULL = Bucket()


def admit(limit: Limit, bucket: Bucket, now: int, cost: int = 1) -> tuple[Decision, Bucket]:
    """Charge ``cost`` units, or refuse and leave the bucket as it is."""
    decision = _decide(limit, bucket, now, cost)
    if not decision.allowed:
        return decision, bucket
    return decision, Bucket(max(bucket.full_at, now) + cost * limit.interval, bucket.held)


def reserve(limit: Limit, bucket: Bucket, now: int, cost: int) -> tuple[Decision, Bucket]:
    """Hold ``cost`` units until ``settle``, or refuse and leave the bucket as it is."""
    decision = _decide(limit, bucket, now, cost)
    if not decision.allowed:
        return decision, bucket
    return decision, Bucket(bucket.full_at, bucket.held + cost * limit.interval)


def settle(limit: Limit, bucket: Bucket, now: int, reserved: int, actual: int) -> Bucket:
    """Let go of ``reserved`` units and charge the ``actual`` ones; more than reserved puts the bucket into debt."""
    held = max(0, bucket.held - reserved * limit.interval)
    return Bucket(max(bucket.full_at, now) + actual * limit.interval, held)


def is_full(bucket: Bucket, now: int) -> bool:
    """Whether the bucket equals one that was never used."""
    return bucket.held == 0 and bucket.full_at <= now


def _decide(limit: Limit, bucket: Bucket, now: int, cost: int) -> Decision:
    interval = limit.interval
    room = limit.burst * interval
    used = max(0, bucket.full_at - now) + bucket.held
    after = used + cost * interval
    if after <= room:
        return Decision(True, (room - after) // interval, after)
    wait = None if cost > limit.burst else after - room
    return Decision(False, max(0, room - used) // interval, used, wait)
