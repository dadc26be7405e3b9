"""A target that cannot do what a request asks is not chosen, and the answer says so when none can."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway import Call
from gateway.choosing import choose
from gateway.needs import estimated_tokens, lacking, needs_of
from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from tests.plugins.made_calls import made_call, made_gateway
from tests.plugins.upstream import ANSWER, provider_table

TABLES = """
[catalogue."up/blind"]
context_window = 100
max_output = 50
input = ["text"]
tools = false
structured_output = false

[catalogue."up/seeing"]
context_window = 1000
max_output = 500
input = ["text", "image", "pdf", "audio"]
tools = true
structured_output = true

[models.two]
targets = ["up/blind", "up/seeing"]

[models.one]
targets = ["up/blind"]

[models.behind]
targets = ["up/blind"]
fallbacks = ["up/seeing"]
"""
TEXT = [{"role": "user", "content": "hi"}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}]
SOUND = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}]}]
FILE = [
    {
        "role": "user",
        "content": [{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}}],
    }
]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
LONG = [{"role": "user", "content": "word " * 300}]

ASKS: list[tuple[dict[str, Any], str]] = [
    ({"messages": IMAGE}, "takes no images"),
    ({"messages": SOUND}, "takes no audio"),
    ({"messages": FILE}, "takes no documents"),
    ({"messages": TEXT, "tools": TOOLS}, "calls no tools"),
    ({"messages": TEXT, "response_format": SCHEMA}, "follows no schema"),
    ({"messages": TEXT, "max_tokens": 60}, "answers with 50 tokens at most, and 60 are asked for"),
    ({"messages": TEXT, "max_completion_tokens": 60}, "answers with 50 tokens at most"),
    ({"messages": LONG}, "takes 100 tokens, and the prompt has about 38"),
]
PLAIN: list[dict[str, Any]] = [
    {"messages": TEXT},
    {"messages": [{"role": "user", "content": "draw an image of a document, with audio and tools"}]},
    {"messages": TEXT, "tools": []},
    {"messages": TEXT, "tools": None},
    {"messages": TEXT, "response_format": {"type": "json_object"}},
    {"messages": [{"role": "user", "content": "what is a json_schema?"}]},
    {"messages": TEXT, "max_tokens": 50},
    {"messages": TEXT, "max_tokens": None},
]


def post(gateway: RunningGateway, model: str, body: dict[str, Any]) -> Any:
    return gateway.post("/v1/chat/completions", {"model": model, **body})


@pytest.mark.parametrize(("body", "reason"), ASKS, ids=[reason[:18] for _, reason in ASKS])
def test_what_one_target_cannot_do_another_does_and_where_none_can_the_answer_says_so(
    body: dict[str, Any], reason: str
) -> None:
    with ScriptedProvider() as provider:
        provider.default_reply(json=ANSWER)
        with running_gateway(TABLES + provider_table(provider)) as gateway:
            chosen = [post(gateway, model, body) for model in ("two", "behind")]
            refused = post(gateway, "one", body)
    assert [answer.status for answer in chosen] == [200, 200]
    assert [request.json()["model"] for request in provider.requests] == ["seeing", "seeing"]
    assert refused.status == 400
    error = refused.json()["error"]
    assert f"No target of the model 'one' can answer this request: up/blind {reason}" in error["message"]
    assert error["code"] in ("unsupported_by_targets", "context_length_exceeded")
    assert refused.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("body", PLAIN)
def test_what_only_sounds_like_a_need_is_none(body: dict[str, Any]) -> None:
    with ScriptedProvider() as provider:
        provider.default_reply(json=ANSWER)
        with running_gateway(TABLES + provider_table(provider)) as gateway:
            answer = post(gateway, "one", body)
    assert answer.status == 200
    assert len(provider.requests) == 1


def test_other_dialects_needs_are_found_as_well() -> None:
    messages = [
        {
            "role": "user",
            "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}],
        }
    ]
    tool = {"name": "f", "input_schema": {"type": "object"}}
    gemini = "/v1beta/models/one:generateContent"
    inline = {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}]}
    limit = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 60}}
    with ScriptedProvider() as provider, running_gateway(TABLES + provider_table(provider)) as gateway:
        answers = [
            gateway.post("/v1/messages", {"model": "one", "max_tokens": 9, "messages": messages}),
            gateway.post("/v1/messages", {"model": "one", "max_tokens": 9, "messages": TEXT, "tools": [tool]}),
            gateway.post(gemini, inline),
            gateway.post(gemini, limit),
        ]
    assert [answer.status for answer in answers] == [400] * 4
    told = [answer.body.decode() for answer in answers]
    reasons = ("takes no images", "calls no tools", "takes no images", "at most, and 60")
    assert all(reason in text for reason, text in zip(reasons, told, strict=True))
    assert not provider.requests


def test_a_prompt_that_may_just_fit_is_tried_on_the_widest_window() -> None:
    near = {"messages": [{"role": "user", "content": "word " * 1000}]}  # about 1260 tokens by the rule of thumb
    far = {"messages": [{"role": "user", "content": "word " * 3000}]}
    with ScriptedProvider() as provider:
        provider.default_reply(json=ANSWER)
        with running_gateway(TABLES + provider_table(provider)) as gateway:
            answers = [post(gateway, "two", body) for body in (near, far)]
    assert [answer.status for answer in answers] == [200, 400]
    assert [request.json()["model"] for request in provider.requests] == ["seeing"]
    assert answers[1].json()["error"]["code"] == "context_length_exceeded"
    assert "up/seeing takes 1000 tokens" in answers[1].json()["error"]["message"]


def test_a_provider_that_does_not_offer_the_operation_is_not_chosen() -> None:
    with ScriptedProvider() as provider:
        provider.default_reply(
            json={"object": "list", "data": [], "model": "e", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        )
        toml = provider_table(provider) + '\n[plugins.claude]\nuse = "anthropic"\napi_key = "sk-ant-x"\n'
        with running_gateway(toml + '[models.e]\ntargets = ["claude/x", "up/e"]\n') as gateway:
            answer = gateway.post("/v1/embeddings", {"model": "e", "input": "hi"})
    assert answer.status == 200
    assert answer.headers["x-gateway-attempts"] == "1"


@pytest.mark.parametrize(
    ("body", "tokens"),
    [(b"a" * 400, 100), ("日本語".encode() * 10, 30), (b"\\u65e5" * 10, 8), (b"", 1)],
)
def test_tokens_are_estimated_from_bytes(body: bytes, tokens: int) -> None:
    assert estimated_tokens(body) == tokens


def test_an_attachment_counts_flat_and_not_by_its_bytes() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    call = made_call({"model": "m", "messages": [{"role": "user", "content": [image]}]})
    assert 1000 < needs_of(call).tokens < 1100


def test_a_request_that_cannot_be_read_is_left_to_the_target() -> None:
    call = made_call(
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}], "max_tokens": "x"}
    )
    needs = needs_of(call)
    assert not needs.images
    assert needs.max_tokens is None
    assert lacking(call, call.targets[0]) is None


def test_a_body_that_was_rewritten_is_looked_at_anew() -> None:
    call = made_call({"model": "m", "messages": TEXT, "tools": TOOLS})
    assert needs_of(call).tools
    call.rewrite(b'{"model":"m","messages":[]}')
    assert not needs_of(call).tools


def test_a_plain_request_with_one_target_is_chosen_in_no_time_and_leaves_no_decision() -> None:
    gateway = made_gateway()
    body = {"model": "m", "messages": [{"role": "user", "content": "hello " * 100}], "max_tokens": 5}

    def seconds() -> float:
        calls: list[Call] = [made_call(body, gateway=gateway) for _ in range(200)]
        for call in calls:
            assert call.json.spans
        began = time.perf_counter()
        for call in calls:
            choose(call)
        assert all(call.decision is None for call in calls)
        return (time.perf_counter() - began) / len(calls)

    # Two microseconds on a machine of its own; a busy one may take ten times as long.
    assert min(seconds() for _ in range(5)) < 20e-6
