"""``[catalogue.…]`` and ``base_model``: what the configuration says stands in front of the lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.catalogue import ModelInfo, ModelOverride, PriceOverride
from gateway.config import parse_config
from gateway.errors import ConfigError
from gateway.registry import Gateway, build
from tests.docs.documents import page

PLUGINS = """
[plugins.openai]
api_key = "sk-test-not-a-secret"
[plugins.local]
use = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
"""


def built(text: str, previous: Gateway | None = None) -> Gateway:
    return build(parse_config(PLUGINS + text, path=None, folder=Path()), previous)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        built(text)
    return refused.value.problems


def info(gateway: Gateway, target: str) -> ModelInfo:
    provider, _, model = target.partition("/")
    return gateway.providers[provider].info(model)


def test_a_model_of_ones_own_has_the_facts_of_its_base_and_what_is_said_of_it() -> None:
    own = 'base_model = "gpt-4o"\nmax_output = 5\nprices = { input = 3.75, output = 15 }'
    found = info(built(f'[catalogue."openai/my-ft"]\n{own}'), "openai/my-ft")
    assert found.name == "gpt-4o"
    assert (found.context_window, found.max_output) == (128_000, 5)
    assert found.price is not None
    assert (found.price.input, found.price.output, found.price.cache_read) == (3_750_000, 15_000_000, None)


def test_prices_are_taken_as_they_are_typed() -> None:
    gateway = built('[catalogue."local/m"]\nprices = { input = 0.0375, output = 0.1, cache_read = 1e-6 }')
    row = info(gateway, "local/m").price
    assert row is not None
    assert (row.input, row.output, row.cache_read) == (37_500, 100_000, 1)


def test_an_exact_key_counts_before_the_longest_pattern() -> None:
    gateway = built(
        '[catalogue."*/*"]\nmax_output = 1\n[catalogue."local/*"]\nmax_output = 2\n'
        '[catalogue."local/big-*"]\nmax_output = 3\n[catalogue."local/big-one"]\nmax_output = 4'
    )
    names = ("local/big-one", "local/big-two", "local/small", "openai/gpt-4o")
    assert [info(gateway, name).max_output for name in names] == [4, 3, 2, 1]
    assert info(gateway, "local/small").known


def test_a_targets_base_model_holds_wherever_its_model_is_asked_for() -> None:
    gateway = built('[models.a]\ntargets = [{ provider = "openai", model = "prod", base_model = "gpt-4o" }]')
    assert info(gateway, "openai/prod").name == "gpt-4o"
    assert info(gateway, "openai/prod").price is not None


def test_two_base_models_of_one_target_are_a_mistake() -> None:
    (problem,) = problems(
        '[catalogue."openai/prod"]\nbase_model = "gpt-5"\n'
        '[models.a]\ntargets = [{ provider = "openai", model = "prod", base_model = "gpt-4o" }]'
    )
    assert 'openai/prod is "gpt-4o" here and "gpt-5" elsewhere' in problem


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[catalogue."opnai/gpt-4o"]\ntools = true', 'no plugin of the name "opnai"; did you mean "openai"?'),
        ('[catalogue."gpt-4o"]\ntools = true', 'expected the name of a model at a provider, [catalogue."<provider>'),
        ('[catalogue."openai/x"]\nmax_ouput = 1', 'unknown key; did you mean "max_output"?'),
        ('[catalogue."openai/x"]\nmax_output = 0', "expected a whole number"),
        ('[catalogue."openai/x"]\nprices = { output = 1 }', "prices.input: is missing"),
        ('[catalogue."openai/x"]\nprices = { input = -1, output = 1 }', "prices.input: expected a number"),
        ('[catalogue."openai/x"]\nthinking = "much"', "expected"),
        ('[catalogue."openai/x"]\nretires = "soon"', "expected"),
        ("[catalogue]\nx = 1", "expected a table"),
    ],
)
def test_a_mistake_names_its_place(text: str, says: str) -> None:
    found = problems(text)
    assert len(found) == 1 or "gpt-4o" in text
    assert any(says in problem and "catalogue" in problem for problem in found), found


def test_a_change_of_one_providers_models_keeps_the_other_providers() -> None:
    before = built('[catalogue."local/m"]\nmax_output = 1')
    after = built('[catalogue."local/m"]\nmax_output = 2', before)
    assert after.providers["openai"] is before.providers["openai"]
    assert after.providers["local"] is not before.providers["local"]
    assert info(after, "local/m").max_output == 2


def test_the_page_names_every_key() -> None:
    text = page("catalogue.md")
    table = text.partition("| key | type | meaning |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`[,| ]*(?=.*\|)", table)) >= set(ModelOverride.__struct_fields__)
    assert all(f"`{name}`" in text for name in PriceOverride.__struct_fields__)
