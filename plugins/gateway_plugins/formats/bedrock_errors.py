"""Bedrock's errors: by the name of the exception, which is a header of an answer and of a stream's message.

Statuses and names: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors
and /API_runtime_InvokeModelWithResponseStream.html, CommonErrors.html for what signing and access may answer.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.errors import Kind, UpstreamRejected
from gateway.json_text import BAD_JSON
from gateway.protocol import ErrorEvent
from gateway.retry_after import retry_after
from gateway_plugins.formats.aws_event_stream import EventMessage

# The name in lower case, without its ending → kind and the status that the name stands for.
_NAMES: dict[str, tuple[Kind, int]] = {
    "accessdenied": ("permission", 403),
    "conflict": ("conflict", 400),
    "expiredtoken": ("authentication", 403),
    "incompletesignature": ("authentication", 400),
    "internalfailure": ("server_error", 500),
    "internalserver": ("server_error", 500),
    "invalidclienttokenid": ("authentication", 403),
    "invalidsignature": ("authentication", 403),
    "missingauthenticationtoken": ("authentication", 403),
    "modelerror": ("server_error", 424),
    "modelnotready": ("overloaded", 429),
    "modelstreamerror": ("server_error", 424),
    "modeltimeout": ("timeout", 408),
    "notauthorized": ("permission", 400),
    "optinrequired": ("permission", 403),
    "requestentitytoolarge": ("request_too_large", 413),
    "requestexpired": ("authentication", 400),
    "resourcenotfound": ("model_not_found", 404),
    "serialization": ("invalid_request", 400),
    "servicequotaexceeded": ("quota", 400),
    "serviceunavailable": ("overloaded", 503),
    "signaturedoesnotmatch": ("authentication", 403),
    "throttling": ("rate_limit", 429),
    "toomanyrequests": ("rate_limit", 429),
    "unrecognizedclient": ("authentication", 403),
    "validation": ("invalid_request", 400),
}
_KIND_OF_STATUS: dict[int, Kind] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "model_not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "request_too_large",
    422: "unprocessable",
    424: "server_error",
    429: "rate_limit",
    500: "server_error",
    502: "upstream",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
# What the message says beyond the name; the first match wins. The names that each may correct follow.
_MESSAGES: tuple[tuple[re.Pattern[str], Kind, tuple[Kind, ...]], ...] = (
    (
        re.compile(
            r"(input|prompt) is too long|too many (input )?tokens(?!.*(wait|per (day|minute)))"
            r"|exceeds? (the )?(model'?s? )?(maximum )?(context|input)"
            r"|maximum context|context (window|length)|input tokens? .*exceed",
            re.IGNORECASE,
        ),
        "context_length",
        ("invalid_request", "request_too_large"),
    ),
    (re.compile(r"too many tokens per day|daily", re.IGNORECASE), "quota", ("rate_limit",)),
    (
        re.compile(r"model identifier is invalid|model .*(not found|end of its life|doesn't exist)", re.IGNORECASE),
        "model_not_found",
        ("invalid_request",),
    ),
    (re.compile(r"security token|signature|bearer token|api key", re.IGNORECASE), "authentication", ("permission",)),
    (re.compile(r"content filter|blocked by", re.IGNORECASE), "content_filter", ("invalid_request",)),
)
_ENDINGS = ("exception", "error", "fault")


def read_error(status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
    """A provider's error answer; never raises, whatever the body is."""
    try:
        value: Any = msgspec.json.decode(body)
    except BAD_JSON:
        value = None
    value = value if isinstance(value, dict) else {}
    # x-amzn-errortype: ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/
    word = headers.get("x-amzn-errortype") or _text(value.get("__type")) or _text(value.get("code"))
    return _rejected(word, value, status, retry_after(headers))


def error_event(message: EventMessage) -> ErrorEvent:
    """The event for a stream's message that is an exception or an error."""
    try:
        value: Any = msgspec.json.decode(message.payload)
    except BAD_JSON:
        value = None
    value = value if isinstance(value, dict) else {}
    word = message.header(":exception-type") or message.header(":error-code")
    value.setdefault("message", message.header(":error-message"))
    found = _rejected(word, value, None, None)
    return ErrorEvent(kind=found.kind, message=found.message, code=found.code, status=found.status, data=value)


def _rejected(word: str, value: dict[str, Any], status: int | None, wait: float | None) -> UpstreamRejected:
    name = word.partition(":")[0].rpartition("#")[2]
    kind, usual = _NAMES.get(_plain(name), (None, 500))
    if kind is None:
        kind = _KIND_OF_STATUS.get(status or usual)
    if kind is None:
        kind = "invalid_request" if status is not None and 400 <= status < 500 else "server_error"
    message = _text(value.get("message")) or _text(value.get("Message")) or _text(value.get("originalMessage"))
    if not message:
        message = "The provider reported an error." if status is None else f"The provider answered with {status}."
    for pattern, better, among in _MESSAGES:
        if kind in among and pattern.search(message):
            kind = better
            break
    status = usual if status is None else status
    if status == 424:
        # The model failed, not the request: as good as a failure of the server, which may pass.
        original = value.get("originalStatusCode")
        status = original if isinstance(original, int) and 500 <= original < 600 else 502
    return UpstreamRejected(message, status=status, kind=kind, code=name or None, retry_after=wait)


def _plain(name: str) -> str:
    name = name.lower()
    if name in _NAMES:
        return name
    return next((name[: -len(ending)] for ending in _ENDINGS if name.endswith(ending)), name)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
