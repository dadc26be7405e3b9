"""The rate limit plugin: what it takes, what it gives back, and what it says."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
import pytest

from gateway import Attempt, Call, PluginContext, RateLimited, Target
from gateway.protocol import Usage
from gateway_plugins.limits.rate_limit import RateLimit, RateLimitConfig, go_duration, used_tokens
from gateway_plugins.limits.tokens import completion_tokens, prompt_tokens
from tests.plugins.made_calls import CONTEXT, made_call

TRIED = [Attempt(target=Target(provider="up", model="m"), started=0.0)]


def made(**settings: Any) -> RateLimit:
    return RateLimit(RateLimitConfig(**settings), CONTEXT)


def send(plugin: RateLimit, call: Call) -> dict[str, str]:
    """Let the plugin look at a call; the limits' headers of the answer."""
    try:
        asyncio.run(plugin.on_request(call))
    finally:
        headers = {name.decode(): value.decode() for name, value in call.reply_headers}
        assert len(headers) == len(call.reply_headers)
    return headers


def refusal(plugin: RateLimit, call: Call) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        send(plugin, call)
    return caught.value


def end(plugin: RateLimit, call: Call, usage: Usage | None = None, outcome: str = "ok") -> None:
    call.outcome, call.usage = outcome, usage  # type: ignore[assignment]
    call.attempts = TRIED
    plugin.on_complete(call)


def test_every_answer_tells_the_state_of_the_limits() -> None:
    plugin = made(requests_per_minute=60, tokens_per_minute=60_000)
    headers = send(plugin, made_call({"model": "fast", "messages": [], "max_tokens": 990}))
    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "59"
    assert headers["x-ratelimit-reset-requests"] == "1s"
    assert headers["x-ratelimit-limit-tokens"] == "60000"
    assert 58_980 <= int(headers["x-ratelimit-remaining-tokens"]) <= 59_000
    assert headers["x-ratelimit-reset-tokens"].startswith("1.0")


def test_a_refusal_names_the_limit_its_size_and_when_to_come_again() -> None:
    plugin = made(requests_per_minute=2)
    for _ in range(2):
        send(plugin, made_call())
    call = made_call()
    error = refusal(plugin, call)
    text = r"Rate limit reached for this key: 2 requests per minute\. Try again in (30|29\.\d+)s\."
    assert re.fullmatch(text, error.message)
    assert error.code == "rate_limit_exceeded"
    assert error.retry_after is not None
    assert 29 < error.retry_after <= 30
    assert dict(call.reply_headers)[b"x-ratelimit-remaining-requests"] == b"0"
    assert (b"retry-after", b"30") in error.response_headers()


def test_the_burst_bounds_what_comes_at_once() -> None:
    plugin = made(requests_per_minute=600, requests_burst=1)
    send(plugin, made_call())
    assert refusal(plugin, made_call()).retry_after is not None


def test_a_request_too_large_for_the_burst_is_told_that_a_retry_cannot_help() -> None:
    plugin = made(tokens_per_minute=1000)
    error = refusal(plugin, made_call({"model": "fast", "max_tokens": 5000}))
    assert "1000 tokens per minute" in error.message
    assert "at most 1000 may come at once" in error.message
    assert (b"x-should-retry", b"false") in error.response_headers()


def test_tokens_are_reserved_then_settled_by_real_usage_once() -> None:
    plugin = made(tokens_per_minute=1_000_000, tokens_burst=10_000)
    call = made_call({"model": "fast", "max_tokens": 9000})
    left = int(send(plugin, call)["x-ratelimit-remaining-tokens"])
    assert 900 < left < 1000
    refusal(plugin, made_call({"model": "fast", "max_tokens": 9000}))
    for _ in range(3):
        end(plugin, call, Usage(prompt_tokens=50, completion_tokens=50))
    left = int(send(plugin, made_call({"model": "fast", "max_tokens": 1}))["x-ratelimit-remaining-tokens"])
    assert 9800 < left < 9900 + 100


def test_a_refused_call_takes_nothing_and_gives_nothing_back() -> None:
    plugin = made(requests_per_minute=60, tokens_per_minute=1000)
    refused = made_call({"model": "fast", "max_tokens": 5000})
    refusal(plugin, refused)
    end(plugin, refused, Usage(prompt_tokens=500))
    headers = send(plugin, made_call({"model": "fast", "max_tokens": 1}))
    assert headers["x-ratelimit-remaining-requests"] == "59"
    assert int(headers["x-ratelimit-remaining-tokens"]) > 980


def test_concurrency_frees_its_place_whatever_the_end() -> None:
    plugin = made(concurrency=1)
    for outcome in ("ok", "error", "interrupted", "cancelled"):
        call = made_call()
        send(plugin, call)
        assert "1 request at once" in refusal(plugin, made_call()).message
        end(plugin, call, outcome=outcome)
        plugin.on_complete(call)


@pytest.mark.parametrize(
    ("per", "other", "shared"),
    [
        ("key", {"key": "team-b"}, False),
        ("key", {"model": "slow"}, True),
        ("model", {"key": "team-b"}, True),
        ("model", {"model": "slow"}, False),
        ("key+model", {"key": "team-b"}, False),
        ("key+model", {"model": "slow"}, False),
        ("all", {"key": "team-b", "model": "slow"}, True),
    ],
)
def test_who_shares_a_limit(per: str, other: dict[str, str], shared: bool) -> None:
    plugin = made(per=per, requests_per_minute=1)
    send(plugin, made_call())
    assert refusal(plugin, made_call()).status == 429
    if shared:
        refusal(plugin, made_call(**other))  # type: ignore[arg-type]
    else:
        send(plugin, made_call(**other))  # type: ignore[arg-type]


def test_callers_without_a_key_share_one_limit() -> None:
    plugin = made(requests_per_minute=1)
    send(plugin, made_call(key=None))
    assert "callers without a key" in refusal(plugin, made_call(key=None)).message


def test_a_keys_own_limits_take_the_place_of_the_tables() -> None:
    plugin = made(requests_per_minute=1, tokens_per_minute=50_000, tokens_burst=100)
    own = {"requests_per_minute": 3, "tokens_per_minute": 9000}
    headers = send(plugin, made_call(settings=own))
    assert headers["x-ratelimit-limit-requests"] == "3"
    assert headers["x-ratelimit-limit-tokens"] == "9000"
    assert send(made(), made_call(settings={"concurrency": 1})) == {}
    assert send(made(per="all", requests_per_minute=5), made_call(settings=own))["x-ratelimit-limit-requests"] == "5"


def test_without_any_limit_nothing_is_counted_or_told() -> None:
    call = made_call()
    assert send(made(), call) == {}
    assert call.state == {}


def test_of_two_limits_the_one_with_less_left_is_told() -> None:
    wide, tight, call = made(requests_per_minute=100), made(per="model", requests_per_minute=10), made_call()
    send(wide, call)
    tight.name = "tight"
    assert send(tight, call)["x-ratelimit-limit-requests"] == "10"
    other = made_call()
    send(tight, other)
    assert send(wide, other)["x-ratelimit-limit-requests"] == "10"


def test_what_is_charged_for_each_end() -> None:
    counted = Usage(prompt_tokens=10, completion_tokens=5)
    cases = [
        ("ok", TRIED, counted, 15),
        ("ok", TRIED, None, 100),
        ("ok", [], None, 0),
        ("error", TRIED, None, 0),
        ("cancelled", TRIED, counted, 100),
        ("interrupted", TRIED, Usage(prompt_tokens=200), 200),
        ("cancelled", [], None, 0),
    ]
    for outcome, attempts, usage, charged in cases:
        call = made_call(outcome=outcome, attempts=attempts, usage=usage)
        assert used_tokens(call, 100) == charged, outcome


def test_warnings_say_what_several_workers_mean() -> None:
    def said(workers: int, **settings: Any) -> str:
        context = PluginContext(name="rate_limit", use="rate_limit", workers=workers)
        return "; ".join(RateLimit(RateLimitConfig(**settings), context).warnings())

    assert said(1, requests_per_minute=1) == ""
    assert "up to 4 times these limits" in said(4, requests_per_minute=1)
    assert "up to their number times" in said(0, requests_per_minute=1)
    assert "only keys with limits of their own" in said(1)
    assert "nothing is limited" in said(1, per="all")
    assert "tokens_burst without tokens_per_minute" in said(1, requests_per_minute=1, tokens_burst=5)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (-5, "0s"),
        (1, "1ms"),
        (12_000_000, "12ms"),
        (999_000_000, "999ms"),
        (999_000_001, "1s"),
        (1_500_000_000, "1.5s"),
        (59_999_000_000, "59.999s"),
        (59_999_500_000, "1m0s"),
        (360_000_000_000, "6m0s"),
        (3_600_000_000_000, "1h0m0s"),
        (90_061_250_000_000, "25h1m1.25s"),
    ],
)
def test_durations_are_written_as_go_writes_them(nanoseconds: int, text: str) -> None:
    assert go_duration(nanoseconds) == text


def test_the_prompt_is_guessed_from_its_bytes_and_attachments_count_apart() -> None:
    assert prompt_tokens(b"x" * 400) == 100
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 250_000}}
    sound = {"type": "input_audio", "input_audio": {"data": "QUJD" * 250_000, "format": "wav"}}
    source = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD" * 250_000}}
    for part in (image, sound, source):
        assert 1000 <= prompt_tokens(msgspec.json.encode({"messages": [{"content": [part]}]})) < 1100
    assert 2000 <= prompt_tokens(msgspec.json.encode([image, source])) < 2100


def test_hostile_bodies_cost_little_and_are_counted_as_text() -> None:
    for body in (b';base64,"' * 100_000, b'"data":"x",' * 100_000, b'"data"' * 100_000):
        assert prompt_tokens(body) == round(len(body) / 4)


@pytest.mark.parametrize(
    ("members", "tokens"),
    [
        ({}, 1024),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 9, "max_tokens": 7}, 9),
        ({"max_output_tokens": 8}, 8),
        ({"generationConfig": {"maxOutputTokens": 6}}, 6),
        ({"max_tokens": 7, "n": 3}, 21),
        ({"max_tokens": "many", "n": -1}, 1024),
        ({"max_tokens": None, "n": True}, 1024),
    ],
)
def test_the_answer_is_guessed_from_the_callers_limit(members: dict[str, Any], tokens: int) -> None:
    assert completion_tokens(made_call({"model": "fast", **members}), 1024) == tokens


def test_embeddings_reserve_no_answer() -> None:
    plugin = made(tokens_per_minute=1000)
    call = made_call({"model": "fast", "input": "x" * 360}, format="openai_embeddings")
    assert int(send(plugin, call)["x-ratelimit-remaining-tokens"]) > 890
