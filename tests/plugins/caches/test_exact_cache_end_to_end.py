"""The exact cache at work in a running gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from tests.plugins.upstream import ANSWER, ASK, STREAM, chunk, provider_table

TOML = """
    [models.fast]
    targets = ["up/m"]
    retries = 0
    [plugins.exact_cache]
    [plugins.api_keys]
    keys = [
      { name = "a", key = "sk-a-0123456789abcdef0123" },
      { name = "b", key = "sk-b-0123456789abcdef0123" },
    ]
"""


@pytest.fixture
def up() -> Iterator[ScriptedProvider]:
    """A provider that answers every request well."""
    with ScriptedProvider() as provider:
        provider.default_reply(json=ANSWER)
        yield provider


@pytest.fixture
def gateway(up: ScriptedProvider) -> Iterator[RunningGateway]:
    """A gateway with a cache and two keys in front of ``up``."""
    with running_gateway(TOML + provider_table(up)) as running:
        yield running


def post(gateway: RunningGateway, ask: object = ASK, key: str = "a", **headers: str) -> tuple[str, bytes]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = gateway.post(
        "/v1/chat/completions", ask, headers={"authorization": f"Bearer sk-{key}-0123456789abcdef0123", **given}
    )
    return answer.headers["x-gateway-cache"], answer.body


def test_a_repeated_request_is_answered_from_memory(gateway: RunningGateway, up: ScriptedProvider) -> None:
    first, again = post(gateway), post(gateway)
    assert (first[0], again[0]) == ("miss", "hit")
    assert first[1] == again[1]
    assert len(up.requests) == 1


def test_a_hit_says_its_age_and_names_no_provider(gateway: RunningGateway) -> None:
    post(gateway)
    answer = gateway.post("/v1/chat/completions", ASK, headers={"authorization": "Bearer sk-a-0123456789abcdef0123"})
    assert answer.headers["age"] == "0"
    assert answer.headers["content-type"] == "application/json"
    assert not {"x-gateway-provider", "x-gateway-attempts"} & set(answer.headers)


def test_a_stream_is_replayed_as_a_stream(gateway: RunningGateway, up: ScriptedProvider) -> None:
    up.stream(STREAM, gap=0.01)
    ask = {**ASK, "stream": True}
    (first, body), (again, replayed) = post(gateway, ask), post(gateway, ask)
    assert (first, again) == ("miss", "hit")
    assert body == replayed
    assert body.endswith(b"data: [DONE]\n\n")
    assert post(gateway)[0] == "miss", "a whole answer is another entry"


def test_a_stream_that_broke_is_not_kept(gateway: RunningGateway, up: ScriptedProvider) -> None:
    up.stream(STREAM[:2], cut=True)
    up.stream([*STREAM[:1], b'data: {"error":{"message":"worker died","type":"server_error"}}\n\n'])
    up.stream(STREAM)
    ask = {**ASK, "stream": True}
    assert [post(gateway, ask)[0] for _ in range(4)] == ["miss", "miss", "miss", "hit"]
    assert b"error" not in post(gateway, ask)[1]


def test_errors_are_not_kept(gateway: RunningGateway, up: ScriptedProvider) -> None:
    up.reply(json={"error": {"message": "bad", "type": "invalid_request_error"}}, status=400)
    assert [post(gateway)[0] for _ in range(3)] == ["miss", "miss", "hit"]


def test_one_key_is_not_given_what_another_was_answered(gateway: RunningGateway, up: ScriptedProvider) -> None:
    assert [post(gateway, key=key)[0] for key in "abab"] == ["miss", "miss", "hit", "hit"]
    assert len(up.requests) == 2


def test_a_caller_can_keep_out_of_the_cache(gateway: RunningGateway, up: ScriptedProvider) -> None:
    assert [post(gateway, x_gateway_cache="no-store")[0] for _ in range(2)] == ["bypass", "bypass"]
    assert post(gateway)[0] == "miss"
    up.reply(json={**ANSWER, "id": "fresh"})
    assert post(gateway, x_gateway_cache="no-cache")[0] == "bypass"
    verdict, body = post(gateway)
    assert verdict == "hit"
    assert b'"fresh"' in body


def test_a_reload_keeps_the_cache_but_not_for_a_model_that_leads_elsewhere(
    gateway: RunningGateway, up: ScriptedProvider
) -> None:
    post(gateway)
    gateway.reload(TOML + "# a comment" + provider_table(up))
    assert post(gateway)[0] == "hit"
    gateway.reload(TOML.replace("up/m", "up/m2") + provider_table(up))
    assert post(gateway)[0] == "miss"


def test_a_large_stream_passes_whole_without_being_kept(up: ScriptedProvider) -> None:
    toml = TOML.replace("[plugins.exact_cache]", "[plugins.exact_cache]\nmax_entry_bytes = 2000")
    pieces = [STREAM[0], *[chunk({"content": "x" * 100})] * 50, *STREAM[2:]]
    with running_gateway(toml + provider_table(up)) as gateway:
        for _ in range(2):
            up.stream(pieces)
            verdict, body = post(gateway, {**ASK, "stream": True})
            assert verdict == "miss"
            assert body.count(b"x" * 100) == 50
