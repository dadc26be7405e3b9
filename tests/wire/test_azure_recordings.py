"""Real exchanges with Azure OpenAI: our paths are those of its own clients, its errors are understood."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

from gateway import Secret
from gateway.config import TargetConfig
from gateway.plugin import PluginContext
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.providers.azure import Azure
from tests.wire import recordings

FORMATS = {"chat": "openai_chat", "embeddings": "openai_embeddings", "responses": "openai_responses"}


@recordings.each(*FORMATS, provider="azure")
def test_a_recorded_path_is_the_one_that_we_ask_by(file: str) -> None:
    exchange = recordings.load(file)
    asked = urlsplit(exchange.request["url_path"])
    version = parse_qs(asked.query).get("api-version", [None])[0]
    model = asked.path.split("/")[3] if "/deployments/" in asked.path else exchange.request_json["model"]
    config = Azure.Config(base_url="https://r.openai.azure.com", api_key=Secret("k"), api_version=version)
    azure = Azure(config, PluginContext(name="azure", use="azure"))
    target = TargetConfig(provider="azure", model=model)
    path = azure.path(FORMATS[exchange.endpoint], target, stream=exchange.stream)
    assert path == exchange.request["url_path"]


@recordings.each(*FORMATS, provider="azure", good=False)
def test_a_recorded_error_is_understood(file: str) -> None:
    exchange = recordings.load(file)
    error = OpenAIChat().read_error(exchange.status, exchange.response_headers, exchange.response_body)
    assert error.message == json.loads(exchange.response_body)["error"]["message"]
    assert error.kind == {401: "authentication", 404: "model_not_found"}[exchange.status]
