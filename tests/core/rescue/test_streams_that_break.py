"""Streams that break after their first words: told on by another target, or ended with an error that says so."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.testing import Answer, ScriptedProvider, running_gateway
from gateway.testing.connection import Exchange

USAGE = {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}


def chunk(text: str | None = None, *, finish: str | None = None, **delta: Any) -> bytes:
    said = {**({"content": text} if text is not None else {}), **delta}
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return event({"choices": [choice]})


def event(more: dict[str, Any]) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**head, **more}).encode() + b"\n\n"


def stream(*words: str, end: bool = True) -> list[bytes]:
    pieces = [chunk("", role="assistant"), *(chunk(word) for word in words)]
    if end:
        pieces += [chunk(finish="stop"), event({"choices": [], "usage": USAGE}), b"data: [DONE]\n\n"]
    return pieces


TEXT = ["The quick ", "brown fox ", "jumps over ", "the lazy dog."]
ASK = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "say it"}]}


class Pair:
    """A gateway in front of two providers: ``one`` breaks, ``two`` stands in."""

    def __init__(self, gateway: Any, one: ScriptedProvider, two: ScriptedProvider) -> None:
        self.gateway = gateway
        self.one = one
        self.two = two

    def ask(self, path: str = "/v1/chat/completions", **more: Any) -> Answer:
        answer: Answer = self.gateway.post(path, {**ASK, **more})
        return answer


@contextmanager
def pair(
    *, rescue: str = "resume", prefill: bool = False, model: str = "", two: str = "openai_compatible"
) -> Iterator[Pair]:
    with ScriptedProvider() as first, ScriptedProvider() as second:
        toml = f"""
[plugins.one]
use = "openai_compatible"
base_url = "{first.url}/v1"
[plugins.two]
use = "{two}"
base_url = "{second.url}{"/v1" if two == "openai_compatible" else ""}"
{'api_key = "k"' if two != "openai_compatible" else ""}
[models.m]
targets = ["one/a"]
fallbacks = ["two/b"]
retries = 0
rescue = "{rescue}"
timeouts = {{ idle = 0.4, first_token = 2.0 }}
{model}
[catalogue."two/b"]
prefill = {str(prefill).lower()}
"""
        with running_gateway(toml) as gateway:
            yield Pair(gateway, first, second)


def text_of(answer: Answer) -> str:
    said = ""
    for item in answer.events():
        if item.data == b"[DONE]":
            continue
        for choice in json.loads(item.data).get("choices", ()):
            said += choice["delta"].get("content") or ""
    return said


def is_clean(answer: Answer) -> bool:
    return b"[DONE]" in answer.body or b"message_stop" in answer.body


def broken(how: str) -> Callable[[Exchange], Awaitable[None]]:
    """Half of the text, and then what the name says."""
    half = stream(*TEXT[:2], end=False)

    async def script(exchange: Exchange) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        await exchange.send(head)
        for piece in half:
            await exchange.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        if how == "reset":
            await exchange.sleep(0.05)
            exchange.reset()
        elif how == "stall":
            await exchange.wait_closed()
        elif how == "polite end":
            await exchange.send(b"0\r\n\r\n")
        elif how == "cut":
            exchange.close()
        else:
            torn = {
                "malformed": b'data: {"id": "x", "choices": [{"ind\n\n',
                "error event": b'data: {"error": {"message": "overloaded", "type": "server_error", "code": null}}\n\n',
                "done too soon": b"data: [DONE]\n\n",
            }[how]
            await exchange.send(b"%x\r\n%b\r\n" % (len(torn), torn))
            rest = b"".join(stream(*TEXT[3:]))
            if how == "malformed":
                await exchange.send(b"%x\r\n%b\r\n" % (len(rest), rest))
            await exchange.send(b"0\r\n\r\n")

    return script


WAYS = ["reset", "stall", "polite end", "cut", "malformed", "error event"]


@pytest.mark.parametrize("how", WAYS)
def test_a_broken_stream_goes_on_with_what_another_target_repeats(how: str) -> None:
    with pair() as both:
        both.one.script(broken(how))
        both.two.stream(stream(*TEXT))
        answer = both.ask(stream_options={"include_usage": True})
    assert text_of(answer) == "".join(TEXT)
    assert is_clean(answer)
    chunks = [json.loads(item.data) for item in answer.events() if item.data != b"[DONE]"]
    assert {item["id"] for item in chunks} == {"chatcmpl-1"}
    assert [c["finish_reason"] for item in chunks for c in item["choices"] if c["finish_reason"]] == ["stop"]
    usage = [item["usage"] for item in chunks if item.get("usage")]
    assert len(usage) == 1
    assert usage[0]["completion_tokens"] > USAGE["completion_tokens"]  # both answers are billed


@pytest.mark.parametrize("how", WAYS)
def test_a_broken_stream_goes_on_where_a_model_takes_the_first_words(how: str) -> None:
    with pair(prefill=True) as both:
        both.one.script(broken(how))
        both.two.stream(stream(" " + TEXT[2], TEXT[3]))
        answer = both.ask(max_tokens=100)
        asked = both.two.requests[0].json()
    assert text_of(answer) == "".join(TEXT)
    assert is_clean(answer)
    assert asked["messages"][-1] == {"role": "assistant", "content": "".join(TEXT[:2]).rstrip()}
    assert asked["max_tokens"] < 100


def test_a_model_that_begins_again_in_spite_of_the_first_words_is_understood() -> None:
    with pair(prefill=True) as both:
        both.one.script(broken("cut"))
        both.two.stream(stream(*TEXT))
        answer = both.ask()
    assert text_of(answer) == "".join(TEXT)
    assert is_clean(answer)


def test_a_target_that_refuses_the_first_words_is_asked_from_the_start() -> None:
    with pair(prefill=True) as both:
        both.one.script(broken("cut"))
        both.two.reply(status=400, json={"error": {"message": "no prefill", "type": "invalid_request_error"}})
        both.two.stream(stream(*TEXT))
        answer = both.ask()
        assert [request.json()["messages"][-1]["role"] for request in both.two.requests] == ["assistant", "user"]
    assert text_of(answer) == "".join(TEXT)
    assert is_clean(answer)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("rescue", ["resume", "error"])
def test_what_cannot_go_on_ends_with_the_first_error_and_no_clean_end(how: str, rescue: str) -> None:
    with pair(rescue=rescue) as both:
        both.one.script(broken(how))
        both.two.stream(stream("Something else ", "entirely."))
        answer = both.ask()
    assert text_of(answer) == "".join(TEXT[:2])
    assert not is_clean(answer)
    last = json.loads(answer.events()[-1].data)
    assert last["error"]["message"]
    assert "second answer" not in last["error"]["message"]
    assert not re.search(rb'"finish_reason": ?"', answer.body)


@pytest.mark.parametrize("how", WAYS)
def test_held_back_events_cost_nothing_when_the_stream_dies_early(how: str) -> None:
    with pair(rescue="hold", model="hold = { tokens = 10, milliseconds = 2000 }") as both:
        both.one.script(broken(how))
        both.two.stream(stream("Something else ", "entirely."))
        answer = both.ask()
    assert text_of(answer) == "Something else entirely."
    assert is_clean(answer)


def test_what_is_held_back_is_given_when_its_time_is_up() -> None:
    with pair(rescue="hold", model="hold = { tokens = 1000, milliseconds = 100 }") as both:
        both.one.stream(stream(*TEXT), gap=0.08)
        answer = both.ask()
    assert text_of(answer) == "".join(TEXT)
    assert is_clean(answer)


def calls(*arguments: str, name: str = "move", call_id: str = "call_1") -> list[bytes]:
    first = {"index": 0, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    more = [{"index": 0, "function": {"arguments": text}} for text in arguments]
    return [chunk(None, tool_calls=[entry]) for entry in (first, *more)]


def test_a_torn_tool_call_is_completed_only_by_the_same_call() -> None:
    with pair() as both:
        both.one.stream([chunk("", role="assistant"), *calls('{"x": ', "1, ")], cut=True)
        end = [chunk(finish="tool_calls"), b"data: [DONE]\n\n"]
        both.two.stream([chunk("", role="assistant"), *calls('{"x": 1', ', "y": 2}', call_id="other"), *end])
        answer = both.ask()
    entries = [
        entry
        for item in answer.events()
        if item.data != b"[DONE]"
        for choice in json.loads(item.data)["choices"]
        for entry in choice["delta"].get("tool_calls", ())
    ]
    assert "".join(entry["function"]["arguments"] for entry in entries) == '{"x": 1, "y": 2}'
    assert {entry["id"] for entry in entries if "id" in entry} == {"call_1"}
    assert is_clean(answer)


def test_a_torn_tool_call_is_never_completed_by_invention() -> None:
    with pair() as both:
        both.one.stream([chunk("", role="assistant"), *calls('{"x": ', "1, ")], cut=True)
        end = [chunk(finish="tool_calls"), b"data: [DONE]\n\n"]
        both.two.stream([chunk("", role="assistant"), *calls('{"x": 7}'), *end])
        answer = both.ask()
    assert b"7}" not in answer.body
    assert not is_clean(answer)
    assert "error" in json.loads(answer.events()[-1].data)


def test_thoughts_of_the_second_answer_are_not_told_behind_words() -> None:
    with pair() as both:
        both.one.script(broken("cut"))
        both.two.stream([chunk("", role="assistant"), chunk(None, reasoning_content="hm"), *stream(*TEXT)[1:]])
        answer = both.ask()
    assert text_of(answer) == "".join(TEXT)
    assert b'"hm"' not in answer.body


def test_a_missing_end_mark_behind_a_finish_reason_is_filled_in_without_another_call() -> None:
    with pair() as both:
        both.one.stream([*stream(*TEXT, end=False), chunk(finish="stop")], cut=True)
        answer = both.ask()
        assert both.two.requests == []
    assert text_of(answer) == "".join(TEXT)
    assert is_clean(answer)


@pytest.mark.parametrize("how", WAYS)
def test_a_caller_of_messages_sees_one_message(how: str) -> None:
    with pair() as both:
        both.one.script(broken(how))
        both.two.stream(stream(*TEXT))
        answer = both.ask("/v1/messages", max_tokens=50)
    events = [json.loads(item.data) for item in answer.events()]
    kinds = [item["type"] for item in events if item["type"] != "ping"]
    assert kinds.count("message_start") == kinds.count("message_stop") == 1
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1
    said = "".join(item["delta"].get("text", "") for item in events if item["type"] == "content_block_delta")
    assert said == "".join(TEXT)


def test_the_third_target_goes_on_when_the_second_breaks_as_well() -> None:
    with pair(model="") as both:
        both.gateway.reload(
            f"""
[plugins.one]
use = "openai_compatible"
base_url = "{both.one.url}/v1"
[plugins.two]
use = "openai_compatible"
base_url = "{both.two.url}/v1"
[models.m]
targets = ["one/a"]
fallbacks = ["two/b", "two/c"]
retries = 0
rescue = "resume"
"""
        )
        both.one.script(broken("cut"))
        both.two.stream(stream(*TEXT[:3], end=False), cut=True)
        both.two.stream(stream(*TEXT))
        answer = both.ask()
    assert text_of(answer) == "".join(TEXT)
    assert is_clean(answer)


@pytest.mark.parametrize("how", WAYS)
def test_a_second_answer_that_comes_all_at_once_and_says_something_else_ends_nothing(how: str) -> None:
    with pair() as both:
        both.one.script(broken(how))
        both.two.stream([b"".join(stream("Something else ", "entirely."))])
        answer = both.ask()
    assert text_of(answer) == "".join(TEXT[:2])
    assert not is_clean(answer)
