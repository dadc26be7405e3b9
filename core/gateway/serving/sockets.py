"""Listening sockets: read ``[server] bind``, open it once in the parent, and say what it is called."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from gateway.errors import ConfigError

BACKLOG = 2048

# Seconds until a silent peer is probed, between two probes, and how many may be lost: a client behind a middlebox that
# forgot the flow is noticed after about two minutes. Accepted connections inherit them from the listening socket.
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class Listener:
    """A listening socket of the parent. ``bind`` is the text of the configuration, ``inode`` a Unix socket's file."""

    def __init__(self, bind: str, sock: socket.socket, inode: int | None = None) -> None:
        self.bind = bind
        self.sock = sock
        self._file = None if inode is None else (Path(bind.removeprefix("unix:")), inode)

    def url(self, *, tls: bool) -> str:
        """The address as a client writes it; ``unix:/path`` for a Unix socket."""
        if self.sock.family == socket.AF_UNIX:
            return f"unix:{self.sock.getsockname()}"
        host, port = self.sock.getsockname()[:2]
        return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def curl(self, *, tls: bool) -> str:
        """What to give to curl in front of a path, for an answer from this machine."""
        url = self.url(tls=tls)
        if url.startswith("unix:"):
            return f"--unix-socket {url.removeprefix('unix:')} http://localhost"
        return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//127.0.0.1:")

    def close(self) -> None:
        """Close the parent's copy; the file of a Unix socket goes too, unless another process has taken its place."""
        self.sock.close()
        if self._file:
            path, inode = self._file
            self._file = None
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()


def open_listener(bind: str) -> Listener:
    """Bind and listen on ``host:port``, ``:port`` (every address), ``[v6]:port`` or ``unix:/path``.

    Raises ConfigError with a line that names the setting and the mend.
    """
    if bind.startswith("unix:"):
        return _open_unix(bind)
    family, address = _resolve(bind)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):  # macOS lacks some
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if family == socket.AF_INET6 and address[0] == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # IPv4 clients too
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _refused(bind, error) from None
    return Listener(bind, sock)


def _resolve(bind: str) -> tuple[socket.AddressFamily, tuple[str, int]]:
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise _problem(bind, 'expected "host:port", ":port", "[IPv6]:port" or "unix:/path"')
    if not host:
        if socket.has_dualstack_ipv6():
            return socket.AF_INET6, ("::", int(port))
        return socket.AF_INET, ("0.0.0.0", int(port))  # noqa: S104  # asked for by ":port"
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _problem(bind, f'cannot find the address of "{host}" ({error.strerror})') from None
    # "localhost" has an address in both families; clients try IPv4 in any case.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))


def _open_unix(bind: str) -> Listener:
    path = Path(bind.removeprefix("unix:"))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_stale(path):
            path.unlink()
        sock.bind(str(path))
        sock.listen(BACKLOG)
        sock.setblocking(False)
        return Listener(bind, sock, path.stat().st_ino)
    except OSError as error:
        sock.close()
        raise _refused(bind, error) from None


def _is_stale(path: Path) -> bool:
    """Whether a socket file is left over from a process that is gone."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == errno.ECONNREFUSED


def _refused(bind: str, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return _problem(
            bind,
            "the address is already in use: stop the program that has it, "
            'or choose another with [server] bind = "host:port" or --bind host:port',
        )
    if error.errno == errno.EACCES:
        return _problem(bind, "not allowed: a port below 1024 needs CAP_NET_BIND_SERVICE; choose a higher one")
    if error.errno == errno.EADDRNOTAVAIL:
        return _problem(bind, 'this machine has no such address; ":port" takes every address')
    return _problem(bind, f"cannot listen: {error.strerror or os.strerror(error.errno or 0)}")


def _problem(bind: str, text: str) -> ConfigError:
    return ConfigError([f'[server] bind = "{bind}": {text}'])
