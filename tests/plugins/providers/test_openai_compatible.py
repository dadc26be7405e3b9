"""Servers that imitate OpenAI: presets, settings, and what is sent to them."""

from __future__ import annotations

import json
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from gateway import Secret
from gateway.catalogue import Catalogue, ModelOverride
from gateway.config import parse_config
from gateway.errors import ConfigError
from gateway.format import Dropped
from gateway.plugin import PluginContext
from gateway.protocol import ChatRequest, Message, Reasoning, ResponseFormat, Text
from gateway.registry import build
from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.providers.openai_compatible import OpenAICompatible
from gateway_plugins.providers.presets import BY_HAND, PRESETS
from tests.plugins.upstream import ANSWER, ASK, provider_table

ANYWHERE = Path()
KEY = Secret("sk-1")


def provider(name: str, use: str | None = None, **settings: Any) -> OpenAICompatible:
    return OpenAICompatible(OpenAICompatible.Config(**settings), PluginContext(name=name, use=use or name))


def problems(name: str, use: str | None = None, **settings: Any) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        provider(name, use, **settings)
    return refusal.value.problems


def translated(made: OpenAICompatible, model: str = "m", **fields: Any) -> tuple[dict[str, Any], Dropped]:
    messages = [Message(role="developer", content=[Text(text="be brief")], name="boss")]
    request = ChatRequest(model=model, messages=messages, max_tokens=9, origin="anthropic_messages", **fields)
    dropped = Dropped()
    traits = made.traits(model).resolved(request)
    return json.loads(OpenAIChat().write_request(request, traits, dropped)), dropped


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in BY_HAND])
def test_a_presets_name_is_a_plugins_name(name: str) -> None:
    (point,) = entry_points(group="gateway.plugins", name=name)
    assert point.load() is OpenAICompatible
    own = {} if PRESETS[name].base_url else {"base_url": PRESETS[name].address}
    made = provider(name, api_key=KEY, **own)
    assert made.address == (PRESETS[name].base_url or PRESETS[name].address)
    assert bool(made.offers("embeddings")) == PRESETS[name].embeddings
    first = "openai_chat" if PRESETS[name].chat else "openai_responses" if PRESETS[name].responses else None
    assert next(iter(made.offers("chat")), None) == first
    assert bool(made.offers("rerank")) == PRESETS[name].rerank
    assert made.family == name
    assert ("openai_responses" in made.offers("chat")) is PRESETS[name].responses


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_complete(name: str) -> None:
    preset = PRESETS[name]
    assert bool(preset.base_url) != bool(preset.address)
    address = preset.base_url or preset.address
    local = address.startswith("http://127.0.0.1:")
    assert local or address.startswith("https://")
    assert not address.endswith("/")
    assert preset.notes or name in BY_HAND
    assert (preset.key_env is None) == local
    assert preset.key_env is None or re.fullmatch(r"[A-Z][A-Z0-9_]+", preset.key_env)
    assert preset.docs.startswith("https://")


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_differences_are_words_that_the_format_knows(name: str) -> None:
    for traits in (PRESETS[name].traits, *(traits for _, traits in PRESETS[name].models)):
        # The same list that checks what a user writes.
        provider(
            "own",
            "openai_compatible",
            base_url="http://127.0.0.1:9",
            unsupported=(*traits.unsupported, *traits.while_reasoning),
        )
        options = {
            "max_tokens_field",
            "accepts",
            "stream_options",
            "reasoning",
            "reasoning_field",
            "efforts",
            "content",
            "custom_tools",
            "thinking_on",
            "thinking_chunks",
            "prefix",
            "tool_call_ids",
        }
        assert traits.options.keys() <= options


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.key_env])
def test_a_service_wants_its_key_and_says_which(name: str) -> None:
    *others, problem = problems(name)
    assert problem.startswith(f"api_key: {PRESETS[name].title} needs a key: set {PRESETS[name].key_env}")
    assert bool(others) != bool(PRESETS[name].base_url)
    assert all(other.startswith("base_url: ") and PRESETS[name].address in other for other in others)


def test_a_service_that_ended_is_warned_of_unless_another_is_asked_in_its_way() -> None:
    assert provider("github", api_key=KEY).warnings() == ["GitHub Models ended on 2026-07-30: calls to it will fail"]
    assert provider("github", base_url="http://127.0.0.1:9").warnings() == []
    assert provider("groq", api_key=KEY).warnings() == []


@pytest.mark.parametrize(
    ("name", "model", "reasoning", "sent", "lost"),
    [
        ("deepseek", "deepseek-flash", Reasoning(effort="none"), {"thinking": {"type": "disabled"}}, False),
        ("deepseek", "deepseek-flash", Reasoning(effort="max"), {"reasoning_effort": "max"}, False),
        (
            "dashscope",
            "qwen-plus",
            Reasoning(budget_tokens=500),
            {"enable_thinking": True, "thinking_budget": 500},
            False,
        ),
        ("dashscope", "qwen-plus", Reasoning(effort="none"), {"enable_thinking": False}, False),
        ("dashscope", "qwen-plus", Reasoning(effort="high"), {"enable_thinking": True}, True),
        ("minimax", "MiniMax-M3", Reasoning(effort="low"), {"thinking": {"type": "adaptive"}}, True),
        ("minimax", "MiniMax-M3", Reasoning(mode="disabled"), {"thinking": {"type": "disabled"}}, False),
        ("moonshot", "kimi-k2.6", Reasoning(budget_tokens=9), {"thinking": {"type": "enabled"}}, True),
        ("moonshot", "kimi-k3", Reasoning(effort="medium"), {"reasoning_effort": "low"}, True),
        ("moonshot", "moonshot-v1-8k", Reasoning(effort="low"), {}, True),
        ("zai", "glm-4.7", Reasoning(effort="none"), {"thinking": {"type": "disabled"}}, False),
        ("zai", "glm-5.3", Reasoning(effort="high"), {"reasoning_effort": "high"}, False),
        ("xai", "grok-4.3", Reasoning(effort="none"), {"reasoning_effort": "none"}, False),
        ("xai", "grok-4.5", Reasoning(effort="none"), {"reasoning_effort": "low"}, True),
        ("xai", "grok-4.20-non-reasoning", Reasoning(effort="low"), {}, True),
    ],
)
def test_reasoning_is_asked_for_in_the_providers_own_way(
    name: str, model: str, reasoning: Reasoning, sent: dict[str, Any], lost: bool
) -> None:
    body, dropped = translated(provider(name, api_key=KEY), model, reasoning=reasoning)
    words = ("thinking", "reasoning_effort", "enable_thinking", "thinking_budget", "reasoning")
    assert {key: body[key] for key in words if key in body} == sent
    assert any(field.startswith("reasoning") for field in dropped.reasons) is lost


def test_what_has_no_effect_while_a_model_thinks_is_named() -> None:
    thinking, dropped = translated(provider("deepseek", api_key=KEY), "deepseek-flash", temperature=0.5, user="u1")
    assert "temperature" not in thinking
    assert "temperature" in dropped.reasons
    assert thinking["user_id"] == "u1"
    plain, dropped = translated(
        provider("deepseek", api_key=KEY), "deepseek-flash", temperature=0.5, reasoning=Reasoning(effort="none")
    )
    assert plain["temperature"] == 0.5
    assert not dropped


def test_what_the_configuration_says_of_a_model_is_heeded() -> None:
    own = Catalogue({"box/thinker": ModelOverride(efforts=("low", "max"), sampling=False)})
    context = PluginContext(name="box", use="openai_compatible", catalogue=own)
    made = OpenAICompatible(OpenAICompatible.Config(base_url="http://127.0.0.1:9/v1"), context)
    body, dropped = translated(made, "thinker", temperature=1.0, reasoning=Reasoning(effort="high"))
    assert (body["reasoning_effort"], "temperature" in body) == ("low", False)
    assert {"temperature", "reasoning.effort"} <= dropped.reasons.keys()
    assert translated(made, "other", temperature=1.0)[0]["temperature"] == 1.0


def test_no_key_is_wanted_where_it_is_given_otherwise() -> None:
    assert provider("groq", headers={"Authorization": "Bearer x"}).preset is PRESETS["groq"]
    assert provider("groq", base_url="http://127.0.0.1:9/v1").address == "http://127.0.0.1:9/v1"
    assert provider("ollama").address == "http://127.0.0.1:11434/v1"


def test_the_preset_may_be_named_in_the_table() -> None:
    made = provider("fast_box", "openai_compatible", preset="groq", api_key=KEY)
    assert made.preset is PRESETS["groq"]
    assert provider("fast_box", "groq", api_key=KEY).preset is PRESETS["groq"]


def test_an_unknown_preset_is_refused_with_the_nearest_name() -> None:
    (problem,) = problems("box", "openai_compatible", preset="grok")
    assert 'preset: "grok" is none of ollama, ' in problem
    assert problem.endswith('; did you mean "groq"?')
    (problem,) = problems("groq", preset="xai", api_key=KEY)
    assert problem == 'preset: "xai" contradicts use = "groq"; drop one of the two'


def test_without_a_preset_an_address_is_needed() -> None:
    (problem,) = problems("box", "openai_compatible")
    assert problem.startswith('base_url: needed, such as "http://127.0.0.1:8000/v1"')
    found = problems("box", "openai_compatible", base_url="box:8000", unsupported=("logit_bais",))
    assert found == [
        'base_url: "box:8000" must begin with http:// or https://',
        'unsupported: "logit_bais" is no field of a request; did you mean "logit_bias"?',
    ]


def test_a_problem_names_file_and_table() -> None:
    config = parse_config("[plugins.groq]\n", path=ANYWHERE / "gateway.toml", folder=ANYWHERE)
    with pytest.raises(ConfigError) as refusal:
        build(config)
    (problem,) = refusal.value.problems
    assert problem.startswith("gateway.toml")
    assert "[plugins.groq]" in problem
    assert "api_key: Groq needs a key" in problem


def test_a_translated_request_has_the_oldest_spelling() -> None:
    made = provider("box", "openai_compatible", base_url="http://127.0.0.1:9/v1")
    body, dropped = translated(made, temperature=0.5)
    assert body["max_tokens"] == 9
    assert body["messages"][0]["role"] == "system"
    assert not dropped


def test_what_a_preset_does_not_take_is_left_out_and_named() -> None:
    body, dropped = translated(provider("groq", api_key=KEY), logprobs=True, n=2, seed=1)
    assert sorted(dropped.reasons) == ["logprobs", "messages[0].name", "n"]
    assert dropped.reasons["n"] == "Groq does not take it"
    assert body["seed"] == 1
    assert body["max_completion_tokens"] == 9
    assert "name" not in body["messages"][0]


def test_a_preset_renames_and_reshapes() -> None:
    body, _ = translated(provider("mistral", api_key=KEY), seed=1, stream=True)
    assert body["random_seed"] == 1
    assert "stream_options" not in body
    wanted = ResponseFormat(type="json_schema", name="n", schema={"type": "object"})
    thinking = Reasoning(mode="enabled", budget_tokens=2048)
    body, dropped = translated(provider("deepseek", api_key=KEY), response_format=wanted, reasoning=thinking)
    assert body["response_format"] == {"type": "json_object"}
    assert body["thinking"]["type"] == "enabled"
    assert "response_format.json_schema" in dropped.reasons
    body, _ = translated(provider("llama_cpp"), repetition_penalty=1.1, top_k=5)
    assert (body["repeat_penalty"], body["top_k"]) == (1.1, 5)


def test_a_preset_knows_models_apart() -> None:
    xai = provider("xai", api_key=KEY)
    assert not translated(xai, "grok-4-fast-non-reasoning", stop=["x"])[1]
    assert list(translated(xai, "grok-4.3", stop=["x"])[1].reasons) == ["stop"]


def test_the_table_corrects_the_preset() -> None:
    made = provider(
        "vllm", max_tokens_field="max_completion_tokens", unsupported=("seed",), roles={"developer": "developer"}
    )
    body, dropped = translated(made, seed=1, top_k=3)
    assert body["max_completion_tokens"] == 9
    assert body["messages"][0]["role"] == "developer"
    assert dropped.reasons == {"seed": "the configuration says so"}
    assert body["top_k"] == 3


def test_models_of_the_table_are_listed_and_asked_at_its_address() -> None:
    completion = {"id": "1", "object": "chat.completion", "created": 1, "model": "llama", "choices": []}
    with ScriptedProvider() as server:
        server.reply(json=completion)
        toml = f'[plugins.vllm]\nbase_url = "{server.url}/v1"\nmodels = ["meta/llama"]\n'
        with running_gateway(toml) as gateway:
            listed = gateway.get("/v1/models").json()
            answer = gateway.post("/v1/chat/completions", {"model": "vllm/meta/llama", "messages": [], "top_k": 4})
        (sent,) = server.requests
    assert [model["id"] for model in listed["data"]] == ["vllm/meta/llama"]
    assert answer.json() == completion
    assert sent.path == "/v1/chat/completions"
    assert sent.json() == {"model": "meta/llama", "messages": [], "top_k": 4}
    assert "authorization" not in sent.headers


def test_a_preset_without_embeddings_is_not_asked_for_them() -> None:
    toml = '[plugins.groq]\napi_key = "sk-1"\nbase_url = "http://127.0.0.1:9/v1"\n'
    with running_gateway(toml) as gateway:
        answer = gateway.post("/v1/embeddings", {"model": "groq/m", "input": "x"})
    assert answer.status == 400
    assert answer.json()["error"]["code"] == "unsupported_operation"


def test_a_providers_own_times_and_numbers_are_no_part_of_an_answer() -> None:
    times = {"queue_time": 0.1, "prompt_time": 0.1, "completion_time": 0.2, "total_time": 0.4}
    told = {"x_groq": {"id": "req_1"}, "time_info": {"total_time": 0.4}, "timings": {"predicted_ms": 9.0}}
    own = {**ANSWER, **told, "usage": {**ANSWER["usage"], **times}}
    with ScriptedProvider() as provider, running_gateway(provider_table(provider)) as gateway:
        for _ in range(3):
            provider.reply(json=own)
        ask = {**ASK, "model": "up/m"}
        messages = gateway.post("/v1/messages", {**ask, "max_tokens": 9})
        responses = gateway.post("/v1/responses", {"model": "up/m", "input": "hi"})
        chat = gateway.post("/v1/chat/completions", ask)
    assert "x-gateway-dropped" not in messages.headers
    assert "x-gateway-dropped" not in responses.headers
    # Who speaks the provider's own format gets them as they came.
    assert chat.json() == own
