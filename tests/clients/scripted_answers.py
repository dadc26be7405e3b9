"""What a scripted provider says, apart from the format that it says it in: the same scenes for all of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gateway.testing import Exchange
from tests.clients.scripted_scenes import CALLS, THOUGHT, wants_description, wants_two_calls

TEXT = "It is sunny in Paris, and 21 degrees."
CITY = {"name": "Paris", "country": "France", "population": 2102650}
FAIL = "Fail: "


class Asked(msgspec.Struct, kw_only=True):
    """What matters of a request: ``got`` is what the server describes when the scene asks for a description."""

    scene: str
    told: bool
    tools: list[str]
    structured: bool
    thinks: bool
    stream: bool
    got: dict[str, Any]


class Said(msgspec.Struct, kw_only=True):
    """An answer: a thought before the calls, or a text. Calls are id, name, arguments."""

    thought: str = ""
    calls: list[tuple[str, str, dict[str, Any]]] = []
    text: str = ""


def say(asked: Asked) -> Said:
    """The answer to a request."""
    if wants_description(asked.scene, told=asked.told):
        return Said(text=json.dumps(asked.got))
    if wants_two_calls(asked.scene) and asked.tools:
        calls = [(call_id, "get_weather", dict(given)) for call_id, given in CALLS]
        return Said(calls=calls, thought=THOUGHT if asked.thinks else "")
    if asked.tools and not asked.told:
        return Said(calls=[("call_invented", asked.tools[0], {"city": "Paris"})])
    return Said(text=json.dumps(CITY) if asked.structured else TEXT)


def failure(scene: str) -> str | None:
    """The failure that the user's words ask the server for: rate_limit, context_length, authentication, overloaded."""
    return scene.removeprefix(FAIL) if scene.startswith(FAIL) else None


def pieces(text: str, size: int = 6) -> list[str]:
    """A text in pieces of ``size`` characters."""
    return [text[place : place + size] for place in range(0, len(text), size)]


async def send_json(exchange: Exchange, status: int, document: object, **headers: str) -> None:
    """Send a whole answer; ``x_y`` is the header x-y."""
    body = json.dumps(document).encode()
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    head = {"content-type": "application/json", "content-length": str(len(body)), **more}
    await exchange.send_head(status, head)
    await exchange.send(body)


async def send_chunks(exchange: Exchange, kind: str, chunks: list[bytes]) -> None:
    """Send a stream of this content type."""
    await exchange.send_head(200, {"content-type": kind, "transfer-encoding": "chunked"})
    for chunk in chunks:
        await exchange.send_chunk(chunk)
        await exchange.sleep(0)
    await exchange.send(b"0\r\n\r\n")
