"""Signatures and credentials: botocore's own signer as the judge, and keys that expire."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("botocore")

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials

from gateway_contrib.providers.aws_signer import AwsSigner, Keys, NoCredentials

KEYS = Keys("AKIDEXAMPLE", "secret", "token")
URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/a.b-v1%3A0/converse"
HOST = "bedrock-runtime.us-east-1.amazonaws.com"


def signer(**settings: Any) -> AwsSigner:
    return AwsSigner(service="bedrock", region="us-east-1", **settings)


async def sign(by: AwsSigner, body: bytes = b"{}") -> dict[str, str]:
    return dict(await by.sign("POST", URL, HOST, {"content-type": "application/json"}, body))


def test_a_request_is_signed_as_botocore_signs_it() -> None:
    ours = asyncio.run(sign(signer(keys=KEYS)))
    headers = {"host": HOST, "content-type": "application/json"}
    theirs = AWSRequest(method="POST", url=URL, data=b"{}", headers=headers)
    auth = SigV4Auth(Credentials(*KEYS), "bedrock", "us-east-1")
    # The same moment, whatever the clock says by now.
    theirs.context["timestamp"] = ours["x-amz-date"]
    theirs.headers["X-Amz-Date"] = ours["x-amz-date"]
    theirs.headers["X-Amz-Security-Token"] = "token"
    canonical = auth.canonical_request(theirs)
    signature = auth.signature(auth.string_to_sign(theirs, canonical), theirs)
    assert ours["authorization"].endswith(f"Signature={signature}")
    assert "/model/a.b-v1%253A0/converse" in canonical
    assert ours["x-amz-security-token"] == "token"


class Source:
    """Keys of a source that hands out new ones, each valid for ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.fetched = 0
        self.threads: set[int] = set()
        self.made = RefreshableCredentials.create_from_metadata(self.fetch(), self.fetch, "test")

    def fetch(self) -> dict[str, str]:
        self.fetched += 1
        self.threads.add(threading.get_ident())
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.seconds)
        name = f"key-{self.fetched}"
        return {"access_key": name, "secret_key": "s", "token": "t", "expiry_time": until.isoformat()}


def key_of(headers: dict[str, str]) -> str:
    return headers["authorization"].partition("Credential=")[2].partition("/")[0]


def with_source(source: Source) -> AwsSigner:
    made = signer()
    made._source = source.made
    return made


def test_keys_that_last_are_fetched_once() -> None:
    source = Source(3600)

    async def many() -> set[str]:
        by = with_source(source)
        return {key_of(found) for found in await asyncio.gather(*(sign(by) for _ in range(20)))}

    assert asyncio.run(many()) == {"key-1"}
    assert source.fetched == 1


def test_keys_about_to_end_are_fetched_beside_the_calls() -> None:
    source = Source(3600)

    async def run() -> list[str]:
        by = with_source(source)
        first = key_of(await sign(by))
        # Within botocore's quarter of an hour, and above what a request needs.
        source.made._expiry_time = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=400)
        meanwhile = key_of(await sign(by))
        for _ in range(200):
            if source.fetched == 2:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        later = key_of(await sign(by))
        await by.close()
        return [first, meanwhile, later]

    assert asyncio.run(run()) == ["key-1", "key-1", "key-2"]


def test_keys_that_have_ended_are_waited_for_once_and_not_on_the_loop() -> None:
    source = Source(3600)

    async def run() -> set[str]:
        by = with_source(source)
        await sign(by)
        source.made._expiry_time = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=10)
        return {key_of(found) for found in await asyncio.gather(*(sign(by) for _ in range(10)))}

    assert asyncio.run(run()) == {"key-2"}
    assert source.fetched == 2
    assert source.threads - {threading.get_ident()}


def test_the_environment_is_asked_at_the_first_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    by = signer()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-env")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert key_of(asyncio.run(sign(by))) == "from-env"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(NoCredentials, match="no AWS credentials"):
        asyncio.run(sign(signer()))


def test_a_caller_that_leaves_does_not_stop_the_fetch_and_close_does() -> None:
    source = Source(3600)

    async def run() -> int:
        by = with_source(source)
        waiting = asyncio.create_task(sign(by))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        found = key_of(await sign(by))
        await by.close()
        await by.close()
        assert found == "key-1"
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1
