"""What goes wrong below, as UpstreamErrors: the one seam where aiohttp's exceptions and the system's are translated."""

from __future__ import annotations

import errno
import os
import re
from typing import Final

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorSSLError,
    ClientError,
    ClientPayloadError,
)
from aiohttp.client_exceptions import ServerDisconnectedError
from aiohttp.http_exceptions import ContentLengthError, HttpProcessingError, TransferEncodingError

from gateway.errors import (
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

FOREIGN: Final = (ClientError, HttpProcessingError, OSError, UpstreamError)
"""What an exchange may fail with; anything else is a defect of ours and keeps its name."""
_CLOSED_BY_PEER: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(?=/|$)")


class ClosedHere(ConnectionError):
    """This side closed the connection before the answer was complete."""


def unreachable(where: str, error: Exception) -> UpstreamError:
    """Why there is no connection."""
    if isinstance(error, ClientConnectorCertificateError):
        problem = error.certificate_error
        reason = getattr(problem, "verify_message", None) or str(problem)
        return UpstreamUnreachable(f"The TLS certificate of {where} is not trusted: {reason}.")
    if isinstance(error, ClientConnectorDNSError):
        return UpstreamUnreachable(f"The host name of {where} cannot be resolved: {error.os_error.strerror}.")
    if isinstance(error, ClientConnectorSSLError):
        reason = getattr(error.os_error, "reason", None) or "handshake failed"
        return UpstreamUnreachable(f"No TLS connection to {where}: {reason}.")
    return UpstreamUnreachable(f"No connection to {where}: {_reason(error)}.")


def broken(where: str, error: Exception) -> UpstreamError:
    """Why an exchange on an open connection failed."""
    if isinstance(error, UpstreamError):
        return error
    if isinstance(error, ClosedHere):
        return UpstreamDisconnected(
            f"The connection to {where} was closed by this side before the answer was complete."
        )
    cause = error.__cause__
    if isinstance(error, ClientPayloadError) and isinstance(cause, TransferEncodingError | ContentLengthError):
        return UpstreamDisconnected(f"{where} closed the connection before its answer was complete.")
    if isinstance(error, HttpProcessingError | ClientPayloadError):
        # After the first colon the parser quotes the bytes at fault, which are nobody's business.
        text = error.message if isinstance(error, HttpProcessingError) else str(error)
        detail = text.partition("\n")[0].partition(":")[0].strip()[:120] or "unreadable"
        return UpstreamProtocolError(f"{where} did not answer in proper HTTP: {detail}.")
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ServerDisconnectedError):
        return UpstreamDisconnected(
            f"The connection to {where} broke before its answer was complete: {error.strerror}."
        )
    return UpstreamDisconnected(f"{where} closed the connection before its answer was complete.")


def _reason(error: Exception) -> str:
    """The system's words for it; those of asyncio and aiohttp hold addresses and more."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error) or type(error).__name__


def closed_by_peer(error: BaseException) -> bool:
    """Whether the peer ended the connection, as opposed to the network or our own limits."""
    if isinstance(error, ServerDisconnectedError):
        return True
    return isinstance(error, OSError) and error.errno in _CLOSED_BY_PEER


def timed_out(where: str, limit: str, seconds: float | None) -> UpstreamTimeout:
    """The error for one of the limits ``connect``, ``first_token``, ``idle``, ``total``."""
    messages = {
        "connect": f"No connection to {where}",
        "first_token": f"No first byte from {where}",
        "idle": f"No progress on the connection to {where}",
        "total": f"No complete answer from {where}",
    }
    return UpstreamTimeout(f"{messages[limit]} within {seconds or 0:g} s ({limit}).", code=f"{limit}_timeout")


def redirected(where: str, status: int, location: str) -> UpstreamProtocolError:
    """A redirect is an error: it would carry the key and the prompt to a place nobody configured."""
    origin = _ORIGIN.match(location)
    target = f" to {origin[0]}" if origin else ""
    return UpstreamProtocolError(
        f"{where} answered {status}, a redirect{target}, and redirects are not followed: "
        "set the provider's base_url to the final address."
    )
