"""What the tests of the configuration share: a text's problems, a text's configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import GatewayConfig, parse_config
from gateway.errors import ConfigError
from gateway.registry import Gateway, build

NOWHERE = Path("/nonexistent")


def parsed(toml: str, folder: Path = NOWHERE) -> GatewayConfig:
    """The configuration of a text without mistakes."""
    return parse_config(toml, path=folder / "gateway.toml", folder=folder)


def built(toml: str, folder: Path = NOWHERE) -> Gateway:
    """The same with its plugins."""
    return build(parsed(toml, folder))


def problems_of(toml: str, folder: Path = NOWHERE) -> list[str]:
    """All problems that ``gateway check`` would show."""
    with pytest.raises(ConfigError) as refusal:
        built(toml, folder)
    return refusal.value.problems
