"""The provider and the dialect of Anthropic: settings, headers, and what each model takes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.call import Call
from gateway.catalogue import Catalogue, ModelOverride
from gateway.config import Secret
from gateway.errors import ConfigError
from gateway.format import Traits
from gateway.plugin import PluginContext
from gateway_plugins.dialects.anthropic import AnthropicDialect
from gateway_plugins.formats.anthropic_models import NEWER, RULES, UNLISTED, traits_of
from gateway_plugins.providers.anthropic import Anthropic
from tests.plugins.made_calls import CONTEXT, made_call

KEY = Secret("sk-ant-1", "env:ANTHROPIC_API_KEY")
CROSS, OWN = "openai_chat", "anthropic_messages"


def made(**settings: Any) -> Anthropic:
    return Anthropic(Anthropic.Config(**{"api_key": KEY, **settings}), CONTEXT)


def call(format: str = CROSS, **headers: str) -> Call:
    return made_call(format=format, headers={k.replace("_", "-").encode(): v.encode() for k, v in headers.items()})


def version(provider: Anthropic, body: bytes = b"{}", asked: Call | None = None) -> list[tuple[str, str]]:
    return provider.request_headers(asked or call(), OWN, body)


def test_it_asks_by_messages() -> None:
    provider = made()
    assert provider.address == "https://api.anthropic.com"
    assert provider.offers("chat") == ("anthropic_messages",)
    assert provider.offers("embeddings") == ()
    assert provider.paths[OWN] == "/v1/messages"


def test_the_key_is_sent_in_the_header_of_the_settings() -> None:
    assert made().credentials(call()) == [("x-api-key", "sk-ant-1")]
    assert made(auth="bearer").credentials(call()) == [("authorization", "Bearer sk-ant-1")]
    assert made(api_key=None, base_url="http://127.0.0.1:1").credentials(call()) == []


def test_a_callers_own_key_is_sent_as_it_came() -> None:
    provider = made(api_key=Secret("forward"))
    asked = call(authorization="Bearer own")
    asked.credential = "own"
    assert provider.credentials(asked) == [("authorization", "Bearer own")]
    asked = call(x_api_key="own")
    asked.credential = "own"
    assert provider.credentials(asked) == [("x-api-key", "own")]
    assert provider.credentials(call()) == []


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b'{"model":"m"}', "2026-10-21"),
        (b'{"model":"m","temperature":1}', "2023-06-01"),
        (b'{"top_p":0.5}', "2023-06-01"),
        (b'{"top_k":5}', "2023-06-01"),
        (b'{"messages":[{"content":"the \\"temperature\\" of it"}]}', "2026-10-21"),
        (b'{"tools":[{"input_schema":{"properties":{"temperature":{}}}}]}', "2026-10-21"),
        (b'{"temperature"', "2026-10-21"),
        (b'{"messages":[{"role":"assistant","content":[{"type":"document"}]}]}', "2023-06-01"),
        (
            b'{"messages":[{"role":"user","content":[{"type":"document"}]},{"role":"assistant","content":"a"}]}',
            "2026-10-21",
        ),
        (b'{"messages":[{"role":"user","content":[{"type":"text","citations":[{"type":"x"}]}]}]}', "2023-06-01"),
        (b'{"messages":[{"role":"user","content":[{"type":"text","citations":[]}]}]}', "2026-10-21"),
        (b'{"messages":[{"role":"user","content":[{"type":"document","citations":{"enabled":true}}]}]}', "2026-10-21"),
        (b'{"messages":[{"role":"assistant","content":[{"type":"text","citations":[{"type":"x"}]}]}]}', "2026-10-21"),
        (b'{"messages":["\\"citations\\"", 1]}', "2026-10-21"),
    ],
)
def test_the_version_is_the_newest_that_takes_what_is_said(body: bytes, sent: str) -> None:
    assert version(made(), body) == [("anthropic-version", sent)]


def test_a_fixed_version_is_sent_always() -> None:
    assert version(made(version="2023-06-01")) == [("anthropic-version", "2023-06-01")]
    assert version(made(version="2026-10-21"), b'{"temperature":1}') == [("anthropic-version", "2026-10-21")]


def test_a_caller_of_this_dialect_chooses_its_own_version() -> None:
    # The core forwards the header; a second one would contradict it.
    asked = call(OWN, anthropic_version="2023-06-01")
    assert version(made(), asked=asked) == []
    assert version(made(version="2026-10-21"), asked=asked) == []
    assert version(made(), asked=call(OWN)) == [("anthropic-version", "2026-10-21")]
    assert version(made(), asked=call(CROSS, anthropic_version="2023-06-01")) == [("anthropic-version", "2026-10-21")]


def test_a_version_without_sampling_makes_every_model_refuse_it() -> None:
    assert made(version="2026-10-21").traits("claude-haiku-4-5").options["sampling"] is False
    assert made(version="2026-10-21").traits("other").options["sampling"] is False
    assert "sampling" not in made(version="2023-06-01").traits("claude-haiku-4-5").options
    assert "sampling" not in made().traits("claude-haiku-4-5").options


def test_the_limit_of_the_settings_replaces_the_models() -> None:
    assert made().traits("claude-haiku-4-5").max_tokens_default == 64_000
    assert made(max_tokens_default=100).traits("claude-haiku-4-5").max_tokens_default == 100
    assert made(max_tokens_default=100).traits("other").max_tokens_default == 100


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"api_key": None}, "ANTHROPIC_API_KEY"),
        ({"base_url": "api.anthropic.com"}, "http://"),
        ({"base_url": "https://api.anthropic.com/v1/"}, "before /v1"),
        ({"version": "latest"}, "version"),
        ({"max_tokens_default": 0}, "max_tokens_default"),
    ],
)
def test_a_mistake_in_the_settings_is_named(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(**settings)
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]


def test_all_mistakes_are_named_at_once_and_a_key_in_a_header_is_one() -> None:
    with pytest.raises(ConfigError) as caught:
        made(api_key=None, version="x", max_tokens_default=-1)
    assert len(caught.value.problems) == 3
    made(api_key=None, headers={"X-Api-Key": "k"})


def test_the_settings_are_strict() -> None:
    assert msgspec.convert({"auth": "bearer"}, Anthropic.Config).auth == "bearer"
    for wrong in ({"auth": "basic"}, {"versoin": "auto"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Anthropic.Config)


@pytest.mark.parametrize(
    ("model", "same"),
    [
        ("claude-opus-5-20260724", "claude-opus-5"),
        ("claude-fable-5-20260601", "claude-fable-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic/claude-opus-4.8", "claude-opus-4-8"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4@20250514", "claude-4-sonnet"),
        ("claude-3-5-haiku-latest", "claude-3-5"),
        ("claude-3-opus-20240229", "claude-3"),
        ("anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4-1"),
        ("claude-opus-9", "claude"),
    ],
)
def test_a_model_is_found_whatever_stands_around_its_name(model: str, same: str) -> None:
    assert traits_of(model) == traits_of(same)
    assert traits_of(model) != Traits()


def test_the_catalogues_facts_and_the_rules_make_the_traits() -> None:
    latest = traits_of("claude-opus-5-5").options
    assert (latest["thinking"], latest["thinking_off"], latest["sampling"]) == ("adaptive", "never", False)
    assert (latest["forced_tools"], latest["mid_system"], latest["efforts"][-1]) == (False, True, "max")
    both = traits_of("claude-opus-4-6").options
    assert (both["thinking"], both["budgets"], both["one_sampler"]) == ("adaptive", True, True)
    plain = traits_of("claude-haiku-4-5").options
    assert (plain["thinking"], plain["one_sampler"], "sampling" in plain) == ("budget", True, False)
    assert traits_of("claude-sonnet-5-5").options["thinking_off"] == "between_tools"
    assert traits_of("claude-opus-99") == NEWER


def test_what_the_configuration_says_of_a_model_counts() -> None:
    own = Catalogue({"test/prod": ModelOverride(base_model="claude-haiku-4-5", max_output=1000, sampling=False)})
    provider = Anthropic(Anthropic.Config(api_key=KEY), PluginContext(name="test", use="anthropic", catalogue=own))
    traits = provider.traits("prod")
    assert traits.max_tokens_default == traits.options["max_output"] == 1000
    assert (traits.options["sampling"], traits.options["thinking"], traits.options["one_sampler"]) == (
        False,
        "budget",
        True,
    )


def test_no_row_hides_another_and_their_words_are_known() -> None:
    for rows in (RULES, UNLISTED):
        names = [name for name, _ in rows]
        assert len(set(names)) == len(names)
    for name in [name for name, _ in (*RULES, *UNLISTED)]:
        options = traits_of(name).options
        assert options["thinking"] in ("adaptive", "budget", "none")
        assert options.get("thinking_off", "disabled") in ("disabled", "between_tools", "never")
        assert set(options.get("efforts", ())) <= {"low", "medium", "high", "xhigh", "max"}
        assert traits_of(name).max_tokens_default is not None
    for name, options in (*RULES, *UNLISTED):
        assert options.items() <= traits_of(name).options.items()


def test_a_model_of_others_is_held_back_in_nothing() -> None:
    assert traits_of("MiniMax-M2") == Traits()


def test_the_dialect_answers_on_messages_with_both_request_ids() -> None:
    dialect = AnthropicDialect(AnthropicDialect.Config(), CONTEXT)
    endpoint, count = dialect.endpoints
    assert (endpoint.path, endpoint.format) == ("/v1/messages", OWN)
    assert (count.path, count.stream) == ("/v1/messages/count_tokens", False)
    assert dialect.request_id_headers == (b"request-id", b"x-request-id")
