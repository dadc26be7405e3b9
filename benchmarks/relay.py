"""The yardstick of the benchmark: a relay that copies bytes between two sockets and understands none of them.

    python benchmarks/relay.py PORT UPSTREAM_PORT

No Python program that answers HTTP can do less for a request; where nginx is not installed, it is what the gateway is
compared with.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop


class End(asyncio.Protocol):
    """One side of a relayed connection; what it receives, the other side sends."""

    def __init__(self, other: End | None = None) -> None:
        self.transport: asyncio.Transport | None = None
        self.other = other
        self.waiting: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        for data in self.waiting:
            transport.write(data)

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        if self.other.transport is None:
            self.other.waiting.append(data)
        else:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Front(End):
    """The client's side: it opens the upstream's."""

    upstream_port = 0
    opening: set[asyncio.Task[object]] = set()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        back = self.other = End(self)
        loop = asyncio.get_running_loop()
        task: asyncio.Task[object] = loop.create_task(
            loop.create_connection(lambda: back, "127.0.0.1", self.upstream_port)
        )
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)


async def main() -> None:
    """Serve until killed."""
    Front.upstream_port = int(sys.argv[2])
    server = await asyncio.get_running_loop().create_server(Front, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
