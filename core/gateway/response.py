"""The head of an answer, and the id that it carries."""

from __future__ import annotations

import itertools
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from gateway.catalogue import dollars
from gateway.explained import decision_line, wants_explanation

if TYPE_CHECKING:
    from gateway.call import Call, RawHeaders, Reply

_STREAM_HEAD: RawHeaders = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
_LONGEST_DROPPED = 2048
# Unique across processes and restarts without a system call for each: 64 random bits once, then a count.
_PROCESS = os.urandom(8).hex()
_numbers = itertools.count(1)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,128}")


def head_of(call: Call, reply: Reply) -> RawHeaders:
    """The response headers: the reply's, the plugins', the request id, and the gateway's own where switched on."""
    request_id = call.id.encode("latin-1")
    head: RawHeaders = [*reply.headers, *call.reply_headers]
    head += [(name, request_id) for name in call.dialect.request_id_headers]
    if reply.stream is None:
        head.append((b"content-length", str(len(reply.body)).encode()))
    else:
        head += _STREAM_HEAD
    if not call.gateway.config.server.gateway_headers:
        return head
    if call.cache is not None:
        head.append((b"x-gateway-cache", _latin(call.cache)))
    target = call.target
    if target is not None and reply.source == "upstream":
        head.append((b"x-gateway-provider", _latin(target.provider)))
        head.append((b"x-gateway-model", _latin(target.model)))
    if call.cost is not None and reply.stream is None:
        head.append((b"x-gateway-cost", dollars(call.cost).encode()))
    if call.attempts:
        head.append((b"x-gateway-attempts", str(len(call.attempts)).encode()))
    if call.dropped:
        head.append((b"x-gateway-dropped", _latin(", ".join(call.dropped.reasons))[:_LONGEST_DROPPED]))
    if b"x-gateway-explain" in call.headers and wants_explanation(call):
        line = decision_line(call)
        if line is not None:
            head.append((b"x-gateway-decision", line))
    overhead = max(0.0, call.elapsed() - call.upstream_seconds) * 1000
    head.append((b"x-gateway-overhead-ms", b"%.2f" % overhead))
    return head


@lru_cache(1024)
def _latin(text: str) -> bytes:
    """Text as a header's value: what no header may carry is replaced."""
    if text.isascii() and text.isprintable():
        return text.encode()
    return "".join(c if c.isprintable() else "?" for c in text).encode("latin-1", "replace")


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """The caller's own request id where it has a safe form, else a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(text := given.decode("latin-1")):
        return text
    given = headers.get(b"x-client-request-id")
    if given is not None and _REQUEST_ID.fullmatch(text := given.decode("latin-1")):
        return text
    return f"req_{_PROCESS}{next(_numbers):012x}"
