"""One gateway for the clients' tests: behind it echo and a scripted server of each kind of provider."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from demo import free_port, gateway
from gateway.testing import ScriptedProvider
from tests.clients.scripted_bedrock import bedrock
from tests.clients.scripted_cohere import cohere
from tests.clients.scripted_gemini import gemini
from tests.clients.scripted_openai import openai_compatible
from tests.clients.scripted_scenes import claude

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".venvs"
KEY = "gw-invented-for-these-tests-0001"

TOML = """
[server]
bind = "127.0.0.1:{port}"

[plugins.api_keys]
keys = [{{ name = "tests", key = "{key}" }}]

[plugins.responses_state]

[plugins.echo]

[plugins.compatible]
use = "openai_compatible"
base_url = "{compatible}/v1"
models = ["gpt-scripted"]

[plugins.anthropic]
base_url = "{anthropic}"
api_key = "sk-ant-invented"

[plugins.gemini]
base_url = "{gemini}"
api_key = "invented-gemini-key"

[plugins.cohere]
base_url = "{cohere}"
api_key = "invented-cohere-key"

[plugins.bedrock]
base_url = "{bedrock}"
region = "us-east-1"
api_key = "invented-bedrock-key"

[plugins.converse]
use = "bedrock"
format = "bedrock_converse"
base_url = "{bedrock}"
region = "us-east-1"
api_key = "invented-bedrock-key"

[defaults]
retries = 0
"""

Ask = Callable[[str, str, tuple[str, ...]], dict[str, Any]]


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    """The address of a real ``gateway serve``, without /v1."""
    port = free_port()
    scripts = {
        "compatible": openai_compatible,
        "anthropic": claude,
        "gemini": gemini,
        "cohere": cohere,
        "bedrock": bedrock,
    }
    with ExitStack() as stack:
        urls = {}
        for name, script in scripts.items():
            provider = stack.enter_context(ScriptedProvider())
            provider.default_script(script)
            urls[name] = provider.url
        toml = TOML.format(port=port, key=KEY, **urls)
        with gateway(toml, port) as url:
            yield url


@pytest.fixture(scope="session")
def ask(base_url: str) -> Ask:
    """Run a client's scenes in its own environment: (environment, path of base_url, models) → what they came to."""

    @cache
    def asked(environment: str, path: str, models: tuple[str, ...]) -> dict[str, Any]:
        python = ENVIRONMENTS / environment / "bin" / "python"
        if not python.exists():
            pytest.skip(f"no .venvs/{environment}; make test installs it")
        script = HERE / f"ask_with_{environment.partition('-')[0]}.py"
        command = [str(python), str(script), f"{base_url}{path}", KEY, *models]
        done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        assert told["version"].startswith(environment.partition("-")[2] + ".")
        scenes: dict[str, Any] = told["models"]
        return scenes

    return asked
