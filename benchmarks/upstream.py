"""The provider of the benchmark: a fixed chat completion of 0.7 kB, or a stream of 50 events, one each 4 ms.

python benchmarks/upstream.py PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvloop

EVENTS = 50
GAP = 0.004  # seconds between two events

_TEXT = "The benchmark measures what the gateway adds to a call that somebody else answers, and nothing else. " * 4
_HEAD = {"id": "chatcmpl-bench", "created": 1764000000, "model": "bench"}
_WHOLE = json.dumps(
    {
        **_HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 21, "completion_tokens": 80, "total_tokens": 101},
    }
).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_WHOLE), _WHOLE)
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(number: int) -> bytes:
    last = number == EVENTS - 1
    choice = {
        "index": 0,
        "delta": {} if last else {"content": f" word{number}"},
        "finish_reason": "stop" if last else None,
    }
    event = {**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}
    return _chunk(b"data: " + json.dumps(event).encode() + b"\n\n")


_EVENTS = [_event(number) for number in range(EVENTS)]
_END = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection: requests with a content-length, one after the other."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(rest) < length:
            return
        body, self._buffer = rest[:length], rest[length:]
        if b'"stream"' in body:
            self._transport.write(_STREAM)
            self._loop.call_later(GAP, self._send, 0)
        else:
            self._transport.write(_ANSWER)

    def _send(self, number: int) -> None:
        if self._transport.is_closing():
            return
        if number == EVENTS:
            self._transport.write(_END)
            return
        self._transport.write(_EVENTS[number])
        self._loop.call_later(GAP, self._send, number + 1)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
