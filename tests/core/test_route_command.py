"""``gateway route``: what it says of a request, without a key and without sending anything; and its exit codes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.cli import main
from gateway.registry import build
from gateway.translate_command import lenient_config

TOML = """
[plugins.openai]
api_key = { env = "NO_SUCH_VARIABLE" }
[plugins.anthropic]
api_key = { env = "NO_OTHER_VARIABLE" }
timeouts = { connect = 3 }
[plugins.box]
use = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
[catalogue."box/small"]
context_window = 1000
input = ["text"]

[models.fast]
strategy = "weighted"
targets = [{ provider = "openai", model = "gpt-4o-mini", weight = 3 }, "anthropic/claude-haiku-4-5"]
fallbacks = ["box/small"]
timeouts = { first_token = 7, total = 50 }
retries = 1
rescue = "resume"

[models.cheap]
strategy = "cheapest"
targets = ["openai/gpt-4o", "openai/gpt-4o-mini"]

[models.little]
targets = ["box/small"]

[models.ruled]
targets = ["openai/gpt-4o"]
rules = [
  { name = "night", when = "hour < 6", targets = ["box/night"] },
  { when = 'key == "ci" or header("x-team") == "red"', targets = ["box/ci"] },
]
"""
ASK: dict[str, Any] = {"model": "fast", "messages": [{"role": "user", "content": "hi"}], "seed": 3, "max_tokens": 50}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


class Run(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Program:
    """Runs ``gateway route …`` in a folder of its own, with the request on standard input."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._patch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, ask: Any = ASK) -> Run:
        data = ask if isinstance(ask, bytes) else json.dumps(ask).encode()
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        try:
            code = main(["route", *arguments])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 99
        return Run(code, *self._capsys.readouterr())


@pytest.fixture
def route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "gateway.toml").write_text(TOML)
    return Program(tmp_path, monkeypatch, capsys)


def order(found: Any) -> list[str]:
    return [entry["target"] for entry in found["order"]]


def test_the_order_and_what_holds_at_each_target(route: Program) -> None:
    run = route("--json")
    assert run.code == 0
    found = run.json()
    assert (found["model"], found["strategy"], found["goes_to"]) == ("fast", "weighted", "openai/gpt-4o-mini")
    assert order(found) == ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "box/small"]
    assert 0.68 < found["chances"]["openai/gpt-4o-mini"] < 0.82
    first, second, last = found["order"]
    assert [entry["fallback"] for entry in found["order"]] == [False, False, True]
    assert first["time_limits"] == {"connect": 10.0, "first_token": 7.0, "idle": 120.0, "total": 50.0}
    assert second["time_limits"]["connect"] == 3.0
    assert first["price"]["input_per_million"] == 0.15
    assert first["price"]["answer_at_most"] == "0.00003"
    assert last["price"] is None
    assert (first["dropped"], [loss["field"] for loss in second["dropped"]]) == ([], ["seed"])
    assert second["format"] == "anthropic_messages"
    assert (found["retries"], found["rescue"], found["total_seconds"]) == (1, "resume", 50.0)
    assert found["needs"]["max_tokens"] == 50
    assert found["error"] is None
    assert "configuration alone" in found["state"]["text"]


def test_what_cannot_take_the_request_is_named_with_the_reason(route: Program) -> None:
    ask = {"model": "fast", "messages": [{"role": "user", "content": [IMAGE]}]}
    found = route("--json", ask=ask).json()
    assert found["not_tried"] == [{"target": "box/small", "why": "takes no images"}]
    assert found["needs"]["images"] is True
    text = route(ask=ask).out
    assert "not tried\n  box/small: takes no images" in text


def test_a_request_that_no_target_can_take_is_refused_with_1(route: Program) -> None:
    run = route("--json", ask={"model": "little", "messages": [{"role": "user", "content": [IMAGE]}]})
    assert run.code == 1
    found = run.json()
    assert found["error"]["status"] == 400
    assert found["not_tried"] == [{"target": "box/small", "why": "takes no images"}]
    assert (found["order"], found["goes_to"]) == ([], None)


def test_a_price_decides_and_its_score_is_shown(route: Program) -> None:
    run = route("--model", "cheap")
    assert run.code == 0
    assert "1. openai/gpt-4o-mini\n   score: " in run.out
    assert "dollars expected" in run.out
    assert "goes to openai/gpt-4o-mini" in run.out


def test_rules_see_the_key_the_headers_and_the_time_that_are_given(route: Program) -> None:
    day, night = ("--at", "2026-03-01T12:00"), ("--at", "2026-03-01T03:00")
    assert order(route("--model", "ruled", "--json", *day).json()) == ["openai/gpt-4o"]
    found = route("--model", "ruled", "--json", *night).json()
    assert (order(found), found["rule"]) == (["box/night"], "night")
    assert order(route("--model", "ruled", "--json", "--key", "ci", *day).json()) == ["box/ci"]
    found = route("--model", "ruled", "--json", "--header", "X-Team: red", *day).json()
    assert order(found) == ["box/ci"]
    assert "rule     night" in route("--model", "ruled", *night).out


def test_a_key_s_own_limits_hold(route: Program) -> None:
    keys = (
        '[plugins.api_keys]\nkeys = [{ name = "a", key = { env = "NO_KEY_A" }, models = ["little"] },'
        ' { name = "b", key = { env = "NO_KEY_B" } }]\n'
    )
    (route.folder / "gateway.toml").write_text(keys + TOML)
    assert route("--key", "b").code == 0
    refused = route("--key", "a", "--json")
    assert (refused.code, refused.json()["error"]["status"]) == (1, 403)
    unknown = route("--key", "c")
    assert (unknown.code, unknown.err) == (1, '--key: no key has the name "c"\n')


def test_time_limits_that_the_caller_narrows_are_shown(route: Program) -> None:
    found = route("--json", "--header", "x-gateway-timeout-ms: 2000").json()
    assert [entry["time_limits"]["total"] for entry in found["order"]] == [2.0, 2.0, 2.0]


def test_the_health_that_a_running_gateway_shares_is_seen_and_not_written(route: Program) -> None:
    path = route.folder / "gateway.toml"
    path.write_text("[server]\nworkers = 2\n" + TOML)
    found = route("--json").json()
    assert found["state"]["shared"] is None
    assert not (route.folder / "run").exists()

    running = build(lenient_config(path))
    health = running.health
    health.hold()
    for _ in range(20):
        health.began("openai/gpt-4o-mini")
        health.ended("openai/gpt-4o-mini", "error", kind="server_error")
    assert health.snapshot("openai/gpt-4o-mini").state == "open"
    run = route("--json")
    found = run.json()
    assert found["state"]["shared"] is not None
    first = next(entry for entry in found["order"] if entry["target"] == "openai/gpt-4o-mini")
    assert first["health"]["state"] == "open"
    assert first["passed_over"].startswith("open")
    assert found["goes_to"] == "anthropic/claude-haiku-4-5"
    assert run.code == 0
    text = route().out
    assert "passed over: open" in text
    assert " s left" in text
    health.let_go()


def test_the_model_s_own_policy_is_told(route: Program) -> None:
    text = TOML.replace("retries = 1\n", 'retries = 1\nfallback_on = ["timeout"]\nhedge = { after = 2.5 }\n')
    (route.folder / "gateway.toml").write_text(text)
    out = route().out
    assert "another target is asked only after timeout" in out
    assert "a second target is asked when the first token is later than 2.5 s" in out


def test_another_dialect_is_understood(route: Program) -> None:
    ask = {"model": "fast", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    found = route("--json", "--dialect", "anthropic_messages", ask=ask).json()
    assert found["dialect"] == "anthropic_messages"
    assert found["order"][0]["format"] == "openai_chat"


def test_no_secret_is_shown(route: Program) -> None:
    text = (route.folder / "gateway.toml").read_text().replace('{ env = "NO_SUCH_VARIABLE" }', '"sk-very-secret-1234"')
    (route.folder / "gateway.toml").write_text(text)
    run = route("--json")
    assert "very-secret" not in run.out + run.err + route().out


@pytest.mark.parametrize(
    ("arguments", "ask", "code", "words"),
    [
        ((), {"messages": []}, 1, "names no model"),
        (("--model", "fasr"), ASK, 1, "did you mean 'fast'"),
        ((), b"not json", 1, "JSON"),
        (("--dialect", "openai_chatt"), ASK, 1, "openai_chat"),
        (("no-such-file.json",), ASK, 1, "no-such-file.json"),
        (("--header", "nonsense"), ASK, 2, "name: value"),
        (("--at", "soon"), ASK, 2, "2026-01-31T12:00"),
        (("--header", "x-gateway-timeout-ms: never"), ASK, 1, "x-gateway-timeout-ms"),
    ],
)
def test_what_is_wrong_is_named(route: Program, arguments: tuple[str, ...], ask: Any, code: int, words: str) -> None:
    run = route(*arguments, ask=ask)
    assert run.code == code
    assert words in run.out + run.err


def test_where_nobody_can_be_asked_it_says_what_the_caller_would_get(route: Program) -> None:
    path = route.folder / "gateway.toml"
    path.write_text('[health]\nstore = "lmdb"\n' + TOML)
    running = build(lenient_config(path))
    health = running.health
    health.hold()
    for _ in range(20):
        health.began("box/small")
        health.ended("box/small", "error", kind="timeout")
    run = route("--json", "--model", "little")
    assert run.code == 1
    assert run.json()["error"]["status"] == 503
    assert "refused: 503 no_healthy_target" in route("--model", "little").out
    health.let_go()


def test_a_canary_is_shown_with_its_share_and_the_model_s_own_settings(route: Program) -> None:
    path = route.folder / "gateway.toml"
    path.write_text(TOML.replace("[models.ruled]", 'canary = { target = "box/new", percent = 20 }\n[models.ruled]'))
    run = route("--model", "little", "--json")
    found = run.json()
    assert found["options"] == {"canary": {"target": "box/new", "percent": 20}}
    assert (found["split"], found["goes_to"]) == ("stable", "box/small")
    assert 0.15 < found["chances"]["box/new"] < 0.25
    text = route("--model", "little").out
    assert 'option   canary = {"target": "box/new", "percent": 20}' in text
    assert "of such calls ask box/new first" in text
