"""Models, ids and queries that no client sends: nothing breaks, and nothing but a model's own path is asked for."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from tests.hostile.mutations import strict
from tests.hostile.seeds import HI, dialects, wires
from tests.hostile.stage import HEADERS, Stage, error_shape, problem
from tests.hostile.test_hostile_replies import plain

NAMES = [
    "..",
    "../../admin",
    "../v1/other",
    "a/../../b",
    "a%2e%2e%2fb",
    "m?key=x&alt=json",
    "m#fragment",
    "m:other",
    "m:streamGenerateContent",
    "a b",
    "a\r\nx-evil: 1",
    "a\x00b",
    "a\\b",
    "//evil.example/x",
    "http://evil.example/",
    "@evil.example",
    "ü🦊",
    "%",
    "%zz",
    "{m}",
    "x" * 5000,
    ".",
    "",
    "tunedModels/../x",
    "arn:aws:bedrock:eu-central-1:1:inference-profile/a/../b",
]
SAFE = re.compile(r"/[!-\"$-~]*")


@pytest.mark.parametrize("wire", wires())
@pytest.mark.parametrize("caller", ["chat", "responses", "messages", "embeddings", "count_tokens"])
def test_a_models_name_in_a_body_stays_a_name(stage: Stage, caller: str, wire: str) -> None:
    speech, provider = dialects()[caller], stage.providers[wire]
    provider.good()
    for name in NAMES:
        body = {**speech.bodies[0], "model": f"{wire}/{name}"}
        answer = stage.ask(speech, "", json.dumps(body).encode())
        assert problem(speech, answer, good_upstream=True) == "", name
        for request in provider.server.requests:
            place, _, query = request.path.partition("?")
            assert SAFE.fullmatch(place), request.path
            assert query in ("", "alt=sse"), request.path
            assert not {"..", "."} & set(place.split("/")), request.path
            assert request.headers["host"] == provider.server.url.removeprefix("http://")
            assert "x-evil" not in request.headers
        assert stage.check_upstream() == []


@pytest.mark.parametrize("wire", wires())
@pytest.mark.parametrize("caller", ["gemini", "gemini_array", "gemini_count", "gemini_embed", "azure"])
def test_a_models_name_in_a_path_stays_a_name(stage: Stage, caller: str, wire: str) -> None:
    speech, provider = dialects()[caller], stage.providers[wire]
    provider.good()
    for name in NAMES:
        for model in (quote(f"{wire}/{name}", safe="/"), quote(f"{wire}/{name}", safe="")):
            answer = stage.ask(speech, model, json.dumps(speech.bodies[0]).encode())
            wrong = problem(speech, answer, good_upstream=True)
            assert wrong == "" or answer.status in (404, 405), (name, wrong)
            for request in provider.server.requests:
                assert not {"..", "."} & set(request.path.partition("?")[0].split("/")), request.path
                assert "x-evil" not in request.headers
            assert stage.check_upstream() == []


READ = ["/v1/models/", "/v1beta/models/", "/openai/v1/models/", "/v1/responses/", "/v1/files/", "/", "/v1/nothing/"]


@pytest.mark.parametrize("place", READ)
def test_ids_that_nobody_gave_are_not_found(stage: Stage, place: str) -> None:
    for name in NAMES:
        for rest in ("", "/input_items", "?include=x&limit=-1&after=%00"):
            answer = stage.gateway.get(place + quote(name, safe="") + rest, headers=HEADERS)
            assert answer.status < 500, (name, rest, answer.body)
            if answer.status >= 400:
                shapes = [error_shape(shape, strict(answer.body), answer.status) for shape in ("openai", "gemini")]
                assert "" in shapes, answer.body


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("name", dialects())
def test_other_methods_are_refused(stage: Stage, name: str, method: str) -> None:
    path = dialects()[name].path.replace("{m}", "chat/m")
    answer = stage.gateway.request(method, path, None, HEADERS)
    assert 400 <= answer.status < 500
    assert stage.check_upstream() == []


@pytest.mark.parametrize(
    "header",
    [
        *("x-gateway-timeout-ms", "x-gateway-first-token-timeout-ms", "x-gateway-strict", "x-gateway-tags"),
        *("x-gateway-cache", "x-gateway-explain", "x-request-id"),
        *("anthropic-beta", "openai-beta", "content-type", "accept"),
    ],
)
def test_odd_values_of_headers_that_are_read(stage: Stage, header: str) -> None:
    values = ["\xd9\xa3", "", " ", "-1", "0", "1e9", "9" * 400, "nan", "\xff\xfe", "a,b,,", '"', "x" * 4000, "true;q=1"]
    for value in values:
        for caller, wire in (("chat", "chat"), ("messages", "anthropic"), ("gemini", "bedrock")):
            model = f"{wire}/m"
            answer = stage.ask(
                dialects()[caller], model, plain(caller, model, stream=False), headers={**HEADERS, header: value}
            )
            assert answer.status in (200, 400, 415), (header, value, answer.body)
            assert problem(dialects()[caller], answer, good_upstream=True) == ""
    stage.check_upstream()


def test_a_conversation_does_not_choose_a_host(stage: Stage) -> None:
    """What other gateways take for settings is at most passed on as a field."""
    evil = {
        "api_base": "http://127.0.0.1:1",
        "base_url": "http://127.0.0.1:1",
        "api_key": "x",
        "custom_llm_provider": "y",
    }
    for wire, provider in stage.providers.items():
        provider.good()
        body = {"model": f"{wire}/m", "messages": [HI], **evil, "extra_headers": {"host": "x"}, "extra_body": evil}
        answer = stage.ask(dialects()["chat"], "", json.dumps(body).encode())
        assert answer.status == 200
        assert [request.headers["host"] for request in provider.server.requests] == [provider.server.url[7:]]
        assert stage.check_upstream() == []
