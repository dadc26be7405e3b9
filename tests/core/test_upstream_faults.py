"""Whatever a provider does wrong becomes one named error; an answer is never shorter than it promised to be."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from gateway.errors import (
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamUnreachable,
)
from gateway.testing import Exchange, ScriptedProvider
from gateway.upstream import Upstream, UpstreamOptions
from tests.core.upstream_calls import QUICK, answer, collect, on_each_loop, post, serving, upstream

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
Script = Callable[[Exchange], Awaitable[None]]


def sends(data: bytes, ending: str = "close") -> Script:
    """A script that sends these bytes and then closes, resets, or waits."""

    async def script(exchange: Exchange) -> None:
        await exchange.send(data)
        if ending == "reset":
            # A reset overtakes what has not been read.
            await exchange.sleep(0.01)
            exchange.reset()
        elif ending == "close":
            exchange.close()
        else:
            await exchange.wait_closed()

    return script


async def streamed(to: Upstream) -> bytes:
    return b"".join(await collect(await to.send(post(stream=True), QUICK)))


async def fails(script: Script, error: type[UpstreamError], *, stream: bool = False, max_head: int = 64 * 1024) -> str:
    """Ask a provider that does this; the message of the error, which must be of this very class."""
    with ScriptedProvider() as provider:
        provider.script(script)
        provider.default_reply(json="a second try")
        async with upstream(provider, UpstreamOptions(max_head=max_head)) as to:
            start = time.monotonic()
            with pytest.raises(UpstreamError) as caught:
                await (streamed(to) if stream else answer(to))
            assert time.monotonic() - start < 1
            assert type(caught.value) is error, caught.value
            assert provider.url.removeprefix("http://") in caught.value.message
            assert len(provider.requests) == 1
            # The pool is none the worse for it.
            assert await answer(to) == b'"a second try"'
    return caught.value.message


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        pytest.param(b"", "close", id="closed before the head"),
        pytest.param(b"", "reset", id="reset before the head"),
        pytest.param(b"HTTP/1.1 200", "close", id="closed in the head"),
        pytest.param(OK + b"content-len", "reset", id="reset in the head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", "close", id="closed after an interim answer"),
        pytest.param(OK + b"content-length: 10\r\n\r\n12345", "close", id="closed short of the length"),
        pytest.param(OK + b"content-length: 10\r\n\r\n", "close", id="closed before the body"),
        pytest.param(OK + b"content-length: 10\r\n\r\n12345", "reset", id="reset short of the length"),
        pytest.param(CHUNKED + b"5\r\n12345\r\n", "close", id="closed without the last chunk"),
        pytest.param(CHUNKED + b"5\r\n123", "close", id="closed in a chunk"),
        pytest.param(CHUNKED + b"5\r\n12345\r\n0\r\n", "close", id="closed in the trailer"),
        pytest.param(CHUNKED + b"5\r\n12345\r\n", "reset", id="reset between chunks"),
        pytest.param(OK + b"\r\n12345", "reset", id="reset in a body that lasts until the close"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@on_each_loop
async def test_an_answer_cut_off(data: bytes, ending: str, stream: bool) -> None:
    await fails(sends(data, ending), UpstreamDisconnected, stream=stream)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="not http"),
        pytest.param(b"HTTP/2.0 200 OK\r\ncontent-length: 1\r\n\r\nx", id="version"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="status"),
        pytest.param(
            OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", id="CL and TE"
        ),
        pytest.param(
            OK + b"transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n1\r\nx\r\n0\r\n\r\n", id="TE and CL"
        ),
        pytest.param(OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx", id="two lengths"),
        pytest.param(OK + b"content-length: 1, 1\r\n\r\nx", id="a list of lengths"),
        pytest.param(OK + b"content-length: -1\r\n\r\nx", id="negative length"),
        pytest.param(OK + b"content-length: 99999999999999999999999\r\n\r\nx", id="endless length"),
        pytest.param(OK + b"transfer-encoding: gzip\r\n\r\nx", id="another transfer-encoding"),
        pytest.param(
            OK + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            id="two transfer-encodings",
        ),
        pytest.param(
            OK + b"transfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", id="a second transfer-encoding"
        ),
        pytest.param(OK + b"x: a\0b\r\ncontent-length: 1\r\n\r\nx", id="NUL in a header"),
        pytest.param(OK + b"x y: a\r\ncontent-length: 1\r\n\r\nx", id="blank in a name"),
        pytest.param(CHUNKED + b"1\r\nx\r\nzz\r\n", id="chunk size"),
        pytest.param(CHUNKED + b"1\r\nx\r\n-1\r\n", id="negative chunk size"),
        pytest.param(CHUNKED + b"1\r\nxyz", id="chunk longer than its size"),
        pytest.param(CHUNKED + b"fffffffffffffffff\r\nx", id="overflowing chunk size"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", id="101"),
        pytest.param(OK + b"x: y\r\n" * 1000 + b"content-length: 1\r\n\r\nx", id="too many headers"),
    ],
)
@on_each_loop
async def test_an_answer_that_is_not_proper_http(data: bytes) -> None:
    await fails(sends(data, "wait"), UpstreamProtocolError)


@on_each_loop
async def test_broken_framing_in_the_middle_of_a_stream() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(CHUNKED + b"1\r\nx\r\n")
        await exchange.sleep(0.05)
        await exchange.send(b"secret-looking garbage\r\n")
        await exchange.wait_closed()

    assert "garbage" not in await fails(script, UpstreamProtocolError, stream=True)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OK + b"x: " + b"y" * 3000 + b"\r\ncontent-length: 1\r\n\r\nx", id="one long header"),
        pytest.param(
            OK + b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 60 + b"content-length: 1\r\n\r\nx", id="many headers"
        ),
        pytest.param(OK + b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 60, id="no end"),
        pytest.param(b"HTTP/1.1 200 " + b"y" * 9000, id="long reason"),
    ],
)
@on_each_loop
async def test_a_head_beyond_its_cap(data: bytes) -> None:
    await fails(sends(data, "wait"), UpstreamProtocolError, max_head=2000)


@on_each_loop
async def test_a_small_head_in_one_segment_with_a_large_body_passes() -> None:
    with ScriptedProvider() as provider:
        provider.script(sends(OK + b"content-length: 50000\r\n\r\n" + b"x" * 50_000))
        async with upstream(provider, UpstreamOptions(max_head=100)) as to:
            assert len(await answer(to)) == 50_000


@on_each_loop
async def test_a_few_interim_answers_are_passed_over() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 3 + b"HTTP/1.1 100 Continue\r\n\r\n"
    with ScriptedProvider() as provider:
        provider.script(sends(hints + OK + b"content-length: 2\r\n\r\nok", "wait"))
        provider.reply(json=1)
        async with upstream(provider) as to:
            assert await answer(to) == b"ok"


@on_each_loop
async def test_a_flood_of_interim_answers_is_an_error() -> None:
    async def flood(exchange: Exchange) -> None:
        while True:
            await exchange.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
            await exchange.sleep(0)

    assert "interim" in await fails(flood, UpstreamProtocolError)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@on_each_loop
async def test_a_redirect_is_not_followed(status: int) -> None:
    with ScriptedProvider() as elsewhere:
        location = f"{elsewhere.url}/v2?key=sk-secret"
        script = sends(f"HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode(), "wait")
        message = await fails(script, UpstreamProtocolError)
    assert (
        f"{status}, a redirect to {elsewhere.url}, and redirects are not followed: set the provider's base_url"
        in message
    )
    assert "sk-secret" not in message
    assert elsewhere.connections == 0


@pytest.mark.parametrize("location", [b"/v2", b"https://user:pw@h/", b"javascript:x", b"https://h\xff/"])
@on_each_loop
async def test_an_odd_redirect_is_not_repeated_in_the_message(location: bytes) -> None:
    data = b"HTTP/1.1 302 Found\r\nlocation: " + location + b"\r\ncontent-length: 0\r\n\r\n"
    assert "a redirect, and" in await fails(sends(data, "wait"), UpstreamProtocolError)


@pytest.mark.parametrize("ending", ["close", "reset"])
@on_each_loop
async def test_an_error_status_is_kept_though_its_body_breaks_off(ending: str) -> None:
    with ScriptedProvider() as provider:
        provider.script(sends(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 100\r\n\r\nbad key", ending))
        async with upstream(provider) as to:
            reply = await to.send(post(), QUICK)
            assert reply.status == 401
            assert await reply.read() == b"bad key"
            reply.close()


@pytest.mark.parametrize(
    ("extra", "rest"),
    [
        pytest.param(b"junk", b"", id="junk"),
        pytest.param(OK + b"content-length: 4\r\n\r\nevil", b"", id="answer"),
        pytest.param(OK + b"content-le", b"ngth: 4\r\n\r\nevil", id="part"),
        pytest.param(b"H", b"TTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", id="byte"),
    ],
)
@pytest.mark.parametrize("pause", [0.0, 0.02])
@on_each_loop
async def test_bytes_after_the_answer_are_never_the_next_answer(extra: bytes, rest: bytes, pause: float) -> None:
    async def more(exchange: Exchange) -> None:
        await exchange.send(OK + b"content-length: 2\r\n\r\nok" + (extra if not pause else b""))
        if pause:
            await exchange.sleep(pause)
            await exchange.send(extra)
        await exchange.sleep(0.02)
        await exchange.send(rest)

    with ScriptedProvider() as provider:
        provider.script(more)
        provider.default_reply(json="mine")
        async with upstream(provider) as to:
            # Junk in the same segment may make the answer itself suspect.
            with suppress(UpstreamProtocolError):
                assert await answer(to) == b"ok"
            await asyncio.sleep(2 * pause)
            for _ in range(3):
                assert await answer(to) == b'"mine"'
    assert provider.connections == 2


@on_each_loop
async def test_a_connection_that_the_provider_wants_closed_is_not_used_again() -> None:
    with ScriptedProvider() as provider:
        provider.script(sends(OK + b"connection: close\r\ncontent-length: 1\r\n\r\n1", "wait"))
        provider.reply(json=2)
        async with upstream(provider) as to:
            assert await answer(to) == b"1"
            assert await answer(to) == b"2"
    assert provider.connections == 2


@on_each_loop
async def test_nobody_listens() -> None:
    with ScriptedProvider() as provider:
        url = provider.url
    async with upstream(url) as to:
        where = url.removeprefix("http://")
        with pytest.raises(UpstreamUnreachable, match=rf"^No connection to {where}: .*refused") as caught:
            await to.send(post(), QUICK)
    assert caught.value.code == "upstream_unreachable"
    assert caught.value.can_retry


@pytest.mark.parametrize("host", ["gateway.invalid", "a" * 64 + ".example", "no..such", "2130706433"])
@on_each_loop
async def test_a_name_that_does_not_resolve(host: str) -> None:
    async with upstream(f"http://{host}/v1") as to:
        with pytest.raises(UpstreamUnreachable, match=host):
            await to.send(post(), QUICK)


@on_each_loop
async def test_tls_is_verified_against_the_trusted_authorities(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with ScriptedProvider(tls=context) as provider:
        provider.stream([b"a", b"b"])
        provider.reply(json=1)
        async with upstream(provider) as to:
            with pytest.raises(UpstreamUnreachable, match=r"certificate of .* is not trusted"):
                await to.send(post(), QUICK)
        async with upstream(provider, UpstreamOptions(ca=str(bundle))) as to:
            assert await streamed(to) == b"ab"
            assert await answer(to) == b"1"
    assert len(provider.requests) == 2
    assert provider.requests[0].connection == provider.requests[1].connection


@on_each_loop
async def test_tls_to_a_server_that_speaks_none() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with serving(plain) as url, upstream(url.replace("http:", "https:")) as to:
        with pytest.raises(UpstreamUnreachable, match=r"^No TLS connection to 127\.0\.0\.1:\d+: "):
            await to.send(post(), QUICK)
