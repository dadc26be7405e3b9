"""A second target is asked when the first is slow to begin; the first answer that comes is the caller's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.call import Call
from gateway.testing import ScriptedProvider, running_gateway

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
        (tmp_path / "seen.py").write_text(WATCHER)
        toml = f"""
[plugins.slow]
use = "openai_compatible"
base_url = "{slow.url}/v1"
[plugins.fast]
use = "openai_compatible"
base_url = "{fast.url}/v1"
[plugins.seen]
use = "./seen.py:Seen"
[models.m]
targets = ["slow/a", "fast/b"]
hedge = {{ after = {after}, budget = 1.0 }}
"""
        with running_gateway(toml, folder=tmp_path) as gateway:
            yield gateway, slow, fast


WATCHER = '''
"""Remembers what became of calls."""
from gateway import hookimpl
from gateway.plugin import Plugin


class Seen(Plugin):
    """Remembers what became of calls."""

    stage = "observe"
    calls = []

    @hookimpl
    def on_complete(self, call, reply):
        self.calls.append(call)
'''


def finished(gateway: Any) -> Call:
    plugin = next(record.plugin for record in gateway.app.current.records if record.name == "seen")
    end = time.monotonic() + 3
    while not plugin.calls and time.monotonic() < end:
        time.sleep(0.01)
    call: Call = plugin.calls[-1]
    return call


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
