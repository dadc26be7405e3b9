"""Connections: TLS, HTTP/2 by ALPN, offers of h2c, clients that leave or say nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
import trustme

from gateway.config import TlsConfig
from gateway.errors import ConfigError
from gateway.serving.tls import server_context
from tests.core.serving.served import Client, Served, descriptors, get, open_streams, play, pulse_toml, served

H2C_OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


class H2Client:
    """One HTTP/2 connection over TLS."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.goodbye = False

    def get(self, path: str) -> int:
        stream: int = self._h2.get_next_available_stream_id()
        self._h2.send_headers(
            stream, [(":method", "GET"), (":path", path), (":scheme", "https"), (":authority", "x")], end_stream=True
        )
        self._client.writer.write(self._h2.data_to_send())
        return stream

    async def read(self) -> bool:
        """Take in what comes next; False at the end of the connection."""
        data = await self._client.reader.read(65536)
        for event in self._h2.receive_data(data) if data else []:
            if isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goodbye = True
        return bool(data)


def tls_toml(folder: Path, more: str = "") -> tuple[str, ssl.SSLContext]:
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    table = f'[server.tls]\ncert = "server.pem"\nkey = "server.pem"\n{more}'
    return pulse_toml(more=table), context


async def connect_tls(port: int, context: ssl.SSLContext, *protocols: str) -> Client:
    context.set_alpn_protocols(list(protocols))
    return Client(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost"))


def test_tls_serves_http1_and_http2(tmp_path: Path) -> None:
    toml, context = tls_toml(tmp_path)

    async def main(gateway: Served) -> None:
        plain = await connect_tls(gateway.port, context, "http/1.1")
        plain.send("/word")
        assert (await plain.answer())[2] == b"one"
        client = H2Client(await connect_tls(gateway.port, context, "h2", "http/1.1"))
        first, second = client.get("/pulse?beats=2"), client.get("/word")
        while client.ended != {first, second} and await client.read():
            pass
        assert client.bodies[first] == b"data: 0\n\ndata: 1\n\ndata: [DONE]\n\n"
        assert client.bodies[second] == b"one"

    with served(tmp_path, toml) as gateway:
        assert f"serves https://127.0.0.1:{gateway.port}" in gateway.log()
        play(main(gateway))


def test_an_http2_client_keeps_its_streams_while_draining_and_is_told_when_they_have_ended(tmp_path: Path) -> None:
    toml, context = tls_toml(tmp_path)

    async def main(gateway: Served) -> None:
        client = H2Client(await connect_tls(gateway.port, context, "h2"))
        idle = H2Client(await connect_tls(gateway.port, context, "h2"))
        idle.get("/word")
        stream = client.get("/pulse?beats=12")
        while not client.bodies:
            await client.read()
        gateway.signal(signal.SIGTERM)
        while await idle.read():
            pass
        assert (idle.bodies, idle.goodbye) == ({1: b"one"}, True)
        late = client.get("/word")
        while await client.read():
            pass
        assert client.bodies[stream].endswith(b"data: 11\n\ndata: [DONE]\n\n")
        assert client.bodies[late] == b"one"
        assert client.ended == {stream, late}
        assert client.goodbye
        assert await asyncio.to_thread(gateway.exit_code) == 0

    with served(tmp_path, toml) as gateway:
        play(main(gateway))


def test_a_renewed_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    toml, old = tls_toml(tmp_path)

    async def speak(port: int, context: ssl.SSLContext) -> bytes:
        client = await connect_tls(port, context, "http/1.1")
        client.send("/word")
        return (await client.answer())[2]

    async def main(gateway: Served) -> None:
        assert await speak(gateway.port, old) == b"one"
        _, new = tls_toml(tmp_path)
        await asyncio.to_thread(gateway.wait_for, "configuration taken over", seconds=4)
        await asyncio.sleep(0.2)
        assert await speak(gateway.port, new) == b"one"

    with served(tmp_path, toml) as gateway:
        play(main(gateway))


def test_with_a_ca_only_clients_with_its_certificate_are_served(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    toml, context = tls_toml(tmp_path, 'ca = "clients.pem"')

    async def main(gateway: Served) -> None:
        stranger = await connect_tls(gateway.port, context, "http/1.1")
        stranger.send("/word")
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await stranger.answer()
        authority.issue_cert("someone").configure_cert(context)
        known = await connect_tls(gateway.port, context, "http/1.1")
        known.send("/word")
        assert (await known.answer())[2] == b"one"

    with served(tmp_path, toml) as gateway:
        play(main(gateway))


def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        server_context(TlsConfig(cert="a.pem", key="b.pem"), tmp_path)
    assert caught.value.problems == [
        '[server.tls] cert = "a.pem": cannot be read (No such file or directory)',
        '[server.tls] key = "b.pem": cannot be read (No such file or directory)',
    ]
    (tmp_path / "a.pem").write_text("nonsense")
    with pytest.raises(ConfigError, match="not a matching pair of PEM files"):
        server_context(TlsConfig(cert="a.pem", key="a.pem"), tmp_path)
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "b.pem"))
    with pytest.raises(ConfigError, match=r'ca = "a.pem": no PEM certificates'):
        server_context(TlsConfig(cert="b.pem", key="b.pem", ca="a.pem"), tmp_path)


@pytest.mark.parametrize("http1", ["httptools", "hypercorn"])
def test_http2_on_plain_tcp_is_not_spoken_and_its_offer_is_ignored(tmp_path: Path, http1: str) -> None:
    async def main(gateway: Served) -> None:
        offering = await Client.connect(gateway.port)
        for _ in range(2):
            offering.send("/word", headers=H2C_OFFER)
            status, headers, body = await offering.answer()
            assert (status, body) == (200, b"one")
            assert "upgrade" not in headers
        knowing = await Client.connect(gateway.port)
        knowing.writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0")
        status, _, _ = await knowing.answer()
        assert status in (400, 505)
        assert await asyncio.wait_for(knowing.at_eof(), 1.0)

    with served(tmp_path, pulse_toml(server=f'http1 = "{http1}"')) as gateway:
        play(main(gateway))


@pytest.mark.parametrize("http1", ["httptools", "hypercorn"])
def test_a_client_that_leaves_frees_its_connection_at_once(tmp_path: Path, http1: str) -> None:
    async def main(gateway: Served) -> None:
        worker = gateway.workers()[0]
        assert (await get(gateway.port, "/word"))[0] == 200
        await asyncio.sleep(0.05)
        before = descriptors(worker)
        clients = await open_streams(gateway.port, 5, beats=600)
        for path in ("", "/word"):
            for _ in range(5):
                clients.append(await Client.connect(gateway.port))
                if path:
                    clients[-1].send(path)
                    await clients[-1].answer()
        assert descriptors(worker) >= before + 15
        for client in clients:
            client.close()
        await asyncio.sleep(0.5)
        assert descriptors(worker) == before

    with served(tmp_path, pulse_toml(server=f'http1 = "{http1}"')) as gateway:
        play(main(gateway))


def test_a_connection_that_was_waiting_to_be_accepted_is_served_by_the_next_generation(tmp_path: Path) -> None:
    """All workers stand still, a client connects, new workers come: the connection is theirs, not lost."""

    async def main(gateway: Served) -> None:
        worker = gateway.workers()[0]
        os.kill(worker, signal.SIGSTOP)
        client = await Client.connect(gateway.port)
        client.send("/pid")
        os.kill(worker, signal.SIGKILL)
        status, _, body = await client.answer()
        assert (status, body != str(worker).encode()) == (200, True)

    with served(tmp_path, pulse_toml()) as gateway:
        play(main(gateway))


def test_an_ipv6_address_is_served_where_the_machine_has_one(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with served(tmp_path, pulse_toml(server='bind = "[::1]:0"')) as gateway:
        assert f"serves http://[::1]:{gateway.port}" in gateway.log()
