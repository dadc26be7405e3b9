"""``strategy = "cheapest"``: the target whose price for this prompt and its expected answer is the lowest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec

from gateway import Call, Plugin, Target, hookimpl
from gateway.catalogue import ModelInfo
from gateway.catalogue.cost import price_row
from gateway.decision import decision_of
from gateway.needs import needs_of
from gateway.plugin import ModelOptions, Stage
from gateway_plugins.routing.standing import fit, standing

_PICO = 1_000_000_000_000


class CheapestOptions(ModelOptions, frozen=True, kw_only=True):
    """What a target must meet, and what an answer is expected to be.

    ``output_tokens`` is the expected size of an answer, where the caller's own limit is not lower. ``max_first_token``
    is in seconds, and holds for the 95th percentile; ``max_error_rate`` is a share from 0 to 1.
    """

    output_tokens: Annotated[int, msgspec.Meta(ge=0)] = 500
    max_first_token: Annotated[float, msgspec.Meta(gt=0)] | None = None
    max_error_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


_DEFAULTS = CheapestOptions()


class Cheapest(Plugin):
    """Asks the cheapest target that meets the constraints. Those that do not, or whose price is not known, follow.

    Prices are the catalogue's, with ``[catalogue]`` before it.
    """

    stage: ClassVar[Stage] = "route"
    strategies = ("cheapest",)
    Options = CheapestOptions

    @hookimpl
    def route(self, call: Call) -> Sequence[Target] | None:
        if call.model_config is None or call.model_config.strategy not in self.strategies:
            return None
        if len(call.targets) < 2:
            return call.targets
        options: CheapestOptions = self.options(call) or _DEFAULTS
        needs = needs_of(call)
        answer = min(options.output_tokens, needs.max_tokens or options.output_tokens)
        decision = decision_of(call)
        entries = []
        for place, target in enumerate(call.targets):
            price = expected_price(_info(call, target), needs.tokens, answer)
            decision.scored(target, None if price is None else price / _PICO, "dollars expected")
            fails = _failing(call, target, options)
            entry = decision.candidate(str(target))
            if fails is not None:
                entry.why = f"behind those that meet the constraints: {fails}"
            elif price is None:
                entry.why = "behind the others: its price is not known"
            # A constraint that is not met weighs more than a price that is not known.
            entries.append((fails is not None, price is None, price or 0, place, target))
        entries.sort(key=lambda item: item[:4])
        return tuple(item[4] for item in entries)


def _info(call: Call, target: Target) -> ModelInfo:
    return call.gateway.providers[target.provider].info(target.model)


def expected_price(info: ModelInfo, prompt: int, answer: int) -> int | None:
    """What a call is expected to cost, in pico-dollars; None where a price is not known."""
    row = price_row(info, None, prompt)
    if row is None or row.input is None or row.output is None:
        return None
    return prompt * row.input + answer * row.output + (info.request_fee or 0)


def _failing(call: Call, target: Target, options: CheapestOptions) -> str | None:
    health = standing(call, target)
    if not fit(health):
        return health.reason or health.state
    if options.max_first_token is not None:
        slowest = health.first_token_p(0.95)
        if slowest is not None and slowest > options.max_first_token * 1000:
            return f"95 % of its answers begin within {slowest / 1000:.2f} s"
    if options.max_error_rate is not None and health.error_rate > options.max_error_rate:
        return f"{health.error_rate:.0%} of its calls failed"
    return None
