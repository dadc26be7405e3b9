"""Google Cloud's Vertex AI: Gemini, and Anthropic's Claude."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from gateway.call import Call, Target
from gateway.config import Secret, Timeouts
from gateway.errors import ConfigError
from gateway.format import Format, Traits
from gateway.hookspecs import hookimpl
from gateway.plugin import PluginContext
from gateway.provider import Provider, ProviderConfig
from gateway.translation import Pair, Translator
from gateway.upstream import UpstreamReply, UpstreamRequest
from gateway_contrib.providers.google_tokens import HAS_JWT, MISSING, GoogleTokens
from gateway_contrib.providers.vertex_embeddings import PREDICT, EmbeddingsLane
from gateway_contrib.providers.vertex_lanes import VertexLane, is_claude
from gateway_plugins.formats.anthropic_models import traits_of as claude_traits
from gateway_plugins.formats.gemini_models import traits_of as gemini_traits

_SAMPLING_VERSION = "2023-06-01"
_METHODS = {"gemini_count_tokens": "countTokens", "gemini_embeddings": "embedContent", PREDICT: "predict"}
_PROJECT_ENV = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")
_LOCATION_ENV = ("GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION", "CLOUD_ML_REGION")
_NAME = re.compile(r"[a-z0-9][a-z0-9:.-]*")


class Vertex(Provider):
    """Asks Gemini by generateContent, and Claude by rawPredict."""

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``credentials`` is a file as Google Cloud writes it; ``access_token`` is sent as it is instead.

        Without both, Google's default chain is asked: ``GOOGLE_APPLICATION_CREDENTIALS``, gcloud's own file, the
        metadata server. ``version`` is that of the API for Gemini, as it stands in the path. ``max_tokens_default`` is
        the limit for Claude where a caller of another dialect sets none; unset, it is the model's own.
        """

        project: str | None = None
        location: str | None = None
        credentials: str | None = None
        access_token: Secret | None = None
        version: str = "v1beta1"
        max_tokens_default: int | None = None

    family: str = "vertex"
    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {
        "chat": ("gemini", "anthropic_messages"),
        "embeddings": ("gemini_embeddings",),
        "count_tokens": ("gemini_count_tokens", "anthropic_count_tokens"),
    }

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        self._project = config.project or _environment(_PROJECT_ENV)
        self._location = config.location or _environment(_LOCATION_ENV) or "global"
        self._named = any(name.lower() == "authorization" for name in config.headers)
        problems = self._problems()
        if problems:
            raise ConfigError(problems)
        file = None if config.credentials is None else context.folder / Path(config.credentials).expanduser()
        self._tokens = None if config.access_token is not None or self._named else GoogleTokens(file)

    def _problems(self) -> list[str]:
        """What is wrong with the settings, one line for each mistake."""
        config = self.config
        problems: list[str] = []
        if self._project is None:
            problems.append("project: Vertex needs a project's id: write it here or set GOOGLE_CLOUD_PROJECT")
        for name, value in (("project", self._project), ("location", self._location)):
            if value is not None and _NAME.fullmatch(value) is None:
                problems.append(f'{name}: "{value}" is none')
        if config.base_url is not None and not config.base_url.startswith(("http://", "https://")):
            problems.append(f'base_url: "{config.base_url}" must begin with http:// or https://')
        if config.api_key is not None:
            problems.append("api_key: Vertex takes none: use credentials or access_token")
        if config.credentials is not None and config.access_token is not None:
            problems.append("credentials: not together with access_token")
        if config.credentials is not None and not HAS_JWT:
            problems.append(f"credentials: {MISSING}")
        if config.max_tokens_default is not None and config.max_tokens_default < 1:
            problems.append("max_tokens_default: must be at least 1")
        return problems

    @property
    def address(self) -> str:
        """The endpoint of the location, unless the TOML names another."""
        if self.config.base_url is not None:
            return str(self.config.base_url).rstrip("/")
        if self._location == "global":
            return "https://aiplatform.googleapis.com"
        if self._location in ("us", "eu"):
            return f"https://aiplatform.{self._location}.rep.googleapis.com"
        return f"https://{self._location}-aiplatform.googleapis.com"

    def path(self, format_name: str, target: Target, *, stream: bool) -> str:
        """The model below the project and the location, and the method."""
        place = f"projects/{self._project}/locations/{self._location}"
        model = target.model
        if is_claude(model):
            name = quote(model.rpartition("/")[2], safe="@")
            if format_name == "anthropic_count_tokens":
                name, stream = "count-tokens", False
            method = "streamRawPredict" if stream else "rawPredict"
            return f"/v1/{place}/publishers/anthropic/models/{name}:{method}"
        if not model.startswith("endpoints/"):
            # A tuned model has an endpoint; any other is a publisher's.
            publisher, slash, bare = model.partition("/")
            model = f"publishers/{publisher}/models/{bare}" if slash else f"publishers/google/models/{model}"
        method = _METHODS.get(format_name) or ("streamGenerateContent?alt=sse" if stream else "generateContent")
        return f"/{self.config.version}/{place}/{quote(model, safe='/@')}:{method}"

    def credentials(self, call: Call) -> list[tuple[str, str]]:
        """The token of the settings; one that is fetched is added when the request is sent."""
        secret: Secret | None = self.config.access_token
        return [] if secret is None else [("authorization", f"Bearer {secret.value}")]

    def traits(self, model: str) -> Traits:
        """What the model takes, by the catalogue and by its name."""
        if not is_claude(model):
            return gemini_traits(model, self.info(model), vertex=True, labels=True, tiers=False, single=True)
        # Vertex's one version takes sampling parameters as Anthropic's older one does.
        name = model.rpartition("/")[2].partition("@")[0]
        return claude_traits(name, _SAMPLING_VERSION, self.config.max_tokens_default, self.info(model))

    @hookimpl
    def translate(self, pair: Pair) -> Translator | None:
        """The lanes of this provider's own pairs."""
        if pair.provider is not self:
            return None
        if pair.source.operation in ("chat", "count_tokens"):
            return VertexLane(pair)
        return EmbeddingsLane(pair)

    async def send(self, call: Call, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        """Send with a token; one that was refused is fetched anew, once."""
        if self._tokens is None:
            return await super().send(call, request, timeouts)
        token = await self._tokens.get()
        reply = await super().send(call, _with(request, token), timeouts)
        if reply.status != 401:
            return reply
        reply.close()
        self._tokens.forget(token)
        return await super().send(call, _with(request, await self._tokens.get()), timeouts)

    async def close(self) -> None:
        """Close the connections to Vertex and to the token service."""
        await super().close()
        if self._tokens is not None:
            await self._tokens.close()


def _with(request: UpstreamRequest, token: str) -> UpstreamRequest:
    return msgspec.structs.replace(request, headers=[*request.headers, ("authorization", f"Bearer {token}")])


def _environment(names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)
