"""Finds the caller's key in a request's head, and takes ours out of what a provider says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import unquote_to_bytes

from gateway.errors import AuthenticationFailed, GatewayError, UpstreamRejected

HIDDEN = "[key]"
"""What stands for a key of ours that a provider repeats."""

_SHORTEST_HIDDEN = 6
KEY_HEADERS = frozenset((b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"))


def credential_of(
    raw: Iterable[tuple[bytes, bytes]], query: bytes = b"", parameters: Sequence[bytes] = ()
) -> str | None:
    """The one key that was sent, or None; raises AuthenticationFailed when several different ones came.

    ``raw`` is the head as received, so that a header sent twice shows; ``parameters`` are those of the query string
    that carry a key too.
    """
    found: set[bytes] = set()
    if parameters and query:
        pairs = (pair.partition(b"=") for pair in query.split(b"&"))
        found = {unquote_to_bytes(value).strip() for name, _, value in pairs if name in parameters}
    for name, value in raw:
        if name not in KEY_HEADERS:
            continue
        if name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            if scheme.lower() != b"bearer":
                raise AuthenticationFailed("The Authorization header must be of the form: Bearer KEY.")
            found.add(token.strip())
        else:
            found.add(value.strip())
    found.discard(b"")
    if len(found) > 1:
        raise AuthenticationFailed("Several different keys were sent at once. Send one, in one header.")
    return found.pop().decode("latin-1") if found else None


def without_keys(query: bytes, parameters: Sequence[bytes]) -> bytes:
    """A query string without the parameters that carry a key."""
    if not parameters or not query:
        return query
    return b"&".join(pair for pair in query.split(b"&") if pair.partition(b"=")[0] not in parameters)


def sent_keys(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The keys among the headers of a request to a provider; those of few characters are no secrets."""
    values = [value.strip() for name, value in headers if name.lower().encode() in KEY_HEADERS]
    keys = (value.partition(" ")[2].strip() or value for value in values)
    return tuple(key for key in keys if len(key) >= _SHORTEST_HIDDEN)


def hide_keys(error: GatewayError, keys: Iterable[str]) -> None:
    """Take keys that a provider repeats out of its error, which is shown to the caller, logged and kept."""
    for key in keys:
        if key in error.message:
            error.message = error.message.replace(key, HIDDEN)
            error.args = (error.message,)
        error.code = None if error.code is None else error.code.replace(key, HIDDEN)
        error.param = None if error.param is None else error.param.replace(key, HIDDEN)
        if isinstance(error, UpstreamRejected):
            error.body = error.body.replace(key.encode("latin-1", "replace"), HIDDEN.encode())
