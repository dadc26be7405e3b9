"""The HTTP/1.1 front against clients that are slow, endless, half gone or many; on both event loops."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
import trustme
from starlette.responses import StreamingResponse

from tests.core.serving.http1_corpus import GET, POST, TE
from tests.core.serving.http1_front import closed_after, exchange, front
from tests.core.serving.served import descriptors

both_loops = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.fixture(scope="module")
def certificate() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def answering(size: int, *, status: int = 200) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        head = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"x" * size})

    return app


def test_a_second_head_begun_behind_the_first_request_must_arrive_in_time() -> None:
    with front(head_seconds=0.4) as running, running.connect() as client:
        client.sendall(GET + b"\r\n" + GET)
        received, seconds = closed_after(client)
    assert received.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in received
    assert seconds < 2


def test_empty_lines_do_not_put_off_the_end_of_an_idle_connection() -> None:
    with front(head_seconds=0.6) as running, running.connect() as client:
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 3:
                client.sendall(b"\r\n")
                time.sleep(0.1)
        assert time.monotonic() - began < 2


@both_loops
def test_a_slow_reader_gets_the_whole_of_a_last_answer(loop: str) -> None:
    size = 8_000_000
    with front(answering(size), loop=loop, linger_seconds=0.3) as running, running.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(GET + b"Connection: close\r\n\r\n")
        time.sleep(1.3)
        received, _ = closed_after(client)
    assert len(received.partition(b"\r\n\r\n")[2]) == size


@both_loops
def test_a_client_that_reads_slowly_but_steadily_is_not_taken_for_one_that_stalls(loop: str) -> None:
    size = 6_000_000
    with front(answering(size), loop=loop, stall_seconds=0.9, idle_seconds=0.7) as running, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        client.settimeout(5)
        client.connect(("127.0.0.1", running.port))
        client.sendall(GET + b"\r\n")
        received, until = 0, time.monotonic() + 2
        while time.monotonic() < until:
            received += len(client.recv(20_000))
            time.sleep(0.02)
        assert received < size
        rest, _ = closed_after(client)
    assert received + len(rest) > size


@both_loops
def test_a_half_closed_client_that_does_not_read_is_cut_at_the_limit(loop: str) -> None:
    app = answering(6_000_000)
    with front(app, loop=loop, stall_seconds=0.5, write_ahead=100_000_000) as running, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", running.port))
        client.sendall(GET + b"\r\n")
        time.sleep(0.1)
        client.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + 3
        while running.server.connections and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not running.server.connections


def send_slowly(client: socket.socket, pieces: list[bytes]) -> None:
    for piece in pieces:
        client.sendall(piece)
        time.sleep(0.02)


def test_an_endless_trailer_is_refused() -> None:
    with front(linger_seconds=0.2) as running, running.connect() as client:
        client.sendall(TE + b"1\r\nx\r\n0\r\nX-Endless: ")
        with pytest.raises(ConnectionError):
            send_slowly(client, [b"a" * 20_000] * 100)
        assert exchange(running, [GET + b"Connection: close\r\n\r\n"]).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("endless", [b"0\r\n" + b"X-A: 1\r\n" * 40_000, b"5;" + b"a" * 400_000])
def test_framing_without_a_body_is_refused(endless: bytes) -> None:
    with front() as running:
        received = exchange(running, [TE, endless])
    assert received.startswith(b"HTTP/1.1 431")


@both_loops
def test_requests_ahead_are_bounded_and_offers_to_switch_protocols_among_them_are_no_deeper(loop: str) -> None:
    offer = GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    for request in (GET + b"\r\n", offer):
        with front(loop=loop) as running:
            received = exchange(running, [request * 2500])
            assert not running.unhandled
        assert 100 <= received.count(b"HTTP/1.1 200 OK") <= 200
        assert received.count(b"HTTP/1.1 400") == 1


@both_loops
def test_clients_over_the_limit_that_never_close_are_cut(loop: str) -> None:
    with front(loop=loop, connections=1, linger_seconds=0.3) as running, running.connect() as one:
        one.sendall(GET + b"\r\n")
        one.recv(4096)
        before = descriptors(os.getpid())
        many = [running.connect() for _ in range(100)]
        time.sleep(1.4)
        assert descriptors(os.getpid()) <= before + 100
        assert len(running.server.connections) == 1
        for client in many:
            client.settimeout(1)
            with suppress(ConnectionError):
                while client.recv(4096):
                    pass
            client.close()


def test_an_expectation_of_http_1_0_is_ignored() -> None:
    with front() as running, running.connect() as client:
        client.sendall(b"POST /p HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.sendall(b"hi")
        assert closed_after(client)[0].startswith(b"HTTP/1.1 200")


def test_a_body_that_names_another_protocol_is_a_body() -> None:
    body = b"GET /g RTSP/1.0\r\n\r\n"
    head = b"POST /p HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
    with front() as running:
        assert exchange(running, [head + body]).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://h?a=/b", "/", b"a=/b"),
        (b"hTTp://h/g?x", "/g", b"x"),
        (b"https://h:1/a//b", "/a//b", b""),
        (b"http://h/http://x/", "/http://x/", b""),
    ],
)
def test_an_absolute_target_is_read_as_its_path_and_query(target: bytes, path: str, query: bytes) -> None:
    seen: list[tuple[str, bytes]] = []

    async def noting(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append((scope["path"], scope["query_string"]))
        await answering(0)(scope, receive, send)

    with front(noting) as running:
        exchange(running, [b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % target])
    assert seen == [(path, query)]


@both_loops
def test_a_generator_behind_a_plain_asgi_response_ends_when_its_client_leaves(loop: str) -> None:
    ended: list[float] = []

    async def silent() -> Any:
        try:
            yield b"one"
            await asyncio.sleep(30)
            yield b"two"
        finally:
            ended.append(time.monotonic())

    with front(StreamingResponse(silent()), loop=loop) as running:
        client = running.connect()
        client.sendall(GET + b"\r\n")
        client.recv(4096)
        client.close()
        left = time.monotonic()
        while not ended and time.monotonic() - left < 2:
            time.sleep(0.01)
    assert ended
    assert ended[0] - left < 0.5


@both_loops
def test_a_refusal_over_tls_is_read_by_a_client_that_is_still_sending(
    loop: str, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, trust = certificate
    with (
        front(answering(9, status=413), tls=server, loop=loop) as running,
        trust.wrap_socket(running.connect(), server_hostname="localhost") as client,
    ):
        client.sendall(POST + b"Content-Length: 3000000\r\n\r\n")
        time.sleep(0.1)
        client.sendall(b"x" * 3_000_000)
        received = client.recv(65536)
        assert received.startswith(b"HTTP/1.1 413")
        assert not running.unhandled


@both_loops
def test_a_client_that_does_not_read_over_tls_holds_the_application_and_is_cut(
    loop: str, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, trust = certificate
    sent = [0]
    cut: list[float] = []

    async def fountain(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["gateway.cycle"].on_disconnect = lambda: cut.append(time.monotonic())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not cut:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent[0] += 65536

    with (
        front(fountain, tls=server, loop=loop, stall_seconds=0.6) as running,
        trust.wrap_socket(running.connect(), server_hostname="localhost") as client,
    ):
        client.sendall(GET + b"\r\n")
        time.sleep(0.5)
        assert sent[0] < 16_000_000
        deadline = time.monotonic() + 3
        while not cut and time.monotonic() < deadline:
            time.sleep(0.01)
    assert cut


@both_loops
def test_a_tls_handshake_that_does_not_come_is_given_up_like_a_head(
    loop: str, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    with front(tls=certificate[0], loop=loop, head_seconds=0.4) as running, running.connect() as client:
        _, seconds = closed_after(client, 3)
        assert seconds < 2


def test_the_sweep_survives_a_connection_that_it_cannot_look_at() -> None:
    go = asyncio.Event()

    async def reluctant(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await go.wait()

    with front(reluctant, head_seconds=0.3) as running, running.connect() as odd:
        odd.sendall(POST + b"Content-Length: 3000000\r\n\r\n" + b"x" * 600_000)
        time.sleep(0.2)
        (connection,) = running.server.connections
        running.call(connection.transport.get_extra_info("socket")._sock.detach)
        time.sleep(0.7)
        with running.connect() as silent:
            assert closed_after(silent)[0] == b""


def test_a_large_body_with_the_next_head_behind_it_is_no_framing() -> None:
    length = b"Content-Length: 150000\r\n\r\n"
    with front() as running, running.connect() as client:
        client.sendall(POST + length)
        time.sleep(0.1)
        client.sendall(b"x" * 150_000 + POST + length)
        time.sleep(0.1)
        client.sendall(b"x" * 150_000 + GET + b"Connection: close\r\n\r\n")
        assert closed_after(client)[0].count(b"HTTP/1.1 200 OK") == 3


def test_what_has_been_read_of_a_request_is_not_kept_while_it_is_answered() -> None:
    async def taking(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await asyncio.Event().wait()

    with front(taking) as running:
        clients = [running.connect() for _ in range(50)]
        tracemalloc.start()
        try:
            for client in clients:
                client.sendall(POST + b"Content-Length: 50000\r\n\r\n" + b"x" * 50_000)
            time.sleep(0.3)
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
            for client in clients:
                client.close()
    assert held < 50 * 20_000
