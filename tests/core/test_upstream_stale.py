"""A pooled connection that the provider has closed: one retry, on a fresh connection, and never a second execution."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

import pytest

from gateway.config import Timeouts
from gateway.errors import UpstreamDisconnected, UpstreamTimeout
from gateway.testing import Exchange, ScriptedProvider
from gateway.upstream import Upstream, UpstreamOptions
from tests.core.upstream_calls import QUICK, answer, on_each_loop, post, upstream


async def stale(exchange: Exchange) -> None:
    exchange.reset()


async def gone(exchange: Exchange) -> None:
    exchange.close()


async def warm(to: Upstream, provider: ScriptedProvider, connections: int = 1) -> None:
    """Have so many idle connections in the pool."""
    for _ in range(connections):
        provider.reply(json=0, delay=0.02)
    await asyncio.gather(*[answer(to) for _ in range(connections)])
    assert provider.connections == connections


@pytest.mark.parametrize("script", [stale, gone])
@on_each_loop
async def test_a_post_on_a_stale_connection_is_sent_again_on_a_fresh_one(script: object) -> None:
    with ScriptedProvider() as provider:
        async with upstream(provider) as to:
            await warm(to, provider)
            provider.script(script)  # type: ignore[arg-type]
            provider.reply(json=1)
            reply = await to.send(post(body=b"again"), QUICK)
            assert await reply.read() == b"1"
            assert not reply.reused
    assert [(request.body, request.connection) for request in provider.requests] == [
        (b"{}", 1),
        (b"again", 1),
        (b"again", 2),
    ]


@on_each_loop
async def test_the_second_try_does_not_take_another_pooled_connection() -> None:
    with ScriptedProvider() as provider:
        async with upstream(provider) as to:
            await warm(to, provider, 3)
            provider.script(stale)
            provider.reply(json=1)
            assert await answer(to) == b"1"
    assert provider.requests[-1].connection == 4


@on_each_loop
async def test_there_is_no_third_try() -> None:
    with ScriptedProvider() as provider:
        async with upstream(provider) as to:
            await warm(to, provider, 2)
            for _ in range(3):
                provider.script(stale)
            with pytest.raises(UpstreamDisconnected):
                await answer(to)
    assert len(provider.requests) == 2 + 2


@on_each_loop
async def test_a_fresh_connection_that_closes_is_not_stale() -> None:
    with ScriptedProvider() as provider:
        provider.script(stale)
        provider.reply(json=1)
        async with upstream(provider) as to:
            with pytest.raises(UpstreamDisconnected):
                await answer(to)
    assert len(provider.requests) == 1


@on_each_loop
async def test_an_answer_of_one_byte_rules_a_second_try_out() -> None:
    async def one_byte(exchange: Exchange) -> None:
        await exchange.send(b"H")
        await exchange.sleep(0.02)
        exchange.reset()

    with ScriptedProvider() as provider:
        async with upstream(provider) as to:
            await warm(to, provider)
            provider.script(one_byte)
            provider.reply(json=1)
            with pytest.raises(UpstreamDisconnected):
                await answer(to)
    assert len(provider.requests) == 2


@on_each_loop
async def test_our_own_limit_on_a_pooled_connection_is_no_reason_to_send_again() -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.wait_closed()

    with ScriptedProvider() as provider:
        async with upstream(provider) as to:
            await warm(to, provider)
            provider.script(silent)
            provider.reply(json=1)
            with pytest.raises(UpstreamTimeout):
                await answer(to, limits=Timeouts(first_token=0.05))
    assert len(provider.requests) == 2


@on_each_loop
async def test_the_second_try_keeps_within_the_limits() -> None:
    async def late(exchange: Exchange) -> None:
        await exchange.sleep(0.05)
        exchange.reset()

    async def silent(exchange: Exchange) -> None:
        await exchange.wait_closed()

    with ScriptedProvider() as provider:
        async with upstream(provider, UpstreamOptions(limit=1)) as to:
            await warm(to, provider)
            provider.script(late)
            provider.script(silent)
            start = asyncio.get_running_loop().time()
            with pytest.raises(UpstreamTimeout) as caught:
                await answer(to, limits=Timeouts(connect=1, first_token=1, total=0.1))
            assert caught.value.code == "total_timeout"
            assert asyncio.get_running_loop().time() - start < 0.2
    assert [request.connection for request in provider.requests] == [1, 1, 2]


@on_each_loop
async def test_posts_to_a_provider_that_closes_idle_connections_at_random_all_run_once() -> None:
    chance = random.Random(7)
    executed: Counter[bytes] = Counter()
    cut = 0

    async def moody(exchange: Exchange) -> None:
        executed[exchange.request.body] += 1
        await exchange.send_head(200, {"content-length": "2"})
        await exchange.send(b"ok")
        asyncio.get_running_loop().call_later(chance.uniform(0, 0.004), close_if_idle, exchange)

    def close_if_idle(exchange: Exchange) -> None:
        nonlocal cut
        latest = [request for request in provider.requests if request.connection == exchange.request.connection][-1]
        if latest is exchange.request and latest.closed_at is None:
            cut += 1
            exchange.close()

    async def caller(number: int, to: Upstream) -> None:
        for turn in range(50):
            assert await answer(to, post(body=b"%d-%d" % (number, turn))) == b"ok"
            await asyncio.sleep(chance.uniform(0, 0.004))

    with ScriptedProvider() as provider:
        provider.default_script(moody)
        async with upstream(provider) as to:
            await asyncio.gather(*[caller(number, to) for number in range(4)])
        await asyncio.sleep(0.01)
    assert len(executed) == 200
    assert set(executed.values()) == {1}
    assert cut > 20


async def twice(exchange: Exchange) -> None:
    body = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n"
    await exchange.send(body + b"1")
    await exchange.sleep(0.05)
    await exchange.send(body + b"X")


@on_each_loop
async def test_an_unasked_answer_that_nobody_has_read_yet_is_not_the_next_callers() -> None:
    with ScriptedProvider() as provider:
        async with upstream(provider) as to:
            provider.script(twice)
            provider.reply(json=2)
            assert await answer(to) == b"1"
            time.sleep(0.2)  # noqa: ASYNC251  # the loop is busy while the second answer arrives
            assert await answer(to) == b"2"
    assert [request.connection for request in provider.requests] == [1, 2]
