"""docs/configuration.md names every key of the core with its default."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from gateway.config import DEFAULT_TIMEOUTS, ModelConfig, ServerConfig, TargetConfig, TlsConfig
from gateway.health_settings import BreakerConfig, HealthConfig
from gateway.resilience.rules import BreakerRules
from tests.docs.documents import page

PAGE = page("configuration.md")
TABLES = [
    {cells[0].strip("`"): cells[1:] for line in table.splitlines()[2:] if (cells := line.strip("| ").split(" | "))}
    for table in re.findall(r"^\| key \|.*\n(?:\|.*\n)+", PAGE, re.MULTILINE)
]


def table_of(keys: set[str]) -> dict[str, list[str]]:
    """The table that has these keys and no other: key → type, default, meaning."""
    (found,) = [table for table in TABLES if table.keys() == keys]
    return found


def written(value: Any) -> str:
    """A default as the page writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:.10g}" if isinstance(value, int | float) else "none"


@pytest.mark.parametrize(
    ("kind", "left_out"),
    [
        (ServerConfig, {"tls"}),
        (TlsConfig, set()),
        (ModelConfig, {"name", "extra"}),
        (TargetConfig, set()),
        (HealthConfig, set()),
    ],
)
def test_every_key_stands_there_with_its_default(kind: type[msgspec.Struct], left_out: set[str]) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind) if field.encode_name not in left_out}
    for key, (_, default, _) in table_of(set(fields)).items():
        needed = fields[key].required or key == "targets"
        assert default.partition(" (")[0].strip("`") == ("required" if needed else written(fields[key].default)), key


def test_every_rule_of_the_breaker_stands_there_with_what_holds_without_it() -> None:
    rules = BreakerRules()
    keys = {field.name for field in msgspec.structs.fields(BreakerConfig)}
    assert {key: float(cells[1]) for key, cells in table_of(keys).items()} == {
        key: float(getattr(rules, key)) for key in keys
    }


def test_every_time_limit_stands_there_with_what_holds_without_it() -> None:
    limits = msgspec.structs.asdict(DEFAULT_TIMEOUTS)
    assert {key: float(default) for key, (_, default, _) in table_of(set(limits)).items()} == limits
