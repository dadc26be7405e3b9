"""Tokens of Microsoft Entra ID: by a client secret, a managed identity, or a workload's federated token.

A token is fetched when it is first needed, kept, and fetched again ahead of its end. Nothing is fetched at start.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from gateway.config import Timeouts
from gateway.errors import Kind, UpstreamError, UpstreamProtocolError, UpstreamRejected
from gateway.json_text import BAD_JSON
from gateway.upstream import Upstream, UpstreamRequest

AUTHORITY = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"
METADATA = "http://169.254.169.254"
"""The instance metadata service, which answers on Azure's virtual machines only."""

AHEAD = 300.0
"""Seconds before its end at which a token is replaced: as Azure's own libraries do."""
_LIMITS = Timeouts(connect=5.0, first_token=20.0, idle=20.0, total=30.0)
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")]


class _Answer(msgspec.Struct):
    access_token: str
    # Numbers, or the same as text: Entra ID and the metadata service differ.
    expires_in: int | str | None = None
    expires_on: int | str | None = None


class TokenSource(ABC):
    """Where tokens come from. ``upstream`` leads to it."""

    def __init__(self, address: str) -> None:
        self.upstream = Upstream(address)

    @abstractmethod
    async def request(self) -> UpstreamRequest:
        """The request that is answered with a token."""


class ClientSecret(TokenSource):
    """An application's own secret."""

    def __init__(self, authority: str, tenant: str, client: str, secret: str, scope: str) -> None:
        super().__init__(authority)
        self._path = _token_path(tenant)
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": scope}
        self._body = urlencode(form).encode()

    async def request(self) -> UpstreamRequest:
        return UpstreamRequest(path=self._path, headers=_FORM.copy(), body=self._body)


class Workload(TokenSource):
    """A Kubernetes workload's federated token, read anew each time, for it is replaced in its file."""

    def __init__(self, authority: str, tenant: str, client: str, token_file: Path, scope: str) -> None:
        super().__init__(authority)
        self._path = _token_path(tenant)
        self._client = client
        self._file = token_file
        self._scope = scope

    async def request(self) -> UpstreamRequest:
        try:
            assertion = await asyncio.to_thread(self._file.read_text, encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise UpstreamError(
                f"The federated token {self._file} cannot be read: {type(error).__name__}.", code="credentials_missing"
            ) from None
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client,
            "client_assertion_type": _ASSERTION,
            "client_assertion": assertion.strip(),
            "scope": self._scope,
        }
        return UpstreamRequest(path=self._path, headers=_FORM.copy(), body=urlencode(form).encode())


class ManagedIdentity(TokenSource):
    """The identity of a virtual machine, or with ``secret`` that of an App Service, a Function or a container app."""

    def __init__(self, endpoint: str | None, secret: str | None, client: str | None, scope: str) -> None:
        query = {"resource": scope.removesuffix("/.default")}
        if client is not None:
            query["client_id"] = client
        if endpoint is not None and secret is not None:
            place = urlsplit(endpoint)
            super().__init__(f"{place.scheme}://{place.netloc}")
            self._path = f"{place.path}?{urlencode({'api-version': '2019-08-01', **query})}"
            self._headers = [("x-identity-header", secret)]
        else:
            super().__init__((endpoint or METADATA).rstrip("/"))
            self._path = f"/metadata/identity/oauth2/token?{urlencode({'api-version': '2018-02-01', **query})}"
            self._headers = [("metadata", "true")]

    async def request(self) -> UpstreamRequest:
        return UpstreamRequest(method="GET", path=self._path, headers=self._headers.copy())


class Tokens:
    """A source's token, kept until shortly before its end; many callers at once cause one request."""

    def __init__(self, source: TokenSource, clock: Callable[[], float] = time.time) -> None:
        self._source = source
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._end = 0.0

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
                await self._fetch()
            except UpstreamError:
                if self._clock() >= self._end:
                    raise
            return self._token

    def forget(self, token: str) -> None:
        """Fetch another next time: this one was refused."""
        if token == self._token:
            self._end = 0.0

    async def close(self) -> None:
        """Close the connections to the source."""
        await self._source.upstream.close()

    async def _fetch(self) -> None:
        reply = await self._source.upstream.send(await self._source.request(), _LIMITS)
        try:
            body = await reply.read()
        finally:
            reply.close()
        if reply.status >= 400:
            raise _refused(reply.status, body)
        try:
            answer = msgspec.json.decode(body, type=_Answer)
            lifetime = self._lifetime(answer)
        except (*BAD_JSON, ValueError):
            raise UpstreamProtocolError("The token service's answer holds no token.") from None
        self._token = answer.access_token
        # At least a moment, so that a token with a wrong date is not fetched for each call of a burst.
        self._end = self._clock() + max(lifetime, AHEAD + 1)

    def _lifetime(self, answer: _Answer) -> float:
        if answer.expires_in is not None:
            return float(answer.expires_in)
        return AHEAD if answer.expires_on is None else float(answer.expires_on) - self._clock()


def _token_path(tenant: str) -> str:
    return f"/{quote(tenant, safe='')}/oauth2/v2.0/token"


def _refused(status: int, body: bytes) -> UpstreamRejected:
    """The error for a token that was not given: our own credentials are wrong, unless the service is only busy."""
    try:
        found: Any = msgspec.json.decode(body)
    except BAD_JSON:
        found = {}
    code = found.get("error") if isinstance(found, dict) else None
    said = found.get("error_description") if isinstance(found, dict) else None
    words = ": ".join(word.splitlines()[0][:300] for word in (code, said) if isinstance(word, str) and word)
    busy = status >= 500 or status in (404, 408, 410, 429)
    kind: Kind = "overloaded" if busy else "authentication"
    return UpstreamRejected(
        f"The token service refused a token (status {status}){': ' if words else ''}{words}",
        status=503 if busy else 401,
        kind=kind,
        code="credentials_refused",
    )
