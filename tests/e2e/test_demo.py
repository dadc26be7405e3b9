"""The demo as a test: a real open-weight model behind a real ``gateway serve``, through the openai package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

import demo
import scripted_anthropic

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not demo.MODEL_PYTHON.exists(), reason="no .venvs/model; make test installs it"),
]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """The gateway of examples/local-model.toml."""
    with demo.everything() as url:
        yield url


@pytest.fixture(scope="module")
def client(base_url: str) -> Iterator[OpenAI]:
    """An application's client: it knows the address and its key."""
    with OpenAI(base_url=base_url, api_key=demo.KEY, max_retries=0) as made:
        yield made


def test_the_model_gives_a_whole_answer(client: OpenAI) -> None:
    assert "Paris" in demo.whole(client, demo.LOCAL)


def test_the_model_streams_token_by_token(client: OpenAI) -> None:
    tokens = list(demo.streamed(client, demo.LOCAL))
    assert len(tokens) > 10
    assert max(map(len, tokens)) < 20


def test_the_model_fills_in_a_typed_object(client: OpenAI) -> None:
    city = demo.typed(client, demo.LOCAL)
    assert isinstance(city, demo.City)
    assert city.name


def test_the_model_gives_an_embedding(client: OpenAI) -> None:
    vector = demo.embedding(client, demo.LOCAL)
    assert len(vector) == 576  # the width of SmolLM2-135M
    assert sum(x * x for x in vector) == pytest.approx(1.0, abs=0.01)


def test_a_wrong_key_is_told_so(base_url: str) -> None:
    error = demo.wrong_key(base_url, demo.LOCAL)
    assert error.status_code == 401
    assert error.code == "invalid_api_key"
    assert "sk-not-mine" not in str(error)


def test_an_unknown_model_is_answered_with_the_nearest_name(client: OpenAI) -> None:
    error = demo.unknown_model(client)
    assert error.status_code == 404
    assert error.code == "model_not_found"
    assert "'small'" in demo.told(error)


def test_the_same_code_asks_anthropic_by_another_name(client: OpenAI) -> None:
    assert demo.whole(client, demo.CLAUDE) == scripted_anthropic.TEXT
    assert "".join(demo.streamed(client, demo.CLAUDE)) == scripted_anthropic.TEXT
    assert demo.typed(client, demo.CLAUDE) == demo.City(name="Paris", country="France", continent="Europe")


def test_the_show_shows_it_all(base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    demo.show(base_url)
    shown = capsys.readouterr().out
    for line in ("whole ", "streamed ", "typed ", "embedding ", "wrong key ", "unknown model "):
        assert f"\n{line}" in shown
    assert shown.count("City(name=") == 2
