"""The responses of the openai package, unmodified, at two major versions, with three kinds of provider."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from typing import Any

import pytest

from tests.clients.conftest import ENVIRONMENTS, HERE, KEY
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
def scenes(base_url: str, environment: str, model: str) -> dict[str, Any]:
    """What each scene came to with this package and model."""
    if not (ENVIRONMENTS / environment).exists():
        pytest.skip(f"no .venvs/{environment}; make test installs it")
    found: dict[str, Any] = play(base_url, environment)[model]
    return found


@cache
def play(base_url: str, environment: str) -> dict[str, Any]:
    python = ENVIRONMENTS / environment / "bin" / "python"
    command = [str(python), str(HERE / "ask_responses_with_openai.py"), f"{base_url}/v1", KEY, *MODELS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["version"].startswith(environment.partition("-")[2] + ".")
    played: dict[str, Any] = told["models"]
    return played


def test_a_whole_response(scenes: dict[str, Any], model: str) -> None:
    answer = scenes["whole"]
    assert answer["text"] == TEXTS[model]
    assert (answer["status"], answer["object"], answer["instructions"]) == ("completed", "response", "Be brief.")
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


def test_a_streamed_response_says_what_the_whole_one_says(scenes: dict[str, Any], model: str) -> None:
    answer = scenes["streamed"]
    assert answer["text"] == answer["deltas"] == TEXTS[model]
    assert answer["pieces"] > 1
    assert answer["usage"] == scenes["whole"]["usage"]
    assert answer["kinds"] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_a_tool_is_called_and_its_result_answered(scenes: dict[str, Any]) -> None:
    told = scenes["tools"]
    assert told["name"] == "get_weather"
    assert isinstance(told["arguments"]["city"], str)
    assert told["answer"]


def test_a_streamed_tool_call_is_the_whole_one(scenes: dict[str, Any]) -> None:
    told = scenes["streamed_tools"]
    assert {"response.function_call_arguments.delta", "response.function_call_arguments.done"} <= set(told["kinds"])
    assert (told["name"], told["arguments"]) == ("get_weather", scenes["tools"]["arguments"])


def test_structured_output_is_parsed_into_an_object(scenes: dict[str, Any]) -> None:
    city = scenes["structured"]
    assert {name: type(value) for name, value in city.items()} == {"name": str, "country": str, "population": int}


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
@pytest.mark.parametrize("scene", ["replayed", "streamed_replayed", "stored"])
def test_thinking_goes_back_to_the_provider_on_the_next_turn(scenes: dict[str, Any], model: str, scene: str) -> None:
    """Sent back by the caller as it came, or by the gateway for a ``previous_response_id``."""
    told = scenes[scene]
    assert told["inputs"] == INPUTS
    assert told["thinking"] == THOUGHT
    assert told["same_ids"]
    check_replay(model, told["got"])


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_a_streamed_turn_is_gone_on_from_by_its_id(scenes: dict[str, Any]) -> None:
    told = scenes["streamed_stored"]
    assert told["inputs"] == INPUTS
    assert told["same_ids"]
    assert told["got"]["results"] == RESULTS


def test_a_response_is_retrieved_listed_and_deleted(scenes: dict[str, Any]) -> None:
    assert scenes["kept"] == {"same": True, "items": 1, "gone": True}


def test_a_bad_request_is_a_bad_request_error(scenes: dict[str, Any]) -> None:
    error = scenes["bad_request"]
    assert (error["error"], error["status"]) == ("BadRequestError", 400)
    assert "input" in error["message"]


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_an_image_reaches_the_provider(scenes: dict[str, Any]) -> None:
    (url,) = scenes["image"]
    assert url.startswith("data:image/png;base64,iVBOR")


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
        assert (error["error"], error["retry_after"]) == ("InternalServerError", "1")
