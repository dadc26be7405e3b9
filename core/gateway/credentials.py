"""Finds the caller's key in a request's head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import unquote_to_bytes

from gateway.errors import AuthenticationFailed

KEY_HEADERS = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")


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
        if name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            if scheme.lower() != b"bearer":
                raise AuthenticationFailed("The Authorization header must be of the form: Bearer KEY.")
            found.add(token.strip())
        elif name in KEY_HEADERS:
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
