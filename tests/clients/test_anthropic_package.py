"""The anthropic package, unmodified, at its current and its previous major version, as a client of the gateway."""

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
    INVOKE,
    RESULTS,
    RETRY_AFTER,
    TEXTS,
    THINKING,
    THOUGHT,
    check_replay,
)

SCRIPTED = (COMPATIBLE, ANTHROPIC, GEMINI, CONVERSE, INVOKE, COHERE)
MODELS = (ECHO, *SCRIPTED)
COUNTS = (ANTHROPIC, GEMINI, CONVERSE, INVOKE)


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


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
@pytest.mark.parametrize("scene", ["parallel", "streamed_parallel"])
def test_parallel_calls_are_answered_together(scenes: dict[str, Any], scene: str) -> None:
    told = scenes[scene]
    assert told["kinds"] == ["tool_use", "tool_use"]
    assert told["inputs"] == INPUTS
    assert told["same_ids"]
    assert told["got"]["results"] == RESULTS


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
@pytest.mark.parametrize("scene", ["thinking", "streamed_thinking"])
def test_thinking_goes_back_to_the_provider_on_the_next_turn(scenes: dict[str, Any], model: str, scene: str) -> None:
    told = scenes[scene]
    assert told["thinking"] == [THOUGHT]
    assert told["inputs"] == INPUTS
    assert told["same_ids"]
    # What has to come back beside the text (a redacted thought, the signature of a call) travels in a block of its own.
    hidden = ["redacted_thinking"] if model == GEMINI or len(THINKING[model]) > 1 else []
    assert told["kinds"] == ["thinking", *hidden, "tool_use", "tool_use"]
    check_replay(model, told["got"])


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_an_image_reaches_the_provider(scenes: dict[str, Any]) -> None:
    (url,) = scenes["image"]
    assert url.startswith("data:image/png;base64,iVBOR")


def test_tokens_are_counted_or_estimated_and_marked(scenes: dict[str, Any], model: str) -> None:
    told = scenes["counted"]
    if model in COUNTS:
        assert told == {"tokens": 14, "estimated": False}
    else:
        assert told["estimated"]
        assert 10 < told["tokens"] < 100


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


FAILURES = {
    "context_length": ("BadRequestError", 400, "invalid_request_error"),
    "authentication": ("AuthenticationError", 401, "authentication_error"),
    "rate_limit": ("RateLimitError", 429, "rate_limit_error"),
}


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
@pytest.mark.parametrize("kind", FAILURES)
def test_what_a_provider_refuses_is_the_packages_own_exception(scenes: dict[str, Any], model: str, kind: str) -> None:
    for error in scenes["failures"][kind]:
        assert (error["error"], error["status"], error["type"]) == FAILURES[kind]
        assert error["retry_after"] == (RETRY_AFTER[model] if kind == "rate_limit" else None)
        # Claude Code compacts a conversation when it reads these words.
        assert kind != "context_length" or "prompt is too long" in error["message"]


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_an_overloaded_provider_is_overloaded(scenes: dict[str, Any]) -> None:
    for error in scenes["failures"]["overloaded"]:
        assert (error["type"], error["retry_after"]) == ("overloaded_error", "1")
        assert error["status"] in (503, 529)
