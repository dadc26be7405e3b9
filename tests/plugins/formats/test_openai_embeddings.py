"""Embeddings: inputs of every kind, and vectors packed as the caller asked, however the provider sends them."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from gateway.errors import InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Traits
from gateway.protocol import Embedding, EmbeddingsReply, EmbeddingsRequest, Usage
from gateway_plugins.formats.openai_embeddings import OpenAIEmbeddings, to_base64, to_floats

FORM = OpenAIEmbeddings()
NONE = Traits()


def read(**body: Any) -> EmbeddingsRequest:
    return FORM.read_request(json.dumps({"model": "m", **body}).encode())


def write(request: EmbeddingsRequest, traits: Traits = NONE) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    body: dict[str, Any] = json.loads(FORM.write_request(request, traits, dropped))
    return body, dropped.reasons


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1], [2, 3]], [[1], [2, 3]]),
    ],
)
def test_inputs_of_every_kind_come_back_as_they_were(said: Any, meant: Any) -> None:
    request = read(input=said)
    assert request == EmbeddingsRequest(model="m", input=meant, origin="openai_embeddings")
    assert write(request)[0] == {"model": "m", "input": said}


def test_settings_go_to_their_fields_and_come_back() -> None:
    said = {"input": "a", "dimensions": 8, "encoding_format": "base64", "user": "u", "input_type": "query", "x": 1}
    request = read(**said)
    assert request == EmbeddingsRequest(
        model="m",
        input=["a"],
        dimensions=8,
        encoding_format="base64",
        user="u",
        input_type="query",
        origin="openai_embeddings",
        extra={"x": 1},
    )
    assert write(request) == ({"model": "m", **said}, {})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["a", 1]}, "input[0]"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": [[1], ["a"]]}, "input[1]"),
        ({"input": [True]}, "input[0]"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "dimensions": "8"}, "dimensions"),
    ],
)
def test_a_malformed_request_is_refused_with_the_field_at_fault(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**body)
    assert caught.value.param == param


def test_losses_are_named_and_traits_applied() -> None:
    request = EmbeddingsRequest(
        model="m", input=["a"], dimensions=8, encoding_format="base64", input_type="query", origin="x", extra={"y": 1}
    )
    body, dropped = write(request, Traits(unsupported={"dimensions": "fixed", "encoding_format": "floats only"}))
    assert body == {"model": "m", "input": "a"}
    assert set(dropped) == {"dimensions", "input_type", "y"}
    traits = Traits(
        renames={"dimensions": "output_dimension"}, defaults={"truncation": True}, options={"accepts": ["input_type"]}
    )
    body, dropped = write(request, traits)
    assert body == {
        "model": "m",
        "input": "a",
        "output_dimension": 8,
        "input_type": "query",
        "encoding_format": "base64",
        "truncation": True,
    }
    assert set(dropped) == {"y"}


PACKED = base64.b64encode(struct.pack("<2f", 0.5, -1.25)).decode()


def test_a_reply_is_read_in_the_order_of_the_input() -> None:
    body = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 1, "embedding": [0.5, -1.25]},
            {"object": "embedding", "index": 0, "embedding": PACKED},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
        "id": "e",
    }
    assert FORM.read_reply(json.dumps(body).encode()) == EmbeddingsReply(
        model="m",
        embeddings=[Embedding(index=0, base64=PACKED), Embedding(index=1, vector=[0.5, -1.25])],
        usage=Usage(prompt_tokens=3),
        origin="openai_embeddings",
        extra={"id": "e"},
    )


@pytest.mark.parametrize(
    ("wanted", "sent", "expected"),
    [
        ("base64", {"vector": [0.5, -1.25]}, PACKED),
        ("base64", {"base64": PACKED}, PACKED),
        ("float", {"base64": PACKED}, [0.5, -1.25]),
        ("float", {"vector": [0.5, -1.25]}, [0.5, -1.25]),
        (None, {"base64": PACKED}, PACKED),
        (None, {"vector": [0.5, -1.25]}, [0.5, -1.25]),
    ],
)
def test_vectors_are_packed_as_the_caller_asked(wanted: Any, sent: dict[str, Any], expected: Any) -> None:
    reply = EmbeddingsReply(
        model="m", embeddings=[Embedding(index=0, **sent)], usage=Usage(prompt_tokens=3), encoding_format=wanted
    )
    body = json.loads(FORM.write_reply(reply, Dropped()))
    assert body == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": expected}],
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    if not isinstance(expected, str):
        CreateEmbeddingResponse.model_validate(body)


@settings(deadline=None)
@given(vector=st.lists(st.floats(width=32, allow_nan=False), max_size=20))
def test_packing_and_unpacking_gives_the_same_numbers(vector: list[float]) -> None:
    assert to_floats(to_base64(vector)) == vector


@pytest.mark.parametrize("packed", ["AAA", "AAAA", "!"])
def test_what_is_no_vector_is_a_protocol_error(packed: str) -> None:
    with pytest.raises(UpstreamProtocolError):
        to_floats(packed)
    with pytest.raises(UpstreamProtocolError):
        to_base64([1e300])


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"\xff"', b"{}", b'{"data":5}', b'{"data":[5]}', b'{"data":[{"embedding":null}]}']
)
def test_what_holds_no_embeddings_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        FORM.read_reply(body)


def test_an_error_under_a_good_status_is_an_error() -> None:
    body = b'{"error":{"message":"No","code":"insufficient_quota"}}'
    with pytest.raises(UpstreamRejected) as caught:
        FORM.read_reply(body)
    assert caught.value.kind == "quota"
    facts = FORM.read_facts(body)
    assert facts.error is not None
    assert facts.error.message == "No"


def test_facts_are_read_without_the_vectors() -> None:
    body = b'{"data":[{"index":0,"embedding":[0.5]}],"model":"m","usage":{"total_tokens":3}}'
    facts = FORM.read_facts(body)
    assert (facts.model, facts.usage, facts.error) == ("m", Usage(prompt_tokens=3), None)
    assert FORM.read_facts(b"<html>").model is None


def test_foreign_fields_of_a_reply_are_named() -> None:
    dropped = Dropped()
    FORM.write_reply(EmbeddingsReply(model="m", origin="x", extra={"y": 1}), dropped)
    assert set(dropped.reasons) == {"y"}


def test_embeddings_are_not_streamed() -> None:
    for ask in (FORM.stream_reader, lambda: FORM.stream_writer(None), lambda: FORM.stream_watch(hide_usage=True)):
        with pytest.raises(InvalidRequest, match="not streamed"):
            ask()
