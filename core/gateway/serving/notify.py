"""Tell systemd (``Type=notify`` or ``notify-reload``) how far we are."""

from __future__ import annotations

import contextlib
import os
import socket
import time

VARIABLE = "NOTIFY_SOCKET"


def notify(*states: str) -> None:
    """Send states such as ``READY=1``; does nothing where no service manager listens."""
    address = os.environ.get(VARIABLE)
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto("\n".join(states).encode(), address)


def notify_reloading() -> None:
    """Say that a reload begins; systemd wants the time of it and, later, READY=1."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
