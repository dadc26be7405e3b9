"""OpenAI: its settings, what is sent to it, and what its model families take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue import Catalogue, ModelOverride
from gateway.config import parse_config
from gateway.errors import ConfigError
from gateway.format import Dropped
from gateway.plugin import PluginContext
from gateway.protocol import ChatRequest, Message, Reasoning, Text
from gateway.registry import build
from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.providers.openai import OpenAI

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
ANYWHERE = Path()
ASK = {"messages": [{"role": "user", "content": "hello"}]}


def translated(model: str, **fields: Any) -> tuple[dict[str, Any], Dropped]:
    """What is sent for a request that came in another dialect, and what is named as dropped."""
    provider = OpenAI(OpenAI.Config(base_url="http://127.0.0.1:9/v1"), PluginContext(name="openai", use="openai"))
    messages = [Message(role="developer", content=[Text(text="be brief")])]
    request = ChatRequest(model=model, messages=messages, max_tokens=9, origin="anthropic_messages", **fields)
    dropped = Dropped()
    traits = provider.traits(model).resolved(request)
    return json.loads(OpenAIChat().write_request(request, traits, dropped)), dropped


def test_the_request_goes_to_chat_completions_with_key_and_organisation() -> None:
    with ScriptedProvider() as server:
        server.reply(json=COMPLETION)
        toml = f"""
        [plugins.openai]
        base_url = "{server.url}/v1"
        api_key = {{ env = "OPENAI_KEY" }}
        organization = "org-1"
        project = "proj-1"
        """
        with running_gateway(toml, env={"OPENAI_KEY": "sk-1"}) as gateway:
            answer = gateway.post(
                "/v1/chat/completions", {**ASK, "model": "openai/gpt-4o-mini"}, headers={"authorization": "Bearer mine"}
            )
        (sent,) = server.requests
    assert answer.json() == COMPLETION
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer sk-1"
    assert sent.headers["openai-organization"] == "org-1"
    assert sent.headers["openai-project"] == "proj-1"
    assert sent.json() == {**ASK, "model": "gpt-4o-mini"}


def test_embeddings_are_asked_of_their_own_path() -> None:
    reply = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}], "model": "m"}
    with ScriptedProvider() as server:
        server.reply(json=reply)
        toml = f'[plugins.openai]\nbase_url = "{server.url}/v1/"\napi_key = "forward"\n'
        with running_gateway(toml) as gateway:
            answer = gateway.post(
                "/v1/embeddings", {"model": "openai/m", "input": "x"}, headers={"authorization": "Bearer mine"}
            )
        (sent,) = server.requests
    assert answer.json() == reply
    assert sent.path == "/v1/embeddings"
    assert sent.headers["authorization"] == "Bearer mine"
    assert "openai-organization" not in sent.headers


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("", 'set OPENAI_API_KEY in the environment and write api_key = { env = "OPENAI_API_KEY" }'),
        ('base_url = "localhost:8000"', "must begin with http:// or https://"),
        ('base_url = "https://api.openai.com/v1/chat/completions"', "must end before /chat/completions"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: str, says: str) -> None:
    config = parse_config(f"[plugins.openai]\n{settings}\n", path=None, folder=ANYWHERE)
    with pytest.raises(ConfigError) as refusal:
        build(config)
    (problem,) = refusal.value.problems
    assert "[plugins.openai]" in problem
    assert says in problem


SAMPLING: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "stop": ["x"]}


@pytest.mark.parametrize(
    ("model", "lost"),
    [
        ("gpt-4o", []),
        ("gpt-4.1-mini", []),
        ("ft:gpt-4o:acme::1", []),
        ("gpt-5-chat-latest", []),
        ("o1", ["temperature", "top_p"]),
        ("o3-mini", ["stop", "temperature", "top_p"]),
        ("o4-mini-2025-04-16", ["stop", "temperature", "top_p"]),
        ("gpt-5", ["stop", "temperature", "top_p"]),
        ("gpt-5-nano", ["stop", "temperature", "top_p"]),
        ("gpt-5.1", ["stop"]),
        ("gpt-5.2-2025-12-11", ["stop"]),
        ("gpt-5.5", ["stop", "temperature", "top_p"]),
        ("gpt-5.6-sol", ["stop", "temperature", "top_p"]),
        ("gpt-6-astra", ["stop", "temperature", "top_p"]),
        ("a-name-of-ones-own", []),
    ],
)
def test_what_a_family_refuses_is_left_out_and_named(model: str, lost: list[str]) -> None:
    body, dropped = translated(model, **SAMPLING)
    assert sorted(dropped.reasons) == lost
    assert sorted(SAMPLING.keys() - body.keys()) == lost
    assert body["max_completion_tokens"] == 9
    assert body["messages"][0]["role"] == "developer"


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("gpt-4o", "high", None),
        ("o3", "minimal", "low"),
        ("gpt-5", "minimal", "minimal"),
        ("gpt-5", "xhigh", "high"),
        ("gpt-5.1", "none", "none"),
        ("gpt-5.2", "xhigh", "xhigh"),
        ("gpt-5.6-luna", "max", "max"),
    ],
)
def test_effort_is_said_in_words_that_the_model_knows(model: str, effort: str, sent: str | None) -> None:
    body, dropped = translated(model, reasoning=Reasoning(effort=effort))
    assert body.get("reasoning_effort") == sent
    assert bool(dropped) == (sent != effort)


@pytest.mark.parametrize(
    ("model", "effort", "kept"),
    [
        ("gpt-5.1", None, True),
        ("gpt-5.1", "none", True),
        ("gpt-5.1", "high", False),
        ("gpt-5.4-mini", "low", False),
        ("gpt-5.5", None, False),
        ("gpt-5.6-sol", "none", True),
        ("gpt-6-luna", "none", True),
        ("gpt-6-astra", "none", False),
        ("gpt-5", "none", False),
    ],
)
def test_sampling_goes_where_the_model_does_not_reason(model: str, effort: str | None, kept: bool) -> None:
    body, dropped = translated(model, temperature=0.5, reasoning=None if effort is None else Reasoning(effort=effort))
    assert ("temperature" in body) is kept
    assert ("temperature" not in dropped.reasons) is kept


def test_a_model_of_ones_own_takes_what_its_base_does() -> None:
    own = Catalogue({"openai/prod": ModelOverride(base_model="o3")})
    config = OpenAI.Config(base_url="http://127.0.0.1:9/v1")
    provider = OpenAI(config, PluginContext(name="openai", use="openai", catalogue=own))
    assert "temperature" in provider.traits("prod").unsupported
    assert "temperature" not in provider.traits("other").unsupported


def test_the_first_reasoning_models_know_no_instructions() -> None:
    body, _ = translated("o1-mini")
    assert body["messages"][0]["role"] == "user"
