"""Which failure goes where: again to the same target, to another, or to the caller as it is."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.testing import ScriptedProvider, running_gateway

WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


def asked(
    error: dict[str, Any], status: int, *, model: str = "", targets: str = '"one/a", "two/b"'
) -> tuple[Any, int, int]:
    """The answer, and how often each of two providers was asked, where the first answers with an error."""
    with ScriptedProvider() as one, ScriptedProvider() as two:
        one.default_reply(status=status, json={"error": error})
        two.default_reply(json=WHOLE)
        toml = f"""
[plugins.one]
use = "openai_compatible"
base_url = "{one.url}/v1"
[plugins.two]
use = "openai_compatible"
base_url = "{two.url}/v1"
[models.m]
targets = [{targets}]
retries = 1
{model}
"""
        with running_gateway(toml) as gateway:
            answer = gateway.post(
                "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "x"}]}
            )
        return answer, len(one.requests), len(two.requests)


TOO_LONG = {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}
FILTERED = {"message": "no", "type": "invalid_request_error", "code": "content_filter"}
OVERLOADED = {"message": "busy", "type": "server_error", "code": None}


@pytest.mark.parametrize(
    ("error", "status", "first", "second"),
    [
        (OVERLOADED, 503, 2, 1),
        (TOO_LONG, 400, 1, 1),
        (FILTERED, 400, 1, 0),
        ({"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}, 404, 1, 1),
        ({"message": "pay", "type": "insufficient_quota", "code": "insufficient_quota"}, 429, 1, 1),
        ({"message": "bad key", "type": "invalid_request_error", "code": "invalid_api_key"}, 401, 1, 0),
        ({"message": "bad field", "type": "invalid_request_error", "param": "x"}, 400, 1, 0),
    ],
    ids=["overloaded", "context_length", "content_filter", "model_not_found", "quota", "authentication", "invalid"],
)
def test_an_errors_class_decides_who_is_asked_next(error: dict[str, Any], status: int, first: int, second: int) -> None:
    answer, one, two = asked(error, status)
    assert (one, two) == (first, second)
    assert answer.status == (200 if second else status)


def test_the_same_model_elsewhere_is_not_asked_what_it_would_refuse_again() -> None:
    answer, one, two = asked(TOO_LONG, 400, targets='"one/a", "two/a"')
    assert (answer.status, one, two) == (400, 1, 0)
    assert json.loads(answer.body)["error"]["code"] == "context_length_exceeded"


def test_a_model_may_narrow_after_which_failures_another_target_is_asked() -> None:
    answer, one, two = asked(OVERLOADED, 503, model='fallback_on = ["rate_limit"]')
    assert (answer.status, one, two) == (503, 2, 0)
    answer, _, two = asked(OVERLOADED, 503, model='fallback_on = ["overloaded", "upstream", "server_error"]')
    assert (answer.status, two) == (200, 1)


def test_what_a_filter_refused_goes_elsewhere_only_by_request() -> None:
    answer, one, two = asked(FILTERED, 400, model='fallback_on = ["content_filter"]')
    assert (answer.status, one, two) == (200, 1, 1)


def test_a_target_that_is_full_is_passed_over() -> None:
    with ScriptedProvider() as one, ScriptedProvider() as two:
        one.default_reply(json=WHOLE, delay=1.5)
        two.default_reply(json=WHOLE)
        toml = f"""
[plugins.one]
use = "openai_compatible"
base_url = "{one.url}/v1"
[plugins.two]
use = "openai_compatible"
base_url = "{two.url}/v1"
[models.m]
targets = [{{ provider = "one", model = "a", max_in_flight = 1, queue = 0 }}, "two/b"]
"""
        ask = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        with running_gateway(toml) as gateway, ThreadPoolExecutor(1) as pool:
            first = pool.submit(gateway.post, "/v1/chat/completions", ask)
            while not one.requests:
                time.sleep(0.01)
            second = gateway.post("/v1/chat/completions", ask)
            assert (second.status, second.headers["x-gateway-provider"]) == (200, "two")
            assert first.result().headers["x-gateway-provider"] == "one"
        assert (len(one.requests), len(two.requests)) == (1, 1)


def test_a_key_that_is_used_up_gives_way_to_the_next_at_the_same_target() -> None:
    limited = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
    with ScriptedProvider() as one:
        one.reply(status=429, json=limited, headers={"retry-after": "60"})
        one.default_reply(json=WHOLE)
        toml = f"""
[plugins.one]
use = "openai_compatible"
base_url = "{one.url}/v1"
api_keys = ["first", "second"]
[models.m]
targets = ["one/a"]
retries = 0
"""
        ask = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        with running_gateway(toml) as gateway:
            assert [gateway.post("/v1/chat/completions", ask).status for _ in range(3)] == [200, 200, 200]
        keys = [request.headers["authorization"] for request in one.requests]
    assert len(keys) == 4
    assert len(set(keys)) == 2
    assert len(set(keys[1:])) == 1  # the one that was refused rests
