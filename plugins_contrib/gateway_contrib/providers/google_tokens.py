"""Google's access tokens: of a service account, of a user, of an impersonated account, or of the metadata server.

A token is fetched when it is first needed, kept, and fetched again ahead of its end. Nothing is read or fetched at
start. https://google.aip.dev/auth says where credentials are looked for.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from gateway.config import Timeouts
from gateway.errors import ConfigError, GatewayError, Kind, UpstreamError, UpstreamProtocolError, UpstreamRejected
from gateway.json_text import BAD_JSON
from gateway.upstream import Upstream, UpstreamRequest

HAS_JWT = find_spec("jwt") is not None and find_spec("cryptography") is not None
MISSING = "a service account needs the packages PyJWT and cryptography: pip install 'gateway[vertex]'"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
METADATA = "metadata.google.internal"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address

AHEAD = 225.0
"""Seconds before its end at which a token is replaced: as Google's own library does."""
_LIMITS = Timeouts(connect=5.0, first_token=20.0, idle=20.0, total=30.0)
_FORM = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")]
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME = 3600


class NoCredentials(UpstreamError):
    """502: there are no credentials of Google's, or they cannot be read."""

    code: str | None = "google_credentials"
    retryable: bool = False


class _Answer(msgspec.Struct):
    access_token: str = ""
    expires_in: float = 0
    # The names of the service that lends other accounts' tokens.
    token: str = msgspec.field(default="", name="accessToken")
    expire_time: str = msgspec.field(default="", name="expireTime")


class GoogleTokens:
    """The token of the credentials in ``file``, else of the default chain; many callers at once cause one request.

    The default chain is ``GOOGLE_APPLICATION_CREDENTIALS``, the file that gcloud writes, the metadata server.
    """

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._end = 0.0
        self._ways: dict[str, Upstream] = {}

    async def get(self) -> str:
        """A token that is good now; raises an UpstreamError that says why there is none.

        A token that is still good is given where its early replacement fails.
        """
        if self._clock() < self._end - AHEAD:
            return self._token
        async with self._lock:
            if self._clock() < self._end - AHEAD:
                return self._token
            try:
                token, lifetime = await self._of(await asyncio.to_thread(find_credentials, self._file))
            except UpstreamError:
                if self._clock() >= self._end:
                    raise
                return self._token
            self._token = token
            # At least a moment, so that a token with a wrong date is not fetched for each call of a burst.
            self._end = self._clock() + max(lifetime, AHEAD + 1)
            return token

    def forget(self, token: str) -> None:
        """Fetch another next time: this one was refused."""
        if token == self._token:
            self._end = 0.0

    async def close(self) -> None:
        """Close the connections to the token services."""
        ways, self._ways = self._ways, {}
        for way in ways.values():
            await way.close()

    async def _of(self, credentials: dict[str, Any] | None) -> tuple[str, float]:
        """A token and its lifetime in seconds; None stands for the metadata server."""
        if credentials is None:
            host = os.environ.get("GCE_METADATA_HOST") or METADATA
            url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token"
            return await self._fetch(
                url, UpstreamRequest(method="GET", path="", headers=[("metadata-flavor", "Google")])
            )
        kind = credentials.get("type")
        if kind == "service_account":
            url = _text(credentials, "token_uri", TOKEN_URI)
            form = {"grant_type": _GRANT, "assertion": signed(credentials, url, int(self._clock()))}
        elif kind == "authorized_user":
            url = _text(credentials, "token_uri", TOKEN_URI)
            names = ("client_id", "client_secret", "refresh_token")
            form = {"grant_type": "refresh_token", **{name: _text(credentials, name) for name in names}}
        elif kind == "impersonated_service_account":
            return await self._lent(credentials)
        else:
            raise NoCredentials(
                f"Google credentials of type {kind!r} are not supported: use a service account's, or access_token."
            )
        return await self._fetch(url, UpstreamRequest(path="", headers=_FORM.copy(), body=urlencode(form).encode()))

    async def _lent(self, credentials: dict[str, Any]) -> tuple[str, float]:
        """The token of an account that the credentials may act as."""
        source = credentials.get("source_credentials")
        if not isinstance(source, dict):
            raise NoCredentials("The Google credentials name no source_credentials.")
        token, _ = await self._of(source)
        body = {"scope": [SCOPE], "lifetime": f"{_LIFETIME}s", "delegates": credentials.get("delegates") or []}
        headers = [("content-type", "application/json"), ("authorization", f"Bearer {token}")]
        request = UpstreamRequest(path="", headers=headers, body=msgspec.json.encode(body))
        return await self._fetch(_text(credentials, "service_account_impersonation_url"), request)

    async def _fetch(self, url: str, request: UpstreamRequest) -> tuple[str, float]:
        place = urlsplit(url)
        base = f"{place.scheme}://{place.netloc}"
        way = self._ways.get(base)
        try:
            way = self._ways[base] = way or Upstream(base)
        except ConfigError:
            raise NoCredentials(f"The Google credentials name an address that is none: {url!r}.") from None
        request.path = place.path + (f"?{place.query}" if place.query else "")
        try:
            reply = await way.send(request, _LIMITS)
        except UpstreamError as error:
            raise NoCredentials(f"No Google access token can be had from {base}: {error.message}") from error
        try:
            body = await reply.read()
        finally:
            reply.close()
        if reply.status >= 400:
            raise _refused(reply.status, body)
        try:
            answer = msgspec.json.decode(body, type=_Answer)
            token = answer.access_token or answer.token
            lifetime = answer.expires_in
            if answer.expire_time:
                lifetime = datetime.fromisoformat(answer.expire_time).timestamp() - self._clock()
        except (*BAD_JSON, ValueError):
            token = ""
        if not token:
            raise UpstreamProtocolError("The token service's answer holds no token.")
        return token, lifetime


def find_credentials(file: Path | None) -> dict[str, Any] | None:
    """The credentials of a file, or those of the default chain's files; None where only the metadata server is left.

    Blocks while it reads. Raises NoCredentials for a file that was named and cannot be used.
    """
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if file is None and named:
        file = Path(named)
    if file is not None:
        return _read(file)
    folder = os.environ.get("CLOUDSDK_CONFIG")
    usual = (Path(folder) if folder else Path.home() / ".config" / "gcloud") / "application_default_credentials.json"
    return _read(usual) if usual.is_file() else None


def _read(file: Path) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise NoCredentials(f"The Google credentials {file} cannot be read: {type(error).__name__}.") from None
    except BAD_JSON:
        raise NoCredentials(f"The Google credentials {file} are not JSON.") from None
    if not isinstance(value, dict):
        raise NoCredentials(f"The Google credentials {file} are no JSON object.")
    return value


def signed(credentials: dict[str, Any], audience: str, now: int) -> str:
    """The assertion of a service account: a JWT under its private key."""
    if not HAS_JWT:
        raise NoCredentials(MISSING)
    import jwt  # noqa: PLC0415  # only where a key is used

    claims = {
        "iss": _text(credentials, "client_email"),
        "scope": SCOPE,
        "aud": audience,
        "iat": now,
        "exp": now + _LIFETIME,
    }
    key_id = credentials.get("private_key_id")
    try:
        return jwt.encode(
            claims,
            _text(credentials, "private_key"),
            algorithm="RS256",
            headers={"kid": key_id} if isinstance(key_id, str) else None,
        )
    except GatewayError:
        raise
    except (ValueError, TypeError, jwt.PyJWTError):
        raise NoCredentials("The private key in the Google credentials cannot be used.") from None


def _text(credentials: dict[str, Any], name: str, default: str | None = None) -> str:
    value = credentials.get(name, default)
    if not isinstance(value, str) or not value:
        raise NoCredentials(f"The Google credentials lack {name!r}.")
    return value


def _refused(status: int, body: bytes) -> UpstreamRejected:
    """The error for a token that was not given: our own credentials are wrong, unless the service is only busy."""
    try:
        found: Any = msgspec.json.decode(body)
    except BAD_JSON:
        found = {}
    code = found.get("error") if isinstance(found, dict) else None
    if isinstance(code, dict):
        code = code.get("message")
    said = found.get("error_description") if isinstance(found, dict) else None
    words = ": ".join(word.splitlines()[0][:300] for word in (code, said) if isinstance(word, str) and word)
    busy = status >= 500 or status in (408, 429)
    kind: Kind = "overloaded" if busy else "authentication"
    return UpstreamRejected(
        f"Google refused an access token (status {status}){': ' if words else ''}{words}",
        status=503 if busy else 401,
        kind=kind,
        code="credentials_refused",
    )
