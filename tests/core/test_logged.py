"""Calls of a log, routed again: also those whose bodies were not kept, in whatever format they were asked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from gateway.config import parse_config
from gateway.logged import LoggedCall, replay
from gateway.protocol import Usage
from gateway.registry import build
from gateway.state import Gateway

TOML = """
[plugins.openai]
api_key = "sk-invented-0123456789"
[plugins.gemini]
api_key = "invented-0123456789abc"
[plugins.cohere]
api_key = "invented-0123456789abc"
[catalogue."openai/blind"]
input = ["text"]
tools = false
structured_output = false
context_window = 4000
max_output = 100
[models.any]
targets = ["openai/blind", "openai/gpt-4o-mini", "gemini/gemini-2.5-flash", "cohere/rerank-v3.5"]
"""


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    return build(parse_config(TOML, path=None, folder=Path()))


def spoken() -> list[str]:
    gateway = build(parse_config("[plugins.echo]\n", path=None, folder=Path()))
    return sorted({endpoint.format for dialect in gateway.dialects for endpoint in dialect.endpoints})


def call(format: str = "openai_chat", **facts: Any) -> LoggedCall:
    return LoggedCall(id="req_1", time=1_767_225_600.0, format=format, model="any", request_bytes=400, **facts)


@pytest.mark.parametrize("format", spoken())
def test_a_call_without_a_body_can_be_replayed_in_each_format(gateway: Gateway, format: str) -> None:
    found = replay(gateway, call(format, needs={"tools": True, "images": True}))
    assert found.target is not None, found.error


@pytest.mark.parametrize(
    "needs",
    [{"images": True}, {"documents": True}, {"tools": True}, {"schema": True}, {"tokens": 5000}, {"max_tokens": 200}],
)
@pytest.mark.parametrize("format", ["openai_chat", "anthropic_messages", "openai_responses", "gemini"])
def test_the_needs_that_the_log_knows_are_respected(gateway: Gateway, format: str, needs: dict[str, Any]) -> None:
    assert replay(gateway, call(format)).target == "openai/blind"
    found = replay(gateway, call(format, needs=needs))
    assert found.target == "openai/gpt-4o-mini"
    assert "openai/blind" in (found.why or "")


def test_a_body_that_is_no_json_is_a_refusal(gateway: Gateway) -> None:
    found = replay(gateway, call(body=b"not json"))
    assert (found.target, "JSON" in (found.error or "")) == (None, True)


def test_a_format_that_nobody_speaks_any_more_is_a_refusal(gateway: Gateway) -> None:
    assert (replay(gateway, call("telegraph")).error or "").startswith('no caller speaks "telegraph"')


def test_a_tier_is_believed_only_at_the_target_that_said_it(gateway: Gateway) -> None:
    usage = Usage(prompt_tokens=1000, completion_tokens=0)
    ordinary = replay(gateway, call(needs={"tools": True}, usage=usage))
    elsewhere = replay(gateway, call(needs={"tools": True}, usage=usage, service_tier="flex", target="openai/o3"))
    assert ordinary.cost == elsewhere.cost == 150_000


def test_a_thousand_calls_are_replayed_in_a_moment(gateway: Gateway) -> None:
    began = time.perf_counter()
    assert {replay(gateway, call(body=b'{"model":"any","messages":[]}')).target for _ in range(1000)} == {
        "openai/blind"
    }
    assert time.perf_counter() - began < 5
