"""What the kernel knows of a client's connection and asyncio does not tell."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)  # Linux has it
_CLOSE_WAIT = 8
_CLOSED = 7
_BYTES_ACKED = 120  # where struct tcp_info holds it, as 64 bits


def address(name: Any) -> tuple[str, int] | None:
    """Host and port of a peer's or our own name; None for a Unix socket."""
    return (name[0], name[1]) if isinstance(name, tuple) and len(name) >= 2 else None


def left_unseen(transport: asyncio.Transport) -> bool:
    """Whether the peer closed behind bytes that we do not read now; False where the kernel does not say."""
    info = _tcp_info(transport, 1)
    return info is not None and info[0] in (_CLOSE_WAIT, _CLOSED)


def bytes_taken(transport: asyncio.Transport, unsent: int) -> int:
    """A number that grows as long as the peer takes what we send; ``unsent`` is what the transport still holds.

    Over TLS the transport's own count stands still while the one below it empties, so the kernel is asked first.
    """
    info = _tcp_info(transport, _BYTES_ACKED + 8)
    if info is None or len(info) < _BYTES_ACKED + 8:
        return -unsent
    taken: int = struct.unpack_from("=Q", info, _BYTES_ACKED)[0]
    return taken


def _tcp_info(transport: asyncio.Transport, size: int) -> bytes | None:
    sock = transport.get_extra_info("socket")
    if _TCP_INFO is None or sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        info: bytes = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, size)
    except OSError:  # it has just been closed
        return None
    return info
