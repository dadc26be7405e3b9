"""The anthropic package, unmodified, at its current and its previous major version, as a client of the gateway."""

from __future__ import annotations

from typing import Any

import pytest

import scripted_anthropic
from tests.clients.conftest import Ask

ECHO, ANTHROPIC = "echo/echo", "anthropic/claude-sonnet-4-6"
MODELS = (ECHO, ANTHROPIC)
TEXTS = {ECHO: "What is the weather in Paris?", ANTHROPIC: scripted_anthropic.TEXT}


@pytest.fixture(params=["anthropic-2", "anthropic-1"])
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
    found: dict[str, Any] = ask(environment, "", MODELS)[model]
    return found


def test_a_whole_message(scenes: dict[str, Any], model: str) -> None:
    message = scenes["whole"]
    assert message["text"] == TEXTS[model]
    assert (message["type"], message["role"], message["stop_reason"]) == ("message", "assistant", "end_turn")
    assert message["usage"]["input"] > 0
    assert message["usage"]["output"] > 0


def test_the_message_says_who_gave_it(scenes: dict[str, Any], model: str) -> None:
    headers = scenes["raw"]["headers"]
    assert headers["request-id"]
    assert headers["x-gateway-provider"] == model.partition("/")[0]


def test_a_streamed_message_says_what_the_whole_one_says(scenes: dict[str, Any], model: str) -> None:
    message = scenes["streamed"]
    assert message["text"] == TEXTS[model]
    assert message["pieces"] > 1
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["output"] > 0


def test_a_tool_is_used_and_its_result_answered(scenes: dict[str, Any]) -> None:
    told = scenes["tools"]
    assert told["name"] == "get_weather"
    assert isinstance(told["input"]["city"], str)
    assert told["stop_reason"] == "tool_use"
    assert told["answer"]
    assert told["answer_stop_reason"] == "end_turn"


def test_a_streamed_tool_use_is_the_whole_one(scenes: dict[str, Any]) -> None:
    told = scenes["streamed_tools"]
    assert {"message_start", "content_block_start", "content_block_stop", "message_stop"} <= set(told["kinds"])
    assert told["name"] == "get_weather"
    assert told["input"] == scenes["tools"]["input"]
    assert told["stop_reason"] == "tool_use"


def test_structured_output_is_parsed_into_an_object(scenes: dict[str, Any]) -> None:
    city = scenes["structured"]
    assert {name: type(value) for name, value in city.items()} == {"name": str, "country": str, "population": int}


def test_models_are_listed_in_the_callers_own_shape(scenes: dict[str, Any]) -> None:
    assert ECHO in scenes["listed"]["ids"]
    assert scenes["listed"]["types"] == ["model"]


def test_a_wrong_key_is_an_authentication_error(scenes: dict[str, Any]) -> None:
    error = scenes["wrong_key"]
    assert (error["error"], error["status"]) == ("AuthenticationError", 401)
    assert error["body"]["type"] == "error"
    assert error["body"]["error"]["type"] == "authentication_error"
    assert error["request_id"]


def test_an_unknown_model_is_a_not_found_error(scenes: dict[str, Any]) -> None:
    error = scenes["unknown_model"]
    assert (error["error"], error["status"]) == ("NotFoundError", 404)
    assert error["body"]["error"]["type"] == "not_found_error"


def test_a_bad_request_is_a_bad_request_error(scenes: dict[str, Any]) -> None:
    error = scenes["bad_request"]
    assert (error["error"], error["status"]) == ("BadRequestError", 400)
    assert error["body"]["error"]["type"] == "invalid_request_error"
