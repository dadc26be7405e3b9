"""Recorded exchanges with real providers, read in place; tests that need them skip where the folder is absent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "wire"
MISSING = "the recorded exchanges (../shared/wire) are not here"


class Exchange(NamedTuple):
    """One recorded exchange. ``tags`` say what it shows; ``request`` and ``response`` are as recorded."""

    file: str
    provider: str
    endpoint: str
    stream: bool
    status: int
    tags: tuple[str, ...]
    fidelity: str
    request: dict[str, Any]
    response: dict[str, Any]

    @property
    def request_json(self) -> Any:
        """The request's body as parsed JSON; None where there was none."""
        body = self.request.get("body")
        return json.loads(body) if isinstance(body, str) else body

    @property
    def request_body(self) -> bytes:
        """The request's body as JSON bytes."""
        return json.dumps(self.request_json, ensure_ascii=False).encode()

    @property
    def response_headers(self) -> dict[str, str]:
        """The response's headers with lower-case names."""
        return {name.lower(): str(value) for name, value in (self.response.get("headers") or {}).items()}

    @property
    def response_body(self) -> bytes:
        """The response's body as bytes."""
        body = self.response.get("body")
        if self.response.get("encoding") == "base64":
            return base64.b64decode(body or "")
        return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()


@cache
def _manifest() -> list[dict[str, Any]]:
    path = FOLDER / "manifest.json"
    entries: list[dict[str, Any]] = json.loads(path.read_bytes()) if path.is_file() else []
    return entries


@cache
def load(file: str) -> Exchange:
    """The exchange recorded in ``file``, such as ``openai/chat-001.json``."""
    record = json.loads((FOLDER / file).read_bytes())
    response = record["response"]
    return Exchange(
        file=file,
        provider=record["provider"],
        endpoint=record["endpoint"],
        stream=bool(record["stream"]),
        status=int(response["status"]),
        tags=tuple(record["tags"]),
        fidelity=record["fidelity"],
        request=record["request"],
        response=response,
    )


def files(
    *endpoints: str,
    provider: str | None = None,
    stream: bool | None = None,
    good: bool | None = None,
) -> Iterator[str]:
    """The files of these endpoints (``chat``, ``messages``), by the manifest alone.

    ``stream`` keeps only streams or only whole answers, ``good`` only statuses below 400 or only errors.
    """
    for entry in _manifest():
        owner, _, rest = entry["file"].partition("/")
        endpoint = rest.rpartition("-")[0]
        if (
            endpoint in endpoints
            and (provider is None or owner == provider)
            and (stream is None or bool(entry["stream"]) == stream)
            and (good is None or (int(entry["status"]) < 400) == good)
        ):
            yield entry["file"]


def each(
    *endpoints: str,
    provider: str | None = None,
    stream: bool | None = None,
    good: bool | None = None,
) -> pytest.MarkDecorator:
    """Run a test once for each such exchange, as its parameter ``file``; skip it once where the folder is absent."""
    return each_of(list(files(*endpoints, provider=provider, stream=stream, good=good)))


def each_of(found: list[str]) -> pytest.MarkDecorator:
    """The same for files that were chosen already."""
    if not found:
        return pytest.mark.parametrize("file", [pytest.param("", marks=pytest.mark.skip(reason=MISSING))])
    return pytest.mark.parametrize("file", found)
