"""What ``[server] bind`` may say, and what is answered when it cannot be had."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.serving.sockets import open_listener


@pytest.mark.parametrize(
    ("bind", "url", "curl"),
    [
        ("127.0.0.1:0", "http://127.0.0.1:{}", "http://127.0.0.1:{}"),
        ("localhost:0", "http://127.0.0.1:{}", "http://127.0.0.1:{}"),
        ("0.0.0.0:0", "http://0.0.0.0:{}", "http://127.0.0.1:{}"),
    ],
)
def test_an_address_is_bound_and_named(bind: str, url: str, curl: str) -> None:
    listener = open_listener(bind)
    try:
        port = listener.sock.getsockname()[1]
        assert listener.url(tls=False) == url.format(port)
        assert listener.curl(tls=False) == curl.format(port)
        assert listener.url(tls=True).startswith("https://")
        socket.create_connection(("127.0.0.1", port)).close()
    finally:
        listener.close()


def test_a_port_alone_is_every_address_of_both_families() -> None:
    listener = open_listener(":0")
    try:
        port = listener.sock.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        if socket.has_dualstack_ipv6():
            assert listener.url(tls=False) == f"http://[::]:{port}"
            socket.create_connection(("::1", port)).close()
    finally:
        listener.close()


@pytest.mark.parametrize("bind", ["", "8080", "localhost", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:8080"])
def test_what_is_no_address_is_refused_with_what_is_expected(bind: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_listener(bind)
    assert caught.value.problems == [
        f'[server] bind = "{bind}": expected "host:port", ":port", "[IPv6]:port" or "unix:/path"'
    ]


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match="this machine has no such address"):
        open_listener("192.0.2.1:0")


def test_accepted_connections_are_probed_when_silent() -> None:
    listener = open_listener("127.0.0.1:0")
    listener.sock.setblocking(True)
    try:
        with socket.create_connection(listener.sock.getsockname()):
            accepted, _ = listener.sock.accept()
            with accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
    finally:
        listener.close()


def test_a_unix_socket_left_over_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listener = open_listener(f"unix:{path}")
    assert listener.url(tls=False) == f"unix:{path}"
    assert listener.curl(tls=False) == f"--unix-socket {path} http://localhost"
    with pytest.raises(ConfigError, match="already in use"):
        open_listener(f"unix:{path}")
    listener.close()
    assert not path.exists()


def test_a_unix_sockets_file_that_another_process_took_over_is_left(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    first = open_listener(f"unix:{path}")
    path.rename(tmp_path / "moved.sock")
    second = open_listener(f"unix:{path}")
    first.close()
    first.close()
    assert path.exists()
    second.close()
    assert not path.exists()


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="already in use"):
        open_listener(f"unix:{path}")
    assert path.read_text() == "mine"
