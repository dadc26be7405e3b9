"""What ``gateway new-plugin`` writes: plugins that work, to begin with."""

from __future__ import annotations

_GUARD = '''"""Refuses requests that hold a forbidden word."""

import json

from gateway import Call, InvalidRequest, Plugin, PluginConfig, hookimpl


class Config(PluginConfig, frozen=True):
    words: tuple[str, ...]


class CLASS(Plugin):
    """Refuses requests that hold a forbidden word."""

    stage = "guard"
    Config = Config

    @hookimpl
    async def on_request(self, call: Call) -> None:
        # Decoded first, for a word can hide behind an escape.
        text = json.dumps(json.loads(call.body), ensure_ascii=False).lower()
        for word in self.config.words:
            if word.lower() in text:
                raise InvalidRequest("The request holds a word that is not allowed here.")
'''

_GUARD_TABLE = """[plugins.NAME]
use = "./NAME.py:CLASS"
words = ["hunter2"]
"""

_PROVIDER = '''"""A provider that speaks a known wire format at an address of its own."""

from gateway import Provider


class CLASS(Provider):
    """Asks a server that speaks OpenAI's chat completions."""

    base_url = "http://127.0.0.1:8000/v1"
    formats = {"chat": ("openai_chat",), "embeddings": ("openai_embeddings",)}
'''

_PROVIDER_TABLE = """[plugins.NAME]
use = "./NAME.py:CLASS"
# api_key = { env = "UPPER_API_KEY" }
"""

SKELETONS = {"guard": (_GUARD, _GUARD_TABLE), "provider": (_PROVIDER, _PROVIDER_TABLE)}
"""Kind → the file's text and its table; CLASS, NAME and UPPER are filled in."""
