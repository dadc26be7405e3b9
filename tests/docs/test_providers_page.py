"""docs/providers.md says what the providers take."""

from __future__ import annotations

import re

import pytest

from gateway.provider import Provider, ProviderConfig
from gateway_plugins.providers.echo import Echo
from gateway_plugins.providers.openai import OpenAI
from gateway_plugins.providers.openai_compatible import OpenAICompatible
from gateway_plugins.providers.presets import PRESETS, table
from tests.docs.documents import page

PAGE = page("providers.md")


def keys_of(section: str) -> set[str]:
    """The settings in the first table below a heading."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", text.partition("<!--")[0], re.MULTILINE))


def test_the_table_of_presets_is_the_one_that_the_module_writes() -> None:
    shown = re.search(r"<!-- presets: .*? -->\n(.*?)<!-- /presets -->", PAGE, re.DOTALL)
    assert shown is not None
    assert shown[1] == table()
    assert all(f"| `{name}` |" in shown[1] for name in PRESETS)


def test_the_settings_of_every_provider_are_on_the_page() -> None:
    assert keys_of("What every provider takes") == set(ProviderConfig.__struct_fields__)


@pytest.mark.parametrize(("name", "cls"), [("echo", Echo), ("openai", OpenAI), ("openai_compatible", OpenAICompatible)])
def test_the_own_settings_of_a_provider_are_on_the_page(name: str, cls: type[Provider]) -> None:
    own = set(cls.Config.__struct_fields__) - set(ProviderConfig.__struct_fields__)
    assert keys_of(f"`{name}`") == own
