"""The google-genai package, unmodified, as a client of the gateway, with four kinds of provider."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.conftest import Ask
from tests.clients.models import (
    ANTHROPIC,
    CALL_IDS,
    COMPATIBLE,
    CONVERSE,
    ECHO,
    GEMINI,
    INPUTS,
    RESULTS,
    TEXTS,
    THOUGHT,
    check_replay,
)

SCRIPTED = (GEMINI, COMPATIBLE, ANTHROPIC, CONVERSE)
MODELS = (ECHO, *SCRIPTED)


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    """A model behind the gateway."""
    name: str = request.param
    return name


@pytest.fixture
def scenes(ask: Ask, model: str) -> dict[str, Any]:
    """What each scene came to with this model."""
    found: dict[str, Any] = ask("genai-3", "", MODELS)[model]
    return found


def test_a_whole_answer(scenes: dict[str, Any], model: str) -> None:
    answer = scenes["whole"]
    assert (answer["text"], answer["finish"]) == (TEXTS[model], "STOP")
    assert answer["version"] == model.partition("/")[2]
    prompt, completion, total = answer["usage"]
    assert prompt + completion == total > 0


def test_a_streamed_answer_says_what_the_whole_one_says(scenes: dict[str, Any], model: str) -> None:
    answer = scenes["streamed"]
    assert (answer["text"], answer["finish"]) == (TEXTS[model], "STOP")
    assert answer["pieces"] > 1
    assert answer["usage"] == scenes["whole"]["usage"]


def test_the_asynchronous_client_gets_the_same(scenes: dict[str, Any], model: str) -> None:
    assert scenes["asynchronous"] == {"text": TEXTS[model], "streamed": TEXTS[model]}


def test_a_function_is_called_and_its_result_answered(scenes: dict[str, Any]) -> None:
    told = scenes["tools"]
    assert told["name"] == "get_weather"
    assert isinstance(told["arguments"]["city"], str)
    assert told["answer"]


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_the_package_calls_a_function_by_itself(scenes: dict[str, Any]) -> None:
    told = scenes["automatic"]
    assert told["asked"] == ["Paris"]
    assert "sunny in Paris" in told["answer"]


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_a_conversation_kept_by_the_package_goes_on(scenes: dict[str, Any], model: str) -> None:
    told = scenes["chat"]
    assert (told["first"], told["second"]) == (TEXTS[model], TEXTS[model])


def test_structured_output_is_parsed_into_an_object(scenes: dict[str, Any]) -> None:
    city = scenes["structured"]
    assert {name: type(value) for name, value in city.items()} == {"name": str, "country": str, "population": int}


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
@pytest.mark.parametrize("scene", ["parallel", "streamed_parallel"])
def test_parallel_calls_are_answered_together(scenes: dict[str, Any], scene: str) -> None:
    told = scenes[scene]
    assert told["inputs"] == INPUTS
    assert told["got"]["calls"] == CALL_IDS
    assert told["got"]["results"] == RESULTS


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
@pytest.mark.parametrize("scene", ["thinking", "streamed_thinking"])
def test_thinking_goes_back_to_the_provider_on_the_next_turn(scenes: dict[str, Any], model: str, scene: str) -> None:
    told = scenes[scene]
    assert told["thinking"] == THOUGHT
    assert told["inputs"] == INPUTS
    got = told["got"]
    if model == GEMINI:
        # The same dialect: the pieces of a streamed thought go back as the application has them.
        got = {**got, "thinking": ["".join(got["thinking"])]}
    check_replay(model, got)


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_an_image_reaches_the_provider(scenes: dict[str, Any]) -> None:
    (url,) = scenes["image"]
    assert url.startswith("data:image/png;base64,iVBOR")


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_tokens_are_counted_or_estimated(scenes: dict[str, Any], model: str) -> None:
    assert 5 < scenes["counted"] < 50 if model == COMPATIBLE else scenes["counted"] == 14


def test_models_are_listed_in_the_callers_own_shape(scenes: dict[str, Any]) -> None:
    assert {f"models/{ECHO}", f"models/{COMPATIBLE}"} <= set(scenes["listed"])


def test_a_wrong_key_and_an_unknown_model_are_client_errors(scenes: dict[str, Any]) -> None:
    for scene, status, word in (("wrong_key", 401, "UNAUTHENTICATED"), ("unknown_model", 404, "NOT_FOUND")):
        error = scenes[scene]
        assert (error["error"], error["status"], error["word"]) == ("ClientError", status, word)


FAILURES = {
    "context_length": ("ClientError", 400, "INVALID_ARGUMENT"),
    "rate_limit": ("ClientError", 429, "RESOURCE_EXHAUSTED"),
    "overloaded": ("ServerError", None, "UNAVAILABLE"),
}


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
@pytest.mark.parametrize("kind", FAILURES)
def test_what_a_provider_refuses_is_the_packages_own_exception(scenes: dict[str, Any], kind: str) -> None:
    name, status, word = FAILURES[kind]
    for error in scenes["failures"][kind]:
        assert (error["error"], error["word"]) == (name, word)
        assert error["status"] in ((503, 529) if status is None else (status,))


@pytest.mark.parametrize("model", SCRIPTED, indirect=True)
def test_a_key_that_the_provider_refuses_is_told_so(scenes: dict[str, Any], model: str) -> None:
    # Gemini's own answer passes as it is: it has no 401 for a wrong key.
    own = (400, "INVALID_ARGUMENT")
    for error in scenes["failures"]["authentication"]:
        assert (error["status"], error["word"]) == (own if model == GEMINI else (401, "UNAUTHENTICATED"))
