"""Requests and answers over real connections: bodies whole and in pieces, reuse, caps, back-pressure."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from pathlib import Path

import pytest

from gateway.errors import UpstreamDisconnected, UpstreamProtocolError, UpstreamUnreachable
from gateway.testing import Exchange, ScriptedProvider
from gateway.upstream import Upstream, UpstreamOptions, UpstreamRequest
from tests.core.upstream_calls import (
    QUICK,
    answer,
    arrived,
    collect,
    on_each_loop,
    post,
    seconds_to_disconnect,
    serving,
    upstream,
)


@on_each_loop
async def test_a_whole_answer_and_the_request_that_led_to_it() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json={"ok": True}, status=201, headers={"X-Request-Id": "r1"})
        async with upstream(provider.url + "/v1") as to:
            before = time.perf_counter()
            reply = await to.send(post("/chat", b'{"q":1}'), QUICK)
            assert before < reply.first_byte_at < time.perf_counter()
            assert (reply.status, reply.headers["x-request-id"], reply.reused) == (201, "r1", False)
            assert await reply.read() == b'{"ok":true}'
            reply.close()
            reply.close()
    (request,) = provider.requests
    assert (request.method, request.path, request.body) == ("POST", "/v1/chat", b'{"q":1}')
    assert set(request.headers) == {"host", "content-type", "accept-encoding", "content-length"}
    assert request.headers["host"] == provider.url.removeprefix("http://")


@on_each_loop
async def test_connections_are_used_again_after_whole_answers_streams_errors_and_empty_bodies() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json=1)
        provider.stream([b"a", b"b"])
        provider.reply(json={"error": 1}, status=500)
        provider.reply(body=b"")
        provider.reply(json=2)
        async with upstream(provider) as to:
            assert await answer(to) == b"1"
            reply = await to.send(post(stream=True), QUICK)
            assert b"".join(await collect(reply)) == b"ab"
            assert reply.reused
            assert await answer(to) == b'{"error":1}'
            assert await answer(to) == b""
            assert await answer(to) == b"2"
    assert provider.connections == 1


@on_each_loop
async def test_pieces_of_a_stream_arrive_as_they_are_sent() -> None:
    with ScriptedProvider() as provider:
        provider.stream([b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"], gap=0.05)
        async with upstream(provider) as to:
            reply = await to.send(post(stream=True), QUICK)
            start = time.monotonic()
            seen = [(chunk, time.monotonic() - start) async for chunk in reply.chunks()]
            reply.close()
    assert [chunk for chunk, _ in seen] == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]
    assert seen[0][1] < 0.04 < seen[1][1] < 0.09 < seen[2][1]


@on_each_loop
async def test_a_stream_closed_early_is_cut_at_once() -> None:
    with ScriptedProvider() as provider:
        provider.stream([b"x"] * 100, gap=0.05)
        async with upstream(provider) as to:
            reply = await to.send(post(stream=True), QUICK)
            async for chunk in reply.chunks():
                assert chunk == b"x"
                break
            start = time.monotonic()
            reply.close()
            assert await seconds_to_disconnect(provider, start) < 0.1
            with pytest.raises(UpstreamDisconnected):
                await anext(aiter(reply.chunks()))


@on_each_loop
async def test_a_stream_whose_end_has_arrived_unread_gives_its_connection_back() -> None:
    with ScriptedProvider() as provider:
        provider.stream([b"x"])
        provider.reply(json=1)
        async with upstream(provider) as to:
            reply = await to.send(post(stream=True), QUICK)
            await asyncio.sleep(0.05)
            reply.close()
            assert await answer(to) == b"1"
    assert provider.connections == 1


@on_each_loop
async def test_an_errors_body_is_cut_and_the_rest_not_drained() -> None:
    with ScriptedProvider() as provider:
        provider.reply(body=b"e" * 3_000_000, status=503)
        async with upstream(provider, UpstreamOptions(max_error_body=1000)) as to:
            start = time.monotonic()
            reply = await to.send(post(), QUICK)
            assert reply.status == 503
            assert await reply.read() == b"e" * 1000
            assert await seconds_to_disconnect(provider, start) < 0.2


@on_each_loop
async def test_an_answer_beyond_the_cap_is_refused_with_and_without_a_length() -> None:
    with ScriptedProvider() as provider:
        provider.reply(body=b"x" * 1001)
        provider.stream([b"x" * 500] * 3)
        provider.reply(body=b"x" * 1000)
        async with upstream(provider, UpstreamOptions(max_body=1000)) as to:
            for _ in range(2):
                with pytest.raises(UpstreamProtocolError, match="more than 1000 bytes"):
                    await answer(to)
            assert len(await answer(to)) == 1000


@on_each_loop
async def test_a_large_answer_arrives_whole() -> None:
    body = bytes(range(256)) * 40_000
    with ScriptedProvider() as provider:
        provider.reply(body=body)
        async with upstream(provider) as to:
            assert await answer(to) == body


@on_each_loop
async def test_a_body_that_lasts_until_the_close_is_complete_with_it() -> None:
    async def old(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.0 200 OK\r\n\r\nfirst ")
        await exchange.sleep(0.02)
        await exchange.send(b"last")
        exchange.close()

    with ScriptedProvider() as provider:
        provider.script(old)
        provider.reply(json=1)
        async with upstream(provider) as to:
            assert await answer(to) == b"first last"
            assert await answer(to) == b"1"
    assert provider.connections == 2


@on_each_loop
async def test_answers_without_a_body_do_not_wait_for_one() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json={"long": "body"})
        provider.reply(body=b"", status=204)
        provider.reply(json=1)
        async with upstream(provider) as to:
            assert await answer(to, UpstreamRequest(path="/", headers=[], method="HEAD")) == b""
            assert await answer(to) == b""
            assert await answer(to, UpstreamRequest(path="/", headers=[], method="GET")) == b"1"
    assert provider.connections == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@on_each_loop
async def test_an_answer_compressed_unasked_is_decompressed(encoding: str) -> None:
    text = b"data: hello\n\n" * 1000
    packed = gzip.compress(text) if encoding == "gzip" else zlib.compress(text)
    with ScriptedProvider() as provider:
        provider.reply(body=packed, headers={"content-encoding": encoding})
        provider.stream([packed[:50], packed[50:]], headers={"content-encoding": encoding})
        async with upstream(provider) as to:
            reply = await to.send(post(), QUICK)
            assert await reply.read() == text
            assert not {"content-encoding", "content-length"} & set(reply.headers)
            assert b"".join(await collect(await to.send(post(stream=True), QUICK))) == text
    assert provider.connections == 1


@pytest.mark.parametrize(("encoding", "body"), [("gzip", b"not gzip"), ("gzip, gzip", b"x"), ("rot13", b"x")])
@on_each_loop
async def test_an_encoding_that_cannot_be_undone_is_an_error(encoding: str, body: bytes) -> None:
    with ScriptedProvider() as provider:
        provider.reply(body=body, headers={"content-encoding": encoding})
        async with upstream(provider) as to:
            with pytest.raises(UpstreamProtocolError):
                await answer(to)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("stream", [False, True])
@on_each_loop
async def test_a_decompression_bomb_stays_small_in_memory(stream: bool) -> None:
    packer = zlib.compressobj(1, wbits=31)
    zeros = bytes(1024 * 1024)
    bomb = b"".join([packer.compress(zeros) for _ in range(100)]) + packer.flush()
    with ScriptedProvider() as provider:
        provider.reply(body=bomb, headers={"content-encoding": "gzip"})
        async with upstream(provider, UpstreamOptions(max_body=8 * 1024 * 1024)) as to:
            reply = await to.send(post(stream=stream), QUICK)
            before, memory, size = resident(), 0, 0

            async def consume() -> None:
                nonlocal memory, size
                async for chunk in reply.chunks():
                    size += len(chunk)
                    memory = max(memory, resident())
                    await asyncio.sleep(0)

            with pytest.raises(UpstreamProtocolError, match="more than 8388608 bytes"):
                await (consume() if stream else reply.read())
            reply.close()
            assert max(memory, resident()) - before < 32 * 1024 * 1024
            assert size <= 8 * 1024 * 1024


@on_each_loop
async def test_a_slow_consumer_slows_the_provider_down() -> None:
    sent = 0

    async def flood(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.send_head(200, {"transfer-encoding": "chunked"})
        for _ in range(400):
            await exchange.send_chunk(bytes(100_000))
            sent += 100_000
        await exchange.send(b"0\r\n\r\n")

    with ScriptedProvider() as provider:
        provider.script(flood)
        async with upstream(provider) as to:
            reply = await to.send(post(stream=True), QUICK)
            chunks = reply.chunks()
            size = len(await anext(chunks))
            await asyncio.sleep(0.2)
            # What the kernel holds for both ends is several megabytes.
            assert sent < 20_000_000
            before = resident()
            async for chunk in chunks:
                size += len(chunk)
            reply.close()
            assert size == 40_000_000
            assert resident() - before < 16_000_000
        assert provider.connections == 1


@on_each_loop
async def test_a_large_request_arrives_whole() -> None:
    body = bytes(range(256)) * 30_000
    with ScriptedProvider() as provider:
        provider.default_reply(json=1)
        async with upstream(provider) as to:
            for _ in range(2):
                assert await answer(to, post(body=body)) == b"1"
    assert [request.body == body for request in provider.requests] == [True, True]
    assert provider.connections == 1


@on_each_loop
async def test_a_large_request_is_not_heaped_up_before_a_slow_provider() -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        grown.append(resident() - before)
        left = len(body)
        while left:
            left -= len(await reader.read(65536))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1")
        await writer.drain()

    body = bytes(30_000_000)
    grown: list[int] = []
    before = resident()
    async with serving(late) as url, upstream(url) as to:
        assert await answer(to, post(body=body)) == b"1"
    assert grown[0] < 8_000_000


@pytest.mark.parametrize("ending", ["close", "half-close", "stay"])
@on_each_loop
async def test_a_refusal_that_comes_during_the_upload_is_the_answer(ending: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await writer.drain()
        await asyncio.sleep(0.05)
        if ending == "half-close":
            writer.write_eof()
        if ending != "close":
            while await reader.read(65536):
                pass

    async with serving(refuse) as url, upstream(url) as to:
        start = time.monotonic()
        reply = await to.send(post(body=bytes(30_000_000)), QUICK)
        assert (reply.status, await reply.read()) == (413, b"big")
        assert time.monotonic() - start < 1
        reply.close()


@on_each_loop
async def test_the_limit_of_connections_is_kept_and_all_get_their_turn() -> None:
    busy, most = 0, 0

    async def slow(exchange: Exchange) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await exchange.sleep(0.02)
        busy -= 1
        await exchange.send_head(200, {"content-length": "1"})
        await exchange.send(b"1")

    with ScriptedProvider() as provider:
        provider.default_script(slow)
        async with upstream(provider, UpstreamOptions(limit=2)) as to:
            assert await asyncio.gather(*[answer(to) for _ in range(8)]) == [b"1"] * 8
    assert most == 2
    assert provider.connections == 2


@on_each_loop
async def test_a_connection_is_not_used_beyond_its_age_or_idleness() -> None:
    with ScriptedProvider() as provider:
        provider.default_reply(json=1)
        async with upstream(provider, UpstreamOptions(max_age=0.05)) as to:
            for pause in (0.0, 0.0, 0.08):
                await asyncio.sleep(pause)
                await answer(to)
            assert provider.connections == 2
        async with upstream(provider, UpstreamOptions(keepalive=0.05)) as to:
            for pause in (0.0, 0.0, 0.08):
                await asyncio.sleep(pause)
                await answer(to)
            assert provider.connections == 4


@on_each_loop
async def test_sockets_send_at_once_and_notice_a_peer_that_is_gone() -> None:
    import socket

    from gateway.upstream_pool import open_socket

    with open_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 1))) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


@on_each_loop
async def test_the_environments_proxy_and_netrc_are_not_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedProvider() as provider:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        provider.reply(json=1, headers={"set-cookie": "a=b"})
        provider.reply(json=2)
        async with upstream(provider) as to:
            assert await answer(to) == b"1"
            assert await answer(to) == b"2"
    assert "cookie" not in provider.requests[1].headers


@on_each_loop
async def test_closing_ends_what_is_under_way_and_refuses_what_comes_later() -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.wait_closed()

    with ScriptedProvider() as provider:
        provider.reply(json=1)
        provider.stream([b"x"] * 50, gap=0.1)
        provider.script(silent)
        to = Upstream(provider.url)
        await answer(to)
        reply = await to.send(post(stream=True), QUICK)
        reading = asyncio.create_task(collect(reply))
        waiting = asyncio.create_task(to.send(post(), QUICK))
        await arrived(provider, 3)
        await asyncio.sleep(0.02)
        await to.close()
        for task in (reading, waiting):
            with pytest.raises(UpstreamDisconnected, match="closed by this side"):
                await asyncio.wait_for(task, 1)
        with pytest.raises(UpstreamUnreachable, match="closed"):
            await to.send(post(), QUICK)
        await to.close()
        await asyncio.sleep(0.05)
        assert all(request.closed_at is not None for request in provider.requests)


@on_each_loop
async def test_an_upstream_that_was_never_used_can_be_closed() -> None:
    async with upstream("http://127.0.0.1:1"):
        pass
