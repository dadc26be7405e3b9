"""The echo provider in a gateway: whole answers, streams, errors, embeddings, and its settings."""

from __future__ import annotations

import base64
import http.client
import json
import math
import struct
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway import Secret
from gateway.plugin import PluginContext
from gateway.testing import RunningGateway, running_gateway
from gateway_plugins.providers.echo import Echo

TOML = """
[plugins.echo]

[plugins.slow]
use = "echo"
models = ["snail", "echo"]
delay = 0.15

[models.fast]
targets = ["echo/echo"]
"""
HELLO = [{"role": "user", "content": "Hello wide world"}]


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(TOML) as running:
        yield running


def ask(gateway: RunningGateway, **fields: Any) -> Any:
    return gateway.post("/v1/chat/completions", {"model": "fast", "messages": HELLO, **fields})


def test_a_whole_answer_has_openais_shape(gateway: RunningGateway) -> None:
    answer = ask(gateway)
    body = answer.json()
    assert answer.status == 200
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    assert abs(body["created"] - time.time()) < 60
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "Hello wide world", "refusal": None}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"] == 10
    assert answer.headers["x-gateway-provider"] == "echo"


def test_a_stream_comes_word_by_word_and_ends(gateway: RunningGateway) -> None:
    answer = ask(gateway, stream=True, stream_options={"include_usage": True})
    events = answer.events()
    chunks = [json.loads(event.data) for event in events[:-1]]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]][:3] == [
        "Hello",
        " wide",
        " world",
    ]
    assert chunks[-1]["usage"]["completion_tokens"] == 5
    assert events[-1].data == b"[DONE]"


def test_usage_is_not_shown_to_who_did_not_ask(gateway: RunningGateway) -> None:
    chunks = [json.loads(event.data) for event in ask(gateway, stream=True).events()[:-1]]
    assert not any(chunk.get("usage") for chunk in chunks)


def test_a_delay_lies_between_the_words(gateway: RunningGateway) -> None:
    place = urlsplit(gateway.url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    body = json.dumps({"model": "slow/snail", "messages": HELLO, "stream": True})
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    arrived = []
    while line := answer.readline():
        if b'"content":' in line:
            arrived.append(time.monotonic())
    connection.close()
    assert len(arrived) == 3
    assert all(0.1 < later - earlier < 1 for earlier, later in pairwise(arrived))


def test_a_caller_who_leaves_ends_the_stream(gateway: RunningGateway) -> None:
    place = urlsplit(gateway.url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    message = {"role": "user", "content": "word " * 1000}
    body = json.dumps({"model": "slow/snail", "messages": [message], "stream": True})
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.readline().startswith(b"data: ")
    assert gateway.app.active == 1
    answer.close()
    connection.close()
    deadline = time.monotonic() + 2
    while gateway.app.active and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gateway.app.active == 0


def test_an_unknown_model_is_a_404_that_names_the_known_ones(gateway: RunningGateway) -> None:
    answer = ask(gateway, model="slow/hare")
    assert answer.status == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "snail, echo" in answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_that_cannot_be_satisfied_is_openais_400(gateway: RunningGateway, stream: bool) -> None:
    schema = {"type": "integer", "minimum": 2, "maximum": 1}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    answer = ask(gateway, response_format=wanted, stream=stream)
    assert answer.status == 400
    assert answer.json()["error"] == {
        "message": "Invalid schema for response_format 'n': the lower bound exceeds the upper one "
        "('minimum' at the top).",
        "type": "invalid_request_error",
        "param": "response_format",
        "code": "invalid_json_schema",
    }


def test_tools_are_called_through_the_gateway(gateway: RunningGateway) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    answer = ask(gateway, messages=[{"role": "user", "content": "look_up it"}], tools=[tool])
    (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "look_up", "arguments": "{}"}
    assert answer.json()["choices"][0]["finish_reason"] == "tool_calls"


def embed(gateway: RunningGateway, **fields: Any) -> Any:
    return gateway.post("/v1/embeddings", {"model": "echo/echo", **fields})


def test_embeddings_are_unit_vectors_that_depend_on_the_input_alone(gateway: RunningGateway) -> None:
    body = embed(gateway, input=["one", "two", "one"]).json()
    first, second, third = (item["embedding"] for item in body["data"])
    assert first == third
    assert len(first) == 256
    assert math.isclose(sum(number * number for number in first), 1.0, rel_tol=1e-5)
    assert abs(sum(a * b for a, b in zip(first, second, strict=True))) < 0.5
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert body["model"] == "echo"


def test_embeddings_have_the_dimensions_and_the_packing_that_were_asked_for(gateway: RunningGateway) -> None:
    plain = embed(gateway, input="one", dimensions=5).json()["data"][0]["embedding"]
    packed = embed(gateway, input="one", dimensions=5, encoding_format="base64").json()["data"][0]["embedding"]
    assert list(struct.unpack("<5f", base64.b64decode(packed))) == plain
    assert len(embed(gateway, input=[[1, 2, 3]], dimensions=7).json()["data"][0]["embedding"]) == 7


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"input": []}, "input"), ({"input": ""}, "input"), ({"input": "x", "dimensions": 10**6}, "dimensions")],
)
def test_embeddings_of_nothing_are_refused(gateway: RunningGateway, fields: dict[str, Any], param: str) -> None:
    answer = embed(gateway, **fields)
    assert answer.status == 400
    assert answer.json()["error"]["param"] == param


def test_settings_without_a_meaning_are_warned_of() -> None:
    config = Echo.Config(base_url="http://127.0.0.1:1", api_key=Secret("x"))
    warnings = Echo(config, PluginContext(name="echo", use="echo")).warnings()
    assert [line.partition(":")[0] for line in warnings] == ["base_url", "api_key"]
    assert Echo(Echo.Config(), PluginContext(name="echo", use="echo")).warnings() == []
