"""Providers whose faults are picked by the model's name, and the gateway in front of them."""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gateway.testing import Exchange, ScriptedProvider
from tests.faults.verdicts import Seen
from tests.faults.wires import Wire


class Scene:
    """One request to a provider that is to break, in the provider's own wire format."""

    def __init__(self, exchange: Exchange, wire: Wire, *, stream: bool) -> None:
        self.exchange = exchange
        self.wire = wire
        self.stream = stream

    async def head(self, **headers: str) -> None:
        """The head of a good answer; a whole one needs its content-length."""
        streamed = {"content-type": self.wire.stream_type, "transfer-encoding": "chunked"}
        fields = streamed if self.stream else {"content-type": "application/json"}
        await self.exchange.send_head(200, {**fields, **{name.replace("_", "-"): v for name, v in headers.items()}})

    async def events(self, pieces: list[bytes], gap: float = 0.0) -> None:
        """Chunks of a stream."""
        for piece in filter(None, pieces):  # Gemini has no end mark, and an empty chunk would end the body
            await self.exchange.send_chunk(piece)
            if gap:
                await self.exchange.sleep(gap)

    async def finish(self) -> None:
        """The polite end of a chunked body."""
        await self.exchange.send(b"0\r\n\r\n")

    async def begin(self) -> None:
        """The first half of a good answer, streamed or whole."""
        if self.stream:
            await self.head()
            await self.events(self.wire.half())
        else:
            body = self.wire.whole()
            await self.head(content_length=str(len(body)))
            await self.exchange.send(body[: len(body) // 2])
        await self.exchange.sleep(0.02)

    async def good(self, pieces: list[bytes] | None = None, body: bytes | None = None, **headers: str) -> None:
        """A good answer, or one with other pieces or another body."""
        if self.stream:
            told = self.wire.stream() if pieces is None else pieces
            sure = len(self.wire.half()) if pieces is not None else 0
            await self.head(**headers)
            # What comes first shall be with the caller before the provider breaks.
            await self.events(told[:sure])
            if told[:sure]:
                await self.exchange.sleep(0.03)
            await self.events(told[sure:])
            await self.finish()
        else:
            await self.reply(200, self.wire.whole() if body is None else body, **headers)

    async def reply(self, status: int, body: bytes, **headers: str) -> None:
        """A whole answer with a length."""
        given = {"content-type": "application/json", "content-length": str(len(body))}
        await self.exchange.send_head(status, {**given, **{name.replace("_", "-"): v for name, v in headers.items()}})
        await self.exchange.send(body)


Break = Callable[[Scene], Awaitable[None]]


class Wall:
    """A provider that does for each model what ``behaviours`` says, and answers well where it says nothing."""

    def __init__(self, provider: ScriptedProvider, wire: Wire) -> None:
        self.provider = provider
        self.wire = wire
        self.behaviours: dict[str, Break] = {}
        self.asked: dict[str, list[dict[str, Any]]] = {}
        self.times: dict[str, list[float]] = {}
        provider.default_script(self._answer)

    async def _answer(self, exchange: Exchange) -> None:
        model, stream = self.wire.asked(exchange.request)
        self.asked.setdefault(model, []).append(json.loads(exchange.request.body))
        self.times.setdefault(model, []).append(exchange.request.arrived_at)
        scene = Scene(exchange, self.wire, stream=stream)
        await self.behaviours.get(model, Scene.good)(scene)

    def count(self, model: str) -> int:
        """How many requests for a model came."""
        return len(self.asked.get(model, ()))


def ask(
    url: str,
    wire: Wire,
    model: str,
    *,
    stream: bool,
    call_id: str,
    timeout: float,
    headers: dict[str, str] | None = None,
) -> Seen:
    """Ask the gateway once, as a caller who reads to the end."""
    place = urlsplit(url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=timeout)
    began = time.monotonic()
    status, got, body = 0, {}, b""
    try:
        data = json.dumps(wire.request(model, stream=stream))
        sent = {"content-type": "application/json", "x-request-id": call_id, "authorization": "Bearer k"}
        connection.request("POST", wire.address(model, stream=stream), data, {**sent, **(headers or {})})
        answer = connection.getresponse()
        status = answer.status
        got = {name.lower(): value for name, value in answer.getheaders()}
        body = answer.read()
    except http.client.IncompleteRead as error:
        return Seen(status, got, error.partial, time.monotonic() - began, "the body was cut")
    except (OSError, http.client.HTTPException) as error:
        return Seen(status, got, body, time.monotonic() - began, repr(error))
    finally:
        connection.close()
    return Seen(status, got, body, time.monotonic() - began)


class Row(NamedTuple):
    """What the audit log has of a call, and of each attempt."""

    call: dict[str, Any]
    attempts: list[dict[str, Any]]


def row_of(path: Path, call_id: str, wait: float = 3.0) -> Row | None:
    """A call's row in the audit log; None where there is none after some seconds."""
    end = time.monotonic() + wait
    while True:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            db.row_factory = sqlite3.Row
            found = db.execute("SELECT * FROM calls WHERE id = ?", (call_id,)).fetchone()
            if found is not None:
                rows = db.execute("SELECT * FROM attempts WHERE call_id = ? ORDER BY n", (call_id,)).fetchall()
                row = Row(dict(found), [dict(item) for item in rows])
        db.close()
        if found is not None:
            return row
        if time.monotonic() > end:
            return None
        time.sleep(0.02)


async def until_left(scene: Scene) -> None:
    """Say nothing more until the gateway leaves; the test's end at the latest."""
    await asyncio.wait_for(scene.exchange.wait_closed(), 20)
