"""docs/configuration.md names the keys that no Struct of the public settings holds: of every plugin, of [defaults]."""

from __future__ import annotations

import re

import msgspec
import pytest

from gateway.config import PLUGIN_KEYS, Timeouts
from gateway.config_models import _Defaults, _ModelTable
from tests.docs.documents import page

PAGE = page("configuration.md")


def keys_below(heading: str) -> list[set[str]]:
    """The keys in each table between a heading and the next."""
    section = re.split(r"^## ", PAGE.partition(f"\n## `{heading}`\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    tables = re.findall(r"^\| key \|.*\n(?:\|.*\n)+", section, re.MULTILINE)
    return [set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) for table in tables]


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("[plugins.<name>]", PLUGIN_KEYS),
        ("[models.<name>]", _ModelTable.__struct_fields__),
        ("[models.<name>]", Timeouts.__struct_fields__),
        ("[defaults]", _Defaults.__struct_fields__),
    ],
)
def test_a_table_has_these_keys_and_no_other(heading: str, keys: tuple[str, ...]) -> None:
    assert set(keys) in keys_below(heading)


def test_the_defaults_are_those_of_a_model_but_for_what_is_its_own() -> None:
    own = {field.name for field in msgspec.structs.fields(_ModelTable)} - set(_Defaults.__struct_fields__)
    assert own == {"targets", "fallbacks"}
