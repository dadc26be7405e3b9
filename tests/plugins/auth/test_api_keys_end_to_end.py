"""Keys at the door of a running gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from gateway_plugins.auth.api_keys import hash_key
from tests.plugins.upstream import ANSWER, ASK, provider_table

TEAM_A = "sk-team-a-0123456789abcdef"
CI = "sk-ci-0123456789abcdefghij"


@pytest.fixture(scope="module")
def doors() -> Iterator[tuple[RunningGateway, ScriptedProvider]]:
    """A gateway with two keys, and the provider behind it."""
    toml = f"""
        [plugins.api_keys]
        keys = [
          {{ name = "team-a", key = {{ env = "TEAM_A_KEY" }}, models = ["fast", "up/allowed*"], expires = 2999-01-01 }},
          {{ name = "ci", hash = "{hash_key(CI)}" }},
          {{ name = "old", key = "sk-old-0123456789abcdefgh", expires = 2020-01-01 }},
        ]
        [models.fast]
        targets = ["up/m"]
    """
    with ScriptedProvider() as up, running_gateway(toml + provider_table(up), env={"TEAM_A_KEY": TEAM_A}) as gateway:
        up.default_reply(json=ANSWER)
        yield gateway, up


def post(gateway: RunningGateway, key: str | None, header: str = "authorization", **ask: Any) -> tuple[int, Any]:
    value = f"Bearer {key}" if header == "authorization" else str(key)
    answer = gateway.post("/v1/chat/completions", {**ASK, **ask}, headers={header: value} if key else None)
    return answer.status, answer.json()


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
def test_a_good_key_gets_an_answer_in_whichever_header_it_comes(
    doors: tuple[RunningGateway, ScriptedProvider], header: str
) -> None:
    gateway, up = doors
    assert post(gateway, TEAM_A, header) == (200, ANSWER)
    assert post(gateway, CI, header) == (200, ANSWER)
    assert TEAM_A not in str(up.requests[-2].headers)
    assert CI not in str(up.requests[-1].headers)


def test_strangers_get_401_and_their_requests_go_nowhere(doors: tuple[RunningGateway, ScriptedProvider]) -> None:
    gateway, up = doors
    before = len(up.requests)
    status, missing = post(gateway, None)
    assert (status, missing["error"]["code"]) == (401, "missing_api_key")
    answers = {str(post(gateway, wrong)) for wrong in ("x", TEAM_A[:-1], TEAM_A + "x", "sk-" + "z" * 500)}
    assert len(answers) == 1
    assert "invalid_api_key" in answers.pop()
    status, old = post(gateway, "sk-old-0123456789abcdefgh")
    assert status == 401
    assert "expired on 2020-01-01" in old["error"]["message"]
    assert len(up.requests) == before


def test_a_key_may_use_its_own_models_only(doors: tuple[RunningGateway, ScriptedProvider]) -> None:
    gateway, _ = doors
    assert post(gateway, TEAM_A, model="up/allowed-1")[0] == 200
    assert post(gateway, TEAM_A, model="up/other")[0] == 403
    assert post(gateway, CI, model="up/other")[0] == 200


def test_the_model_list_asks_for_a_key_and_shows_what_it_may_use(
    doors: tuple[RunningGateway, ScriptedProvider],
) -> None:
    gateway, _ = doors
    assert gateway.get("/v1/models").status == 401
    answer = gateway.get("/v1/models", headers={"authorization": f"Bearer {TEAM_A}"})
    assert [model["id"] for model in answer.json()["data"]] == ["fast"]
