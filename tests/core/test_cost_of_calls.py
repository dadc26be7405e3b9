"""What a call cost, from a provider's counts to the header and the logs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import RunningGateway, ScriptedProvider, running_gateway

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 400},
}
# gpt-4o-mini: $0.15 in, $0.075 cached, $0.60 out for a million.
DOLLARS = "0.00018"
MESSAGE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}


def completion(**fields: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [MESSAGE],
        "usage": USAGE,
        **fields,
    }


@contextmanager
def logged(folder: Path, server: ScriptedProvider, more: str = "") -> Iterator[RunningGateway]:
    toml = f"""
    [plugins.openai]
    base_url = "{server.url}/v1"
    [plugins.access_log]
    path = "{folder}/access.jsonl"
    [plugins.audit_log]
    path = "{folder}/audit.sqlite"
    [defaults]
    retries = 1
    {more}
    """
    with running_gateway(toml) as gateway:
        yield gateway


def books(folder: Path) -> tuple[Any, Any, list[Any]]:
    """The cost in the access log, in the audit log, and of each attempt there."""
    line = json.loads((folder / "access.jsonl").read_text().splitlines()[-1])
    rows = sqlite3.connect(folder / "audit.sqlite")
    try:
        ((cost,),) = rows.execute("SELECT cost_nano FROM calls").fetchall()
        attempts = [row[0] for row in rows.execute("SELECT cost_nano FROM attempts ORDER BY n")]
    finally:
        rows.close()
    return line["cost"], cost, attempts


def test_a_whole_answer_tells_its_cost_and_the_logs_keep_it(tmp_path: Path) -> None:
    with ScriptedProvider() as server:
        server.reply(json=completion())
        with logged(tmp_path, server) as gateway:
            answer = gateway.post("/v1/chat/completions", {**ASK, "model": "openai/gpt-4o-mini"})
    assert answer.headers["x-gateway-cost"] == DOLLARS
    assert books(tmp_path) == (DOLLARS, 180_000, [180_000])


def test_a_translated_answer_costs_the_same(tmp_path: Path) -> None:
    with ScriptedProvider() as server:
        server.reply(json=completion())
        with logged(tmp_path, server) as gateway:
            answer = gateway.post("/v1/messages", {**ASK, "model": "openai/gpt-4o-mini", "max_tokens": 9})
    assert answer.headers["x-gateway-cost"] == DOLLARS
    assert books(tmp_path)[1] == 180_000


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_the_cost_of_a_stream_is_in_the_logs(tmp_path: Path, path: str) -> None:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**head, "choices": [], "usage": USAGE},
    ]
    with ScriptedProvider() as server:
        server.stream([b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"])
        with logged(tmp_path, server) as gateway:
            asked = {**ASK, "model": "openai/gpt-4o-mini", "max_tokens": 9, "stream": True}
            answer = gateway.post(path, asked)
    assert answer.status == 200
    assert "x-gateway-cost" not in answer.headers
    assert books(tmp_path) == (DOLLARS, 180_000, [180_000])


def test_a_refused_attempt_costs_nothing(tmp_path: Path) -> None:
    with ScriptedProvider() as server:
        server.reply(status=500, json={"error": {"message": "no", "type": "server_error"}})
        server.reply(json=completion())
        with logged(tmp_path, server) as gateway:
            answer = gateway.post("/v1/chat/completions", {**ASK, "model": "openai/gpt-4o-mini"})
    assert (answer.headers["x-gateway-attempts"], answer.headers["x-gateway-cost"]) == ("2", DOLLARS)
    assert books(tmp_path) == (DOLLARS, 180_000, [None, 180_000])


def test_an_attempt_that_was_worked_for_and_cannot_be_told_makes_the_whole_unknown(tmp_path: Path) -> None:
    with ScriptedProvider() as server:
        server.reply(body=b'{"id": "cut', headers={"content-type": "application/json"})
        server.reply(json=completion())
        with logged(tmp_path, server) as gateway:
            answer = gateway.post("/v1/messages", {**ASK, "model": "openai/gpt-4o-mini", "max_tokens": 9})
    assert answer.status == 200
    assert "x-gateway-cost" not in answer.headers
    assert books(tmp_path) == (None, None, [None, 180_000])


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("a-model-that-nobody-lists", {}),
        ("gpt-4o-mini", {"usage": None}),
        ("gpt-4o-mini", {"service_tier": "priority"}),
    ],
)
def test_an_unknown_cost_is_told_to_nobody_and_never_nothing(
    tmp_path: Path, model: str, fields: dict[str, Any]
) -> None:
    with ScriptedProvider() as server:
        server.reply(json=completion(**fields))
        with logged(
            tmp_path, server, '[catalogue."openai/gpt-4o-mini"]\nprices = { input = 1, output = 1 }'
        ) as gateway:
            answer = gateway.post("/v1/chat/completions", {**ASK, "model": f"openai/{model}"})
    assert answer.status == 200
    assert "x-gateway-cost" not in answer.headers
    assert books(tmp_path) == (None, None, [None])


def test_the_tier_that_answered_counts_and_not_the_one_that_was_asked_for(tmp_path: Path) -> None:
    asked = {**ASK, "model": "openai/gpt-5", "service_tier": "flex"}
    costs = []
    for tier in ("default", "flex", None):
        with ScriptedProvider() as server:
            server.reply(json=completion(service_tier=tier))
            with running_gateway(f'[plugins.openai]\nbase_url = "{server.url}/v1"') as gateway:
                costs.append(gateway.post("/v1/chat/completions", asked).headers["x-gateway-cost"])
    # gpt-5: $1.25, $0.125 cached, $10; flex is half of it. Where nothing is told, flex was given.
    assert costs == ["0.0018", "0.0009", "0.0009"]


def test_a_price_of_nothing_is_a_price(tmp_path: Path) -> None:
    with ScriptedProvider() as server:
        server.reply(json=completion())
        with logged(tmp_path, server, '[catalogue."openai/*"]\nprices = { input = 0, output = 0 }') as gateway:
            answer = gateway.post("/v1/chat/completions", {**ASK, "model": "openai/any"})
    assert answer.headers["x-gateway-cost"] == "0"
    assert books(tmp_path) == ("0", 0, [0])


def test_a_provider_that_tells_the_cost_is_believed() -> None:
    with ScriptedProvider() as server:
        server.reply(json=completion(usage={**USAGE, "cost": 0.00000537, "is_byok": False}))
        with running_gateway(f'[plugins.openrouter]\nbase_url = "{server.url}/v1"') as gateway:
            answer = gateway.post("/v1/chat/completions", {**ASK, "model": "openrouter/openai/gpt-oss-120b"})
    assert answer.headers["x-gateway-cost"] == "0.00000537"


def test_the_gateways_headers_can_be_switched_off() -> None:
    with ScriptedProvider() as server:
        server.reply(json=completion())
        toml = f'[server]\ngateway_headers = false\n[plugins.openai]\nbase_url = "{server.url}/v1"'
        with running_gateway(toml) as gateway:
            answer = gateway.post("/v1/chat/completions", {**ASK, "model": "openai/gpt-4o-mini"})
    assert "x-gateway-cost" not in answer.headers
