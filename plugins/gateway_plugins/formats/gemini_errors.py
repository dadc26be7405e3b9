"""Google's errors, both ways: https://google.aip.dev/193 and https://ai.google.dev/gemini-api/docs/troubleshooting."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.caller_status import caller_status
from gateway.errors import STATUS_OF_KIND, GatewayError, Kind, UpstreamRejected
from gateway.json_text import BAD_JSON
from gateway.protocol import ErrorEvent
from gateway.retry_after import retry_after

_KINDS: dict[str, Kind] = {
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "ALREADY_EXISTS": "conflict",
    "ABORTED": "conflict",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "CANCELLED": "cancelled",
    "UNAVAILABLE": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
    "INTERNAL": "server_error",
    "UNKNOWN": "server_error",
    "DATA_LOSS": "server_error",
    "UNIMPLEMENTED": "unsupported",
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
    499: "cancelled",
    500: "server_error",
    502: "upstream",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
# What an error really is, by its message; the first match wins.
_MESSAGES: tuple[tuple[re.Pattern[str], frozenset[str], Kind], ...] = (
    (
        re.compile(r"API[ _]key (not valid|expired|not found)|API_KEY_INVALID", re.IGNORECASE),
        frozenset(("invalid_request", "permission")),
        "authentication",
    ),
    (
        re.compile(
            r"input token count.*exceeds the maximum|exceeds? the (maximum|context)|too many tokens", re.IGNORECASE
        ),
        frozenset(("invalid_request",)),
        "context_length",
    ),
    (re.compile(r"request payload size exceeds", re.IGNORECASE), frozenset(("invalid_request",)), "request_too_large"),
    (re.compile(r"location is not supported", re.IGNORECASE), frozenset(("invalid_request",)), "permission"),
    (
        re.compile(r"billing|prepayment|credits? (is|are) depleted", re.IGNORECASE),
        frozenset(("invalid_request", "permission", "rate_limit")),
        "billing",
    ),
    (re.compile(r"\bmodels?\b", re.IGNORECASE), frozenset(("not_found",)), "model_not_found"),
)
_WORDS: dict[str, str] = {
    "authentication": "UNAUTHENTICATED",
    "billing": "FAILED_PRECONDITION",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "model_not_found": "NOT_FOUND",
    "method_not_allowed": "UNIMPLEMENTED",
    "conflict": "ABORTED",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "quota": "RESOURCE_EXHAUSTED",
    "overloaded": "UNAVAILABLE",
    "timeout": "DEADLINE_EXCEEDED",
    "upstream": "UNAVAILABLE",
    "server_error": "INTERNAL",
    "cancelled": "CANCELLED",
}
_TYPE = "type.googleapis.com/google.rpc."


def read_error(status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
    """A provider's error answer; never raises, whatever the body is."""
    try:
        value = msgspec.json.decode(body)
    except BAD_JSON:
        value = None
    if isinstance(value, list) and value:
        # A stream that is a JSON array fails as one.
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, str):
        error = {"message": error}
    return rejected(error if isinstance(error, dict) else {}, status=status, wait=retry_after(headers))


def rejected(error: dict[str, Any], *, status: int | None = None, wait: float | None = None) -> UpstreamRejected:
    """The error of an ``error`` object; without an HTTP status of its own it has the one that it names."""
    message = error.get("message")
    if not isinstance(message, str) or not message:
        message = "The provider reported an error." if status is None else f"The provider answered with {status}."
    said = error.get("code")
    if status is None and isinstance(said, int) and 400 <= said < 600:
        status = said
    word = error.get("status")
    word = word if isinstance(word, str) else ""
    details = (
        [item for item in error.get("details") or () if isinstance(item, dict)]
        if isinstance(error.get("details"), list)
        else []
    )
    kind = _kind(word, message, status, details)
    return UpstreamRejected(
        message,
        status=STATUS_OF_KIND.get(kind, 502) if status is None else status,
        kind=kind,
        code=_reason(details) or (word or None),
        param=_field(details),
        retry_after=retry_after({}, msgspec.json.encode(details).decode()) if wait is None else wait,
    )


def _kind(word: str, message: str, status: int | None, details: list[dict[str, Any]]) -> Kind:
    kind = _KINDS.get(word) or _KIND_OF_STATUS.get(status or 500)
    if kind is None:
        kind = "invalid_request" if status is not None and 400 <= status < 500 else "server_error"
    if _reason(details) == "API_KEY_INVALID":
        return "authentication"
    for pattern, of, better in _MESSAGES:
        if kind in of and pattern.search(message) and not (kind == "rate_limit" and _is_frequency(message)):
            return better
    if kind == "rate_limit" and "PerDay" in msgspec.json.encode(details).decode():
        return "quota"
    return kind


def _is_frequency(message: str) -> bool:
    """Whether a message of 429 tells of too many requests; Google's names billing in each."""
    return "check your plan and billing details" in message or "quota metric" in message.lower()


def _reason(details: list[dict[str, Any]]) -> str | None:
    return next((item["reason"] for item in details if isinstance(item.get("reason"), str)), None)


def _field(details: list[dict[str, Any]]) -> str | None:
    for item in details:
        violations = item.get("fieldViolations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and isinstance(violation.get("field"), str):
                found: str = violation["field"]
                return found
    return None


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
    """The caller's error body, with Google's details: what it is, which field, and how long to wait."""
    info: dict[str, Any] = {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": (error.code or error.kind).upper(),
        "domain": "gateway",
    }
    details: list[dict[str, Any]] = [info]
    if error.param is not None:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if error.retry_after is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{max(0.0, error.retry_after):g}s"})
    details.append({"@type": f"{_TYPE}RequestInfo", "requestId": request_id})
    status = _WORDS.get(error.kind, "INVALID_ARGUMENT")
    return msgspec.json.encode(
        {"error": {"code": caller_status(error), "message": error.message, "status": status, "details": details}}
    )
