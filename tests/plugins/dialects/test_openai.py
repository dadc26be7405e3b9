"""OpenAI's dialect: its paths, its error shape, and the list of models in both shapes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from gateway.testing import Answer, RunningGateway, running_gateway

OPEN = """
[plugins.echo]

[plugins.box]
use = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"

[models.fast]
targets = ["echo/echo"]

[models."house/slow"]
targets = ["echo/echo"]
"""
KEYED = (
    OPEN
    + """
[plugins.api_keys]
keys = [
  { name = "all", key = "sk-all-0123456789abcdef" },
  { name = "few", key = "sk-few-0123456789abcdef", models = ["fast", "box/*"] },
]
"""
)
MANY = "[plugins.echo]\n" + "".join(f'[models.m{number:02}]\ntargets = ["echo/echo"]\n' for number in range(24))
ANTHROPIC = {"anthropic-version": "2023-06-01"}
ALL, FEW = ({"authorization": f"Bearer sk-{name}-0123456789abcdef"} for name in ("all", "few"))


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(OPEN) as running:
        yield running


@pytest.fixture(scope="module")
def keyed() -> Iterator[RunningGateway]:
    with running_gateway(KEYED) as running:
        yield running


@pytest.fixture(scope="module")
def many() -> Iterator[RunningGateway]:
    with running_gateway(MANY) as running:
        yield running


def names(answer: Answer) -> list[str]:
    assert answer.status == 200
    return [model["id"] for model in answer.json()["data"]]


def test_the_list_has_named_models_and_those_that_a_provider_is_sure_of(gateway: RunningGateway) -> None:
    answer = gateway.get("/v1/models")
    assert names(answer) == ["fast", "house/slow", "echo/echo"]
    body = answer.json()
    assert body.keys() == {"object", "data"}
    assert body["object"] == "list"
    first, *_, last = body["data"]
    assert first.keys() == {"id", "object", "created", "owned_by"}
    assert (first["object"], first["owned_by"], last["owned_by"]) == ("model", "gateway", "echo")
    assert abs(first["created"] - time.time()) < 60
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")


def test_the_list_has_what_the_key_may_use(keyed: RunningGateway) -> None:
    assert names(keyed.get("/v1/models", headers=ALL)) == ["fast", "house/slow", "echo/echo"]
    assert names(keyed.get("/v1/models", headers=FEW)) == ["fast"]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer sk-wrong"}, {"authorization": "Basic eDp5"}])
def test_without_a_good_key_there_is_no_list(keyed: RunningGateway, headers: dict[str, str]) -> None:
    answer = keyed.get("/v1/models", headers=headers)
    assert answer.status == 401
    assert answer.json()["error"]["code"] in ("missing_api_key", "invalid_api_key")
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert answer.headers["x-should-retry"] == "false"


def test_a_key_is_taken_from_any_of_the_usual_headers(keyed: RunningGateway) -> None:
    key = "sk-few-0123456789abcdef"
    assert names(keyed.get("/v1/models", headers={"x-api-key": key})) == ["fast"]
    assert keyed.get("/v1/models", headers={"x-api-key": key, "api-key": "other"}).status == 401


@pytest.mark.parametrize("name", ["fast", "house/slow", "house%2Fslow", "echo/echo", "box/any/model"])
def test_one_model_is_told_by_its_id(gateway: RunningGateway, name: str) -> None:
    answer = gateway.get(f"/v1/models/{name}")
    assert answer.status == 200
    assert answer.json()["id"] == name.replace("%2F", "/")
    assert answer.json()["object"] == "model"


@pytest.mark.parametrize("name", ["nothing", "echo/other", "nowhere/model", "box/", "house"])
def test_an_unknown_model_is_not_found(gateway: RunningGateway, name: str) -> None:
    answer = gateway.get(f"/v1/models/{name}")
    assert answer.status == 404
    error = answer.json()["error"]
    assert (error["code"], error["type"], error["param"]) == ("model_not_found", "invalid_request_error", "model")
    assert name in error["message"]


def test_a_model_that_the_key_may_not_use_is_not_found(keyed: RunningGateway) -> None:
    for name in ("house/slow", "echo/echo"):
        assert keyed.get(f"/v1/models/{name}", headers=ALL).status == 200
        assert keyed.get(f"/v1/models/{name}", headers=FEW).status == 404
    assert keyed.get("/v1/models/box/model", headers=FEW).status == 200
    assert keyed.get("/v1/models/fast").status == 401


def test_only_get_and_head_are_taken(gateway: RunningGateway) -> None:
    answer = gateway.post("/v1/models", {})
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.json()["error"]["code"] == "method_not_allowed"
    head = gateway.request("HEAD", "/v1/models", None, {})
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 0


def test_the_request_id_is_the_callers_own(gateway: RunningGateway) -> None:
    assert gateway.get("/v1/models", headers={"x-request-id": "my-own-id-1"}).headers["x-request-id"] == "my-own-id-1"


def test_anthropics_callers_get_its_shape(gateway: RunningGateway) -> None:
    answer = gateway.get("/v1/models", headers=ANTHROPIC)
    body = answer.json()
    assert names(answer) == ["fast", "house/slow", "echo/echo"]
    assert (body["first_id"], body["last_id"], body["has_more"]) == ("fast", "echo/echo", False)
    model = body["data"][0]
    assert (model["type"], model["display_name"]) == ("model", "fast")
    created = datetime.fromisoformat(model["created_at"])
    assert created.tzinfo is not None
    assert abs(created.timestamp() - time.time()) < 60
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert gateway.get("/v1/models/house/slow", headers=ANTHROPIC).json() == model | {
        "id": "house/slow",
        "display_name": "house/slow",
    }


def test_anthropics_callers_get_its_errors(keyed: RunningGateway) -> None:
    answer = keyed.get("/v1/models/nothing", headers={**ALL, **ANTHROPIC})
    assert answer.status == 404
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "not_found_error"
    assert answer.json()["request_id"] == answer.headers["request-id"]
    assert keyed.get("/v1/models", headers=ANTHROPIC).json()["error"]["type"] == "authentication_error"


def page(many: RunningGateway, query: str) -> dict[str, Any]:
    body: dict[str, Any] = many.get(f"/v1/models{query}", headers=ANTHROPIC).json()
    return body


@pytest.mark.parametrize(
    ("query", "first", "last", "more"),
    [
        ("", "m00", "m19", True),
        ("?limit=3", "m00", "m02", True),
        ("?limit=1000", "m00", "echo/echo", False),
        ("?limit=3&after_id=m02", "m03", "m05", True),
        ("?after_id=m20", "m21", "echo/echo", False),
        ("?limit=3&before_id=m05", "m02", "m04", True),
        ("?limit=3&before_id=m02", "m00", "m01", False),
        ("?after_id=echo%2Fecho", None, None, False),
    ],
)
def test_anthropics_callers_get_pages(many: RunningGateway, query: str, first: str, last: str, more: bool) -> None:
    body = page(many, query)
    assert (body["first_id"], body["last_id"], body["has_more"]) == (first, last, more)
    if first is not None:
        assert (body["data"][0]["id"], body["data"][-1]["id"]) == (first, last)


def test_pages_follow_each_other_without_gap_or_repetition(many: RunningGateway) -> None:
    found: list[str] = []
    body = page(many, "?limit=7")
    while True:
        found += [model["id"] for model in body["data"]]
        if not body["has_more"]:
            break
        body = page(many, f"?limit=7&after_id={body['last_id']}")
    assert found == [f"m{number:02}" for number in range(24)] + ["echo/echo"]


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", "?limit=x", "?limit=" + "9" * 5000, "?after_id=nothing"])
def test_a_page_that_cannot_be_is_refused(many: RunningGateway, query: str) -> None:
    answer = many.get(f"/v1/models{query}", headers=ANTHROPIC)
    assert answer.status == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_openais_callers_have_no_pages(many: RunningGateway) -> None:
    assert len(names(many.get("/v1/models?limit=3"))) == 25


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings"])
def test_its_paths_answer_errors_in_its_shape(gateway: RunningGateway, path: str) -> None:
    answer = gateway.post(path, {"model": "nothing", "messages": [], "input": "x"})
    assert answer.status == 404
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")


def test_the_dialect_can_be_switched_off() -> None:
    with running_gateway(OPEN + "[plugins.openai_dialect]\nenabled = false\n") as gateway:
        assert gateway.get("/v1/models").status == 404
        assert gateway.post("/v1/chat/completions", {}).status == 404
