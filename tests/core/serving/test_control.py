"""The channel between parent and worker."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from gateway.serving.control import (
    Abort,
    Channel,
    Commit,
    Committed,
    Drain,
    End,
    Failed,
    Leaving,
    Prepare,
    Prepared,
    Ready,
    Serve,
    Start,
    ToParent,
    ToWorker,
)
from gateway.serving.document import Document
from gateway.serving.notify import notify, notify_reloading

DOCUMENT = Document('[server]\nbind = ":1"\n# ü\r\n' * 10_000, "/etc/gateway.toml", "/etc", None)


def test_every_message_arrives_as_it_was_sent_and_the_end_is_none() -> None:
    to_worker: list[ToWorker] = [
        Start(slot=1, workers=2, listeners=[7], document=DOCUMENT),
        Serve(),
        Prepare(3, DOCUMENT),
        Commit(3),
        Abort(4),
        Drain(600.0, 0.25),
        End(),
    ]
    to_parent: list[ToParent] = [
        Ready(["careful"]),
        Failed(["no"]),
        Prepared(3, [], ["careful"]),
        Committed(3, []),
        Leaving(),
    ]

    async def scene() -> None:
        ours, theirs = socket.socketpair()
        parent, worker = await Channel.over(ours), await Channel.over(theirs)
        for order in to_worker:
            parent.send(order)
        assert [await worker.from_parent() for _ in to_worker] == to_worker
        for answer in to_parent:
            worker.send(answer)
        assert [await parent.from_worker() for _ in to_parent] == to_parent
        parent.close()
        assert await worker.from_parent() is None
        worker.send(Leaving())
        await worker.flush()
        worker.close()

    asyncio.run(scene())


def test_a_message_cut_short_by_a_death_is_the_end() -> None:
    async def scene() -> None:
        ours, theirs = socket.socketpair()
        parent = await Channel.over(ours)
        with theirs:
            theirs.send(b'{"type":"rea')
        assert await parent.from_worker() is None
        parent.close()

    asyncio.run(scene())


def test_the_service_manager_is_told_on_an_abstract_socket_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"gateway-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("READY=1", "STATUS=fine")
        assert manager.recv(100) == b"READY=1\nSTATUS=fine"
        notify_reloading()
        assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    notify("STOPPING=1")  # nobody listens any more: no error
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("STOPPING=1")
