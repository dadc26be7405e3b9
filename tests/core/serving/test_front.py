"""The front as a worker has it: who speaks with which client, while it serves and while it ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
import trustme

from gateway.serving.front import Front, open_front
from gateway.serving.http1_limits import Http1Limits
from gateway.settings import ServerConfig
from tests.core.serving.http1_corpus import GET, POST
from tests.core.serving.http1_front import reporting

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    server.set_alpn_protocols(["h2", "http/1.1"])
    client = ssl.create_default_context()
    authority.configure_trust(client)
    client.set_alpn_protocols(["h2"])
    return server, client


def play(scene: Callable[[Front, int, ssl.SSLContext], Coroutine[Any, Any, None]], limits: Http1Limits) -> None:
    async def stage() -> None:
        server, client = contexts()
        front = Front(reporting, server, limits)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        await front.listen([listener])
        try:
            async with asyncio.timeout(8):
                await scene(front, listener.getsockname()[1], client)
        finally:
            front.stop_listening()
            front.cut()
            await asyncio.sleep(0.05)

    asyncio.run(stage())


async def speak_h2(sock: socket.socket, context: ssl.SSLContext, seconds: float) -> bytes:
    """Finish a handshake, begin HTTP/2, and read until the server closes; raises TimeoutError if it does not."""

    def speak() -> bytes:
        received = b""
        with context.wrap_socket(sock, server_hostname="localhost") as client:
            client.settimeout(seconds)
            client.sendall(PREFACE)
            while data := client.recv(65536):
                received += data
        return received

    return await asyncio.to_thread(speak)


def test_an_http2_client_whose_handshake_ends_when_the_idle_are_closed_is_told_and_closed() -> None:
    async def scene(front: Front, port: int, client: ssl.SSLContext) -> None:
        sock = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", port))
        await asyncio.sleep(0.1)
        front.stop_listening()
        await front.close_idle()
        received = await speak_h2(sock, client, 2.0)
        assert b"\x07\0\0\0\0\0" in received  # GOAWAY

    play(scene, Http1Limits())


def test_http2_clients_count_among_the_connections() -> None:
    async def scene(front: Front, port: int, client: ssl.SSLContext) -> None:
        first = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
        first[1].write(PREFACE)
        assert await first[0].read(100)
        received = b""
        with suppress(ConnectionError, ssl.SSLError):
            received = await speak_h2(socket.create_connection(("127.0.0.1", port)), client, 2.0)
        assert received == b""
        first[1].close()

    play(scene, Http1Limits(connections=1))


def test_a_worker_takes_no_more_clients_than_it_may_open_files_for() -> None:
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])));"
        "from gateway.serving.front import room_for_connections;"
        "print(room_for_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )

    def room(soft: int, hard: int) -> list[int]:
        shown = subprocess.run([sys.executable, "-c", script, str(soft), str(hard)], stdout=subprocess.PIPE, check=True)
        return [int(word) for word in shown.stdout.split()]

    assert room(300, 1256) == [500, 1256]
    assert room(64, 64) == [16, 64]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST /p HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"TRACE /g HTTP/1.1\r\nHost: h\r\n\r\n", b"501"),
        (b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", b"501"),
        (b"GET /g HTTP/3.1\r\nHost: h\r\n\r\n", b"505"),
        (GET + b"Connection: close\r\n\r\n", b"200"),
    ],
)
def test_hypercorns_http1_refuses_what_h11_alone_would_take(request_bytes: bytes, status: bytes) -> None:
    async def stage() -> None:
        server = open_front(reporting, ServerConfig(http1="hypercorn"), None)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        await server.listen([listener])
        try:
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(request_bytes)
            if status != b"200":
                writer.write(GET.replace(b"/g", b"/stolen") + b"\r\n")
            received = await asyncio.wait_for(reader.read(), 3)
            writer.close()
            assert received.startswith(b"HTTP/1.1 " + status)
            assert b"/stolen" not in received
        finally:
            server.stop_listening()
            server.cut()
            await asyncio.sleep(0.05)

    asyncio.run(stage())
