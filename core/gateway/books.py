"""What a call costs: settled for each attempt that a provider bills, as soon as its tokens are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.catalogue import cost_of, told_cost
from gateway.errors import GatewayError
from gateway.protocol import Usage

if TYPE_CHECKING:
    from gateway.call import Attempt, Call

_ASKED_TIERS = ("flex", "priority", "fast", "ultrafast")
_NOTHING = Usage()


def settle(
    call: Call, attempt: Attempt, usage: Usage | None, tier: str | None, search_units: int | None = None
) -> None:
    """Note what an attempt used and cost, and what the call has cost by now.

    A provider's own word on the cost counts before the price list. ``tier`` is the provider's word for the tier that
    answered; where it has none, the one that was asked for is believed. ``search_units`` are what rerankers bill.
    A call with a billed attempt whose cost is not known has no known cost: a part is never shown as the whole.
    """
    attempt.billed = True
    attempt.usage = usage
    attempt.cost = _cost(call, attempt, usage, tier, search_units)
    call.cost = total(call.attempts)


def total(attempts: list[Attempt]) -> int | None:
    """The cost of all billed attempts, in nano-dollars; None where there is none, or one's is not known."""
    if len(attempts) == 1:
        return attempts[0].cost if attempts[0].billed else None
    billed = [attempt.cost for attempt in attempts if attempt.billed]
    known = [cost for cost in billed if cost is not None]
    return sum(known) if known and len(known) == len(billed) else None


def _cost(call: Call, attempt: Attempt, usage: Usage | None, tier: str | None, search_units: int | None) -> int | None:
    provider = call.gateway.providers.get(attempt.target.provider)
    if provider is None or (usage is None and search_units is None):
        return None
    usage = usage or _NOTHING
    told = told_cost(provider.family, usage)
    if told is not None:
        return told
    info = provider.info(attempt.target.model)
    if not info.prices and info.request_fee is None:
        return None
    return cost_of(usage, info, tier or asked_tier(call), search_units)


def asked_tier(call: Call) -> str | None:
    """The service tier with prices of its own that the request asks for, or None."""
    try:
        asked = call.json.text("service_tier")
    except GatewayError:
        return None  # a body of another shape
    return asked if asked in _ASKED_TIERS else None
