"""AWS credentials and signatures (SigV4), by botocore, which is needed only where requests are signed.

botocore blocks where it reads files and asks the metadata service, so that happens in a thread; signing itself is
arithmetic and happens in place.
"""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

from gateway.errors import GatewayError, UpstreamError

HAS_BOTOCORE = find_spec("botocore") is not None
MISSING = "signing requests for AWS needs the package botocore: pip install 'gateway[bedrock]', or set api_key"

REFRESH_AT_LEAST = 300.0
"""Seconds of validity below which a request waits for fresh credentials; above it they are fetched beside the calls."""


class NoCredentials(UpstreamError):
    """502: there are no AWS credentials, or they cannot be had."""

    code: str | None = "aws_credentials"
    retryable: bool = False


class Keys(NamedTuple):
    """What a request is signed with; ``token`` belongs to temporary keys."""

    access_key: str
    secret_key: str
    token: str | None = None


class AwsSigner:
    """Signs requests to one service in one region.

    ``keys`` are fixed ones; without them botocore's own chain is asked at the first request: environment, profiles
    (with roles, SSO and processes), web identity, containers, and the metadata service of EC2. Keys that expire are
    fetched anew ahead of time, once for all requests.
    """

    def __init__(self, *, service: str, region: str, keys: Keys | None = None, profile: str | None = None) -> None:
        self._service = service
        self._region = region
        self._profile = profile
        self._keys = keys
        self._fixed = keys is not None
        self._source: Any = None
        self._fetching: asyncio.Task[Keys] | None = None

    async def sign(
        self, method: str, url: str, host: str, headers: dict[str, str], body: bytes
    ) -> list[tuple[str, str]]:
        """The headers that sign a request to ``url``, whose path is encoded as it will be sent.

        ``host`` is the header's value; ``headers`` are further ones to sign. Raises NoCredentials.
        """
        keys = await self._current()
        if not _signing.cache_info().currsize:
            await asyncio.to_thread(_signing)
        auth, request_type = _signing()
        request = request_type(method=method, url=url, data=body, headers={"host": host, **headers})
        auth(keys, self._service, self._region).add_auth(request)
        names = ("authorization", "x-amz-date", "x-amz-security-token")
        return [(name.lower(), value) for name, value in request.headers.items() if name.lower() in names]

    async def close(self) -> None:
        """Let go of a fetch that is under way."""
        task, self._fetching = self._fetching, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _current(self) -> Keys:
        if self._fixed and self._keys is not None:
            return self._keys
        if self._keys is None or self._expires_within(REFRESH_AT_LEAST):
            # A caller that leaves must not stop what others wait for.
            return await asyncio.shield(self._fetch())
        if self._expires_within(None):
            self._fetch()
        return self._keys

    def _expires_within(self, seconds: float | None) -> bool:
        """Whether the keys end within these seconds, or within the time at which botocore would fetch new ones."""
        due = getattr(self._source, "refresh_needed", None)
        if due is None:
            return False
        return bool(due() if seconds is None else due(seconds))

    def _fetch(self) -> asyncio.Task[Keys]:
        """The one fetch that is under way, begun if there is none."""
        task = self._fetching
        if task is None or task.done():
            task = self._fetching = asyncio.create_task(self._fetched())
            task.add_done_callback(_looked_at)
        return task

    async def _fetched(self) -> Keys:
        self._keys = keys = await asyncio.to_thread(self._load)
        return keys

    def _load(self) -> Keys:
        """Ask botocore; runs in a thread."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        try:
            if self._source is None:
                self._source = Session(profile=self._profile).get_credentials()
            if self._source is None:
                raise NoCredentials(
                    "There are no AWS credentials: set access_key_id and secret_access_key, a profile, or api_key, or "
                    "give them where AWS's own tools look."
                )
            frozen = self._source.get_frozen_credentials()
        except GatewayError:
            raise
        except (BotoCoreError, OSError, ValueError, KeyError) as error:
            # The texts of others may hold what they read.
            raise NoCredentials(f"The AWS credentials cannot be had: {type(error).__name__}.") from error
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)


@cache
def _signing() -> tuple[Any, Any]:
    """botocore's signer and its kind of request; the first import takes a while, and is only for who signs."""
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    return SigV4Auth, AWSRequest


def _looked_at(task: asyncio.Task[Keys]) -> None:
    """A fetch beside the calls may fail: the keys in use are still good, and the next request tries again."""
    if not task.cancelled():
        task.exception()
