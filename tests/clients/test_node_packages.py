"""The openai and @anthropic-ai/sdk packages for Node, unmodified, as clients of the gateway."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest

from tests.clients.conftest import ENVIRONMENTS, HERE, KEY
from tests.clients.models import ANTHROPIC, COMPATIBLE, CONVERSE, GEMINI, INPUTS, RESULTS, TEXTS, check_replay

MODELS = (COMPATIBLE, ANTHROPIC, GEMINI, CONVERSE)


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    """A model behind the gateway."""
    name: str = request.param
    return name


@pytest.fixture
def scenes(base_url: str, model: str) -> dict[str, Any]:
    """What each scene came to with this model."""
    if shutil.which("node") is None:
        pytest.skip("no node on this machine")
    if not (ENVIRONMENTS / "node-clients" / ".installed").exists():
        pytest.skip("no .venvs/node-clients; make test installs it where npm is there")
    found: dict[str, Any] = play(base_url)[model]
    return found


@cache
def play(base_url: str) -> dict[str, Any]:
    command = ["node", str(HERE / "ask_with_node.mjs"), str(ENVIRONMENTS / "node-clients"), base_url, KEY, *MODELS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stderr
    played: dict[str, Any] = json.loads(done.stdout)
    return played


def test_a_chat_is_streamed(scenes: dict[str, Any], model: str) -> None:
    told = scenes["chat"]
    assert told["text"] == TEXTS[model]
    assert told["pieces"] > 1
    assert told["total"] > 0


def test_parallel_calls_of_a_chat_are_answered_together(scenes: dict[str, Any]) -> None:
    told = scenes["chat_tools"]
    assert told["inputs"] == INPUTS
    assert told["got"]["results"] == RESULTS


def test_a_streamed_response_is_gone_on_from_with_its_reasoning(scenes: dict[str, Any], model: str) -> None:
    told = scenes["responses"]
    assert told["inputs"] == INPUTS
    assert {"response.created", "response.function_call_arguments.done", "response.completed"} <= set(told["kinds"])
    check_replay(model, told["got"])


def test_a_message_is_streamed(scenes: dict[str, Any], model: str) -> None:
    told = scenes["messages"]
    assert (told["text"], told["stop_reason"]) == (TEXTS[model], "end_turn")
    assert told["pieces"] > 1


def test_a_streamed_message_is_gone_on_from_with_its_thinking(scenes: dict[str, Any], model: str) -> None:
    told = scenes["messages_tools"]
    assert told["inputs"] == INPUTS
    check_replay(model, told["got"])


def test_a_rate_limit_is_each_packages_own_exception(scenes: dict[str, Any]) -> None:
    assert scenes["failures"] == {
        "openai": {"error": "RateLimitError", "status": 429},
        "anthropic": {"error": "RateLimitError", "status": 429},
    }
