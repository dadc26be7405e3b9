"""Limits at work in a running gateway."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from gateway.testing import Answer, Exchange, ScriptedProvider, running_gateway
from tests.plugins.upstream import ANSWER, ASK, STREAM, provider_table

MODEL = '[models.fast]\ntargets = ["up/m"]\nretries = 0\n'


def limit(**settings: int) -> str:
    return MODEL + "[plugins.rate_limit]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())


def test_requests_beyond_the_limit_get_429_and_reach_no_provider() -> None:
    with ScriptedProvider() as up, running_gateway(limit(requests_per_minute=3) + provider_table(up)) as gateway:
        up.default_reply(json=ANSWER)
        answers = [gateway.post("/v1/chat/completions", ASK) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["2", "1", "0", "0", "0"]
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert "3 requests per minute" in refused.json()["error"]["message"]
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.headers["x-ratelimit-limit-requests"] == "3"
    assert len(up.requests) == 3


def test_fifty_at_once_are_admitted_exactly_to_the_limit() -> None:
    with ScriptedProvider() as up, running_gateway(limit(requests_per_minute=10) + provider_table(up)) as gateway:
        up.default_reply(json=ANSWER, delay=0.05)
        statuses: Counter[int] = Counter()

        def call() -> None:
            statuses[gateway.post("/v1/chat/completions", ASK).status] += 1

        threads = [threading.Thread(target=call) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == {200: 10, 429: 40}
    assert len(up.requests) == 10


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_settled_by_what_the_provider_counted(stream: bool) -> None:
    with ScriptedProvider() as up, running_gateway(limit(tokens_per_minute=1000) + provider_table(up)) as gateway:
        if stream:
            up.default_stream(STREAM)
        else:
            up.default_reply(json=ANSWER)
        ask = {**ASK, "stream": stream, "max_tokens": 900}
        first = gateway.post("/v1/chat/completions", ask)
        # 900 are free again, for only 42 were used: the second could not pass otherwise.
        second = gateway.post("/v1/chat/completions", ask)
    assert (first.status, second.status) == (200, 200)
    left = [int(answer.headers["x-ratelimit-remaining-tokens"]) for answer in (first, second)]
    assert 40 <= left[0] - left[1] <= 42


def test_an_upstream_error_gives_the_reservation_back() -> None:
    with ScriptedProvider() as up, running_gateway(limit(tokens_per_minute=1000) + provider_table(up)) as gateway:
        up.default_reply(json={"error": {"message": "down", "type": "server_error"}}, status=500)
        ask = {**ASK, "max_tokens": 900}
        answers = [gateway.post("/v1/chat/completions", ask) for _ in range(3)]
    assert [answer.status for answer in answers] == [500, 500, 500]
    assert len({answer.headers["x-ratelimit-remaining-tokens"] for answer in answers}) == 1


def test_a_request_that_can_never_fit_is_told_not_to_retry() -> None:
    with ScriptedProvider() as up, running_gateway(limit(tokens_per_minute=1000) + provider_table(up)) as gateway:
        answer = gateway.post("/v1/chat/completions", {**ASK, "max_tokens": 5000})
    assert (answer.status, answer.headers["x-should-retry"]) == (429, "false")
    assert "at most 1000 may come at once" in answer.json()["error"]["message"]
    assert up.requests == []


def test_a_place_in_flight_is_free_again_when_the_caller_has_its_answer() -> None:
    release = threading.Event()

    async def slow(exchange: Exchange) -> None:
        while not release.is_set():
            await exchange.sleep(0.01)
        body = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[]}'
        await exchange.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        await exchange.send(body)

    with ScriptedProvider() as up, running_gateway(limit(concurrency=1) + provider_table(up)) as gateway:
        up.script(slow)
        up.default_reply(json=ANSWER)
        answers: list[Answer] = []
        thread = threading.Thread(target=lambda: answers.append(gateway.post("/v1/chat/completions", ASK)))
        thread.start()
        assert up.wait_for_requests(1)
        refused = gateway.post("/v1/chat/completions", ASK)
        release.set()
        thread.join()
        after = gateway.post("/v1/chat/completions", ASK)
    assert (answers[0].status, refused.status, after.status) == (200, 429, 200)
    assert "1 request at once" in refused.json()["error"]["message"]
    assert refused.headers["retry-after"] == "1"


def test_a_keys_own_limit_holds_for_it_alone() -> None:
    toml = """
        [plugins.api_keys]
        keys = [
          { name = "small", key = "sk-small-0123456789abcdef", requests_per_minute = 1 },
          { name = "usual", key = "sk-usual-0123456789abcdef" },
        ]
    """
    with ScriptedProvider() as up, running_gateway(toml + limit(requests_per_minute=3) + provider_table(up)) as gateway:
        up.default_reply(json=ANSWER)

        def statuses(name: str) -> list[int]:
            headers = {"authorization": f"Bearer sk-{name}-0123456789abcdef"}
            return [gateway.post("/v1/chat/completions", ASK, headers=headers).status for _ in range(4)]

        assert statuses("small") == [200, 429, 429, 429]
        assert statuses("usual") == [200, 200, 200, 429]


def test_a_reload_that_leaves_the_table_alone_leaves_the_count_alone() -> None:
    with ScriptedProvider() as up:
        toml = limit(requests_per_minute=2) + provider_table(up)
        with running_gateway(toml) as gateway:
            up.default_reply(json=ANSWER)
            assert [gateway.post("/v1/chat/completions", ASK).status for _ in range(2)] == [200, 200]
            gateway.reload(toml + '[models.another]\ntargets = ["up/m"]\n')
            assert gateway.post("/v1/chat/completions", {**ASK, "model": "another"}).status == 429
