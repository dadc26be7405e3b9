"""What must hold of any bytes that a client sends: the checks that the fuzzers share."""

from __future__ import annotations

import asyncio
import http.client
import io
import random
import socket
import zlib
from typing import Any, cast

import h11

from tests.fuzz.http1_wire import Talk

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _Replay:
    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def makefile(self, mode: str) -> io.BytesIO:
        return self._file


class _Open(io.BytesIO):
    """Bytes that stay open when an answer has been read from them."""

    def close(self) -> None:
        pass


def answers_of(sent: bytes) -> list[str]:
    """The bodies of the answers, in order, ``refused`` for a refusal; raises where the bytes are no answers."""
    file = _Open(sent)
    answers: list[str] = []
    while file.tell() < len(sent):
        if sent.startswith(CONTINUE, file.tell()):
            file.seek(len(CONTINUE), 1)
            continue
        answer = http.client.HTTPResponse(cast(socket.socket, _Replay(file)), method="GET")
        if sent.startswith(b"HTTP/1.1 200", file.tell()) and (head := _head_only(sent, file.tell())) is not None:
            answers.append("HEAD")
            file.seek(head)
            continue
        answer.begin()
        body = answer.read().decode("latin-1")
        answers.append(body if answer.status == 200 else "refused")
    return answers


def _head_only(sent: bytes, start: int) -> int | None:
    """Where an answer to HEAD ends; None for one with a body: ours begins with the method that it answers."""
    end = sent.index(b"\r\n\r\n", start) + 4
    return end if not sent[end:].startswith((b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")) else None


def read_by_h11(data: bytes) -> tuple[list[tuple[str, int]], bool]:
    """Method and length of body of each whole request as h11 reads it, and whether it had no objection to the end."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    requests: list[tuple[str, int]] = []
    method, length = "", 0
    while True:
        try:
            event: Any = connection.next_event()
        except h11.RemoteProtocolError:
            return requests, False
        if isinstance(event, h11.Request):
            method, length = event.method.decode(), 0
            if method == "CONNECT":
                return requests, False
        elif isinstance(event, h11.Data):
            length += len(event.data)
        elif isinstance(event, h11.EndOfMessage):
            requests.append((method, length))
            connection.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                return requests, False
            connection.start_next_cycle()
        else:
            return requests, event is h11.NEED_DATA


def pieces_of(data: bytes, most: int = 5) -> list[bytes]:
    """The bytes cut at places that depend on them alone, so that a finding can be repeated."""
    chance = random.Random(zlib.crc32(data))
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, most)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def talk(loop: asyncio.AbstractEventLoop, pieces: list[bytes]) -> list[str]:
    """One connection from its first byte to its end; what it answered."""
    conversation = Talk(loop)
    try:
        return answers_of(conversation.hear(pieces))
    finally:
        conversation.close()


def check(loop: asyncio.AbstractEventLoop, data: bytes) -> list[str]:
    """Hold the front to its rules with ``data``; returns the answers. Raises AssertionError for what breaks them."""
    whole = talk(loop, [data])
    cut = talk(loop, pieces_of(data))
    assert whole == cut, f"whole: {whole}, cut: {cut}"
    assert "refused" not in whole[:-1], f"answers behind a refusal: {whole}"
    theirs, content = read_by_h11(data)
    understood = [answer.split(" ") for answer in whole if answer != "refused"]
    for ours, (method, length) in zip(understood, theirs, strict=False):
        read = "HEAD" if ours[0] == "HEAD" else f"{ours[0]} {ours[-1]}"
        assert read in ("HEAD", f"{method} {length}"), f"we read {read}, h11 {method} {length}"
    assert not content or len(understood) <= len(theirs), f"we read {understood}, h11 {theirs}"
    return whole
