"""Every way to refuse or fail a call: one base, one leaf for each distinct answer to the client.

An error is raised once, where the trouble is known, and rendered once, in the caller's dialect, by that dialect's
format (``Format.write_error``). ``kind`` is the taxonomy shared by all formats; ``status`` is the HTTP status.
"""

from __future__ import annotations

import math
from typing import Literal

Kind = Literal[
    "invalid_request",
    "context_length",
    "unsupported",
    "authentication",
    "billing",
    "permission",
    "not_found",
    "model_not_found",
    "method_not_allowed",
    "conflict",
    "request_too_large",
    "unprocessable",
    "content_filter",
    "rate_limit",
    "quota",
    "overloaded",
    "timeout",
    "upstream",
    "server_error",
    "cancelled",
]

STATUS_OF_KIND: dict[str, int] = {
    "invalid_request": 400,
    "context_length": 400,
    "unsupported": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "model_not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "request_too_large": 413,
    "unprocessable": 422,
    "content_filter": 400,
    "rate_limit": 429,
    "quota": 429,
    "overloaded": 529,
    "timeout": 504,
    "upstream": 502,
    "server_error": 500,
    "cancelled": 499,
}
"""The HTTP status of a kind that came without one: an error event inside a stream, say."""


class ConfigError(Exception):
    """A configuration that cannot be used. ``problems`` holds one ready line for each mistake found."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class GatewayError(Exception):
    """The base of all answers that are errors.

    ``message`` is shown to the caller: it names the thing and the mend and holds no secret. ``code`` is a stable
    machine word, ``param`` the request field at fault. ``retry_after`` is in seconds. ``retryable`` says whether the
    same request may succeed on another try or target.
    """

    status: int = 500
    kind: Kind = "server_error"
    code: str | None = None
    retryable: bool = False
    retry_after: float | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = headers
        if code is not None:
            self.code = code
        if retry_after is not None:
            self.retry_after = retry_after

    def response_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that belong to this answer: retry hints, and the leaf's own."""
        out = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        limited = self.status in (429, 503, 529) or STATUS_OF_KIND[self.kind] == 429  # as callers may be told it
        if limited or self.retry_after is not None:
            seconds = 1.0 if self.retry_after is None else max(0.0, self.retry_after)
            out.append((b"retry-after", str(math.ceil(seconds)).encode()))
            out.append((b"retry-after-ms", str(math.ceil(seconds * 1000)).encode()))
        if not self.can_retry:
            out.append((b"x-should-retry", b"false"))
        return out

    @property
    def can_retry(self) -> bool:
        """Whether this very error may pass by itself; an upstream's error decides by its status."""
        return self.retryable


class InvalidRequest(GatewayError):
    """400: the request cannot be read or is not allowed as it stands."""

    status: int = 400
    kind: Kind = "invalid_request"


class CannotTranslate(GatewayError):
    """400: strict mode, and the target cannot express a field of the request."""

    status: int = 400
    kind: Kind = "unsupported"
    code: str | None = "unsupported_parameter"


class AuthenticationFailed(GatewayError):
    """401: no key, an unknown key, or several different ones."""

    status: int = 401
    kind: Kind = "authentication"
    code: str | None = "invalid_api_key"


class PermissionDenied(GatewayError):
    """403: a known key that may not do this."""

    status: int = 403
    kind: Kind = "permission"
    code: str | None = "permission_denied"


class RouteNotFound(GatewayError):
    """404: no such path."""

    status: int = 404
    kind: Kind = "not_found"
    code: str | None = "unknown_url"


class ModelNotFound(GatewayError):
    """404: no such model, or none that this key may see."""

    status: int = 404
    kind: Kind = "model_not_found"
    code: str | None = "model_not_found"


class MethodNotAllowed(GatewayError):
    """405: the path exists, the method does not."""

    status: int = 405
    kind: Kind = "method_not_allowed"
    code: str | None = "method_not_allowed"


class RequestTimeout(GatewayError):
    """408: the client did not send its request in time."""

    status: int = 408
    kind: Kind = "timeout"
    code: str | None = "request_timeout"
    retryable: bool = True


class RequestTooLarge(GatewayError):
    """413: the body exceeds ``[server] max_body_bytes``."""

    status: int = 413
    kind: Kind = "request_too_large"
    code: str | None = "request_too_large"


class RateLimited(GatewayError):
    """429: a limit of this gateway; ``retry_after`` says when one more would pass."""

    status: int = 429
    kind: Kind = "rate_limit"
    code: str | None = "rate_limit_exceeded"
    retryable: bool = True


class BudgetSpent(GatewayError):
    """429: a budget of this gateway is spent; a retry cannot help."""

    status: int = 429
    kind: Kind = "quota"
    code: str | None = "project_spend_limit_exceeded"


class Unavailable(GatewayError):
    """503: the gateway itself cannot take the call now (draining, overloaded)."""

    status: int = 503
    kind: Kind = "overloaded"
    code: str | None = "overloaded"
    retryable: bool = True


class PluginFailed(GatewayError):
    """500: a plugin raised something that is not a GatewayError; the message names it."""

    status: int = 500
    kind: Kind = "server_error"
    code: str | None = "plugin_failed"


class InternalError(GatewayError):
    """500: a defect of the gateway."""

    status: int = 500
    kind: Kind = "server_error"
    code: str | None = "internal_error"


class ClientLeft(GatewayError):
    """499, never sent: the client closed the connection."""

    status: int = 499
    kind: Kind = "cancelled"
    code: str | None = "client_closed_request"


class UpstreamError(GatewayError):
    """The base of what goes wrong between us and a provider; all of it may be tried elsewhere before the first byte."""

    status: int = 502
    kind: Kind = "upstream"
    code: str | None = "upstream_error"
    retryable: bool = True


class UpstreamUnreachable(UpstreamError):
    """502: no connection (refused, DNS, TLS)."""

    code: str | None = "upstream_unreachable"


class UpstreamDisconnected(UpstreamError):
    """502: the provider closed or broke the connection before the answer was complete."""

    code: str | None = "upstream_disconnected"


class UpstreamProtocolError(UpstreamError):
    """502: the provider's bytes are not the HTTP, SSE or JSON that they should be, or exceed a cap."""

    code: str | None = "upstream_protocol_error"


class UpstreamTimeout(UpstreamError):
    """504: a time limit towards the provider; ``code`` names which (connect, first byte, idle, total)."""

    status: int = 504
    kind: Kind = "timeout"
    code: str | None = "upstream_timeout"


class UpstreamRejected(UpstreamError):
    """The provider answered with an error, read by its format; ``body`` is its own body, at most 64 KiB."""

    another_key: bool = False  # it is the fault of one key among several, and another is fit

    def __init__(
        self,
        message: str,
        *,
        status: int,
        kind: Kind,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message, code=code, param=param, retry_after=retry_after)
        self.status = status
        self.kind = kind
        self.code = code
        self.body = body

    @property
    def can_retry(self) -> bool:
        return self.status >= 500 or (self.status in (408, 409, 429) and self.kind not in ("quota", "billing"))
