"""The scripted provider: it says exactly what it was told, sees the peer leave, and leaks nothing."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from gateway.testing import Exchange, ScriptedProvider


def connect(provider: ScriptedProvider) -> http.client.HTTPConnection:
    place = urlsplit(provider.url)
    assert place.hostname is not None
    return http.client.HTTPConnection(place.hostname, place.port, timeout=5)


def dial(provider: ScriptedProvider) -> socket.socket:
    place = urlsplit(provider.url)
    assert place.hostname is not None
    assert place.port is not None
    return socket.create_connection((place.hostname, place.port), timeout=5)


def read_all(sock: socket.socket) -> bytes:
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
    return b"".join(parts)


REQUEST = b"POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"


def test_answers_come_in_the_order_queued_on_one_connection() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json={"n": 1})
        provider.reply(body=b"two", status=429, headers={"Retry-After": "3", "Content-Type": "text/plain"})
        client = connect(provider)
        client.request("POST", "/v1/a?b=c", b'{"q":1}', {"X-Name": "v"})
        first = client.getresponse()
        assert (first.status, first.read()) == (200, b'{"n":1}')
        client.request("POST", "/v1/b", b"")
        second = client.getresponse()
        assert (second.status, second.headers["retry-after"], second.read()) == (429, "3", b"two")
        client.close()
    assert provider.connections == 1
    first_request, second_request = provider.requests
    assert (first_request.method, first_request.path, first_request.json()) == ("POST", "/v1/a?b=c", {"q": 1})
    assert first_request.headers["x-name"] == "v"
    assert first_request.head.startswith(b"POST /v1/a?b=c HTTP/1.1\r\n")
    assert first_request.connection == second_request.connection == 1


def test_an_empty_queue_answers_500_until_a_default_is_given() -> None:
    with ScriptedProvider() as provider:
        client = connect(provider)
        client.request("GET", "/")
        answer = client.getresponse()
        assert answer.status == 500
        assert b"default_reply" in answer.read()
        provider.default_reply(json="ok")
        for _ in range(2):
            client.request("GET", "/")
            assert client.getresponse().read() == b'"ok"'
        client.close()


def test_a_stream_sends_one_chunk_for_each_piece_with_gaps_between() -> None:
    with ScriptedProvider() as provider:
        provider.stream([b"data: 1\n\n", b"data: 2\n\n"], gap=0.05)
        with dial(provider) as sock:
            sock.sendall(REQUEST)
            seen = b""
            while b"data: 1" not in seen:
                seen += sock.recv(65536)
            assert b"data: 2" not in seen
            start = time.monotonic()
            while not seen.endswith(b"0\r\n\r\n"):
                seen += sock.recv(65536)
            assert time.monotonic() - start > 0.03
    head, _, body = seen.partition(b"\r\n\r\n")
    assert b"content-type: text/event-stream" in head
    assert body == b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"


def test_a_cut_stream_ends_without_the_last_chunk() -> None:
    with ScriptedProvider() as provider:
        provider.stream([b"abc"], cut=True)
        with dial(provider) as sock:
            sock.sendall(REQUEST)
            assert read_all(sock).endswith(b"\r\n\r\n3\r\nabc\r\n")


def test_a_script_can_send_any_bytes_and_reset() -> None:
    async def odd(exchange: Exchange) -> None:
        await exchange.send(b"\x00\xff")
        await exchange.sleep(0.05)
        exchange.reset()

    with ScriptedProvider() as provider:
        provider.script(odd)
        with dial(provider) as sock:
            sock.sendall(REQUEST)
            assert sock.recv(10) == b"\x00\xff"
            with pytest.raises(ConnectionResetError):
                sock.recv(10)


def test_chunked_request_bodies_are_read() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json=1)
        with dial(provider) as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n")
            sock.sendall(b"2;x=y\r\nde\r\n0\r\n\r\n")
            read_all(sock)
    assert provider.requests[0].body == b"abcde"


def test_it_notes_when_the_peer_closed() -> None:
    async def wait(exchange: Exchange) -> None:
        left.append(await exchange.wait_closed())

    left: list[float] = []
    with ScriptedProvider() as provider:
        provider.script(wait)
        with dial(provider) as sock:
            sock.sendall(REQUEST)
            assert provider.wait_for_requests(1)
            assert provider.wait_for_disconnect(0.05) is None
            start = time.monotonic()
        closed = provider.wait_for_disconnect(1)
        assert closed is not None
        assert start <= closed <= time.monotonic()
    assert left == [closed]


def test_closing_by_the_provider_is_not_the_peers() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json=1, headers={"connection": "close"})
        with dial(provider) as sock:
            sock.sendall(REQUEST)
            read_all(sock)
            assert provider.requests[0].closed_at is None


def test_leaving_the_block_ends_scripts_that_wait_and_connections_that_idle() -> None:
    async def forever(exchange: Exchange) -> None:
        await exchange.sleep(60)

    before = threading.active_count()
    with ScriptedProvider() as provider:
        provider.default_script(forever)
        left, waiting, idle = dial(provider), dial(provider), dial(provider)
        left.sendall(REQUEST)
        waiting.sendall(REQUEST)
        assert provider.wait_for_requests(2)
        left.close()
        assert provider.open_connections <= 3
        start = time.monotonic()
    assert time.monotonic() - start < 1
    assert threading.active_count() == before
    waiting.close()
    idle.close()


def test_what_a_script_raises_is_raised_at_the_end_of_the_block() -> None:
    async def wrong(exchange: Exchange) -> None:
        raise AssertionError(exchange.request.path)

    with pytest.raises(AssertionError, match="/v1/x"), ScriptedProvider() as provider:  # noqa: PT012
        provider.script(wrong)
        with dial(provider) as sock:
            sock.sendall(REQUEST)
            assert read_all(sock) == b""
