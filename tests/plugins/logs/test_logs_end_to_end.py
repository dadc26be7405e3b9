"""Both logs in a running gateway: each call has its line and its row, and no secret is in either."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.testing import Exchange, RunningGateway, ScriptedProvider, running_gateway
from tests.plugins.logs.audit_calls import rows, wait_for
from tests.plugins.upstream import ANSWER, ASK, STREAM, provider_table

KEY = "sk-canary-0123456789abcdef"
TOML = """
    [models.fast]
    targets = ["up/m"]
    retries = 0
    [plugins.access_log]
    path = "access.jsonl"
    [plugins.audit_log]
    payloads = true
    keep_days = 1
    [plugins.exact_cache]
    [plugins.api_keys]
    keys = [{ name = "canary", key = { env = "CANARY_KEY" } }]
"""


@pytest.fixture
def up() -> Iterator[ScriptedProvider]:
    """A provider."""
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def gateway(up: ScriptedProvider, tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway with both logs in ``tmp_path``."""
    with running_gateway(TOML + provider_table(up), folder=tmp_path, env={"CANARY_KEY": KEY}) as running:
        yield running


def post(gateway: RunningGateway, **ask: Any) -> str:
    """Send a call; its id."""
    headers = {"authorization": f"Bearer {KEY}"}
    return gateway.post("/v1/chat/completions?key=sk-in-query", {**ASK, **ask}, headers=headers).headers["x-request-id"]


def logged(folder: Path, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines and the rows, when there are ``count`` of each."""
    path = folder / "access.jsonl"
    wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") == count and len(rows(folder)) == count)
    return [json.loads(line) for line in path.read_text().splitlines()], rows(folder)


def test_whole_streamed_cached_and_refused_calls_are_in_both(
    gateway: RunningGateway, up: ScriptedProvider, tmp_path: Path
) -> None:
    up.reply(json=ANSWER)
    up.stream(STREAM)
    up.reply(json={"error": {"message": "slow down", "type": "rate_limit_error"}}, status=429)
    ids = [post(gateway), post(gateway, stream=True), post(gateway), post(gateway, n=2)]
    ids.append(gateway.post("/v1/chat/completions", ASK, headers={"x-api-key": "wrong"}).headers["x-request-id"])
    lines, stored = logged(tmp_path, 5)
    assert [line["id"] for line in lines] == [row["id"] for row in stored] == ids
    for name in ("status", "outcome", "cache", "attempts", "model", "provider"):
        assert [line[name] for line in lines] == [row[name] for row in stored], name
    assert [line["status"] for line in lines] == [200, 200, 200, 429, 401]
    assert [line["cache"] for line in lines] == ["miss", "miss", "hit", "miss", None]
    assert [line["outcome"] for line in lines] == ["ok", "ok", "ok", "error", "error"]
    assert [row["source"] for row in stored][2] == "cache"
    assert [(line["prompt_tokens"], line["completion_tokens"]) for line in lines[:3]] == [
        (30, 12),
        (30, 12),
        (None, None),
    ]
    assert [line["key"] for line in lines] == ["canary"] * 4 + [None]
    assert lines[0]["bytes"] == len(json.dumps(ANSWER, separators=(",", ":")))
    assert all(line["duration_ms"] >= line["first_byte_ms"] > 0 for line in lines)
    kept = {row["call_id"]: row for row in rows(tmp_path, "SELECT * FROM payloads")}
    assert kept[ids[1]]["reply_size"] == lines[1]["bytes"]


def test_no_key_is_in_any_file(gateway: RunningGateway, up: ScriptedProvider, tmp_path: Path) -> None:
    up.default_reply(json=ANSWER)
    post(gateway)
    gateway.post("/v1/chat/completions", ASK, headers={"authorization": "Bearer sk-wrong-canary-key"})
    logged(tmp_path, 2)
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert everything
    for secret in (KEY, "sk-wrong-canary-key", "sk-in-query"):
        assert secret.encode() not in everything


def test_a_caller_who_leaves_and_a_provider_that_dies_are_told_apart(
    gateway: RunningGateway, up: ScriptedProvider, tmp_path: Path
) -> None:
    up.stream(STREAM[:2], cut=True)
    post(gateway, stream=True)

    async def silent(exchange: Exchange) -> None:
        await exchange.wait_closed()

    up.script(silent)
    place = urlsplit(gateway.url)
    body = json.dumps({**ASK, "n": 3}).encode()
    with socket.create_connection((place.hostname, place.port)) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s"
            % (KEY.encode(), len(body), body)
        )
        assert up.wait_for_requests(2)
    lines, stored = logged(tmp_path, 2)
    assert [line["outcome"] for line in lines] == [row["outcome"] for row in stored] == ["interrupted", "cancelled"]
    assert stored[0]["error_code"] == "upstream_disconnected"
    assert stored[1]["status"] == 499


def test_all_rows_are_in_the_file_when_the_gateway_has_stopped(up: ScriptedProvider, tmp_path: Path) -> None:
    up.default_reply(json=ANSWER)
    toml = TOML.replace("payloads = true", "flush_seconds = 10") + provider_table(up)
    with running_gateway(toml, folder=tmp_path, env={"CANARY_KEY": KEY}) as gateway:
        begun = time.monotonic()
        ids = [post(gateway, seed=number) for number in range(20)]
    assert time.monotonic() - begun < 8
    assert [row["id"] for row in rows(tmp_path)] == ids
    assert (tmp_path / "access.jsonl").read_text().count("\n") == 20
