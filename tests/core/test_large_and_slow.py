"""Large bodies are held once, and a stream reaches a reader of any speed byte by byte the same."""

from __future__ import annotations

import json
import socket
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from gateway.testing import ScriptedProvider, running_gateway
from tests.core.serving.served import served

MEGABYTE = 1024 * 1024
WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def ask(content: str, *, stream: bool = False) -> bytes:
    return json.dumps({"model": "up/m", "stream": stream, "messages": [{"role": "user", "content": content}]}).encode()


def resident(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
@pytest.mark.parametrize("stream", [False, True])
def test_a_large_body_is_held_once(tmp_path: Path, stream: bool) -> None:
    with ScriptedProvider() as up:
        if stream:
            up.default_stream([chunk(0), chunk(1, finish_reason="stop"), b"data: [DONE]\n\n"])
        else:
            up.default_reply(json=WHOLE)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        toml = f'[plugins.up]\nuse = "openai_compatible"\nbase_url = "{up.url}/v1"\n'
        toml = f'[server]\nbind = "127.0.0.1:{port}"\n{toml}'
        with served(tmp_path, toml) as gateway:
            gateway.ready()
            (worker,) = gateway.workers()

            def post(body: bytes) -> None:
                headers = {"content-type": "application/json"}
                request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", body, headers)
                with urllib.request.urlopen(request, timeout=20) as answer:
                    answer.read()

            post(ask("hi", stream=stream))
            before = resident(worker, "VmRSS")
            Path(f"/proc/{worker}/clear_refs").write_text("5")  # forget the peak so far
            body = ask("x" * (20 * MEGABYTE), stream=stream)
            post(body)
            assert resident(worker, "VmHWM") - before < 1.2 * len(body)
        sent = json.loads(up.requests[-1].body)
        assert sent["model"] == "m"
        assert len(sent["messages"][0]["content"]) == 20 * MEGABYTE


def chunk(number: int, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": f"{number} {'y' * 900}"}, "finish_reason": None, **more}
    said = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def test_a_stream_that_its_reader_cannot_follow_waits_for_it_and_loses_nothing() -> None:
    events = [*(chunk(number) for number in range(6000)), chunk(6000, finish_reason="stop"), b"data: [DONE]\n\n"]
    with ScriptedProvider() as up:
        up.stream(events)
        with (
            running_gateway(f'[plugins.up]\nuse = "openai_compatible"\nbase_url = "{up.url}/v1"\n') as gateway,
            socket.socket() as client,
        ):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            client.connect(("127.0.0.1", int(gateway.url.rpartition(":")[2])))
            body = ask("hi", stream=True)
            head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            client.sendall(head % len(body) + body)
            time.sleep(0.3)
            received = bytearray()
            while piece := client.recv(65536):
                received += piece
    _, _, framed = bytes(received).partition(b"\r\n\r\n")
    assert unchunked(framed) == b"".join(events)


def unchunked(framed: bytes) -> bytes:
    out: list[bytes] = []
    at = 0
    while True:
        end = framed.index(b"\r\n", at)
        size = int(framed[at:end], 16)
        if size == 0:
            return b"".join(out)
        out.append(framed[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
