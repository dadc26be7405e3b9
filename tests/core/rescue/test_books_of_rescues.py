"""What a broken stream costs stands in the books once, whatever became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import ScriptedProvider, running_gateway
from tests.core.rescue.test_streams_that_break import TEXT, USAGE, stream
from tests.core.seen_calls import TABLE, finished, write_plugin

ASK = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "say it"}]}


@contextmanager
def watched(folder: Path, *, rescue: str) -> Iterator[tuple[Any, ScriptedProvider, ScriptedProvider]]:
    write_plugin(folder)
    with ScriptedProvider() as first, ScriptedProvider() as second:
        toml = f"""
[plugins.one]
use = "anthropic"
base_url = "{first.url}"
api_key = {{ file = "key" }}
[plugins.two]
use = "openai_compatible"
base_url = "{second.url}/v1"
{TABLE}[models.m]
targets = ["one/a"]
fallbacks = ["two/b"]
retries = 0
rescue = "{rescue}"
hold = {{ tokens = 50, milliseconds = 3000 }}
"""
        (folder / "key").write_text("k")
        with running_gateway(toml, folder=folder) as gateway:
            yield gateway, first, second


def torn_message() -> list[bytes]:
    """The beginning of a message of Anthropic's, with the prompt counted, and then no more."""
    usage = {"input_tokens": 40, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "a", "content": [], "usage": usage}
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    said = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in TEXT[:2]]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "stop_reason": None}},
        start,
        *said,
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def test_a_rescue_that_fails_leaves_the_broken_answer_in_the_books_once(tmp_path: Path) -> None:
    with watched(tmp_path, rescue="resume") as (gateway, one, two):
        one.stream(torn_message(), cut=True)
        two.stream(stream("Something else."))
        gateway.post("/v1/chat/completions", ASK)
        call = finished(gateway)
    assert call.outcome == "interrupted"
    assert call.usage is not None
    assert call.usage == call.attempts[0].usage
    assert call.usage.prompt_tokens == 40


def test_a_rescue_that_succeeds_bills_both_answers(tmp_path: Path) -> None:
    with watched(tmp_path, rescue="resume") as (gateway, one, two):
        one.stream(torn_message(), cut=True)
        two.stream(stream(*TEXT))
        gateway.post("/v1/chat/completions", ASK)
        call = finished(gateway)
    assert call.outcome == "ok"
    assert call.usage is not None
    assert call.usage.prompt_tokens == 40 + USAGE["prompt_tokens"]
    usages = [attempt.usage for attempt in call.attempts]
    assert call.usage.total_tokens == sum(usage.total_tokens for usage in usages if usage is not None)


@pytest.mark.parametrize("cut", [True, False])
def test_what_was_held_back_and_thrown_away_is_billed_all_the_same(tmp_path: Path, cut: bool) -> None:
    with watched(tmp_path, rescue="hold") as (gateway, one, two):
        one.stream(torn_message(), cut=cut)
        two.stream(stream(*TEXT))
        answer = gateway.post("/v1/chat/completions", ASK)
        call = finished(gateway)
    assert answer.status == 200
    assert call.outcome == "ok"
    broken = call.attempts[0]
    assert broken.error is not None
    assert broken.billed
    assert broken.usage is not None
    assert (broken.usage.prompt_tokens, broken.usage.source) == (40, "estimated")
    assert broken.usage.completion_tokens >= 1
