"""Reads a request's body within its limits."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING, Any

from gateway.config import ServerConfig
from gateway.errors import ClientLeft, InvalidRequest, RequestTimeout, RequestTooLarge

if TYPE_CHECKING:
    from starlette.types import Receive

DRAIN_BYTES = 8 * 1024 * 1024
DRAIN_SECONDS = 2.0
"""How much of a refused request is still taken, and for how long, so that its sender comes to read the refusal."""


async def read_body(receive: Receive, headers: dict[bytes, bytes], server: ServerConfig, cycle: Any = None) -> bytes:
    """The whole body. Raises RequestTooLarge before more than the limit is held, RequestTimeout, or ClientLeft.

    ``cycle`` is the request's own in our HTTP/1.1 front: a body that has arrived already is taken without waiting.
    """
    limit = server.max_body_bytes
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.lower() not in (b"identity", b""):
        raise InvalidRequest("Send the body without Content-Encoding.", code="unsupported_content_encoding")
    if cycle is not None and cycle.complete and cycle.held <= limit:
        whole: bytes = cycle.take()
        return whole
    # What BytesIO gathers it gives away as it is: the body is there once, and not in pieces as well.
    gathered = BytesIO()
    size = 0
    try:
        async with asyncio.timeout(server.body_timeout):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft("The client left before its request was complete.")
                chunk: bytes = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    if size == len(chunk):
                        return chunk
                    gathered.write(chunk)
                    return gathered.getvalue()
                gathered.write(chunk)
    except TimeoutError:
        raise RequestTimeout(f"The request was not complete within {server.body_timeout:g} s.") from None


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The request body is larger than {limit} bytes ([server] max_body_bytes).")


async def drain(receive: Receive) -> None:
    """Take and forget what a refused client still sends, up to a bound."""
    taken = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while taken < DRAIN_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                taken += len(message.get("body", b""))
    except TimeoutError:
        return
