"""What ``gateway route`` says beforehand, what the answer's head says, and what the audit log keeps: one story."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.cli import main
from gateway.testing import ScriptedProvider, running_gateway
from tests.plugins.logs.audit_calls import rows, wait_for
from tests.plugins.upstream import ANSWER

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TOML = """
[plugins.audit_log]
payloads = true
keep_days = 1
[catalogue."three/m"]
input = ["text"]
[models.fast]
strategy = "cheapest"
targets = ["three/m", "one/m", "two/m"]
retries = 0
[catalogue."one/m"]
prices = { input = 2.0, output = 2.0 }
[catalogue."two/m"]
prices = { input = 1.0, output = 1.0 }
"""


def table(name: str, provider: ScriptedProvider) -> str:
    return f'[plugins.{name}]\nuse = "openai_compatible"\nbase_url = "{provider.url}/v1"\n'


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(list(arguments)) == 0
    return json.loads(capsys.readouterr().out)


def test_the_explanations_agree_with_what_happened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gateway.toml"
    ask = {"model": "fast", "messages": [{"role": "user", "content": [IMAGE]}]}
    (tmp_path / "request.json").write_bytes(msgspec.json.encode(ask))
    config = ("-c", str(path))
    with ScriptedProvider() as one, ScriptedProvider() as two, ScriptedProvider() as three:
        two.default_reply(json={"error": {"message": "down"}}, status=503)
        one.default_reply(json=ANSWER)
        path.write_text(TOML + table("one", one) + table("two", two) + table("three", three))
        before = told(capsys, "route", *config, str(tmp_path / "request.json"), "--json")
        assert [len(up.requests) for up in (one, two, three)] == [0, 0, 0]
        with running_gateway(path.read_text(), folder=tmp_path) as gateway:
            answer = gateway.post("/v1/chat/completions", ask, headers={"x-gateway-explain": "1"})
            wait_for(lambda: rows(tmp_path))
            kept = told(capsys, "logs", *config, "show", answer.headers["x-request-id"], "--json")
        replayed = told(capsys, "plan", *config, str(path), "--json")
    head = json.loads(answer.headers["x-gateway-decision"])
    order = [entry["target"] for entry in before["order"]]
    assert order == ["two/m", "one/m"]
    assert before["goes_to"] == two_first(head)
    assert order == [attempt["target"] for attempt in head["attempts"]]
    assert order == [f"{attempt['provider']}/{attempt['model']}" for attempt in kept["attempts"]]
    assert [attempt["status"] for attempt in kept["attempts"]] == [503, 200]
    candidates = kept["decision"]["candidates"]
    assert [entry["target"] for entry in candidates] == ["two/m", "one/m", "three/m"]
    assert candidates[2]["why"] == "takes no images" == before["not_tried"][0]["why"]
    assert [entry["score"] for entry in candidates[:2]] == [entry["score"] for entry in before["order"]]
    assert kept["decision"]["needs"]["images"] is True
    assert (replayed["traffic"]["calls"], replayed["traffic"]["moved"]) == (1, 0)


def two_first(head: Any) -> str:
    first: str = next(entry["target"] for entry in head["candidates"] if entry.get("kept", True))
    return first
