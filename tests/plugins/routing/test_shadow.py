"""Shadow copies: sent behind the answer, logged beside it, limited in cost and time, and never in anybody's way."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from gateway_plugins.routing.shadow import Shadow
from tests.plugins.upstream import ANSWER, ASK, STREAM, chunk


def table(name: str, provider: ScriptedProvider) -> str:
    return f'[plugins.{name}]\nuse = "openai_compatible"\nbase_url = "{provider.url}/v1"\n'


def toml_of(main: ScriptedProvider, other: ScriptedProvider, settings: str = "", more: str = "") -> str:
    shadow = f'shadow = {{ target = "other/big"{settings} }}'
    return table("main", main) + table("other", other) + f'[models.fast]\ntargets = ["main/m"]\n{shadow}\n{more}'


def shadow_of(gateway: RunningGateway) -> Shadow:
    (plugin,) = [record.plugin for record in gateway.app.current.records if isinstance(record.plugin, Shadow)]
    return plugin


def wait_until_idle(gateway: RunningGateway, seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while shadow_of(gateway).running:
        assert time.monotonic() < until, "a copy still runs"
        time.sleep(0.005)


def rows(folder: Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(folder / "audit.sqlite")
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute("SELECT * FROM calls ORDER BY copy_of IS NOT NULL, time")]
    finally:
        connection.close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_copy_is_asked_and_logged_beside_its_call(tmp_path: Path, stream: bool) -> None:
    with ScriptedProvider() as main, ScriptedProvider() as other:
        main.default_stream(STREAM) if stream else main.default_reply(json=ANSWER)
        other.default_stream(STREAM)
        more = '[plugins.audit_log]\n[plugins.access_log]\npath = "access.jsonl"\n'
        more += "[plugins.rate_limit]\nrequests_per_minute = 1\n"
        with running_gateway(toml_of(main, other, more=more), folder=tmp_path) as gateway:
            answer = gateway.post("/v1/chat/completions", {**ASK, "stream": stream})
            assert other.wait_for_requests(1)
            wait_until_idle(gateway)
    assert answer.status == 200
    assert "yo" in answer.body.decode()
    (sent,) = other.requests
    assert sent.json()["model"] == "big"
    assert sent.json()["stream"] is True
    call, copy = rows(tmp_path)
    assert (call["copy_of"], call["provider"]) == (None, "main")
    assert (copy["copy_of"], copy["provider"], copy["upstream_model"]) == (call["id"], "other", "big")
    assert (copy["outcome"], copy["completion_tokens"], copy["model"]) == ("ok", 12, "fast")
    assert (tmp_path / "access.jsonl").read_text().count("\n") == 1


def test_a_copy_delays_neither_the_answer_nor_the_end_of_the_gateway() -> None:
    with ScriptedProvider() as main, ScriptedProvider() as other:
        main.default_reply(json=ANSWER)
        other.default_reply(json=ANSWER, delay=30.0)
        with running_gateway(toml_of(main, other)) as gateway:
            began = time.monotonic()
            assert gateway.post("/v1/chat/completions", ASK).status == 200
            assert time.monotonic() - began < 5
            assert other.wait_for_requests(1)
            began = time.monotonic()
        assert time.monotonic() - began < 5
        assert other.wait_for_disconnect() is not None


def test_a_copy_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with ScriptedProvider() as main, ScriptedProvider() as other:
        main.default_reply(json=ANSWER)
        other.default_reply(json=ANSWER, delay=30.0)
        with running_gateway(
            toml_of(main, other, ", timeout = 0.2", "[plugins.audit_log]\n"), folder=tmp_path
        ) as gateway:
            gateway.post("/v1/chat/completions", ASK)
            assert other.wait_for_requests(1)
            wait_until_idle(gateway)
        assert other.wait_for_disconnect() is not None
    assert rows(tmp_path)[1]["outcome"] in ("cancelled", "error")


PRICED = '[catalogue."other/big"]\nprices = { input = 1.0, output = 1000.0 }\n[plugins.audit_log]\n'


def test_a_copy_is_ended_when_its_answer_costs_more_than_allowed(tmp_path: Path) -> None:
    pieces = [chunk({"content": "word " * 4}) for _ in range(400)]
    with ScriptedProvider() as main, ScriptedProvider() as other:
        main.default_reply(json=ANSWER)
        other.default_stream(pieces, gap=0.005)
        with running_gateway(toml_of(main, other, ", max_cost = 0.05", PRICED), folder=tmp_path) as gateway:
            gateway.post("/v1/chat/completions", ASK)
            assert other.wait_for_requests(1)
            wait_until_idle(gateway)
        assert other.wait_for_disconnect() is not None
    copy = rows(tmp_path)[1]
    assert copy["outcome"] == "cancelled"
    assert copy["reply_bytes"] < 100 * len(pieces[0])


def test_a_copy_whose_prompt_costs_too_much_or_whose_price_is_not_known_is_not_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ScriptedProvider() as main, ScriptedProvider() as other:
        main.default_reply(json=ANSWER)
        with running_gateway(toml_of(main, other, ", max_cost = 0.000001", PRICED.partition("[plugins")[0])) as gateway:
            for _ in range(3):
                assert gateway.post("/v1/chat/completions", ASK).status == 200
            gateway.reload(toml_of(main, other, ", max_cost = 0.000001"))
            for _ in range(3):
                assert gateway.post("/v1/chat/completions", ASK).status == 200
    assert not other.requests
    assert sum("its price is not known" in record.message for record in caplog.records) == 1


def test_a_share_of_the_calls_is_copied_and_no_more_than_allowed_at_once() -> None:
    with ScriptedProvider() as main, ScriptedProvider() as other:
        main.default_reply(json=ANSWER)
        other.default_stream(STREAM)
        with running_gateway(toml_of(main, other, ", percent = 25")) as gateway:
            shadow_of(gateway).rng = random.Random(1)
            for _ in range(40):
                gateway.post("/v1/chat/completions", ASK)
            wait_until_idle(gateway)
            assert 4 <= len(other.requests) <= 17
            before = len(other.requests)
            other.default_reply(json=ANSWER, delay=30.0)
            gateway.reload(toml_of(main, other, ", at_once = 2"))
            for _ in range(5):
                gateway.post("/v1/chat/completions", ASK)
            assert other.wait_for_requests(before + 2)
            assert len(shadow_of(gateway).running) == 2


def test_what_fails_in_a_copy_concerns_nobody(tmp_path: Path) -> None:
    with ScriptedProvider() as main, ScriptedProvider() as other:
        main.default_reply(json=ANSWER)
        other.reply(json={"error": {"message": "broken"}}, status=500)
        other.stream(STREAM[:2], cut=True)
        with running_gateway(toml_of(main, other, more="[plugins.audit_log]\n"), folder=tmp_path) as gateway:
            for count in (1, 2):
                answer = gateway.post("/v1/chat/completions", ASK)
                assert (answer.status, answer.headers["x-gateway-attempts"]) == (200, "1")
                assert other.wait_for_requests(count)
                wait_until_idle(gateway)
    assert len(other.requests) == 2
    assert [row["outcome"] for row in rows(tmp_path)] == ["ok", "ok", "error", "interrupted"]


def test_calls_that_a_rule_has_placed_and_those_the_target_cannot_answer_are_not_copied() -> None:
    with ScriptedProvider() as main, ScriptedProvider() as other:
        main.default_reply(json=ANSWER)
        rules = 'rules = [{ when = "stream == false and max_tokens == 7", targets = ["main/private"] }]\n'
        limits = '[catalogue."other/big"]\ntools = false\n'
        with running_gateway(toml_of(main, other, more=rules + limits)) as gateway:
            tool = {"type": "function", "function": {"name": "f"}}
            for ask in ({**ASK, "max_tokens": 7}, {**ASK, "tools": [tool]}):
                assert gateway.post("/v1/chat/completions", ask).status == 200
            assert not shadow_of(gateway).running
    assert not other.requests
    assert main.requests[0].json()["model"] == "private"


def test_a_configuration_that_was_replaced_lives_until_its_copies_have_ended() -> None:
    with ScriptedProvider() as main, ScriptedProvider() as other:
        main.default_reply(json=ANSWER)
        other.default_stream(STREAM, gap=0.1)
        with running_gateway(toml_of(main, other)) as gateway:
            plugin, old = shadow_of(gateway), gateway.app.current
            gateway.post("/v1/chat/completions", ASK)
            assert other.wait_for_requests(1)
            gateway.reload(
                table("main", main) + '[models.fast]\ntargets = ["main/m"]\n[plugins.shadow]\nenabled = false\n'
            )
            assert old.calls == 1
            until = time.monotonic() + 5
            while plugin.running and time.monotonic() < until:
                time.sleep(0.01)
            assert not plugin.running
            assert old.calls == 0
            assert gateway.post("/v1/chat/completions", ASK).status == 200


def test_a_shadow_of_the_models_only_target_is_a_mistake() -> None:
    toml = '[plugins.echo]\n[models.x]\ntargets = ["echo/a"]\nshadow = { target = "echo/a" }\n'
    with pytest.raises(ConfigError, match="a copy would tell nothing"), running_gateway(toml):
        pass
