"""Errors inside the responses API: those of a response that failed, and those of a stream."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError, UpstreamRejected
from gateway.protocol import ErrorEvent
from gateway_plugins.formats.openai_errors import error_event, rejected, write_error

# What OpenAI's own enumeration of a response's errors says for our kinds; Codex goes by some of these.
_CODES = {
    "rate_limit": "rate_limit_exceeded",
    "quota": "insufficient_quota",
    "billing": "insufficient_quota",
    "context_length": "context_length_exceeded",
    "overloaded": "server_is_overloaded",
    "invalid_request": "invalid_prompt",
    "content_filter": "invalid_prompt",
}


def response_error(error: GatewayError) -> dict[str, Any]:
    """The ``error`` of a response that failed."""
    return {"code": _CODES.get(error.kind, "server_error"), "message": error.message}


def error_members(error: GatewayError) -> dict[str, Any]:
    """The members of an ``error`` event: as documented, and the object by which OpenAI's packages know an error."""
    inner: dict[str, Any] = msgspec.json.decode(write_error(error))["error"]
    return {"code": inner["code"], "message": inner["message"], "param": inner["param"], "error": inner}


def failed_response(response: dict[str, Any]) -> UpstreamRejected | None:
    """The error that a response is, under a good status; None for one that has an answer."""
    status = response.get("status")
    error = response.get("error")
    if status not in ("failed", "cancelled") and not isinstance(error, dict):
        return None
    return rejected({"error": error or {"message": f"The response was {status}.", "code": "server_error"}})


def failed_event(event: dict[str, Any]) -> ErrorEvent:
    """The error of a stream's ``error`` or ``response.failed`` event."""
    response = event.get("response")
    inner = response.get("error") if isinstance(response, dict) else event.get("error")
    if not isinstance(inner, dict):
        inner = {key: event.get(key) for key in ("code", "message", "param") if event.get(key) is not None}
    if not inner.get("message"):
        inner = {"code": "server_error", **inner, "message": "The provider's response failed without a message."}
    return error_event({"error": inner})
