"""Finds the caller's key in a request's head."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.errors import AuthenticationFailed

KEY_HEADERS = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")


def credential_of(raw: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The one key that was sent, or None; raises AuthenticationFailed when several different ones came.

    ``raw`` is the head as received, so that a header sent twice shows.
    """
    found: set[bytes] = set()
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
