"""Lists of models tell what is known of each model's sizes, where their shape has a place for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.testing import RunningGateway, running_gateway
from tests.wire.anthropic_types import check_model

TOML = """
[plugins.openai]
api_key = "k"

[plugins.anthropic]
api_key = "k"

[models.mixed]
targets = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"]

[models.own]
targets = ["openai/house-model"]

[catalogue."openai/house-model"]
context_window = 5000
"""
ANTHROPIC = {"anthropic-version": "2026-10-21"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(TOML) as running:
        yield running


@pytest.mark.parametrize(
    ("model", "window", "longest"),
    [
        ("openai/gpt-4o", 128_000, 16_384),
        ("mixed", 128_000, 16_384),
        ("own", 5000, None),
        ("openai/unheard-of", None, None),
    ],
)
def test_the_least_of_a_models_targets_is_told(
    gateway: RunningGateway, model: str, window: int | None, longest: int | None
) -> None:
    told = gateway.get(f"/v1/models/{model}", headers=ANTHROPIC).json()
    assert (told["max_input_tokens"], told["max_tokens"]) == (window, longest)
    told = gateway.get(f"/v1beta/models/{model}").json()
    assert (told.get("inputTokenLimit"), told.get("outputTokenLimit")) == (window, longest)
    assert "inputTokenLimit" in told or window is None
    assert told["supportedGenerationMethods"][:2] == ["generateContent", "streamGenerateContent"]


def test_anthropics_own_package_takes_each_model(gateway: RunningGateway) -> None:
    listed = gateway.get("/v1/models", headers=ANTHROPIC).json()["data"]
    assert [model["id"] for model in listed] == ["mixed", "own"]
    for model in listed:
        check_model(model)


def test_openais_shape_has_no_place_for_them(gateway: RunningGateway) -> None:
    assert set(gateway.get("/v1/models/mixed").json()) == {"id", "object", "created", "owned_by"}
