"""A second target is asked when the first is slow to begin; the first answer that comes is the caller's."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.testing import Exchange, ScriptedProvider, running_gateway
from tests.core.seen_calls import TABLE, finished, write_plugin

WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@contextmanager
def raced(tmp_path: Any, after: float = 0.15) -> Iterator[tuple[Any, ScriptedProvider, ScriptedProvider]]:
    with ScriptedProvider() as slow, ScriptedProvider() as fast:
        write_plugin(tmp_path)
        toml = f"""
[plugins.slow]
use = "openai_compatible"
base_url = "{slow.url}/v1"
[plugins.fast]
use = "openai_compatible"
base_url = "{fast.url}/v1"
{TABLE}[models.m]
targets = ["slow/a", "fast/b"]
hedge = {{ after = {after}, budget = 1.0 }}
"""
        with running_gateway(toml, folder=tmp_path) as gateway:
            yield gateway, slow, fast


def test_a_slow_target_is_overtaken_cut_off_and_accounted_for(tmp_path: Any) -> None:
    with raced(tmp_path) as (gateway, slow, fast):
        slow.reply(json=WHOLE, delay=3.0)
        fast.reply(json=WHOLE)
        began = time.monotonic()
        answer = gateway.post("/v1/chat/completions", ASK)
        assert time.monotonic() - began < 1.5
        assert slow.wait_for_disconnect(1.0) is not None
        call = finished(gateway)
    assert answer.status == 200
    assert answer.headers["x-gateway-provider"] == "fast"
    first, second = call.attempts
    assert (str(first.target), first.error_kind, first.billed) == ("slow/a", "cancelled", True)
    assert first.usage is not None
    assert first.usage.source == "estimated"
    assert (str(second.target), second.error) == ("fast/b", None)
    assert any("was asked as well" in note for note in call.notes)


def test_a_target_that_begins_in_time_is_not_raced(tmp_path: Any) -> None:
    with raced(tmp_path, after=2.0) as (gateway, slow, fast):
        slow.reply(json=WHOLE)
        assert gateway.post("/v1/chat/completions", ASK).headers["x-gateway-provider"] == "slow"
        assert fast.requests == []


def test_the_slow_one_may_still_win_when_the_second_fails(tmp_path: Any) -> None:
    with raced(tmp_path) as (gateway, slow, fast):
        slow.reply(json=WHOLE, delay=0.6)
        fast.reply(status=500, json={"error": {"message": "no"}})
        answer = gateway.post("/v1/chat/completions", ASK)
    assert answer.status == 200
    assert answer.headers["x-gateway-provider"] == "slow"


def test_streams_are_raced_to_their_first_piece(tmp_path: Any) -> None:
    choice = {"index": 0, "delta": {"content": "yo"}, "finish_reason": "stop"}
    said = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    chunk = b"data: " + json.dumps(said).encode() + b"\n\n"
    with raced(tmp_path) as (gateway, slow, fast):
        slow.stream([chunk, b"data: [DONE]\n\n"], gap=2.0)
        fast.stream([chunk, b"data: [DONE]\n\n"])
        answer = gateway.post("/v1/chat/completions", {**ASK, "stream": True})
    assert answer.status == 200
    assert answer.body == chunk + b"data: [DONE]\n\n"


def late(delay: float, body: bytes, kind: bytes) -> Callable[[Exchange], Awaitable[None]]:
    """A script that answers, head and all, after ``delay`` seconds."""

    async def script(exchange: Exchange) -> None:
        await exchange.sleep(delay)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
        await exchange.send(head + body)

    return script


def test_of_two_that_answer_together_one_is_the_callers_and_nothing_of_the_other_is_left(tmp_path: Any) -> None:
    choice = {"index": 0, "delta": {"content": "yo"}, "finish_reason": "stop"}
    said = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    events = b"data: " + json.dumps(said).encode() + b"\n\ndata: [DONE]\n\n"
    with raced(tmp_path, after=0.1) as (gateway, slow, fast):
        for stream in (False, True) * 5:
            kind, body = (b"text/event-stream", events) if stream else (b"application/json", json.dumps(WHOLE).encode())
            slow.script(late(0.2, body, kind))
            fast.script(late(0.1, body, kind))
            assert gateway.post("/v1/chat/completions", {**ASK, "stream": stream}).status == 200
            call = finished(gateway)
            assert all(attempt.ended is not None for attempt in call.attempts)
            (winner,) = [attempt for attempt in call.attempts if attempt.error is None]
            assert call.target == winner.target
            assert call.usage == winner.usage
