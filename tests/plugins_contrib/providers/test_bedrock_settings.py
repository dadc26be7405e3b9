"""The settings of Bedrock: addresses, ways, keys, and mistakes told all at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import Secret, Target
from gateway.errors import ConfigError
from gateway.provider import ProviderConfig
from gateway_contrib.providers import bedrock
from gateway_contrib.providers.bedrock import Bedrock
from tests.plugins.made_calls import CONTEXT, made_call

KEY = Secret("bedrock-key", "env:KEY")
ENVIRONMENT = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_BEARER_TOKEN_BEDROCK")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def made(**settings: Any) -> Bedrock:
    return Bedrock(Bedrock.Config(**{"region": "us-east-1", "api_key": KEY, **settings}), CONTEXT)


def problems(**settings: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        made(**settings)
    return caught.value.problems


def path(model: str, format: str = "bedrock_converse", *, stream: bool = False) -> str:
    return made().path(format, Target(provider="bedrock", model=model), stream=stream)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ({"region": "cn-north-1"}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ({"region": "eusc-de-east-1"}, "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu"),
        ({"region": "us-gov-west-1"}, "https://bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ({"base_url": "https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com/"}, None),
        ({"base_url": "http://127.0.0.1:9", "region": None}, None),
    ],
)
def test_the_address_is_the_regions_unless_another_is_written(settings: dict[str, Any], address: str | None) -> None:
    assert made(**settings).address == (address or settings["base_url"].rstrip("/"))


def test_the_region_comes_from_the_settings_the_address_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    (problem,) = problems(region=None)
    assert "AWS_REGION" in problem
    host = "https://bedrock-runtime.ap-south-1.amazonaws.com"
    assert made(region=None, api_key=None, base_url=host)._region == "ap-south-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert made(region=None)._region == "eu-north-1"
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert made(region=None)._region == "eu-west-3"
    assert made()._region == "us-east-1"


def test_the_model_is_encoded_whole_in_the_path() -> None:
    assert path("a.b-v1:0") == "/model/a.b-v1%3A0/converse"
    assert path("a.b-v1:0", stream=True) == "/model/a.b-v1%3A0/converse-stream"
    assert path("arn:aws:bedrock:x:1:inference-profile/us.a", "bedrock_invoke_anthropic") == (
        "/model/arn%3Aaws%3Abedrock%3Ax%3A1%3Ainference-profile%2Fus.a/invoke"
    )
    assert path("a.b", "bedrock_invoke_anthropic", stream=True) == "/model/a.b/invoke-with-response-stream"
    assert path("a/../b?c#d e") == "/model/a%2F..%2Fb%3Fc%23d%20e/converse"
    for profile in ("us.", "global.", "us-gov.", "apac.", ""):
        assert path(f"{profile}anthropic.c-v1:0", "bedrock_count_tokens") == "/model/anthropic.c-v1%3A0/count-tokens"


def test_mistakes_are_told_all_at_once() -> None:
    found = problems(
        region="somewhere",
        api_key=None,
        base_url="bedrock.local",
        access_key_id=Secret("a"),
        profile="p",
        format="openai_chat",
        max_tokens_default=0,
    )
    assert len(found) == 6
    assert problems(api_key=None, session_token=Secret("t")) == ["session_token: it belongs to an access_key_id"]


def test_signing_without_botocore_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bedrock, "HAS_BOTOCORE", False)
    (problem,) = problems(api_key=None)
    assert "gateway[bedrock]" in problem
    made()
    made(api_key=None, headers={"Authorization": Secret("Bearer x")})


def test_the_key_is_the_settings_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "from-env")
    assert made().credentials(made_call()) == [("authorization", "Bearer bedrock-key")]
    assert made(api_key=None).credentials(made_call()) == [("authorization", "Bearer from-env")]
    keys = {"access_key_id": Secret("a"), "secret_access_key": Secret("s")}
    assert made(api_key=None, **keys).credentials(made_call()) == []


def test_what_it_offers_and_what_a_model_takes() -> None:
    provider = made(
        base_models={"arn:x": "anthropic.claude-haiku-4-5"}, defaults={"performanceConfig": {"latency": "x"}}
    )
    assert provider.offers("chat") == ("bedrock_converse", "bedrock_invoke_anthropic")
    assert provider.offers("count_tokens") == ("bedrock_count_tokens",)
    assert made(format="bedrock_invoke_anthropic").offers("chat") == ("bedrock_invoke_anthropic",)
    assert provider.traits("arn:x").options["family"] == "anthropic"
    assert provider.traits("arn:y").options["family"] == "unknown"
    assert provider.traits("arn:y").defaults == {"performanceConfig": {"latency": "x"}}
    assert made(max_tokens_default=7).traits("amazon.nova-lite-v1:0").options["limit"] == 7


def test_the_settings_are_strict() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"regoin": "x"}, Bedrock.Config)


def test_every_setting_is_on_its_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "providers" / "bedrock.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)` \| \w+ \|", page.partition("## Settings")[2].partition("\n## ")[0], re.MULTILINE)
    assert set(shown) == set(Bedrock.Config.__struct_fields__) - set(ProviderConfig.__struct_fields__)


@pytest.mark.parametrize(
    "model",
    [
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc.d-e_f~g",
    ],
)
def test_paths_are_those_that_botocore_sends(model: str) -> None:
    session = pytest.importorskip("botocore.session").Session()
    serialize = pytest.importorskip("botocore.serialize").create_serializer("rest-json").serialize_to_request
    service = session.get_service_model("bedrock-runtime")

    def theirs(operation: str, **more: Any) -> str:
        sent: str = serialize({"modelId": model, **more}, service.operation_model(operation))["url_path"]
        return sent

    assert path(model) == theirs("Converse")
    assert path(model, stream=True) == theirs("ConverseStream")
    assert path(model, "bedrock_invoke_anthropic") == theirs("InvokeModel", body=b"{}")
    streamed = theirs("InvokeModelWithResponseStream", body=b"{}")
    assert path(model, "bedrock_invoke_anthropic", stream=True) == streamed
