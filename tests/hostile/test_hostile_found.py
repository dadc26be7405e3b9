"""What once broke the gateway, each by its smallest form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hostile.seeds import dialects, wires
from tests.hostile.stage import PROVIDER_KEY, Stage, framed, model_of, problem
from tests.hostile.test_hostile_replies import plain, told


def choice(**fields: Any) -> tuple[str, Any]:
    return "", {"id": "c", "model": "m", "created": 1, "choices": [{"index": 0, "delta": {}, **fields}]}


def block(kind: str, **fields: Any) -> tuple[str, Any]:
    return kind, {"type": kind, **fields}


BEGUN = [block("message_start", message={"id": "m", "type": "message", "model": "m", "usage": {}})]
TEXT = block("content_block_start", index=0, content_block={"type": "text", "text": "", "citations": ["x", 3]})
ENDED = [block("message_delta", delta={"stop_reason": "end_turn"}, usage={}), block("message_stop")]
LOGPROB = {"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": [[], 3, None]}

STREAMS: dict[str, tuple[str, list[tuple[str, Any]]]] = {
    "a type that is no text": ("anthropic", [*BEGUN, ("x", {"type": {"a": 1}}), *ENDED]),
    "an index that is a list": ("anthropic", [*BEGUN, block("content_block_stop", index=[{}]), *ENDED]),
    "a block at an object": ("anthropic", [*BEGUN, block("content_block_delta", index={}, delta={"type": []}), *ENDED]),
    "a delta's type that is an object": (
        "anthropic",
        [*BEGUN, TEXT, block("content_block_delta", index=0, delta={"type": {}}), *ENDED],
    ),
    "citations that are a number": (
        "anthropic",
        [*BEGUN, block("content_block_start", index=0, content_block={"type": "text", "citations": 3}), *ENDED],
    ),
    "an index that is true": ("chat", [choice(index=True, delta={"content": "a"}), choice(finish_reason="stop")]),
    "an index beyond 64 bits": ("chat", [choice(index=10**30, delta={"content": "a"}), choice(finish_reason="stop")]),
    "a transcript of objects": (
        "chat",
        [choice(delta={"audio": {"transcript": [{"a": 1}], "data": 3}}), choice(finish_reason="stop")],
    ),
    "alternatives of a token that are lists": (
        "chat",
        [choice(delta={"content": "a"}, logprobs={"content": [LOGPROB]}), choice(finish_reason="stop")],
    ),
    "candidates at an index that is true": (
        "gemini",
        [("", {"candidates": [{"index": True, "content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]})],
    ),
    "parts that are null": (
        "gemini",
        [("", {"candidates": [{"content": {"parts": [{"inlineData": None}]}, "finishReason": "STOP"}]})],
    ),
}


@pytest.mark.parametrize("why", STREAMS)
@pytest.mark.parametrize("caller", ["chat", "responses", "completions", "messages", "gemini"])
def test_odd_streams(stage: Stage, caller: str, why: str) -> None:
    wire, events = STREAMS[why]
    provider = stage.providers[wire]
    provider.good()
    provider.pieces = framed(wire, events)
    assert told(stage, caller, provider, stream=True)[0] == ""


def test_a_stream_of_no_choices_is_no_answer(stage: Stage) -> None:
    provider = stage.providers["chat"]
    for caller in ("responses", "messages", "gemini"):
        provider.good()
        provider.pieces = framed("chat", [("", {"id": "c", "model": "m", "choices": []})])
        assert told(stage, caller, provider, stream=True) == ("", False)


def test_an_end_that_nobody_can_read_is_no_end(stage: Stage) -> None:
    provider = stage.providers["responses"]
    begun = framed("responses", provider.wire.streams[0][:-1])
    far = b'{"type":"response.completed","response":{"x":%b}}' % (b"7" * 5000)
    for data in (far, b"{}", b'{"type":"response.completed"}', b"{", b"[]"):
        provider.good()
        provider.pieces = [*begun, b"event: response.completed\ndata: " + data + b"\n\n"]
        assert told(stage, "responses", provider, stream=True) == ("", False), data[:60]


CITED = {"type": "text", "text": "a", "citations": [["x"], "y", {"type": "char_location", "cited_text": "a"}]}
WHOLE: dict[str, tuple[str, Any]] = {
    "citations of lists": (
        "anthropic",
        {"type": "message", "id": "m", "model": "m", "content": [CITED], "stop_reason": "end_turn", "usage": {}},
    ),
    "citations of lists, of Cohere's": (
        "cohere",
        {
            "id": "r",
            "finish_reason": "COMPLETE",
            "message": {"content": [{"type": "text", "text": "a"}], "citations": [[{}], 3, "x"]},
        },
    ),
}


@pytest.mark.parametrize("why", WHOLE)
@pytest.mark.parametrize("caller", ["chat", "responses", "completions", "messages", "gemini"])
def test_odd_answers(stage: Stage, caller: str, why: str) -> None:
    wire, reply = WHOLE[why]
    provider = stage.providers[wire]
    provider.good()
    provider.answer = json.dumps(reply).encode()
    assert told(stage, caller, provider, stream=False)[0] == ""


@pytest.mark.parametrize("part", ["fileData", "inlineData", "functionCall", "functionResponse", "text"])
def test_a_part_of_gemini_that_is_null_says_nothing(stage: Stage, part: str) -> None:
    speech = dialects()["gemini"]
    for provider in wires():
        stage.providers[provider].good()
        for role in ("user", "model", "function"):
            contents = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": role, "parts": [{part: None}]}]
            answer = stage.ask(speech, model_of(provider), json.dumps({"contents": contents}).encode())
            assert problem(speech, answer, good_upstream=True) == ""
    stage.check_upstream()


@pytest.mark.parametrize(
    ("name", "wire", "reply"),
    [
        ("embeddings", "chat", {"type": "error", "request_id": "r"}),
        ("responses", "responses", {"message": "m"}),
        ("compact", "responses", {"message": "m"}),
        ("gemini", "gemini", {"id": "1"}),
        ("gemini_embed", "gemini", {"inputTokens": 1}),
    ],
)
def test_an_object_of_another_kind_is_no_answer(stage: Stage, name: str, wire: str, reply: Any) -> None:
    speech, provider, model = dialects()[name], stage.providers[wire], model_of(wire)
    body = speech.bodies[0] if speech.errors == "gemini" else {**speech.bodies[0], "model": model}
    provider.good()
    provider.answer = json.dumps(reply).encode()
    answer = stage.ask(speech, model, json.dumps(body).encode())
    assert answer.status == 502
    assert problem(speech, answer, good_upstream=False) == ""


def test_a_provider_that_repeats_its_key_within_a_stream_does_not_show_it(stage: Stage) -> None:
    for wire, event in {
        "chat": ("", {"error": {"message": f"bad key {PROVIDER_KEY}", "type": "x", "code": PROVIDER_KEY}}),
        "anthropic": block("error", error={"type": "api_error", "message": f"bad key {PROVIDER_KEY}"}),
        "responses": ("error", {"type": "error", "code": "x", "message": PROVIDER_KEY, "sequence_number": 1}),
        "gemini": ("", {"error": {"code": 500, "message": PROVIDER_KEY, "status": "INTERNAL"}}),
        "cohere": ("error", {"type": "error", "message": PROVIDER_KEY}),
        "ollama": ("", {"error": PROVIDER_KEY}),
    }.items():
        provider = stage.providers[wire]
        for begun in (0, 2):
            for caller in ("chat", "messages", "responses", "gemini"):
                provider.good()
                provider.pieces = framed(wire, [*provider.wire.streams[0][:begun], event])[:-1]
                model = model_of(wire)
                answer = stage.ask(dialects()[caller], model, plain(caller, model, stream=True), stream=True)
                assert PROVIDER_KEY.encode() not in answer.body, (wire, caller, begun)
                assert b"error" in answer.body
    stage.check_upstream()
    assert PROVIDER_KEY not in "\n".join(stage.notes.lines)
