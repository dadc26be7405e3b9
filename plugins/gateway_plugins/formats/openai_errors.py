"""Error bodies of OpenAI and of those who imitate it, both ways.

Reading takes what is served on OpenAI-compatible paths: OpenAI's own object, Mistral's and vLLM's flat one, FastAPI's
``detail``, a bare string, Google's list, an HTML page of a proxy in between, nothing at all. Writing gives OpenAI's
object with all four keys.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.errors import STATUS_OF_KIND, GatewayError, Kind, UpstreamError, UpstreamRejected
from gateway.json_text import BAD_JSON
from gateway.protocol import ErrorEvent
from gateway.retry_after import retry_after

_MAX_BODY = 64 * 1024
_MAX_MESSAGE = 4000

_STATUS_KINDS: dict[int, Kind] = {
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
    498: "overloaded",  # Groq: flex capacity exceeded
    499: "cancelled",
    500: "server_error",
    502: "upstream",
    503: "overloaded",
    504: "timeout",
    524: "timeout",  # Cloudflare in front of the provider
    529: "overloaded",
}

# Codes and types of OpenAI, Azure, Google's status words, Mistral, Moonshot, DeepSeek, Z.ai, Databricks, OpenRouter.
_WORDS: dict[Kind, tuple[str, ...]] = {
    "context_length": ("context_length_exceeded", "context_window_exceeded", "model_max_prompt_tokens_exceeded"),
    "quota": (
        "insufficient_quota",
        "quota_exceeded",
        "exceeded_current_quota_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
        "insufficient_credits",
        "credit_balance_too_low",
        "project_spend_limit_exceeded",
        "spend_limit_exceeded",
        "1113",
    ),
    "content_filter": (
        "content_filter",
        "content_policy_violation",
        "responsibleaipolicyviolation",
        "moderation_blocked",
        "data_inspection_failed",
        "1301",
    ),
    "model_not_found": ("model_not_found", "deploymentnotfound", "model_not_exist", "model_not_available"),
    "authentication": ("invalid_api_key", "invalid_authentication", "unauthenticated", "authentication_error"),
    "permission": (
        "permission_denied",
        "permission_error",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    "unsupported": ("unsupported_parameter", "unsupported_value"),
    "request_too_large": ("request_too_large", "payload_too_large"),
    "overloaded": (
        "overloaded_error",
        "overloaded",
        "engine_overloaded",
        "engine_overloaded_error",
        "server_overloaded",
        "service_unavailable",
        "service_unavailable_error",
        "model_overloaded",
        "unavailable",
        "capacity_exceeded",
    ),
    "rate_limit": (
        "rate_limit_exceeded",
        "rate_limit_error",
        "rate_limit_reached_error",
        "resource_exhausted",
        "request_limit_exceeded",
        "too_many_requests",
    ),
    "timeout": ("timeout", "request_timeout", "deadline_exceeded", "timeout_error"),
    "server_error": ("server_error", "internal_error", "internal_server_error", "internal", "api_error"),
    "not_found": ("not_found", "not_found_error"),
    "billing": ("billing_error", "payment_required"),
    "invalid_request": ("invalid_request_error", "invalid_argument", "badrequesterror", "invalid_value"),
}
_WORD_KINDS: dict[str, Kind] = {word: kind for kind, words in _WORDS.items() for word in words}
# Words that say only what the status says too; the status is the more precise of the two.
_VAGUE: frozenset[Kind] = frozenset(("invalid_request", "server_error", "not_found"))

# OpenAI's types: they say less than the kind does. Others put their one word there.
_TYPES = frozenset({"invalid_request_error", "server_error", "requests", "tokens"})

_TOO_LONG = re.compile(
    r"maximum context length|context (?:window|length|limit)|max_?(?:prompt|model)_?(?:tokens|len)"
    r"|prompt is too long|too many (?:input |prompt )?tokens|input (?:is )?too long"
    r"|exceeds the (?:maximum|model)[^.]{0,40}tokens",
    re.IGNORECASE,
)
_NO_MONEY = re.compile(r"insufficient (?:account )?(?:balance|credits?|funds)|credit balance is too low", re.IGNORECASE)
_NO_MODEL = re.compile(r"\bmodel\b.{0,200}\b(?:does not exist|not found|not exist)", re.IGNORECASE | re.DOTALL)
_KEY = re.compile(r"\b(?:sk|pk|gsk|csk|xai|hf|nvapi|pplx|AIza)[-_A-Za-z0-9*.]{4,}")
_TITLE = re.compile(r"<title[^>]*>([^<]{1,300})</title>", re.IGNORECASE)


class ErrorFacts(msgspec.Struct, kw_only=True):
    """What an error object says, whatever its shape. ``status`` is what the body itself claims, None mostly."""

    message: str
    kind: Kind
    status: int
    code: str | None = None
    param: str | None = None


def read_error(status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
    """A provider's error answer; never raises, whatever the body is."""
    text = body[:_MAX_BODY].decode("utf-8", "replace")
    try:
        value: Any = msgspec.json.decode(body)
    except BAD_JSON:
        value = None
    facts = error_facts(value, status) if isinstance(value, dict | list) else _plain(text, status)
    return UpstreamRejected(
        facts.message,
        status=status,
        kind=facts.kind,
        code=facts.code,
        param=facts.param,
        retry_after=_retry_after(status, headers, text),
        body=body[:_MAX_BODY],
    )


def rejected(value: Any) -> UpstreamRejected:
    """The error in a body or event whose HTTP status was good."""
    facts = error_facts(value, None)
    body = msgspec.json.encode(value)[:_MAX_BODY]
    return UpstreamRejected(
        facts.message,
        status=facts.status,
        kind=facts.kind,
        code=facts.code,
        param=facts.param,
        retry_after=_retry_after(facts.status, {}, body.decode("utf-8", "replace")),
        body=body,
    )


def error_event(value: Any) -> ErrorEvent:
    """The error in a stream's event."""
    facts = error_facts(value, None)
    data = value if isinstance(value, dict) else {"error": value}
    return ErrorEvent(kind=facts.kind, message=facts.message, code=facts.code, status=facts.status, data=data)


def is_error(value: dict[str, Any]) -> bool:
    """Whether a decoded body or event is an error object rather than an answer."""
    if value.get("error") or value.get("object") == "error":
        return True
    if value.get("choices"):
        return False
    # MiniMax says so in every answer, good or bad.
    base = value.get("base_resp")
    return value.get("type") == "error" or (isinstance(base, dict) and bool(base.get("status_code")))


def error_facts(value: Any, status: int | None) -> ErrorFacts:
    """Understand a decoded error body of any shape; ``status`` is the HTTP status where it was an error's."""
    outer, inner = _unwrap(value)
    code, claimed = _code(outer, inner)
    param = inner.get("param")
    found = inner.get("type") or inner.get("error_type")
    kind_word = found if isinstance(found, str) else None
    message = _message(outer, inner)
    known = status if status is not None else claimed
    kind = _kind(code, kind_word, message, known)
    if kind == "authentication":
        message = _KEY.sub("[key]", message)
    return ErrorFacts(
        message=message[:_MAX_MESSAGE] or _without_words(known),
        kind=kind,
        status=known if known is not None else STATUS_OF_KIND[kind],
        code=kind_word if code is None and kind_word not in _TYPES else code,
        param=param if isinstance(param, str) else None,
    )


def write_error(error: GatewayError) -> bytes:
    """OpenAI's error body: ``message``, ``type``, ``param`` and ``code``, all four always there."""
    kind = error.kind
    code = _code_of(error, kind)
    return msgspec.json.encode(
        {"error": {"message": error.message, "type": _type(error, kind), "param": error.param, "code": code}}
    )


_CODES: dict[Kind, str] = {
    "context_length": "context_length_exceeded",
    "unsupported": "unsupported_parameter",
    "authentication": "invalid_api_key",
    "model_not_found": "model_not_found",
    "content_filter": "content_filter",
    "rate_limit": "rate_limit_exceeded",
    "quota": "insufficient_quota",
}


def _code_of(error: GatewayError, kind: Kind) -> str | None:
    """The error's own word, unless OpenAI has one for it or its spelling says that it is another vendor's.

    OpenAI's are in lower case, unlike Amazon's ``ThrottlingException`` and Google's ``RESOURCE_EXHAUSTED``; Anthropic's
    end like OpenAI's types.
    """
    code, usual = error.code, _CODES.get(kind)
    if code is None or not isinstance(error, UpstreamError):
        return usual if code is None else code
    if code != code.lower():
        return usual
    return usual or code if code.endswith("_error") else code


def _type(error: GatewayError, kind: Kind) -> str:
    if kind in ("quota", "billing"):
        return "insufficient_quota"
    if kind == "rate_limit":
        return "tokens" if "token" in f"{error.code} {error.message}".lower() else "requests"
    if kind == "permission":
        return "permission_error"
    if isinstance(error, UpstreamError) and error.status >= 500:
        return "upstream_error"
    return "invalid_request_error" if error.status < 500 else "server_error"


def _unwrap(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body's object, and the object in it that describes the error."""
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict)), {})
    outer: dict[str, Any] = value if isinstance(value, dict) else {"message": value}
    for key in ("error", "errors", "base_resp"):
        found = outer.get(key)
        if isinstance(found, list):
            found = next((item for item in found if item), None)
        if isinstance(found, dict):
            return outer, found
        if isinstance(found, str) and found:
            return outer, {**outer, "message": found}
    return outer, outer


def _message(outer: dict[str, Any], inner: dict[str, Any]) -> str:
    for holder in (inner, outer):
        for key in ("message", "detail", "msg", "error_msg", "status_msg", "error_description"):
            found = _words(holder.get(key))
            if found:
                metadata = inner.get("metadata")
                raw = metadata.get("raw") if isinstance(metadata, dict) else None
                # OpenRouter keeps what its own upstream said one level down.
                return f"{found}: {raw}" if isinstance(raw, str) and raw and raw not in found else found
    return ""


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "; ".join(filter(None, map(_words, value)))
    if isinstance(value, dict):
        # FastAPI: {"loc": ["body", "messages"], "msg": "Field required"}
        loc = value.get("loc")
        place = ".".join(str(step) for step in loc) + ": " if isinstance(loc, list) and loc else ""
        found = _words(value.get("msg") or value.get("message") or value.get("detail") or value.get("error"))
        return place + found if found else ""
    return ""


def _code(outer: dict[str, Any], inner: dict[str, Any]) -> tuple[str | None, int | None]:
    """The machine word, and the HTTP status that the body claims."""
    code: str | None = None
    status: int | None = None
    for holder in (inner, outer):
        for key in ("code", "error_code", "status", "status_code", "statusCode", "raw_status_code"):
            found = holder.get(key)
            if isinstance(found, bool) or found is None or found == "":
                continue
            number = int(found) if isinstance(found, int) or (isinstance(found, str) and found.isdecimal()) else None
            if number is not None and 400 <= number < 600:
                status = status or number
            elif code is None and isinstance(found, str | int):
                code = str(found)
    return code, status


def _kind(code: str | None, word: str | None, message: str, status: int | None) -> Kind:
    kinds = [_WORD_KINDS[w.lower()] for w in (code, word) if w is not None and w.lower() in _WORD_KINDS]
    for kind in kinds:
        if kind not in _VAGUE:
            return kind
    if _NO_MONEY.search(message):
        return "quota"
    if status in (400, 413, 422, None) and _TOO_LONG.search(message):
        return "context_length"
    if status == 404 and _NO_MODEL.search(message):
        return "model_not_found"
    if status is not None:
        return _STATUS_KINDS.get(status, "invalid_request" if status < 500 else "upstream")
    return kinds[0] if kinds else "upstream"


def _plain(text: str, status: int) -> ErrorFacts:
    title = _TITLE.search(text)
    message = title.group(1).strip() if title else text.strip().strip('"')
    if "<html" in text[:2000].lower() and not title:
        message = ""
    return ErrorFacts(
        message=message[:_MAX_MESSAGE] or _without_words(status), kind=_kind(None, None, message, status), status=status
    )


def _without_words(status: int | None) -> str:
    return (
        "The provider reported an error without a message."
        if status is None
        else (f"The provider answered with status {status} and no message.")
    )


def _retry_after(status: int, headers: dict[str, str], text: str) -> float | None:
    # The words of a request that is wrong may be the caller's own.
    return retry_after(headers, text if status in (408, 409, 425, 429) or status >= 500 else "")
