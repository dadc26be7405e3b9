"""Which credentials the settings of an Azure resource mean, and what is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gateway_plugins.providers.entra import ClientSecret, ManagedIdentity, TokenSource, Workload

TENANT, CLIENT, TOKEN_FILE = "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"
"""What Azure Workload Identity sets in a pod."""
ENDPOINT, SECRET = "IDENTITY_ENDPOINT", "IDENTITY_HEADER"
"""What App Service, Functions and Container Apps set."""


def identity_problems(config: Any) -> list[str]:
    """No credentials, several kinds at once, or one that lacks a part."""
    ways = {
        "api_key": config.api_key is not None,
        "client_secret": config.client_secret is not None,
        f'identity = "{config.identity}"': config.identity is not None,
    }
    named = [way for way, there in ways.items() if there]
    own = {name.lower() for name in config.headers} & {"api-key", "authorization"}
    if len(named) > 1:
        return [f"{' and '.join(named)} are different ways to authenticate; keep one"]
    if not named and not own:
        text = (
            "api_key: Azure needs a key: set AZURE_OPENAI_API_KEY in the environment and write"
            ' api_key = { env = "AZURE_OPENAI_API_KEY" }; or client_secret, or identity, for Entra ID'
        )
        return [text]
    problems: list[str] = []
    if config.client_secret is not None:
        problems += [
            f"{name}: client_secret needs it as well"
            for name in ("tenant_id", "client_id")
            if getattr(config, name) is None
        ]
    if config.identity == "workload":
        problems += [
            f'{name}: identity = "workload" needs it, or the environment variable {variable}'
            for name, variable in (("tenant_id", TENANT), ("client_id", CLIENT), ("federated_token_file", TOKEN_FILE))
            if getattr(config, name) is None and not os.environ.get(variable)
        ]
    if not config.authority.startswith(("http://", "https://")):
        problems.append(f'authority: "{config.authority}" must begin with https://')
    return problems


def token_source(config: Any, folder: Path) -> TokenSource | None:
    """Where tokens come from; None where a key is used. Opens nothing."""
    authority = config.authority.rstrip("/")
    if config.client_secret is not None:
        secret: str = config.client_secret.value
        return ClientSecret(authority, config.tenant_id, config.client_id, secret, config.scope)
    if config.identity == "workload":
        tenant = config.tenant_id or os.environ[TENANT]
        client = config.client_id or os.environ[CLIENT]
        file = folder / (config.federated_token_file or os.environ[TOKEN_FILE])
        return Workload(authority, tenant, client, file, config.scope)
    if config.identity == "managed":
        if config.identity_endpoint is not None:
            return ManagedIdentity(config.identity_endpoint, None, config.client_id, config.scope)
        return ManagedIdentity(os.environ.get(ENDPOINT), os.environ.get(SECRET), config.client_id, config.scope)
    return None
