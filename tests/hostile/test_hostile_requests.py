"""Broken requests of every dialect: an answer or a 4xx in the dialect's own shape, and good JSON to the provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.hostile.mutations import encoded, mutated, raw
from tests.hostile.seeds import HI, Speech, dialects, wires
from tests.hostile.stage import Stage, model_of, problem

ROUNDS = 150
"""Broken requests of each dialect."""


def addressed(speech: Speech, body: dict[str, Any], provider: str) -> dict[str, Any]:
    """A body with a provider's model, where this dialect names it there."""
    inside = speech.errors != "gemini"
    return {**body, "model": model_of(provider)} if inside else body


def findings(stage: Stage, speech: Speech, provider: str, body: bytes, *, stream: bool) -> Iterator[str]:
    """What is wrong with what comes of a request."""
    known = len(stage.notes.defects)
    answer = stage.ask(speech, model_of(provider), body, stream=stream)
    if wrong := problem(speech, answer, good_upstream=True):
        yield wrong
    yield from stage.check_upstream()
    yield from stage.notes.defects[known:]


@pytest.mark.parametrize("name", dialects())
def test_good_requests_are_answered_or_refused_by_name(stage: Stage, name: str) -> None:
    speech = dialects()[name]
    random = Random(name)
    for body in speech.bodies:
        provider = random.choice([*wires()])
        stream = speech.streams and random.random() < 0.5
        said = addressed(speech, body, provider)
        said = {**said, "stream": True} if stream and speech.errors != "gemini" else said
        assert list(findings(stage, speech, provider, json.dumps(said).encode(), stream=stream)) == [], (provider, said)


@pytest.mark.parametrize("name", dialects())
def test_broken_requests_never_break_the_gateway(stage: Stage, name: str) -> None:
    speech = dialects()[name]
    random = Random(f"broken {name}")
    for _ in range(ROUNDS):
        provider = random.choice([*wires()])
        stream = speech.streams and random.random() < 0.5
        body = mutated(addressed(speech, random.choice(speech.bodies), provider), random)
        if isinstance(body, dict) and random.random() < 0.9:
            body = addressed(speech, body, provider)
            body = {**body, "stream": True} if stream and speech.errors != "gemini" else body
        data = encoded(body)
        assert list(findings(stage, speech, provider, data, stream=stream)) == [], (provider, data[:2000])


NOT_READABLE = {
    "empty": b"",
    "blank": b"  ",
    "no object": b"[1]",
    "a text": b'"x"',
    "null": b"null",
    "a byte order mark": b'\xef\xbb\xbf{"model":"m"}',
    "no UTF-8": b'{"model":"m","x":"\xff"}',
    "UTF-16": '{"model":"m"}'.encode("utf-16"),
    "a key twice": b'{"model":"m","stream":false,"stream":true}',
    "a key twice, once escaped": b'{"model":"m","m\\u006fdel":"n"}',
    "not a number": encoded({"model": "m", "x": raw("NaN")}),
    "beyond doubles": encoded({"model": "m", "x": [{"y": raw("1e999")}]}),
    "beyond doubles, negative": encoded({"model": "m", "x": raw("-1E+400")}),
    "a million digits": encoded({"model": "m", "x": raw("7" * 1_000_000)}),
    "half a surrogate pair": encoded({"model": "m", "x": [raw('"\\ud800"')]}),
    "half a surrogate pair in a key": encoded({"model": "m", "x": raw('{"\\udc00":1}')}),
    "a hundred thousand levels": encoded({"model": "m", "x": raw("[" * 100_000 + "]" * 100_000)}),
    "levels without an end": b'{"model":"m","x":' + b'{"a":' * 100_000,
    "half": b'{"model":"m","x":[1,2',
    "two bodies": b'{"model":"m"}{"model":"n"}',
    "a trailing comma": b'{"model":"m",}',
    "a comment": b'{"model":"m"/**/}',
    "a control character": b'{"model":"m","x":"\x01"}',
}


@pytest.mark.parametrize("why", NOT_READABLE)
@pytest.mark.parametrize("name", dialects())
def test_what_parsers_would_not_agree_on_is_refused_everywhere(stage: Stage, name: str, why: str) -> None:
    speech = dialects()[name]
    body = NOT_READABLE[why].replace(b'"m"', json.dumps(model_of("chat")).encode(), 1)
    answer = stage.ask(speech, model_of("chat"), body)
    assert answer.status == 400
    assert problem(speech, answer, good_upstream=True) == ""
    assert all(not provider.server.requests for provider in stage.providers.values())


@pytest.mark.parametrize("provider", wires())
def test_thousands_of_messages_and_tools_pass(stage: Stage, provider: str) -> None:
    speech = dialects()["chat"]
    turns = [{"role": "user", "content": "word " * 200_000}, {"role": "assistant", "content": "x"}]
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": f"f{at}", "parameters": schema}} for at in range(3000)]
    for body in ({"messages": [*turns, *[HI, turns[1]] * 1500, HI]}, {"messages": [HI], "tools": tools}):
        data = json.dumps(addressed(speech, body, provider)).encode()
        assert list(findings(stage, speech, provider, data, stream=False)) == []
