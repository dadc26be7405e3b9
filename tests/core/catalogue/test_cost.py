"""What a call costs: exact, rounded once, and None rather than wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue import NANO, UNKNOWN, ModelInfo, Price, cost_of, dollars, lookup, told_cost
from gateway.protocol import Usage

ROW = Price(input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000, cache_write_1h=6_000_000)
INFO = ModelInfo(name="m", prices=(ROW,))


def usage(**counts: Any) -> Usage:
    return Usage(**counts)


def test_a_plain_call_costs_its_tokens() -> None:
    # 1,000 tokens in at $3, 100 out at $15 for a million.
    assert cost_of(usage(prompt_tokens=1000, completion_tokens=100), INFO) == 4_500_000


def test_each_kind_of_cached_token_has_its_own_price_and_is_counted_once() -> None:
    found = usage(
        prompt_tokens=10_000,
        completion_tokens=0,
        cache_read_tokens=5_000,
        cache_write_tokens=3_000,
        cache_write_1h_tokens=1_000,
    )
    fresh, read, write, hour = 2_000 * 3_000_000, 5_000 * 300_000, 2_000 * 3_750_000, 1_000 * 6_000_000
    assert cost_of(found, INFO) == (fresh + read + write + hour) // 1000


def test_reasoning_costs_as_output_unless_it_has_a_price() -> None:
    thought = usage(prompt_tokens=0, completion_tokens=100, reasoning_tokens=60)
    assert cost_of(thought, INFO) == 100 * 15_000
    dear = ModelInfo(name="m", prices=(Price(input=1, output=15_000_000, reasoning=30_000_000),))
    assert cost_of(thought, dear) == 40 * 15_000 + 60 * 30_000


def test_audio_has_a_price_of_its_own() -> None:
    info = ModelInfo(
        name="m", prices=(Price(input=1_000_000, output=2_000_000, audio_input=40_000_000, audio_output=80_000_000),)
    )
    found = usage(prompt_tokens=30, completion_tokens=20, audio_input_tokens=10, audio_output_tokens=5)
    assert cost_of(found, info) == 20 * 1_000 + 10 * 40_000 + 15 * 2_000 + 5 * 80_000


def test_a_long_prompt_is_billed_whole_by_its_own_row() -> None:
    info = ModelInfo(name="m", prices=(ROW, Price(above=200_000, input=6_000_000, output=22_500_000)))
    assert cost_of(usage(prompt_tokens=200_000, completion_tokens=1), info) == 200_000 * 3_000 + 15_000
    assert cost_of(usage(prompt_tokens=200_001, completion_tokens=1), info) == 200_001 * 6_000 + 22_500


@pytest.mark.parametrize(
    ("tier", "cost"),
    [
        (None, 3000),
        ("default", 3000),
        ("standard", 3000),
        ("on_demand", 3000),
        ("flex", 1500),
        ("priority", None),
        ("ultrafast", None),
    ],
)
def test_a_tier_is_billed_by_its_own_prices_or_not_at_all(tier: str | None, cost: int | None) -> None:
    info = ModelInfo(name="m", prices=(ROW, Price(tier="flex", input=1_500_000, output=7_500_000)))
    assert cost_of(usage(prompt_tokens=1, completion_tokens=0), info, tier) == cost


def test_what_is_not_known_costs_none_and_never_nothing() -> None:
    assert cost_of(usage(prompt_tokens=1), UNKNOWN) is None
    assert cost_of(usage(prompt_tokens=1), ModelInfo(name="m", prices=(Price(output=1),))) is None
    assert cost_of(usage(prompt_tokens=1), ModelInfo(name="free", prices=(Price(input=0, output=0),))) == 0


def test_factors_on_all_prices_are_heeded_before_it_is_rounded() -> None:
    info = ModelInfo(name="m", prices=(ROW,), fast_percent=200, us_percent=110, search_fee=1_000_000)
    plain = usage(prompt_tokens=1)
    assert cost_of(plain, info) == 3_000
    assert cost_of(usage(prompt_tokens=1, extra={"inference_geo": "us"}), info) == 3_300
    assert cost_of(usage(prompt_tokens=1, extra={"inference_geo": "us", "speed": "fast"}), info) == 6_600
    searched = {"speed": "fast", "server_tool_use": {"web_search_requests": 1}}
    assert cost_of(usage(prompt_tokens=1, extra=searched), info) == 6_000 + 1_000
    assert cost_of(usage(prompt_tokens=1, extra={"speed": "fast"}), INFO) is None
    assert cost_of(usage(prompt_tokens=1, extra={"speed": "standard", "inference_geo": "us"}), INFO) == 3_000


def test_a_reranker_is_billed_by_its_search_units() -> None:
    info = lookup("cohere", "rerank-v3.5")
    assert cost_of(usage(), info, None, 3) == 3 * 2_000_000  # two dollars for a thousand
    assert cost_of(usage(prompt_tokens=10), info) is None
    assert cost_of(usage(prompt_tokens=1_000_000), lookup("voyage", "rerank-2.5"), None) == 50_000_000


def test_web_searches_are_billed_beside_the_tokens() -> None:
    found = usage(prompt_tokens=0, extra={"server_tool_use": {"web_search_requests": 2}})
    assert cost_of(found, INFO) is None
    assert cost_of(found, ModelInfo(name="m", prices=(ROW,), search_fee=10_000_000_000)) == 20_000_000  # two cents


counts = st.integers(0, 10_000_000)


@given(prompt=counts, read=counts, written=counts, hour=counts, out=counts, thought=counts, data=st.data())
def test_the_cost_is_the_exact_sum_rounded_half_up(
    prompt: int, read: int, written: int, hour: int, out: int, thought: int, data: st.DataObject
) -> None:
    hour, thought = min(hour, written), min(thought, out)
    names = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
    price = msgspec.convert({name: data.draw(st.integers(0, 10**9)) for name in names}, Price)
    found = usage(
        prompt_tokens=prompt + read + written,
        completion_tokens=out,
        reasoning_tokens=thought,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
    )
    assert price.input is not None
    pico = sum(
        tokens * (each or 0)
        for tokens, each in (
            (prompt, price.input),
            (read, price.cache_read),
            (written - hour, price.cache_write),
            (hour, price.cache_write_1h),
            (thought, price.reasoning),
            (out - thought, price.output),
        )
    )
    assert cost_of(found, ModelInfo(name="m", prices=(price,))) == int(
        (Decimal(pico) / 1000).to_integral_value("ROUND_HALF_UP")
    )


@given(st.integers(0, 2**63 - 1))
def test_dollars_are_written_plainly_and_read_back_exactly(nano: int) -> None:
    text = dollars(nano)
    assert "e" not in text.lower()
    assert Decimal(text) * NANO == nano
    assert not (("." in text) and text.endswith(("0", ".")))


@pytest.mark.parametrize(
    ("family", "extra", "cost"),
    [
        ("xai", {"cost_in_usd_ticks": 37_756_000}, 3_775_600),
        ("openrouter", {"cost": 0.00000537, "is_byok": False}, 5_370),
        ("openrouter", {"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.00417}}, 4_170_000),
        ("openrouter", {"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, None),
        ("openrouter", {"cost": 0.0000036, "cost_details": {"upstream_inference_cost": None}}, 3_600),
        ("perplexity", {"cost": {"total_cost": 0.006, "request_cost": 0.005}}, 6_000_000),
        ("perplexity", {"cost": 1}, None),
        ("groq", {"cost": 1, "cost_in_usd_ticks": 1}, None),
        ("openrouter", {"cost": "much"}, None),
        ("openrouter", {"cost": True}, None),
        ("openrouter", {"cost": -1.0}, None),
        ("openrouter", {"cost": 1e300}, None),
        ("xai", {}, None),
    ],
)
def test_a_provider_that_tells_the_cost_is_believed(family: str, extra: dict[str, Any], cost: int | None) -> None:
    assert told_cost(family, usage(extra=extra)) == cost


def test_prices_of_the_lists_are_whole_in_their_unit() -> None:
    row = lookup("anthropic", "claude-sonnet-4-5").price
    assert row is not None
    assert (row.input, row.output, row.cache_read, row.cache_write, row.cache_write_1h) == (
        3_000_000,
        15_000_000,
        300_000,
        3_750_000,
        6_000_000,
    )
    small = lookup("openai", "gpt-4o-mini").price
    assert small is not None
    assert small.cache_read == 75_000  # $0.075 for a million
