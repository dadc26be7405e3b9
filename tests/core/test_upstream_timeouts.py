"""Each time limit ends what it is for, near its time, with its own code; and cancelling ends everything at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from gateway.config import Timeouts
from gateway.errors import UpstreamDisconnected, UpstreamTimeout
from gateway.testing import Exchange, ScriptedProvider
from gateway.upstream import UpstreamOptions, UpstreamReply
from tests.core.upstream_calls import (
    QUICK,
    answer,
    arrived,
    collect,
    deaf_listener,
    full_backlog,
    on_each_loop,
    post,
    seconds_to_disconnect,
    serving,
    upstream,
)

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"


async def times_out(work: Awaitable[object], code: str, after: float, message: str = ".") -> None:
    start = time.monotonic()
    with pytest.raises(UpstreamTimeout, match=message) as caught:
        await work
    assert caught.value.code == code
    assert after - 0.02 < time.monotonic() - start < after + 0.15


async def silent(exchange: Exchange) -> None:
    await exchange.wait_closed()


@on_each_loop
async def test_a_connection_that_is_not_established_in_time() -> None:
    with full_backlog() as url:
        async with upstream(url) as to:
            where = url.removeprefix("http://")
            message = rf"^No connection to {where} within 0\.06 s \(connect\)\.$"
            await times_out(to.send(post(), Timeouts(connect=0.06, total=5)), "connect_timeout", 0.06, message)
            await times_out(to.send(post(), Timeouts(connect=5, total=0.06)), "total_timeout", 0.06)


@on_each_loop
async def test_a_place_in_the_pool_that_does_not_come_free_in_time() -> None:
    with ScriptedProvider() as provider:
        provider.stream([b"x"] * 20, gap=0.05)
        provider.reply(json=1)
        async with upstream(provider, UpstreamOptions(limit=1)) as to:
            reply = await to.send(post(stream=True), QUICK)
            await times_out(to.send(post(), Timeouts(connect=0.06)), "connect_timeout", 0.06)
            reply.close()
            assert await answer(to) == b"1"


@pytest.mark.parametrize("stream", [False, True])
@on_each_loop
async def test_a_head_that_does_not_come_in_time(stream: bool) -> None:
    with ScriptedProvider() as provider:
        provider.script(silent)
        async with upstream(provider) as to:
            where = provider.url.removeprefix("http://")
            message = rf"^No first byte from {where} within 0\.06 s \(first_token\)\.$"
            await times_out(
                to.send(post(stream=stream), Timeouts(first_token=0.06)), "first_token_timeout", 0.06, message
            )
            assert await seconds_to_disconnect(provider, time.monotonic()) < 0.1
    assert len(provider.requests) == 1


@on_each_loop
async def test_the_first_piece_of_a_stream_shares_the_heads_limit() -> None:
    async def head_only(exchange: Exchange) -> None:
        await exchange.sleep(0.04)
        await exchange.send_head(200, {"transfer-encoding": "chunked"})
        await exchange.wait_closed()

    with ScriptedProvider() as provider:
        provider.script(head_only)
        async with upstream(provider) as to:
            start = time.monotonic()
            reply = await to.send(post(stream=True), Timeouts(first_token=0.1, idle=5))
            left = 0.1 - (time.monotonic() - start)
            await times_out(collect(reply), "first_token_timeout", left)


@on_each_loop
async def test_a_head_that_drips_ends_at_the_limit() -> None:
    async def drip(exchange: Exchange) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100:
            await exchange.send(bytes([byte]))
            await exchange.sleep(0.01)

    with ScriptedProvider() as provider:
        provider.script(drip)
        async with upstream(provider) as to:
            await times_out(to.send(post(), Timeouts(first_token=0.06)), "first_token_timeout", 0.06)


@on_each_loop
async def test_interim_answers_do_not_extend_the_limit() -> None:
    async def hints(exchange: Exchange) -> None:
        for _ in range(10):
            await exchange.send(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
            await exchange.sleep(0.03)

    with ScriptedProvider() as provider:
        provider.script(hints)
        async with upstream(provider) as to:
            await times_out(to.send(post(), Timeouts(first_token=0.06)), "first_token_timeout", 0.06)


@on_each_loop
async def test_a_stream_that_falls_silent() -> None:
    async def stall(exchange: Exchange) -> None:
        await exchange.send_head(200, {"transfer-encoding": "chunked"})
        for _ in range(4):
            await exchange.send_chunk(b"x")
            await exchange.sleep(0.03)
        await exchange.wait_closed()

    with ScriptedProvider() as provider:
        provider.script(stall)
        async with upstream(provider) as to:
            reply = await to.send(post(stream=True), Timeouts(first_token=5, idle=0.06, total=5))
            chunks = reply.chunks()
            assert [await anext(chunks) for _ in range(4)] == [b"x"] * 4
            await times_out(anext(chunks), "idle_timeout", 0.06, r"within 0\.06 s \(idle\)")
            assert await seconds_to_disconnect(provider, time.monotonic()) < 0.1
            reply.close()


@on_each_loop
async def test_a_whole_answer_that_stalls_in_its_body() -> None:
    async def stall(exchange: Exchange) -> None:
        await exchange.send(HEAD + b"12345")
        await exchange.wait_closed()

    with ScriptedProvider() as provider:
        provider.script(stall)
        async with upstream(provider) as to:
            reply = await to.send(post(), Timeouts(first_token=5, idle=0.06))
            await times_out(reply.read(), "idle_timeout", 0.06)


@on_each_loop
async def test_a_stream_that_never_ends() -> None:
    with ScriptedProvider() as provider:
        provider.stream([b"x"] * 100, gap=0.01)
        async with upstream(provider) as to:
            start = time.monotonic()
            reply = await to.send(post(stream=True), Timeouts(idle=0.06, total=0.12))
            left = 0.12 - (time.monotonic() - start)
            await times_out(collect(reply), "total_timeout", left, r"within 0\.12 s \(total\)")


@on_each_loop
async def test_a_request_that_is_not_taken() -> None:
    with deaf_listener() as url:
        async with upstream(url) as to:
            limits = Timeouts(connect=1, first_token=5, idle=0.06, total=5)
            await times_out(to.send(post(body=bytes(30_000_000)), limits), "idle_timeout", 0.06)
            limits = Timeouts(total=0.06)
            await times_out(to.send(post(body=bytes(30_000_000)), limits), "total_timeout", 0.06)


@on_each_loop
async def test_an_upload_that_makes_progress_is_not_idle() -> None:
    async def sip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        left, pause_at = size, size
        while left:
            left -= len(await reader.read(65536))
            if left < pause_at:
                pause_at -= size // 10
                await asyncio.sleep(0.03)
        taken.append(time.monotonic() - start)
        writer.write(HEAD + b"0123456789")
        await writer.drain()

    size = 20_000_000
    taken: list[float] = []
    async with serving(sip) as url, upstream(url) as to:
        start = time.monotonic()
        limits = Timeouts(first_token=5, idle=0.12, total=5)
        assert await answer(to, post(body=bytes(size)), limits) == b"0123456789"
    assert taken[0] > 2 * 0.12


@on_each_loop
async def test_a_slow_consumer_is_not_a_silent_provider() -> None:
    with ScriptedProvider() as provider:
        provider.stream([b"a" * 300_000, b"b" * 300_000, b"c"], gap=0.02)
        async with upstream(provider) as to:
            reply = await to.send(post(stream=True), Timeouts(first_token=5, idle=0.04, total=5))
            size = 0
            async for chunk in reply.chunks():
                size += len(chunk)
                await asyncio.sleep(0.08 if size < 500_000 else 0)
            reply.close()
            assert size == 600_001


@on_each_loop
async def test_the_clock_of_one_exchange_does_not_end_another() -> None:
    with ScriptedProvider() as provider:
        for _ in range(4):
            provider.reply(json=1, delay=0.04)
        async with upstream(provider) as to:
            for pause in (0.0, 0.05, 0.13, 0.0):
                await asyncio.sleep(pause)
                limits = Timeouts(first_token=0.1, idle=0.1, total=0.1)
                assert await answer(to, limits=limits) == b"1"
    assert provider.connections == 1


@on_each_loop
async def test_without_limits_nothing_is_cut() -> None:
    with ScriptedProvider() as provider:
        provider.stream([b"x"] * 3, gap=0.05)
        async with upstream(provider) as to:
            assert await collect(await to.send(post(stream=True), Timeouts())) == [b"x"] * 3


@asynccontextmanager
async def cancelled(work: Awaitable[object], provider: ScriptedProvider) -> AsyncIterator[None]:
    """Cancel ``work`` at the end of the block; the provider must see its connection close within 100 ms."""
    task = asyncio.ensure_future(work)
    yield
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await seconds_to_disconnect(provider, start) < 0.1


@on_each_loop
async def test_cancelling_closes_the_connection_and_frees_its_place() -> None:
    async def half(exchange: Exchange) -> None:
        await exchange.send(HEAD + b"12345")
        await exchange.wait_closed()

    with ScriptedProvider() as provider:
        async with upstream(provider, UpstreamOptions(limit=1)) as to:
            provider.script(silent)
            async with cancelled(to.send(post(), QUICK), provider):
                await arrived(provider, 1)

            provider.script(half)
            reply = await to.send(post(), QUICK)
            async with cancelled(reply.read(), provider):
                await asyncio.sleep(0.05)

            provider.script(half)
            reply = await to.send(post(stream=True), QUICK)
            async with cancelled(collect(reply), provider):
                await asyncio.sleep(0.05)

            provider.reply(json=1)
            assert await answer(to, limits=Timeouts(connect=0.2)) == b"1"
    assert len(provider.requests) == 4


@on_each_loop
async def test_cancelling_a_wait_for_a_connection_leaves_nothing_behind() -> None:
    with full_backlog() as url:
        async with upstream(url) as to:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(to.send(post(), QUICK), 0.05)
    with ScriptedProvider() as provider:
        provider.stream([b"x"] * 20, gap=0.02)
        provider.reply(json=1)
        async with upstream(provider, UpstreamOptions(limit=1)) as to:
            reply = await to.send(post(stream=True), QUICK)
            waiting = [asyncio.create_task(answer(to)) for _ in range(2)]
            await asyncio.sleep(0.02)
            waiting[0].cancel()
            reply.close()
            assert await waiting[1] == b"1"
            assert waiting[0].cancelled()


@on_each_loop
async def test_cancelling_an_upload_closes_the_connection() -> None:
    with deaf_listener() as url:
        async with upstream(url) as to:
            start = time.monotonic()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(to.send(post(body=bytes(30_000_000)), QUICK), 0.05)
            assert time.monotonic() - start < 0.2


@on_each_loop
async def test_a_reply_closed_by_another_task_ends_its_reader() -> None:
    with ScriptedProvider() as provider:
        provider.stream([b"x"] * 50, gap=0.06)
        async with upstream(provider) as to:
            reply: UpstreamReply = await to.send(post(stream=True), QUICK)
            reading = asyncio.create_task(collect(reply))
            await asyncio.sleep(0.05)
            reply.close()
            with pytest.raises(UpstreamDisconnected, match="closed by this side"):
                await asyncio.wait_for(reading, 0.5)
