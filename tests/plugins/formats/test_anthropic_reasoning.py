"""Effort, budgets and modes of other formats, in the wording that the model takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.format import Dropped
from gateway.protocol import (
    ChatRequest,
    Message,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.anthropic_models import traits_of

ASK = [Message(role="user", content=[Text(text="hi")])]


def say(model: str, reasoning: Reasoning, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    dropped = Dropped()
    request = ChatRequest(model=model, messages=ASK, reasoning=reasoning, origin="openai_responses")
    for name, value in fields.items():
        setattr(request, name, value)
    written = json.loads(AnthropicMessages().write_request(request, traits_of(model), dropped))
    return written, sorted(dropped.reasons)


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "sent", "lost"),
    [
        ("claude-opus-4-8", "low", {"type": "adaptive"}, "low", []),
        ("claude-opus-4-8", "xhigh", {"type": "adaptive"}, "xhigh", []),
        ("claude-opus-4-8", "minimal", {"type": "adaptive"}, "low", ["reasoning.effort"]),
        ("claude-opus-4-6", "xhigh", {"type": "adaptive"}, "high", ["reasoning.effort"]),
        ("claude-opus-4-6", "max", {"type": "adaptive"}, "max", []),
        ("claude-opus-4-8", "colossal", {"type": "adaptive"}, None, ["reasoning.effort"]),
        ("claude-haiku-4-5", "low", {"type": "enabled", "budget_tokens": 2048}, None, []),
        ("claude-haiku-4-5", "high", {"type": "enabled", "budget_tokens": 16384}, None, []),
        ("claude-opus-4-5", "high", {"type": "enabled", "budget_tokens": 16384}, "high", []),
        ("claude-3-5-haiku-latest", "high", None, None, ["reasoning.effort"]),
        ("claude-of-next-year", "medium", {"type": "adaptive"}, "medium", []),
        ("some-other-model", "medium", {"type": "enabled", "budget_tokens": 8192}, None, []),
    ],
)
def test_an_effort_is_what_the_model_takes(
    model: str, effort: str, thinking: Any, sent: str | None, lost: list[str]
) -> None:
    written, named = say(model, Reasoning(effort=effort), max_tokens=60_000 if "3-5" not in model else 100)
    assert written.get("thinking") == thinking
    assert written.get("output_config", {}).get("effort") == sent
    assert named == lost


@pytest.mark.parametrize("off", [Reasoning(effort="none"), Reasoning(mode="disabled"), Reasoning(budget_tokens=0)])
@pytest.mark.parametrize(
    ("model", "thinking", "effort", "lost"),
    [
        ("claude-haiku-4-5", {"type": "disabled"}, None, []),
        ("claude-opus-4-8", {"type": "disabled"}, None, []),
        ("claude-sonnet-5-5", {"type": "between_tools"}, None, []),
        ("claude-opus-5-5", None, "low", ["reasoning.effort"]),
    ],
)
def test_no_thinking_is_said_in_the_models_own_word(
    off: Reasoning, model: str, thinking: Any, effort: str | None, lost: list[str]
) -> None:
    written, named = say(model, off)
    assert written.get("thinking") == thinking
    assert written.get("output_config", {}).get("effort") == effort
    assert named == lost


def test_a_budget_is_sent_as_it_is_where_it_is_taken() -> None:
    for model in ("claude-haiku-4-5", "claude-opus-4-6"):
        written, lost = say(model, Reasoning(budget_tokens=3000), max_tokens=5000)
        assert written["thinking"] == {"type": "enabled", "budget_tokens": 3000}
        assert written["max_tokens"] == 5000
        assert not lost


def test_a_budget_becomes_an_effort_where_none_is_taken() -> None:
    written, lost = say("claude-opus-5-5", Reasoning(budget_tokens=3000))
    assert written["thinking"] == {"type": "adaptive"}
    assert written["output_config"] == {"effort": "medium"}
    assert lost == ["reasoning.budget_tokens"]


def test_a_budget_of_the_models_choice_is_adaptive() -> None:
    written, lost = say("claude-opus-5-5", Reasoning(budget_tokens=-1))
    assert written["thinking"] == {"type": "adaptive"}
    assert not lost


def test_the_limit_always_exceeds_the_budget() -> None:
    written, lost = say("claude-haiku-4-5", Reasoning(budget_tokens=4000), max_tokens=1000)
    assert (written["thinking"]["budget_tokens"], written["max_tokens"]) == (4000, 5000)
    assert lost == ["max_tokens"]
    # A budget that is ours to choose gives way.
    written, lost = say("claude-haiku-4-5", Reasoning(effort="high"), max_tokens=4000)
    assert (written["thinking"]["budget_tokens"], written["max_tokens"]) == (2976, 4000)
    assert not lost
    written, lost = say("claude-haiku-4-5", Reasoning(effort="high"), max_tokens=500)
    assert (written["thinking"]["budget_tokens"], written["max_tokens"]) == (1024, 1524)
    assert lost == ["max_tokens"]
    written, lost = say("claude-haiku-4-5", Reasoning(budget_tokens=100), max_tokens=4000)
    assert written["thinking"]["budget_tokens"] == 1024
    assert lost == ["reasoning.budget_tokens"]
    written, lost = say("claude-haiku-4-5", Reasoning(budget_tokens=90_000), max_tokens=4000)
    assert written["thinking"]["budget_tokens"] < written["max_tokens"] <= 64_000
    assert lost == ["max_tokens", "reasoning.budget_tokens"]


def test_a_summary_shows_the_thinking() -> None:
    written, lost = say("claude-opus-5-5", Reasoning(effort="low", summary="auto"))
    assert written["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert not lost
    written, _ = say("claude-haiku-4-5", Reasoning(mode="enabled", display="omitted"))
    assert written["thinking"] == {"type": "enabled", "budget_tokens": 8192, "display": "omitted"}


def test_nothing_asked_is_nothing_sent() -> None:
    written, lost = say("claude-opus-4-8", Reasoning())
    assert "thinking" not in written
    assert not lost
    assert say("claude-opus-4-8", Reasoning(display="omitted"))[1] == ["reasoning.display"]


def test_sampling_gives_way_to_thinking() -> None:
    written, lost = say("claude-haiku-4-5", Reasoning(effort="low"), temperature=0.3, top_k=5, top_p=0.97)
    assert "temperature" not in written
    assert written["top_p"] == 0.97
    assert lost == ["temperature", "top_k"]
    assert say("claude-haiku-4-5", Reasoning(effort="low"), temperature=1, top_p=0.5)[1] == ["top_p"]


def test_a_forced_tool_is_worth_more_than_thinking_within_a_budget() -> None:
    forced = {"tools": [Tool(name="f")], "tool_choice": ToolChoice(mode="named", name="f")}
    written, lost = say("claude-haiku-4-5", Reasoning(effort="low"), **forced)
    assert written["tool_choice"] == {"type": "tool", "name": "f"}
    assert "thinking" not in written
    assert lost == ["reasoning.effort"]
    # An adaptive model does both.
    written, lost = say("claude-opus-4-6", Reasoning(effort="low"), **forced)
    assert written["tool_choice"] == {"type": "tool", "name": "f"}
    assert written["thinking"] == {"type": "adaptive"}
    assert not lost


def test_a_turn_that_began_without_thinking_goes_on_without() -> None:
    def turn(*parts: Part) -> list[Message]:
        results: list[Part] = [ToolResult(tool_call_id="a", content=[Text(text="ok")])]
        return [*ASK, Message(role="assistant", content=list(parts)), Message(role="tool", content=results)]

    call = ToolCall(id="a", name="f", arguments="{}")
    written, lost = say("claude-haiku-4-5", Reasoning(effort="low"), messages=turn(call))
    assert "thinking" not in written
    assert lost == ["reasoning.effort"]
    thought = Thinking(text="hm", signature="s", origin="anthropic_messages")
    written, lost = say("claude-haiku-4-5", Reasoning(effort="low"), messages=turn(thought, call))
    assert written["thinking"]["type"] == "enabled"
    assert not lost
    written, lost = say("claude-opus-4-6", Reasoning(effort="low"), messages=turn(call))
    assert written["thinking"]["type"] == "adaptive"


def test_chat_completions_callers_read_their_own_word_for_the_effort() -> None:
    _, lost = say("claude-opus-4-8", Reasoning(effort="minimal"), origin="openai_chat")
    assert lost == ["reasoning_effort"]
