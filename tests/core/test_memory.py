"""Nothing grows with the requests served, and nothing waits for the garbage collector."""

from __future__ import annotations

import gc
import json

import pytest

from gateway.call import Call
from gateway.endpoint import Exchange
from gateway.testing import ScriptedProvider, running_gateway

WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
CHUNK = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}],
}
STREAM = [b"data: " + json.dumps(CHUNK).encode() + b"\n\n", b"data: [DONE]\n\n"]


def calls_and_exchanges() -> dict[int, object]:
    """Those that live, by their identity."""
    return {id(thing): thing for thing in gc.get_objects() if isinstance(thing, Call | Exchange)}


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_finished_call_is_freed_without_the_garbage_collector(dialect: str, stream: bool) -> None:
    path = "/v1/chat/completions" if dialect == "openai" else "/v1/messages"
    ask = {"model": "up/m", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
    with ScriptedProvider() as up:
        if stream:
            up.default_stream(STREAM)
        else:
            up.default_reply(json=WHOLE)
        toml = f'[plugins.up]\nuse = "openai_compatible"\nbase_url = "{up.url}/v1"\n'
        with running_gateway(toml) as gateway:
            assert gateway.post(path, ask).status == 200
            gc.collect()
            before = calls_and_exchanges()  # what other tests keep
            gc.disable()
            try:
                for _ in range(20):
                    assert gateway.post(path, ask).status == 200
                    gateway.post(path, {**ask, "model": "nothing"})
                alive = calls_and_exchanges().keys() - before.keys()
            finally:
                gc.enable()
    assert len(alive) <= 2
