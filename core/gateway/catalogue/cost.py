"""What a call costs: exact arithmetic in integers, rounded once.

Prices are whole pico-dollars per token (micro-dollars per million tokens), so that the sum over all kinds of tokens is
exact. It is rounded once for each attempt, to whole nano-dollars, half up; the cost of a call is the sum of its
attempts', so that sums of rows and totals agree to the last digit. An int of 64 bits holds 9.2 thousand million
dollars in nano-dollars.

What a price row does not tell is taken so: cached reads and writes cost what other input does, a write for an hour
costs as one for five minutes, audio and reasoning cost what other input and output do.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gateway.catalogue.info import ModelInfo, Price
from gateway.protocol import Usage

NANO = 1_000_000_000
"""Nano-dollars in a dollar."""
_PICO_PER_NANO = 1000
_MOST = Decimal(2) ** 63 - 1

# The words for the ordinary tier, OpenAI's, Anthropic's and Groq's; any other is a tier with prices of its own.
_ORDINARY = (None, "", "default", "auto", "standard", "standard_only", "on_demand")
_SAME_TIER = {"fast": "priority"}


def cost_of(usage: Usage, info: ModelInfo, tier: str | None = None, search_units: int | None = None) -> int | None:
    """The cost of one billed attempt in nano-dollars; None where a price that it needs is not known.

    ``tier`` is the service tier that answered, in the provider's word; one without prices of its own gives None.
    ``search_units`` are what rerankers bill in place of tokens.
    """
    if search_units is not None and info.request_fee is not None:
        return _rounded(search_units * info.request_fee, 1)
    row, percents = price_row(info, tier, usage.prompt_tokens), _percents(usage, info)
    searches = _searches(usage)
    if row is None or percents is None or (searches and info.search_fee is None):
        return None
    pico = 0
    for tokens, price in _parts(usage, row):
        if tokens:
            if price is None:
                return None
            pico += tokens * price
    fees = searches * (info.search_fee or 0) + (info.request_fee or 0)
    return _rounded(pico * percents + fees * 10_000, 10_000)


def _rounded(pico: int, scale: int) -> int:
    """Pico-dollars times ``scale``, as whole nano-dollars, half up."""
    whole = _PICO_PER_NANO * scale
    return (pico + whole // 2) // whole


def _percents(usage: Usage, info: ModelInfo) -> int | None:
    """Anthropic's factors on all token prices, as ten-thousandths; None for one that is not known."""
    fast = info.fast_percent if usage.extra.get("speed") == "fast" else 100
    us = info.us_percent or 100 if usage.extra.get("inference_geo") == "us" else 100
    return None if fast is None else fast * us


def price_row(info: ModelInfo, tier: str | None, prompt_tokens: int) -> Price | None:
    """The row of prices that a call is billed by: its tier's, for the largest size that its prompt exceeds."""
    word = "standard" if tier in _ORDINARY else _SAME_TIER.get(tier or "", tier)
    fitting = [row for row in info.prices if row.tier == word and (row.above == 0 or prompt_tokens > row.above)]
    return max(fitting, key=lambda row: row.above, default=None)


def _parts(usage: Usage, row: Price) -> tuple[tuple[int, int | None], ...]:
    """Each kind of token with its price. Kinds do not overlap: what is told apart is taken off the whole."""
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    hour = min(usage.cache_write_1h_tokens, written)
    heard = 0 if row.audio_input is None else min(usage.audio_input_tokens, usage.prompt_tokens)
    said = 0 if row.audio_output is None else min(usage.audio_output_tokens, usage.completion_tokens)
    thought = 0 if row.reasoning is None else min(usage.reasoning_tokens, usage.completion_tokens - said)
    write = row.input if row.cache_write is None else row.cache_write
    return (
        (max(0, usage.prompt_tokens - read - written - heard), row.input),
        (read, row.input if row.cache_read is None else row.cache_read),
        (written - hour, write),
        (hour, write if row.cache_write_1h is None else row.cache_write_1h),
        (heard, row.audio_input),
        (said, row.audio_output),
        (thought, row.reasoning),
        (max(0, usage.completion_tokens - said - thought), row.output),
    )


def _searches(usage: Usage) -> int:
    """How many web searches the provider ran and bills beside the tokens, as Anthropic counts them."""
    tools = usage.extra.get("server_tool_use")
    count = tools.get("web_search_requests") if isinstance(tools, dict) else None
    return count if isinstance(count, int) and count > 0 else 0


def told_cost(family: str, usage: Usage) -> int | None:
    """What a provider of ``family`` itself says that the call cost, in nano-dollars; it counts before any price list.

    xAI tells it in ticks (ten thousand millionths of a dollar), OpenRouter in dollars, with what the caller's own key
    was charged elsewhere apart; Perplexity has an object of costs with their total.
    """
    extra = usage.extra
    if family == "xai":
        ticks = _number(extra.get("cost_in_usd_ticks"))
        return None if ticks is None else _nano(ticks / 10)
    cost = extra.get("cost")
    if family == "perplexity":
        total = _number(cost.get("total_cost")) if isinstance(cost, dict) else None
        return None if total is None else _nano(total * NANO)
    charged = _number(cost) if family == "openrouter" else None
    if charged is None:
        return None
    details = extra.get("cost_details")
    if extra.get("is_byok") is True:
        elsewhere = _number(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
        if elsewhere is None:
            return None
        charged += elsewhere
    return _nano(charged * NANO)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    found = Decimal(repr(value))
    return found if found.is_finite() and found >= 0 else None


def _nano(value: Decimal) -> int | None:
    return int((value + Decimal("0.5")).to_integral_value("ROUND_FLOOR")) if value < _MOST else None


def dollars(nano: int) -> str:
    """Nano-dollars as a plain decimal of dollars: ``0.00042``, never ``4.2e-04``."""
    whole, rest = divmod(nano, NANO)
    return f"{whole}.{rest:09d}".rstrip("0").removesuffix(".")
