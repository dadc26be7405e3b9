"""Anthropic's errors, both ways: https://platform.claude.com/docs/en/api/errors."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.errors import STATUS_OF_KIND, GatewayError, Kind, UpstreamRejected
from gateway.json_text import BAD_JSON
from gateway.protocol import ErrorEvent
from gateway.retry_after import retry_after

_KINDS: dict[str, Kind] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "conflict_error": "conflict",
    "request_too_large": "request_too_large",
    "rate_limit_error": "rate_limit",
    "api_error": "server_error",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
}
_KIND_OF_STATUS: dict[int, Kind] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "request_too_large",
    422: "unprocessable",
    429: "rate_limit",
    500: "server_error",
    502: "upstream",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
# What an invalid_request_error (or a rate_limit_error) really is, by its message; the first match wins.
_MESSAGES: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (
        re.compile(r"prompt is too long|exceeds? (the )?(model'?s? )?(maximum )?context|context window", re.IGNORECASE),
        "context_length",
    ),
    (re.compile(r"credit balance is too low|reached your specified .*usage limits", re.IGNORECASE), "quota"),
    (re.compile(r"blocked by content filtering", re.IGNORECASE), "content_filter"),
)
_TYPES: dict[Kind, str] = {
    "authentication": "authentication_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "model_not_found": "not_found_error",
    "conflict": "conflict_error",
    "request_too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "upstream": "api_error",
    "server_error": "api_error",
    "cancelled": "api_error",
}
_PARAM = re.compile(r"([a-z_]+(?:\.[a-z0-9_]+)*): ")
_TOO_LONG = "prompt is too long"
"""The words by which Anthropic's clients know that a conversation has to be compacted."""


def read_error(status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
    """A provider's error answer; never raises, whatever the body is."""
    try:
        value = msgspec.json.decode(body)
    except BAD_JSON:
        value = None
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, str):
        error = {"message": error}
    return rejected(error if isinstance(error, dict) else {}, status=status, wait=retry_after(headers))


def rejected(error: dict[str, Any], *, status: int | None = None, wait: float | None = None) -> UpstreamRejected:
    """The error of an ``error`` object; without a status of its own it has that of its kind."""
    message = error.get("message")
    if not isinstance(message, str) or not message:
        message = "The provider reported an error." if status is None else f"The provider answered with {status}."
    word = error.get("type")
    kind = _kind(word if isinstance(word, str) else "", message, status)
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    found = _PARAM.match(message)
    return UpstreamRejected(
        message,
        status=STATUS_OF_KIND.get(kind, 502) if status is None else status,
        kind=kind,
        code=code if isinstance(code, str) else None,
        param=found.group(1) if found is not None and kind == "invalid_request" else None,
        retry_after=wait,
    )


def _kind(word: str, message: str, status: int | None) -> Kind:
    kind = _KINDS.get(word)
    if kind is None:
        kind = _KIND_OF_STATUS.get(status or 500)
    if kind is None:
        kind = "invalid_request" if status is not None and 400 <= status < 500 else "server_error"
    if kind == "not_found" and message.startswith("model:"):
        return "model_not_found"
    if kind in ("invalid_request", "request_too_large", "rate_limit"):
        for pattern, better in _MESSAGES:
            if pattern.search(message) and not (kind == "rate_limit" and better == "context_length"):
                return better
    return kind


def error_event(error: Any) -> ErrorEvent:
    """The event for an ``error`` object inside a stream."""
    found = rejected(error if isinstance(error, dict) else {})
    return ErrorEvent(
        kind=found.kind,
        message=found.message,
        code=found.code,
        status=found.status,
        data=error if isinstance(error, dict) else None,
    )


def write_error(error: GatewayError, request_id: str) -> bytes:
    """The caller's error body."""
    message = error.message
    if error.kind == "context_length" and _TOO_LONG not in message.lower():
        message = f"{_TOO_LONG}: {message}"
    body = {
        "type": "error",
        "error": {"type": _type_of(error), "message": message},
        "request_id": request_id,
    }
    return msgspec.json.encode(body)


def _type_of(error: GatewayError) -> str:
    if error.kind == "quota":
        # Spent money is a 402 of its own with Anthropic, a 429 with OpenAI.
        return {402: "billing_error", 429: "rate_limit_error"}.get(error.status, "invalid_request_error")
    return _TYPES.get(error.kind, "invalid_request_error")
