"""The limits of the HTTP/1.1 front. Durations in seconds, sizes in bytes."""

from __future__ import annotations

import msgspec


class Http1Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may cost us before it is refused or closed.

    ``head_seconds`` is from the first byte of a request to the end of its head; a body must arrive at
    ``body_rate`` bytes a second, with ``body_grace`` seconds to begin with; ``stall_seconds`` is how long a client
    may take nothing of what we have to send; ``idle_seconds`` is how long a kept-alive connection may wait;
    ``linger_seconds`` is how long a refused client may go on sending before its connection is cut;
    ``requests_ahead`` is how many requests may wait behind the one that is answered.
    """

    head_seconds: float = 10.0
    head_bytes: int = 64 * 1024
    head_fields: int = 128
    body_grace: float = 30.0
    body_rate: int = 1024
    idle_seconds: float = 75.0
    stall_seconds: float = 60.0
    linger_seconds: float = 2.0
    connections: int = 20_000
    read_ahead: int = 256 * 1024
    write_ahead: int = 64 * 1024
    requests_ahead: int = 128
