"""Checks of the settings that providers with OpenAI's wire formats share."""

from __future__ import annotations

from typing import Any


def address_problems(base_url: str | None) -> list[str]:
    """What is wrong with a base URL that the user wrote, if any."""
    if base_url is None:
        return []
    if not base_url.startswith(("http://", "https://")):
        return [f'base_url: "{base_url}" must begin with http:// or https://']
    for path in ("/chat/completions", "/embeddings", "/models"):
        if base_url.rstrip("/").endswith(path):
            return [f'base_url: "{base_url}" must end before {path}, as the provider\'s own SDK takes it']
    return []


def key_problems(config: Any, title: str, key_env: str | None) -> list[str]:
    """That a service's key is missing. Behind an address of the user's own, none may be needed."""
    has_key = config.api_key is not None or any(name.lower() == "authorization" for name in config.headers)
    if key_env is None or has_key or config.base_url is not None:
        return []
    return [
        f'api_key: {title} needs a key: set {key_env} in the environment and write api_key = {{ env = "{key_env}" }}'
    ]
