"""Vertex: addresses, paths, access tokens, and both kinds of models, before a scripted server on a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from gateway.config import Secret
from gateway.errors import ConfigError
from gateway.plugin import PluginContext
from gateway.testing import RunningGateway, ScriptedProvider, running_gateway
from gateway_contrib.providers.google_tokens import GoogleTokens, NoCredentials
from gateway_contrib.providers.vertex import Vertex

jwt: Any = pytest.importorskip("jwt")
rsa: Any = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
serialization: Any = pytest.importorskip("cryptography.hazmat.primitives.serialization")

pytestmark = pytest.mark.anyio

CONTEXT = PluginContext(name="up", use="vertex")
PROJECT = "/projects/p-1/locations/us-central1/publishers"
GEMINI: dict[str, Any] = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "yo"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
}
CLAUDE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "yo"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def key() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


def made(**settings: Any) -> Vertex:
    return Vertex(Vertex.Config(**{"project": "p-1", "access_token": Secret("t"), **settings}), CONTEXT)


def service_account(key: Any, folder: Path, token_uri: str) -> Path:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "account.json"
    account = {
        "type": "service_account",
        "client_email": "robot@p-1.iam.gserviceaccount.com",
        "private_key": private.decode(),
        "private_key_id": "k1",
        "token_uri": token_uri,
    }
    file.write_text(json.dumps(account))
    return file


@contextmanager
def gateway_before(extra: str = 'access_token = "t"') -> Iterator[tuple[ScriptedProvider, RunningGateway]]:
    with ScriptedProvider() as provider:
        extra = extra.replace("URL", provider.url)
        toml = f'[plugins.up]\nuse = "vertex"\nproject = "p-1"\nlocation = "us-central1"\nbase_url = "{provider.url}"\n'
        with running_gateway(toml + extra) as gateway:
            yield provider, gateway


def test_the_address_is_that_of_the_location() -> None:
    assert made().address == "https://aiplatform.googleapis.com"
    assert made(location="eu").address == "https://aiplatform.eu.rep.googleapis.com"
    assert made(location="europe-west4").address == "https://europe-west4-aiplatform.googleapis.com"


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"project": None}, "project"),
        ({"project": "a/b"}, "project"),
        ({"api_key": Secret("k")}, "api_key"),
        ({"credentials": "a.json"}, "access_token"),
        ({"base_url": "localhost"}, "base_url"),
        ({"max_tokens_default": 0}, "max_tokens_default"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        made(**settings)


def test_gemini_is_asked_by_a_caller_of_chat_completions() -> None:
    with gateway_before() as (provider, gateway):
        provider.reply(json=GEMINI)
        answer = gateway.post("/v1/chat/completions", {"model": "up/gemini-2.5-flash", **ASK}).json()
        assert answer["choices"][0]["message"]["content"] == "yo"
        (request,) = provider.requests
        assert request.path == f"/v1beta1{PROJECT}/google/models/gemini-2.5-flash:generateContent"
        assert request.headers["authorization"] == "Bearer t"
        assert request.json()["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


def test_gemini_is_asked_by_a_caller_of_its_own_dialect() -> None:
    with gateway_before() as (provider, gateway):
        provider.stream([b"data: " + json.dumps(GEMINI).encode() + b"\r\n\r\n"])
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        answer = gateway.post("/v1beta/models/up/gemini-2.5-flash:streamGenerateContent?alt=sse", body)
        assert json.loads(answer.events()[0].data) == GEMINI
        assert provider.requests[0].path.endswith("gemini-2.5-flash:streamGenerateContent?alt=sse")
        assert provider.requests[0].json() == body


def test_claude_is_asked_by_rawpredict() -> None:
    with gateway_before() as (provider, gateway):
        provider.default_reply(json=CLAUDE)
        model = "up/claude-sonnet-4-5@20250929"
        body = {"model": model, "max_tokens": 5, "temperature": 0.5, **ASK}
        assert gateway.post("/v1/messages", body).json() == CLAUDE
        answer = gateway.post("/v1/chat/completions", body).json()
        assert answer["choices"][0]["message"]["content"] == "yo"
        for request in provider.requests:
            assert request.path == f"/v1{PROJECT}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"
            sent = request.json()
            assert sent["anthropic_version"] == "vertex-2023-10-16"
            assert "model" not in sent
            assert sent["temperature"] == 0.5
            assert sent["messages"] == ASK["messages"]


def test_claude_is_streamed_by_streamrawpredict() -> None:
    start = {**CLAUDE, "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "yo"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    stream = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    with gateway_before() as (provider, gateway):
        provider.default_stream(stream)
        body = {"model": "up/claude-sonnet-4-5", "max_tokens": 5, "stream": True, **ASK}
        assert gateway.post("/v1/messages", body).body == b"".join(stream)
        answer = gateway.post("/v1/chat/completions", body)
        assert answer.events()[-1].data == b"[DONE]"
        for request in provider.requests:
            assert request.path.endswith("/claude-sonnet-4-5:streamRawPredict")
            assert request.json()["stream"] is True


def test_tokens_are_counted_for_both_kinds() -> None:
    with gateway_before() as (provider, gateway):
        provider.reply(json={"input_tokens": 8})
        body = {"model": "up/claude-sonnet-4-5", "system": "s", **ASK}
        assert gateway.post("/v1/messages/count_tokens", body).json() == {"input_tokens": 8}
        provider.reply(json={"totalTokens": 7})
        body["model"] = "up/gemini-2.5-flash"
        assert gateway.post("/v1/messages/count_tokens", body).json() == {"input_tokens": 7}
        claude, gemini = provider.requests
        assert claude.path == f"/v1{PROJECT}/anthropic/models/count-tokens:rawPredict"
        assert claude.json()["model"] == "claude-sonnet-4-5"
        assert gemini.path == f"/v1beta1{PROJECT}/google/models/gemini-2.5-flash:countTokens"
        assert gemini.json()["systemInstruction"] == {"parts": [{"text": "s"}]}


def test_one_text_is_embedded() -> None:
    with gateway_before() as (provider, gateway):
        provider.default_reply(json={"embedding": {"values": [0.5, 1.0]}})
        asked = {"model": "up/gemini-embedding-2", "input": "a", "dimensions": 2}
        assert gateway.post("/v1/embeddings", asked).json()["data"][0]["embedding"] == [0.5, 1.0]
        assert provider.requests[0].path.endswith("google/models/gemini-embedding-2:embedContent")
        assert provider.requests[0].json() == {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2}
        body: dict[str, Any] = {"requests": [{"content": {"parts": [{"text": "a"}]}}]}
        answer = gateway.post("/v1beta/models/up/gemini-embedding-2:batchEmbedContents", body).json()
        assert answer == {"embeddings": [{"values": [0.5, 1.0]}]}
        body["requests"] *= 2
        refused = gateway.post("/v1beta/models/up/gemini-embedding-2:batchEmbedContents", body)
        assert refused.status == 400


def test_texts_of_older_models_are_embedded_by_predict() -> None:
    vectors = [{"embeddings": {"values": [0.5], "statistics": {"token_count": 2}}}] * 2
    with gateway_before() as (provider, gateway):
        provider.default_reply(json={"predictions": vectors})
        answer = gateway.post("/v1/embeddings", {"model": "up/text-embedding-005", "input": ["a", "b"], "user": "u"})
        assert [one["embedding"] for one in answer.json()["data"]] == [[0.5], [0.5]]
        assert answer.json()["usage"]["prompt_tokens"] == 4
        assert answer.headers["x-gateway-dropped"] == "user"
        item = {"content": {"parts": [{"text": "a"}]}, "taskType": "CLUSTERING", "outputDimensionality": 1}
        one = gateway.post("/v1beta/models/up/gemini-embedding-001:embedContent", item)
        assert one.json()["embeddings"][0] == {"values": [0.5]}
        assert provider.requests[0].path.endswith("text-embedding-005:predict")
        assert provider.requests[0].json() == {"instances": [{"content": "a"}, {"content": "b"}]}
        assert provider.requests[1].json() == {
            "instances": [{"content": "a", "task_type": "CLUSTERING"}],
            "parameters": {"outputDimensionality": 1},
        }


def test_a_service_account_gets_a_token_and_another_when_it_is_refused(key: Any, tmp_path: Path) -> None:
    with ScriptedProvider() as google:
        file = service_account(key, tmp_path, f"{google.url}/token")
        with gateway_before(f'credentials = "{file}"') as (provider, gateway):
            google.reply(json={"access_token": "one", "expires_in": 3599, "token_type": "Bearer"})
            google.reply(json={"access_token": "two", "expires_in": 3599, "token_type": "Bearer"})
            provider.reply(json=GEMINI)
            provider.reply(json={"error": {"code": 401, "message": "stale", "status": "UNAUTHENTICATED"}}, status=401)
            provider.reply(json=GEMINI)
            body = {"model": "up/gemini-2.5-flash", **ASK}
            assert [gateway.post("/v1/chat/completions", body).status for _ in range(2)] == [200, 200]
            sent = [request.headers["authorization"] for request in provider.requests]
            assert sent == ["Bearer one", "Bearer one", "Bearer two"]
            form = parse_qs(google.requests[0].body.decode())
            assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            claims = jwt.decode(
                form["assertion"][0], key.public_key(), algorithms=["RS256"], audience=f"{google.url}/token"
            )
            assert claims["iss"] == "robot@p-1.iam.gserviceaccount.com"
            assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def test_a_refused_token_is_told_without_the_key(key: Any, tmp_path: Path) -> None:
    with ScriptedProvider() as google:
        file = service_account(key, tmp_path, f"{google.url}/token")
        with gateway_before(f'credentials = "{file}"') as (_, gateway):
            google.default_reply(json={"error": "invalid_grant", "error_description": "Account deleted"}, status=400)
            answer = gateway.post("/v1/chat/completions", {"model": "up/gemini-2.5-flash", **ASK})
            assert answer.status == 401
            assert "invalid_grant: Account deleted" in answer.json()["error"]["message"]
            assert b"PRIVATE" not in answer.body


async def test_a_token_is_replaced_ahead_of_its_end_and_kept_where_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with ScriptedProvider() as google:
        monkeypatch.setenv("GCE_METADATA_HOST", google.url.removeprefix("http://"))
        tokens = GoogleTokens(None, clock=lambda: now)
        google.reply(json={"access_token": "one", "expires_in": 1000})
        google.reply(status=500, json={})
        google.reply(json={"access_token": "two", "expires_in": 1000})
        assert [await tokens.get(), await tokens.get()] == ["one", "one"]
        now = 1900.0
        assert await tokens.get() == "one"
        now = 1901.0
        assert await tokens.get() == "two"
        assert [request.headers["metadata-flavor"] for request in google.requests] == ["Google"] * 3
        await tokens.close()


async def test_a_user_and_an_impersonated_account_get_tokens(tmp_path: Path) -> None:
    with ScriptedProvider() as google:
        user = {
            "type": "authorized_user",
            "client_id": "c",
            "client_secret": "s",
            "refresh_token": "r",
            "token_uri": f"{google.url}/token",
        }
        file = tmp_path / "lent.json"
        lent = {"type": "impersonated_service_account", "source_credentials": user}
        file.write_text(json.dumps({**lent, "service_account_impersonation_url": f"{google.url}/lend"}))
        google.reply(json={"access_token": "user", "expires_in": 100})
        google.reply(json={"accessToken": "lent", "expireTime": "2099-01-01T00:00:00Z"})
        tokens = GoogleTokens(file)
        assert await tokens.get() == "lent"
        assert await tokens.get() == "lent"
        first, second = google.requests
        assert parse_qs(first.body.decode())["refresh_token"] == ["r"]
        assert second.headers["authorization"] == "Bearer user"
        await tokens.close()


@pytest.mark.parametrize(
    ("content", "word"),
    [("{", "not JSON"), ("[]", "no JSON object"), ('{"type": "external_account"}', "external_account")],
)
async def test_credentials_that_cannot_be_used_are_told(content: str, word: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(content)
    with pytest.raises(NoCredentials, match=word):
        await GoogleTokens(file).get()
    with pytest.raises(NoCredentials, match="cannot be read"):
        await GoogleTokens(tmp_path / "none.json").get()
