"""One finished call as rows of the audit log's tables."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway import Call, Reply
from gateway.explained import explanation_json

Value = str | int | float | None


class Payload(msgspec.Struct, frozen=True):
    """The beginning of a body, and how many bytes the whole had."""

    data: bytes
    size: int


class AuditRow(msgspec.Struct, frozen=True):
    """A call, its attempts, and its bodies where they are kept. Times are whole microseconds, costs nano-dollars."""

    call: dict[str, Value]
    attempts: tuple[tuple[Value, ...], ...]
    request: Payload | None = None
    reply: Payload | None = None

    @property
    def weight(self) -> int:
        """The bytes of bodies that the row holds in memory."""
        return sum(len(p.data) for p in (self.request, self.reply) if p is not None)


def row_of(call: Call, reply: Reply | None, request: Payload | None, answer: Payload | None) -> AuditRow:
    """What is kept of a finished call. Headers are not among it, so no credential is."""
    ended = call.elapsed() if call.ended is None else call.ended
    facts: dict[str, Value] = {
        "id": call.id,
        "time": round(call.started_at * 1_000_000),
        "tenant": call.tenant,
        "client": call.client,
        "method": call.method,
        "path": call.path,
        "dialect": call.dialect.name,
        "format": call.format.name,
        "operation": call.operation,
        "model": call.model,
        "provider": None if call.target is None else call.target.provider,
        "upstream_model": None if call.target is None else call.target.model,
        "answered_model": call.answered_model,
        "stream": int(call.stream),
        "status": call.status,
        "outcome": call.outcome,
        "source": None if reply is None else reply.source,
        "cache": call.cache,
        "finish_reason": call.finish_reason,
        "attempts": len(call.attempts),
        "cost_nano": call.cost,
        "service_tier": call.service_tier,
        "dropped": _json(call.dropped.reasons) if call.dropped else None,
        "tags": _json(call.tags) if call.tags else None,
        "duration_us": _microseconds(ended),
        "first_byte_us": _microseconds(call.first_byte),
        "upstream_us": _microseconds(call.upstream_seconds),
        "request_bytes": len(call.body),
        "reply_bytes": call.response_bytes,
        "decision": explanation_json(call),
        "copy_of": call.copy_of,
        "score": call.score,
    }
    if (error := call.error) is not None:
        facts |= {"error_kind": error.kind, "error_code": error.code, "error": error.message}
    if (usage := call.usage) is not None:
        facts |= {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "cache_write_1h_tokens": usage.cache_write_1h_tokens,
            "usage_source": usage.source,
        }
    attempts = tuple(
        (
            number,
            attempt.target.provider,
            attempt.target.model,
            _microseconds(attempt.started),
            _microseconds(attempt.first_byte),
            _microseconds(attempt.ended),
            attempt.status,
            attempt.error_kind,
            attempt.error,
            attempt.cost,
        )
        for number, attempt in enumerate(call.attempts, 1)
    )
    return AuditRow(facts, attempts, request, answer)


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
