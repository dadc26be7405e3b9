"""The provider of the streams: 50 events, one write each 4 ms, as chat completions or as Anthropic messages.

    python benchmarks/upstream.py PORT

A request that streams gets a stream; one for a model "idle" gets the first event and then silence; any other gets a
short answer once it has been read whole. Everything that is sent is made beforehand: the less this costs, the more of
the machine is left for what is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

import uvloop

EVENTS = 50
GAP = 0.004  # seconds between two events

_STREAM = re.compile(rb'"stream"\s*:\s*true')
_IDLE = re.compile(rb'"model"\s*:\s*"[^"]*idle"')
_BEGIN = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CONTENT = EVENTS - 3  # beside the first, the last and the usage


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chat() -> list[bytes]:
    """A streamed chat completion; behind the events comes [DONE]."""
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1764000000, "model": "bench"}

    def event(delta: dict[str, str], finish: str | None = None) -> dict[str, object]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    usage = {"prompt_tokens": 21, "completion_tokens": _CONTENT, "total_tokens": 21 + _CONTENT}
    events = [
        event({"role": "assistant", "content": ""}),
        *(event({"content": f" word{number}"}) for number in range(_CONTENT)),
        event({}, "stop"),
        {**head, "choices": [], "usage": usage},
    ]
    return [b"data: " + json.dumps(one).encode() + b"\n\n" for one in events] + [b"data: [DONE]\n\n"]


def _messages() -> list[bytes]:
    """A streamed Anthropic message."""
    usage = {"input_tokens": 21, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    message: dict[str, object] = {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "bench",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    words = EVENTS - 5
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f" word{number}"}}
            for number in range(words)
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": words},
        },
        {"type": "message_stop"},
    ]
    return [b"event: %b\ndata: %b\n\n" % (str(e["type"]).encode(), json.dumps(e).encode()) for e in events]


def _writes(events: list[bytes]) -> list[bytes]:
    chunks = [_chunk(event) for event in events]
    return [*chunks[:-1], chunks[-1] + b"0\r\n\r\n"]


def _answer(body: dict[str, object]) -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text)


CHAT = _writes(_chat())
MESSAGES = _writes(_messages())
WHOLE = _answer(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1764000000,
        "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Read."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 21, "completion_tokens": 1, "total_tokens": 22},
    }
)


class Upstream(asyncio.Protocol):
    """One connection: requests with a content-length, or without a body, one after the other."""

    def __init__(self) -> None:
        self._buffer = b""
        self._head = b""
        self._left = 0
        self._body_start = b""

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        if self._head:  # in a body: a long one is counted and not kept
            if len(self._body_start) < 4096:
                self._body_start += data
            self._left -= len(data)
        else:
            self._buffer += data
            head, blank, rest = self._buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            self._buffer, self._head, self._body_start = b"", head, rest
            self._left = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0) - len(rest)
        if self._left <= 0:
            head, self._head = self._head, b""
            self._reply(head, self._body_start)

    def _reply(self, head: bytes, body: bytes) -> None:
        if not _STREAM.search(body):
            self._transport.write(WHOLE)
            return
        writes = MESSAGES if b"/messages " in head[: head.find(b"\r\n")] else CHAT
        self._transport.write(_BEGIN)
        if _IDLE.search(body):
            self._transport.write(writes[0])
        else:
            self._loop.call_later(GAP, self._send, writes, 0)

    def _send(self, writes: list[bytes], number: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(writes[number])
        if number + 1 < len(writes):
            self._loop.call_later(GAP, self._send, writes, number + 1)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", int(sys.argv[1]), backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
