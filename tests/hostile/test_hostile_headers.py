"""What passes of headers, in both directions, and that no key ever shows."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hostile.mutations import strict
from tests.hostile.seeds import dialects, wires
from tests.hostile.stage import CALLER_KEY, HEADERS, PROVIDER_KEY, Stage, error_shape, framed, model_of
from tests.hostile.test_hostile_replies import plain

OTHER_KEY = "gk-another-canary-9876543210"
DIALECTS = {name: dialects()[name] for name in ("chat", "responses", "completions", "messages", "gemini", "rerank")}
NEVER_SENT = {
    "cookie": "session=canary-cookie",
    "proxy-authorization": "Basic Y2FuYXJ5",
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-host": "canary.example",
    "forwarded": "for=203.0.113.9",
    "te": "trailers",
    "keep-alive": "timeout=9",
    "x-stainless-lang": "canary",
    "x-nominated": "canary",
    "x_underscored": "canary",
    "api-key": CALLER_KEY,
    "origin": "https://canary.example",
    "base-url": "http://canary.example",
    "x-gateway-tags": "canary",
}


def raw(stage: Stage, path: str, lines: list[bytes], body: bytes) -> tuple[int, bytes]:
    """Send a head as it stands; the status and everything behind the answer's status line."""
    place = urlsplit(stage.gateway.url)
    assert place.hostname is not None
    with socket.create_connection((place.hostname, place.port or 80), timeout=5) as connection:
        head = [b"POST " + path.encode() + b" HTTP/1.1", b"host: gateway", b"content-type: application/json", *lines]
        length = b"content-length: %d" % len(body)
        connection.sendall(b"\r\n".join([*head, length, b"connection: close", b"", b""]) + body)
        got = b""
        while piece := connection.recv(65536):
            got += piece
    return int(got.split(b" ", 2)[1]), got


@pytest.mark.parametrize("wire", wires())
@pytest.mark.parametrize("caller", ["chat", "messages", "gemini"])
def test_nothing_of_the_callers_own_is_sent_on(stage: Stage, caller: str, wire: str) -> None:
    provider, model = stage.providers[wire], model_of(wire)
    provider.good()
    headers = {**HEADERS, **NEVER_SENT, "connection": "x-nominated", "idempotency-key": "kept"}
    answer = stage.ask(dialects()[caller], model, plain(caller, model, stream=False), headers=headers)
    assert answer.status == 200
    (request,) = provider.server.requests
    assert CALLER_KEY.encode() not in request.head
    assert b"canary" not in request.head.replace(PROVIDER_KEY.encode(), b"")
    assert b"203.0.113.9" not in request.head
    assert request.headers["idempotency-key"] == "kept"
    assert request.head.count(PROVIDER_KEY.encode()) == 1
    stage.check_upstream()


CONTROL = {
    "a null": b"x-evil: a\x00b",
    "a bare carriage return": b"x-evil: a\rx-more: b",
    "a bare line feed": b"x-evil: a\nx-more: b",
    "a folded line": b"x-evil: a\r\n b",
    "a blank before the colon": b"x-evil : a",
    "an escape": b"x-evil: \x1b[2J",
    "a null in a header that is sent on": b"idempotency-key: a\x00b",
    "a carriage return in a header that is sent on": b"idempotency-key: a\rb",
    "a second length": b"content-length: 3",
}


@pytest.mark.parametrize("why", CONTROL)
def test_headers_that_may_be_read_in_two_ways_are_refused(stage: Stage, why: str) -> None:
    body = plain("chat", model_of("chat"), stream=False)
    key = b"authorization: Bearer " + CALLER_KEY.encode()
    status, _ = raw(stage, "/v1/chat/completions", [key, CONTROL[why]], body)
    sent = [request.head for provider in stage.providers.values() for request in provider.server.requests]
    stage.check_upstream()
    # A blank line break alone ends a header's line for some: then it must be a header of its own, and go nowhere.
    assert status == 400 or (status == 200 and not any(b"x-more" in head or b"\x1b" in head for head in sent))
    if "sent on" in why or "length" in why:
        assert (status, sent) == (400, [])


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", f"Bearer {CALLER_KEY}"), ("authorization", f"Bearer {OTHER_KEY}")],
        [("authorization", f"Bearer {CALLER_KEY}"), ("x-api-key", OTHER_KEY)],
        [("api-key", OTHER_KEY), ("x-goog-api-key", CALLER_KEY)],
        [("x-api-key", CALLER_KEY), ("x-api-key", OTHER_KEY)],
        [("authorization", f"Basic {CALLER_KEY}")],
        [("authorization", f"Bearer {OTHER_KEY}")],
        [("x-api-key", "\xff\xfe")],
        [],
    ],
)
def test_one_good_key_and_no_more(stage: Stage, name: str, headers: list[tuple[str, str]]) -> None:
    speech, model = DIALECTS[name], model_of("chat")
    body = json.dumps({**speech.bodies[0], "model": model}).encode()
    lines = [f"{key}: {value}".encode("latin-1") for key, value in headers]
    status, got = raw(stage, speech.path.replace("{m}", model), lines, body)
    assert status == 401
    assert error_shape(speech.errors, strict(got.partition(b"\r\n\r\n")[2]), status) == ""
    assert OTHER_KEY.encode() not in got
    assert stage.check_upstream() == []
    assert not any(provider.server.requests for provider in stage.providers.values())


EVIL = {
    "set-cookie": "upstream=canary; Path=/",
    "server": "canary/1.0",
    "connection": "x-nominated, keep-alive",
    "x-nominated": "canary",
    "access-control-allow-origin": "canary",
    "strict-transport-security": "max-age=1; canary",
    "x-request-id": "canary-of-upstream",
    "x-gateway-provider": "canary",
    "alt-svc": 'h3=":443"; canary',
    "location": "http://canary.example/",
    "content-encoding": "identity",
    "www-authenticate": "canary",
    "proxy-authenticate": "canary",
}


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("wire", wires())
@pytest.mark.parametrize("caller", ["chat", "messages", "gemini"])
def test_nothing_of_a_providers_head_reaches_the_caller(stage: Stage, caller: str, wire: str, status: int) -> None:
    provider = stage.providers[wire]
    for stream in (False, True):
        model = model_of(wire, status * 2 + stream)
        provider.good()
        provider.headers, provider.status = EVIL, status
        if stream and status == 200:
            provider.pieces = framed(wire, provider.wire.streams[0])
        else:
            good = json.dumps(provider.wire.replies[0]).encode()
            provider.answer = good if status == 200 else b'{"error":{"message":"m","type":"t"},"message":"m"}'
        answer = stage.ask(dialects()[caller], model, plain(caller, model, stream=stream), stream=stream)
        assert "canary" not in str(answer.headers)
        assert "set-cookie" not in answer.headers
        # None of the other calls takes up the cookie either.
        assert all("cookie" not in request.headers for request in provider.server.requests)
        stage.check_upstream()


@pytest.mark.parametrize(
    "line", [b"x-a: b\rc", b"x-a: \x00", b"x-a : b", b"no colon", b"content-length: 1", b"\xff: x"]
)
def test_a_providers_broken_head_is_its_own_fault(stage: Stage, line: bytes) -> None:
    provider, model = stage.providers["chat"], model_of("chat")
    provider.good()

    async def broken(exchange: object) -> None:
        body = json.dumps(provider.wire.replies[0]).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % len(body)
        await exchange.send(head + line + b"\r\n\r\n" + body)  # type: ignore[attr-defined]
        exchange.close()  # type: ignore[attr-defined]

    provider.server.script(broken)
    answer = stage.ask(dialects()["chat"], model, plain("chat", model, stream=False))
    assert answer.status in (200, 502)
    assert not any(ord(letter) < 32 for value in answer.headers.values() for letter in value)
    stage.check_upstream()


def test_no_key_shows_anywhere(stage: Stage) -> None:
    """Providers that repeat what they were sent, in every way there is, and what the gateway writes down of it."""
    shown: list[str] = []
    for number, (wire, provider) in enumerate(stage.providers.items()):
        for status in (200, 400, 401, 403, 429, 500):
            for caller in ("chat", "responses", "messages", "gemini"):
                provider.good()
                provider.status = status
                provider.headers = {"x-echo": PROVIDER_KEY, "retry-after": "0"}
                said = f"Incorrect API key provided: {PROVIDER_KEY}. Authorization: Bearer {PROVIDER_KEY}"
                error = {"message": said, "type": "auth", "code": PROVIDER_KEY, "status": said}
                provider.answer = json.dumps({"error": error, "message": said, "detail": said}).encode()
                model = model_of(wire, 10_000 + number * 1000 + status)
                answer = stage.ask(dialects()[caller], model, plain(caller, model, stream=False))
                shown += [f"{wire} {status} {caller}"] * (
                    PROVIDER_KEY.encode() in answer.body or PROVIDER_KEY in str(answer.headers)
                )
                shown += [f"caller's: {caller}"] * (CALLER_KEY.encode() in answer.body)
        provider.good()
    assert shown == []
    for wire in wires():  # the caller's key where callers put it by mistake
        path = f"/v1beta/models/{model_of(wire)}:generateContent?key={CALLER_KEY}"
        assert stage.gateway.post(path, body=plain("gemini", "", stream=False)).status == 200
        assert stage.gateway.post(f"{path}&key={OTHER_KEY}", body=b"{}").status == 401
    wrong = stage.gateway.post("/v1/chat/completions", body=b"{}", headers={"authorization": f"Bearer {OTHER_KEY}"})
    assert wrong.status == 401
    written = "\n".join(stage.notes.lines) + _books(stage.folder)
    keys = {CALLER_KEY, PROVIDER_KEY, OTHER_KEY}
    assert {key for key in keys if key in written} == set()
    assert len(re.findall("generateContent", written)) > 5  # they were looked at


def _books(folder: Path) -> str:
    """The access log and all of the audit log, once they are written."""
    time.sleep(0.3)
    text = (folder / "access.log").read_text()
    with sqlite3.connect(folder / "audit.sqlite") as books:
        for (table,) in books.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            text += str(books.execute(f"SELECT * FROM {table}").fetchall())
    return text
