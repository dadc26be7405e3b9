"""The openai package, unmodified, at its current and its previous major version, as a client of the gateway."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.conftest import Ask
from tests.clients.models import (
    ANTHROPIC,
    COHERE,
    COMPATIBLE,
    CONVERSE,
    ECHO,
    GEMINI,
    INPUTS,
    RESULTS,
    RETRY_AFTER,
    TEXTS,
    THOUGHT,
    check_replay,
)

SCRIPTED = (COMPATIBLE, ANTHROPIC, GEMINI, CONVERSE, COHERE)
MODELS = (ECHO, *SCRIPTED)
EMBED = (ECHO, COMPATIBLE, ANTHROPIC)


@pytest.fixture(params=["openai-3", "openai-2"])
def environment(request: pytest.FixtureRequest) -> str:
    """The environment with a major version of the package."""
    name: str = request.param
    return name


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    """A model behind the gateway."""
    name: str = request.param
    return name


@pytest.fixture
def scenes(ask: Ask, environment: str, model: str) -> dict[str, Any]:
    """What each scene came to with this package and model."""
    found: dict[str, Any] = ask(environment, "/v1", MODELS)[model]
    return found


def test_a_whole_answer(scenes: dict[str, Any], model: str) -> None:
    answer = scenes["whole"]
    assert answer["text"] == TEXTS[model]
    assert answer["finish"] == "stop"
    assert answer["object"] == "chat.completion"
    assert answer["role"] == "assistant"
    assert answer["id"]
    usage = answer["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_answer_says_who_gave_it(scenes: dict[str, Any], model: str) -> None:
    headers = scenes["raw"]["headers"]
    assert headers["x-request-id"]
    assert headers["x-gateway-provider"] == model.partition("/")[0]
    assert headers["content-type"].startswith("application/json")


def test_a_streamed_answer_says_what_the_whole_one_says(scenes: dict[str, Any], model: str) -> None:
    answer = scenes["streamed"]
    assert answer["text"] == TEXTS[model]
    assert answer["pieces"] > 1
    assert answer["finish"] == ["stop"]
    assert answer["usage"] == scenes["whole"]["usage"]
    assert answer["ids"] == 1


def test_a_tool_is_called_and_its_result_answered(scenes: dict[str, Any]) -> None:
    told = scenes["tools"]
    assert told["name"] == "get_weather"
    assert isinstance(told["arguments"]["city"], str)
    assert told["finish"] == "tool_calls"
    assert told["answer"]
    assert told["answer_finish"] == "stop"


def test_a_streamed_tool_call_is_the_whole_one(scenes: dict[str, Any]) -> None:
    told = scenes["streamed_tools"]
    assert "tool_calls.function.arguments.done" in told["kinds"]
    assert told["name"] == "get_weather"
    assert told["arguments"] == scenes["tools"]["arguments"]
    assert told["finish"] == "tool_calls"


def test_structured_output_is_parsed_into_an_object(scenes: dict[str, Any]) -> None:
    city = scenes["structured"]
    assert {name: type(value) for name, value in city.items()} == {"name": str, "country": str, "population": int}


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
@pytest.mark.parametrize("scene", ["parallel", "streamed_parallel"])
def test_parallel_calls_are_answered_together(scenes: dict[str, Any], scene: str) -> None:
    told = scenes[scene]
    assert told["inputs"] == INPUTS
    assert told["same_ids"]
    assert told["got"]["results"] == RESULTS


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
@pytest.mark.parametrize("scene", ["thinking", "streamed_thinking"])
def test_thinking_goes_back_to_the_provider_on_the_next_turn(scenes: dict[str, Any], model: str, scene: str) -> None:
    told = scenes[scene]
    assert told["thinking"] == THOUGHT
    assert told["inputs"] == INPUTS
    assert told["same_ids"]
    check_replay(model, told["got"])


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_an_image_reaches_the_provider(scenes: dict[str, Any]) -> None:
    (url,) = scenes["image"]
    assert url.startswith("data:image/png;base64,iVBOR")


def test_the_asynchronous_client_gets_the_same(scenes: dict[str, Any], model: str) -> None:
    assert scenes["asynchronous"] == {"text": TEXTS[model], "streamed": TEXTS[model]}


@pytest.mark.parametrize("model", EMBED, indirect=True)
def test_embeddings_come_as_base64_by_default_and_as_numbers_when_asked(scenes: dict[str, Any], model: str) -> None:
    told = scenes["embeddings"]
    if model == ANTHROPIC:
        assert told["error"] in ("NotFoundError", "BadRequestError")
        assert "anthropic" in told["message"]
    else:
        assert told["vectors"] == 2
        assert told["size"] > 1
        assert told["base64_equals_float"]


def test_models_are_listed_and_retrieved_by_a_name_with_a_slash(scenes: dict[str, Any], model: str) -> None:
    assert {ECHO, COMPATIBLE} <= set(scenes["listed"]["ids"])
    assert scenes["listed"]["one"] == model


def test_a_wrong_key_is_an_authentication_error(scenes: dict[str, Any]) -> None:
    error = scenes["wrong_key"]
    assert (error["error"], error["status"], error["code"]) == ("AuthenticationError", 401, "invalid_api_key")
    assert error["request_id"]


def test_an_unknown_model_is_a_not_found_error(scenes: dict[str, Any]) -> None:
    error = scenes["unknown_model"]
    assert (error["error"], error["status"], error["code"]) == ("NotFoundError", 404, "model_not_found")


def test_a_bad_request_is_a_bad_request_error(scenes: dict[str, Any]) -> None:
    error = scenes["bad_request"]
    assert (error["error"], error["status"]) == ("BadRequestError", 400)
    assert "messages" in error["message"]


FAILURES = {
    "context_length": ("BadRequestError", 400, "context_length_exceeded"),
    "authentication": ("AuthenticationError", 401, "invalid_api_key"),
    "rate_limit": ("RateLimitError", 429, "rate_limit_exceeded"),
}


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
@pytest.mark.parametrize("kind", FAILURES)
def test_what_a_provider_refuses_is_the_packages_own_exception(scenes: dict[str, Any], model: str, kind: str) -> None:
    for error in scenes["failures"][kind]:
        assert (error["error"], error["status"], error["code"]) == FAILURES[kind]
        assert error["retry_after"] == (RETRY_AFTER[model] if kind == "rate_limit" else None)


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_an_overloaded_provider_is_a_server_error_to_be_asked_again(scenes: dict[str, Any]) -> None:
    for error in scenes["failures"]["overloaded"]:
        assert error["error"] == "InternalServerError"
        assert error["status"] in (503, 529)
        assert error["retry_after"] == "1"
