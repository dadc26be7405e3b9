"""Rules: who answers depends on the request, the key and the time."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import Principal
from gateway.errors import ConfigError, InvalidRequest
from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.routing.request_facts import Facts
from gateway_plugins.routing.rules import Rules, RulesConfig
from tests.plugins.made_calls import CONTEXT, made_call
from tests.plugins.routing.test_strategies import asked, gateway_of, names
from tests.plugins.upstream import ANSWER, provider_table

PROVIDERS = '[plugins.a]\nuse = "vllm"\n[plugins.b]\nuse = "vllm"\n[plugins.c]\nuse = "vllm"\n'
RULES = (
    PROVIDERS
    + """
[models.fast]
targets = ["a/m", "b/m"]
fallbacks = ["c/m"]
rules = [
  { when = 'header("x-region") == "eu"', targets = ["b/eu"], name = "stays in the EU" },
  { when = "has_tools and tokens > 100", targets = ["c/m", "b/m"], fallbacks = ["a/m"] },
  { when = '"slow" in tags', model = "batch" },
]
canary = { target = "c/new", percent = 100 }

[models.batch]
targets = [{ provider = "a", model = "m", weight = 0 }, { provider = "c", model = "m", weight = 1 }]
strategy = "weighted"
fallbacks = ["b/m"]
"""
)
TOOLS = [{"type": "function", "function": {"name": "f", "description": "word " * 120}}]


def targets(call: Any) -> list[str]:
    return [str(target) for target in call.targets]


def test_the_first_rule_that_holds_decides_and_nothing_else_stands_in() -> None:
    call = asked(gateway_of(RULES), headers={b"x-region": b"eu"}, tools=TOOLS)
    assert targets(call) == ["b/eu"]
    assert call.decision is not None
    assert call.decision.rule == "stays in the EU"
    assert call.decision.split is None
    assert [entry.target for entry in call.decision.candidates if entry.kept] == ["b/eu"]


def test_a_rule_has_fallbacks_of_its_own_and_is_named_by_its_condition() -> None:
    call = asked(gateway_of(RULES), tools=TOOLS)
    assert targets(call) == ["c/m", "b/m", "a/m"]
    assert call.decision is not None
    assert call.decision.rule == "has_tools and tokens > 100"


def test_a_rule_may_go_on_as_another_model() -> None:
    gateway = gateway_of(RULES)
    call = made_call({"model": "fast", "messages": []}, gateway=gateway, tags=("slow",))
    call.model_config = gateway.config.models["fast"]
    call.targets = call.model_config.targets
    from gateway.choosing import choose

    choose(call)
    assert targets(call) == ["c/m", "a/m", "b/m"]
    assert call.model_config.name == "batch"
    assert call.decision is not None
    assert call.decision.strategy == "weighted"


def test_where_no_rule_holds_the_model_is_as_it_is() -> None:
    call = asked(gateway_of(RULES))
    assert targets(call) == ["c/new", "a/m", "b/m", "c/m"]
    assert call.decision is not None
    assert (call.decision.rule, call.decision.split) == (None, "canary")


def test_rules_may_be_the_strategy_itself() -> None:
    toml = (
        PROVIDERS
        + '[models.fast]\nstrategy = "rules"\ntargets = ["a/m", "b/m"]\n'
        + 'rules = [{ when = "stream", targets = ["c/m"] }]\n'
    )
    assert names(asked(gateway_of(toml))) == "ab"
    toml = toml.replace('"stream"', '"not stream"')
    assert names(asked(gateway_of(toml))) == "c"


def test_a_rule_sends_to_a_target_that_can_what_the_models_own_cannot() -> None:
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
    body = {"model": "fast", "messages": [{"role": "user", "content": image}]}
    with ScriptedProvider() as provider:
        provider.default_reply(json=ANSWER)
        toml = provider_table(provider) + (
            '[catalogue."up/blind"]\ninput = ["text"]\n[models.fast]\ntargets = ["up/blind"]\n'
            'rules = [{ when = "has_images", targets = ["up/seeing"] }]\n'
        )
        with running_gateway(toml) as gateway:
            answers = [gateway.post("/v1/chat/completions", {**body, "messages": m}) for m in (body["messages"], [])]
            gateway.reload(toml.replace("up/seeing", "up/blind"))
            refused = gateway.post("/v1/chat/completions", body)
    assert [answer.status for answer in answers] == [200, 200]
    assert [request.json()["model"] for request in provider.requests] == ["seeing", "blind"]
    assert refused.status == 400
    assert "up/blind takes no images" in refused.json()["error"]["message"]


def test_a_prompt_that_is_too_long_for_a_rules_targets_goes_nowhere_else() -> None:
    toml = PROVIDERS + (
        '[catalogue."a/m"]\ncontext_window = 100\n[catalogue."b/eu"]\ncontext_window = 50\n'
        '[models.fast]\ntargets = ["a/m"]\nfallbacks = ["c/m"]\n'
        'rules = [{ when = \'header("x-region") == "eu"\', targets = ["b/eu"] }]\n'
    )
    gateway, eu = gateway_of(toml), {b"x-region": b"eu"}
    near = [{"role": "user", "content": "word " * 35}]
    far = [{"role": "user", "content": "word " * 80}]
    assert targets(asked(gateway, headers=eu, messages=near)) == ["b/eu"]
    with pytest.raises(InvalidRequest) as refusal:
        asked(gateway, headers=eu, messages=far)
    assert refusal.value.code == "context_length_exceeded"
    assert "a/m" not in refusal.value.message
    assert targets(asked(gateway, messages=far)) == ["c/m"]


def test_the_facts_of_a_call() -> None:
    plugin = Rules(RulesConfig(timezone="Asia/Tokyo"), CONTEXT)
    body = {
        "model": "fast",
        "user": "u-1",
        "max_tokens": 7,
        "tools": TOOLS,
        "messages": [{"role": "user", "content": "x"}],
    }
    call = made_call(body, headers={b"x-tier": b"gold"}, stream=True, tags=("batch",))
    call.principal = Principal(id="k", name="key-1", tags=("team:search", "eu"))
    call.started_at = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC, a Monday
    facts = Facts(call, plugin.zone)
    assert (facts.model, facts.operation, facts.stream) == ("fast", "chat", True)
    assert (facts.key, facts.team, facts.user, facts.max_tokens) == ("key-1", "search", "u-1", 7)
    assert facts.tags == ("batch", "team:search", "eu")
    assert (facts.hour, facts.weekday) == (23, "mon")
    assert (facts.header("x-tier"), facts.header("x-none")) == ("gold", "")
    assert facts.has_tools
    assert not any((facts.has_images, facts.has_audio, facts.has_documents, facts.has_schema))
    assert facts.tokens > 100


def test_what_a_request_does_not_say_is_empty() -> None:
    facts = Facts(made_call({"messages": []}, key=None), Rules(RulesConfig(), CONTEXT).zone)
    assert (facts.key, facts.team, facts.user, facts.max_tokens, facts.tags) == ("", "", "", 0, ())


def test_a_team_of_the_keys_settings_counts_first() -> None:
    call = made_call(settings={"team": "ads"})
    assert Facts(call, Rules(RulesConfig(), CONTEXT).zone).team == "ads"


def test_a_time_zone_that_is_none_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="no time zone"):
        Rules(RulesConfig(timezone="Mars/Olympus"), CONTEXT)
