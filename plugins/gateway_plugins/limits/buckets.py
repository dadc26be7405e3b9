"""Buckets by name, without clock or I/O: all limits of a name are taken together or not at all."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

import msgspec

from gateway_plugins.limits.gcra import FULL, Bucket, Decision, Limit, admit, is_full, reserve, settle

SWEPT_EACH_TIME = 2
"""Entries looked at on each ``take``: two for one that may be added keeps the table as small as what is in use."""


class Rule(msgspec.Struct, frozen=True):
    """The limits that hold for a call; ``concurrency`` is how many may be in flight."""

    requests: Limit | None = None
    tokens: Limit | None = None
    concurrency: int | None = None


class Taken(msgspec.Struct, frozen=True):
    """What a call holds until it is given back. ``tokens`` units are reserved under ``limit``."""

    name: Hashable
    limit: Limit | None
    tokens: int


class Verdict(msgspec.Struct, frozen=True):
    """What each limit says; None where there is none. ``taken`` is None for a refused call, which took nothing."""

    taken: Taken | None
    requests: Decision | None
    tokens: Decision | None
    crowded: bool


class Buckets:
    """The state of all names in use. An entry that is full and has nothing in flight is forgotten."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, name: Hashable, rule: Rule, now: int, tokens: int) -> Verdict:
        """Take one request, one place in flight and ``tokens`` tokens; ``now`` is in nanoseconds."""
        self._sweep(now)
        entry = self._entries.get(name) or _Entry()
        crowded = rule.concurrency is not None and entry.in_flight >= rule.concurrency
        by_request = by_token = None
        requests, reserved = entry.requests, entry.tokens
        if rule.requests is not None:
            by_request, requests = admit(rule.requests, entry.requests, now)
        if rule.tokens is not None:
            by_token, reserved = reserve(rule.tokens, entry.tokens, now, tokens)
        refused = crowded or any(d is not None and not d.allowed for d in (by_request, by_token))
        if refused:
            # One limit refused, so the others' charges are not kept, and what they say remains is what was there.
            by_request = _untouched(by_request, rule.requests, entry.requests, now)
            by_token = _untouched(by_token, rule.tokens, entry.tokens, now)
            return Verdict(None, by_request, by_token, crowded)
        entry.requests, entry.tokens = requests, reserved
        entry.in_flight += 1
        self._entries[name] = entry
        return Verdict(Taken(name, rule.tokens, tokens if rule.tokens else 0), by_request, by_token, crowded=False)

    def give_back(self, taken: Taken, now: int, actual: int) -> None:
        """End a call: its place is free, and ``actual`` tokens are charged in place of those reserved."""
        entry = self._entries[taken.name]
        entry.in_flight -= 1
        if taken.limit is not None:
            entry.tokens = settle(taken.limit, entry.tokens, now, taken.tokens, actual)

    def _sweep(self, now: int) -> None:
        for _ in range(min(SWEPT_EACH_TIME, len(self._entries))):
            name, entry = self._entries.popitem(last=False)
            if entry.in_flight or not is_full(entry.requests, now) or not is_full(entry.tokens, now):
                self._entries[name] = entry


class _Entry:
    __slots__ = ("in_flight", "requests", "tokens")

    def __init__(self) -> None:
        self.requests: Bucket = FULL
        self.tokens: Bucket = FULL
        self.in_flight = 0


def _untouched(decision: Decision | None, limit: Limit | None, bucket: Bucket, now: int) -> Decision | None:
    if decision is None or limit is None or not decision.allowed:
        return decision
    return admit(limit, bucket, now, 0)[0]
