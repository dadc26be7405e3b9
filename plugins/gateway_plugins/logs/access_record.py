"""One finished call as a line: what is told of it, and in which form. Never a body, never a credential."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from gateway import Call
from gateway.catalogue import dollars

_SECRET_PARAMETERS = frozenset({b"key", b"api_key", b"api-key", b"apikey", b"access_token", b"token", b"sig"})
_PLAIN = re.compile(r"[\x21\x23-\x3c\x3e-\x7e]+")


class AccessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a line, in their order. ``bytes`` is what the caller was sent; durations are in milliseconds.

    ``overhead_ms`` is what the gateway took until the answer's first byte, without the time spent on providers.
    ``cost`` is in dollars, as a plain decimal; null where it is not known. ``dropped`` names the request's fields that
    a translation could not carry; ``error`` is the error's code.
    """

    time: str
    id: str
    client: str
    key: str | None
    method: str
    path: str
    query: str | None
    dialect: str
    model: str
    provider: str | None
    upstream_model: str | None
    status: int
    outcome: str
    stream: bool
    attempts: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    cost: str | None
    request_bytes: int
    bytes: int
    duration_ms: float
    first_byte_ms: float | None
    overhead_ms: float | None
    cache: str | None
    dropped: list[str]
    error: str | None


def record_of(call: Call) -> AccessRecord:
    """What is told of a finished call."""
    usage, target, error = call.usage, call.target, call.error
    ended = call.elapsed() if call.ended is None else call.ended
    first = call.first_byte
    return AccessRecord(
        time=rfc3339(call.started_at),
        id=call.id,
        client=call.client,
        key=None if call.principal is None else call.principal.name,
        method=call.method,
        path=call.path,
        query=safe_query(call.query) or None,
        dialect=call.dialect.name,
        model=call.model,
        provider=None if target is None else target.provider,
        upstream_model=None if target is None else target.model,
        status=call.status,
        outcome=call.outcome,
        stream=call.stream,
        attempts=len(call.attempts),
        prompt_tokens=None if usage is None else usage.prompt_tokens,
        completion_tokens=None if usage is None else usage.completion_tokens,
        cached_tokens=None if usage is None else usage.cache_read_tokens,
        cost=None if call.cost is None else dollars(call.cost),
        request_bytes=len(call.body),
        bytes=call.response_bytes,
        duration_ms=_milliseconds(ended),
        first_byte_ms=None if first is None else _milliseconds(first),
        overhead_ms=None if first is None else _milliseconds(max(0.0, first - call.upstream_seconds)),
        cache=call.cache,
        dropped=list(call.dropped.reasons),
        error=None if error is None else error.code or error.kind,
    )


def safe_query(query: bytes) -> str:
    """A query string without the parameters that carry keys."""
    if not query:
        return ""
    kept = (
        pair
        for pair in query.split(b"&")
        if unquote_to_bytes(pair.partition(b"=")[0]).lower() not in _SECRET_PARAMETERS
    )
    return b"&".join(kept).decode("latin-1")


def rfc3339(seconds: float) -> str:
    """A time as RFC 3339 in UTC, with milliseconds; ``seconds`` is Unix time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_line(record: AccessRecord) -> bytes:
    """A line of JSON."""
    try:
        return msgspec.json.encode(record) + b"\n"
    except UnicodeEncodeError:
        # A lone surrogate, which UTF-8 cannot hold, but a \u escape can.
        return json.dumps(msgspec.structs.asdict(record)).encode() + b"\n"


def text_line(record: AccessRecord) -> bytes:
    """A line for people: what happened first, then ``name=value`` for all that is known."""
    fields: dict[str, Any] = msgspec.structs.asdict(record)
    head = [str(fields.pop(name)) for name in ("time", "status", "outcome", "method")] + [_quoted(fields.pop("path"))]
    tail = [f"{name}={_quoted(value)}" for name, value in fields.items() if value not in (None, "", [], False)]
    return " ".join(head + tail).encode("ascii") + b"\n"


def _quoted(value: Any) -> str:
    """A value that cannot be taken for anything else, nor begin another line."""
    text = ",".join(value) if isinstance(value, list) else "true" if value is True else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
