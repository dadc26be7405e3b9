"""Azure OpenAI: its paths, its credentials, its errors, and what older versions of its API do not know."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from gateway import Secret
from gateway.call import Target
from gateway.config import TargetConfig
from gateway.errors import ConfigError
from gateway.format import Dropped
from gateway.plugin import PluginContext
from gateway.protocol import ChatRequest, Message, Text
from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.providers.azure import Azure
from tests.plugins.upstream import ANSWER

ASK: dict[str, Any] = {"model": "az/gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
TOKEN: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3599, "access_token": "tok-1"}


def provider(**settings: Any) -> Azure:
    settings = {"base_url": "https://r.openai.azure.com", "api_key": Secret("k"), **settings}
    return Azure(Azure.Config(**settings), PluginContext(name="az", use="azure"))


def table(resource: ScriptedProvider, *lines: str) -> str:
    return "\n".join(["[plugins.az]", 'use = "azure"', f'base_url = "{resource.url}"', *lines])


@pytest.mark.parametrize(
    ("version", "format_name", "path"),
    [
        (None, "openai_chat", "/openai/v1/chat/completions"),
        ("preview", "openai_chat", "/openai/v1/chat/completions?api-version=preview"),
        (None, "openai_responses", "/openai/v1/responses"),
        (None, "openai_embeddings", "/openai/v1/embeddings"),
        ("2024-10-21", "openai_chat", "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"),
        ("2024-10-21", "openai_completions", "/openai/deployments/my%20gpt/completions?api-version=2024-10-21"),
        ("2024-10-21", "openai_embeddings", "/openai/deployments/my%20gpt/embeddings?api-version=2024-10-21"),
        ("2025-03-01-preview", "openai_responses", "/openai/responses?api-version=2025-03-01-preview"),
    ],
)
def test_the_version_decides_the_path(version: str | None, format_name: str, path: str) -> None:
    target: Target = TargetConfig(provider="az", model="my gpt")
    assert provider(api_version=version).path(format_name, target, stream=False) == path


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base_url": None}, "base_url: needed"),
        ({"base_url": "r.openai.azure.com"}, "must begin with"),
        ({"base_url": "https://r.openai.azure.com/openai/v1"}, "must end before /openai"),
        ({"api_version": "2024"}, "must be a date"),
        ({"api_key": None}, "Azure needs a key"),
        ({"identity": "managed"}, "different ways"),
        ({"api_key": None, "client_secret": Secret("s")}, "tenant_id: client_secret needs it"),
        ({"api_key": None, "identity": "workload"}, "AZURE_FEDERATED_TOKEN_FILE"),
        ({"authority": "login"}, "must begin with https://"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    settings: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_FEDERATED_TOKEN_FILE", raising=False)
    with pytest.raises(ConfigError) as refusal:
        provider(**settings)
    assert words in str(refusal.value)


def test_a_header_of_the_users_own_is_a_credential_too() -> None:
    assert provider(api_key=None, headers={"api-key": Secret("k")}).models == ()


def test_an_older_version_gets_the_words_that_it_knows() -> None:
    request = ChatRequest(
        model="d",
        messages=[Message(role="developer", content=[Text(text="brief")])],
        max_tokens=5,
        stream=True,
        origin="anthropic_messages",
    )

    def written(version: str | None) -> dict[str, Any]:
        made = provider(api_version=version, deployments={"d": "gpt-4o"})
        body: dict[str, Any] = json.loads(OpenAIChat().write_request(request, made.traits("d"), Dropped()))
        return body

    old = written("2024-02-01")
    assert (old["max_tokens"], old["messages"][0]["role"], "stream_options" in old) == (5, "system", False)
    later = written("2024-10-21")
    assert (later["max_completion_tokens"], later["messages"][0]["role"]) == (5, "system")
    assert later["stream_options"] == {"include_usage": True}
    assert written(None)["messages"][0]["role"] == "developer"


def test_a_deployment_is_known_by_the_model_behind_it() -> None:
    made = provider(deployments={"thinker": "o3-mini"})
    assert made.models == ("thinker",)
    assert "temperature" in made.traits("thinker").unsupported
    assert made.traits("other").unsupported == {}


def test_a_key_goes_out_as_api_key_and_the_model_is_the_deployment() -> None:
    with ScriptedProvider() as resource:
        with running_gateway(table(resource, 'api_key = "k"', 'api_version = "2024-10-21"')) as gateway:
            resource.reply(json=ANSWER)
            assert gateway.post("/v1/chat/completions", ASK).status == 200
        sent = resource.requests[0]
        assert sent.path == "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
        assert sent.headers["api-key"] == "k"
        assert "authorization" not in sent.headers
        assert sent.json()["model"] == "gpt-4o"


@pytest.mark.parametrize(
    ("header", "value", "sent"),
    [("api-key", "mine", ("api-key", "mine")), ("authorization", "Bearer mine", ("authorization", "Bearer mine"))],
)
def test_a_callers_own_key_goes_on_in_its_own_header(header: str, value: str, sent: tuple[str, str]) -> None:
    with ScriptedProvider() as resource:
        with running_gateway(table(resource, 'api_key = "forward"')) as gateway:
            resource.reply(json=ANSWER)
            gateway.post("/v1/chat/completions", ASK, headers={header: value})
        assert resource.requests[0].headers[sent[0]] == sent[1]


def test_content_filter_fields_reach_a_caller_of_the_same_dialect() -> None:
    filtered = {**ANSWER, "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
    with ScriptedProvider() as resource, running_gateway(table(resource, 'api_key = "k"')) as gateway:
        resource.reply(json=filtered)
        assert gateway.post("/v1/chat/completions", ASK).json() == filtered


FILTERED: dict[str, Any] = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"hate": {"filtered": True, "severity": "high"}},
        },
    }
}


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "retry_after"),
    [
        (400, {}, FILTERED, "content_filter", None),
        (
            404,
            {},
            {
                "error": {
                    "code": "DeploymentNotFound",
                    "message": "The API deployment for this resource does not exist.",
                }
            },
            "model_not_found",
            None,
        ),
        (404, {}, {"error": {"code": "404", "message": "Resource not found"}}, "not_found", None),
        (401, {}, {"error": {"code": "401", "message": "Access denied due to invalid key"}}, "authentication", None),
        (401, {}, {"statusCode": 401, "message": "Unauthorized"}, "authentication", None),
        (
            403,
            {},
            {"error": {"code": "403", "message": "Access denied due to Virtual Network rules."}},
            "permission",
            None,
        ),
        (429, {"retry-after-ms": "1500", "retry-after": "2"}, {"error": {"code": "429"}}, "rate_limit", 1.5),
        (
            429,
            {},
            {"error": {"code": "429", "message": "Requests have exceeded the limit. Please retry after 7 seconds."}},
            "rate_limit",
            7.0,
        ),
        (
            400,
            {},
            {"error": {"code": "context_length_exceeded", "message": "This model's maximum context length is 8192"}},
            "context_length",
            None,
        ),
        (503, {}, {"error": {"code": "ServiceUnavailable", "message": "busy"}}, "overloaded", None),
    ],
)
def test_azures_errors_are_understood(
    status: int, headers: dict[str, str], body: dict[str, Any], kind: str, retry_after: float | None
) -> None:
    error = OpenAIChat().read_error(status, headers, json.dumps(body).encode())
    assert (error.kind, error.retry_after, error.status) == (kind, retry_after, status)


def test_what_azure_says_of_a_filtered_prompt_is_kept() -> None:
    with ScriptedProvider() as resource, running_gateway(table(resource, 'api_key = "k"')) as gateway:
        resource.reply(json=FILTERED, status=400)
        answer = gateway.post("/v1/chat/completions", ASK)
        assert answer.status == 400
        assert answer.json()["error"]["innererror"] == FILTERED["error"]["innererror"]
        resource.reply(json=FILTERED, status=400)
        asked = {**ASK, "max_tokens": 5}
        told = gateway.post("/v1/messages", asked, headers={"anthropic-version": "2023-06-01"})
        assert told.status == 400
        assert "content management policy" in told.json()["error"]["message"]


def entra(token_service: ScriptedProvider) -> tuple[str, ...]:
    lines = ('tenant_id = "t"', 'client_id = "c"', 'client_secret = "hush"')
    return (*lines, f'authority = "{token_service.url}"')


def test_an_application_of_entra_id_gets_one_token_for_many_calls() -> None:
    with ScriptedProvider() as resource, ScriptedProvider() as tokens:
        tokens.reply(json=TOKEN, delay=0.05)
        resource.default_reply(json=ANSWER)
        with running_gateway(table(resource, *entra(tokens))) as gateway, ThreadPoolExecutor(4) as pool:
            assert tokens.requests == []
            answers = list(pool.map(lambda _: gateway.post("/v1/chat/completions", ASK), range(4)))
        assert [answer.status for answer in answers] == [200] * 4
        assert {request.headers["authorization"] for request in resource.requests} == {"Bearer tok-1"}
        (asked,) = tokens.requests
        assert asked.path == "/t/oauth2/v2.0/token"
        assert parse_qs(asked.body.decode()) == {
            "grant_type": ["client_credentials"],
            "client_id": ["c"],
            "client_secret": ["hush"],
            "scope": ["https://cognitiveservices.azure.com/.default"],
        }


def test_a_token_that_is_refused_is_replaced_on_the_next_call() -> None:
    with ScriptedProvider() as resource, ScriptedProvider() as tokens:
        tokens.reply(json=TOKEN)
        tokens.reply(json={**TOKEN, "access_token": "tok-2"})
        resource.reply(json={"error": {"code": "401", "message": "expired"}}, status=401)
        resource.reply(json=ANSWER)
        with running_gateway(table(resource, *entra(tokens))) as gateway:
            assert gateway.post("/v1/chat/completions", ASK).status == 401
            assert gateway.post("/v1/chat/completions", ASK).status == 200
        assert [request.headers["authorization"] for request in resource.requests] == ["Bearer tok-1", "Bearer tok-2"]


def test_a_refused_token_says_why_and_holds_no_secret() -> None:
    refusal = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret.\r\nTrace ID: 1"}
    with ScriptedProvider() as resource, ScriptedProvider() as tokens:
        tokens.reply(json=refusal, status=401)
        with running_gateway(table(resource, *entra(tokens))) as gateway:
            answer = gateway.post("/v1/chat/completions", ASK)
        assert answer.status == 401
        message = answer.json()["error"]["message"]
        assert "invalid_client: AADSTS7000215: Invalid client secret." in message
        assert "hush" not in answer.body.decode()
        assert resource.requests == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"access_token":"t","expires_in":"soon"}', b"\xff"])
def test_an_answer_without_a_token_is_an_upstream_error(body: bytes) -> None:
    with ScriptedProvider() as resource, ScriptedProvider() as tokens:
        tokens.default_reply(body=body)
        with running_gateway(table(resource, *entra(tokens)) + "\n[defaults]\nretries = 0\n") as gateway:
            assert gateway.post("/v1/chat/completions", ASK).status == 502


def test_a_busy_token_service_is_asked_again() -> None:
    with ScriptedProvider() as resource, ScriptedProvider() as tokens:
        tokens.reply(status=500, body=b"oops")
        tokens.reply(json=TOKEN)
        resource.reply(json=ANSWER)
        with running_gateway(table(resource, *entra(tokens))) as gateway:
            assert gateway.post("/v1/chat/completions", ASK).status == 200


def test_a_managed_identity_asks_the_machines_metadata_service() -> None:
    with ScriptedProvider() as resource, ScriptedProvider() as metadata:
        metadata.reply(json={"access_token": "tok-vm", "expires_in": "86399", "token_type": "Bearer"})
        resource.reply(json=ANSWER)
        lines = ('identity = "managed"', 'client_id = "c"', f'identity_endpoint = "{metadata.url}"')
        with running_gateway(table(resource, *lines)) as gateway:
            assert gateway.post("/v1/chat/completions", ASK).status == 200
        (asked,) = metadata.requests
        assert asked.method == "GET"
        assert asked.headers["metadata"] == "true"
        path, _, query = asked.path.partition("?")
        assert path == "/metadata/identity/oauth2/token"
        assert parse_qs(query) == {
            "api-version": ["2018-02-01"],
            "resource": ["https://cognitiveservices.azure.com"],
            "client_id": ["c"],
        }
        assert resource.requests[0].headers["authorization"] == "Bearer tok-vm"


def test_a_managed_identity_of_an_app_service_asks_its_own_endpoint() -> None:
    with ScriptedProvider() as resource, ScriptedProvider() as service:
        service.reply(json={"access_token": "tok-app", "expires_on": str(int(time.time()) + 3600)})
        resource.default_reply(json=ANSWER)
        env = {"IDENTITY_ENDPOINT": f"{service.url}/msi/token", "IDENTITY_HEADER": "shh"}
        with running_gateway(table(resource, 'identity = "managed"'), env=env) as gateway:
            assert gateway.post("/v1/chat/completions", ASK).status == 200
            assert gateway.post("/v1/chat/completions", ASK).status == 200
        (asked,) = service.requests
        assert asked.path.startswith("/msi/token?api-version=2019-08-01&resource=")
        assert asked.headers["x-identity-header"] == "shh"


def test_a_workload_sends_the_token_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("federated\n")
    with ScriptedProvider() as resource, ScriptedProvider() as tokens:
        tokens.reply(json=TOKEN)
        resource.reply(json=ANSWER)
        env = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": str(file)}
        lines = ('identity = "workload"', f'authority = "{tokens.url}"')
        with running_gateway(table(resource, *lines), env=env) as gateway:
            assert gateway.post("/v1/chat/completions", ASK).status == 200
        form = parse_qs(tokens.requests[0].body.decode())
        assert form["client_assertion"] == ["federated"]
        assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]


def test_a_workload_without_its_file_is_told(tmp_path: Path) -> None:
    lines = ('identity = "workload"', 'tenant_id = "t"', 'client_id = "c"', 'federated_token_file = "gone"')
    with (
        ScriptedProvider() as resource,
        running_gateway(table(resource, *lines) + "\n[defaults]\nretries = 0\n", folder=tmp_path) as gateway,
    ):
        answer = gateway.post("/v1/chat/completions", ASK)
        assert answer.status == 502
        assert "cannot be read: FileNotFoundError" in answer.json()["error"]["message"]
