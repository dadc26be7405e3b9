"""Azure OpenAI, now part of Microsoft Foundry: OpenAI's formats under Azure's paths and credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import msgspec

from gateway.call import Call, Target
from gateway.config import Secret, Timeouts
from gateway.errors import ConfigError
from gateway.format import Format, Traits
from gateway.plugin import PluginContext
from gateway.provider import Provider, ProviderConfig
from gateway.secret import FORWARD
from gateway.upstream import UpstreamReply, UpstreamRequest
from gateway_plugins.providers.azure_settings import identity_problems, token_source
from gateway_plugins.providers.entra import AUTHORITY, SCOPE, Tokens
from gateway_plugins.providers.openai_families import served_by, traits_of

_OPERATIONS = {
    "openai_chat": "chat/completions",
    "openai_completions": "completions",
    "openai_embeddings": "embeddings",
}
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(-preview)?")
_V1_VERSIONS = ("v1", "preview", "latest")


class Azure(Provider):
    """Asks the deployments of one Azure OpenAI resource. A model's name is its deployment's."""

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``base_url`` is the resource's endpoint, as Azure's own clients take it.

        ``api_version``: a date asks by /openai/deployments/…; unset (or ``v1``, ``preview``) by /openai/v1/….
        ``deployments`` maps a deployment's name to its model's where the two differ. Instead of ``api_key``:
        ``tenant_id``, ``client_id`` and ``client_secret`` of an application in Entra ID; or ``identity`` with the word
        ``managed`` (of the machine; ``client_id`` picks one of several) or ``workload`` (of a Kubernetes pod, by the
        variables AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE, or the settings of those names).
        """

        api_version: str | None = None
        deployments: dict[str, str] = {}
        tenant_id: str | None = None
        client_id: str | None = None
        client_secret: Secret | None = None
        identity: Literal["managed", "workload"] | None = None
        federated_token_file: str | None = None
        identity_endpoint: str | None = None
        authority: str = AUTHORITY
        scope: str = SCOPE

    family = "azure"
    keeps_responses: ClassVar[bool] = True
    """A response may be gone on from by its id alone; see the plugin responses_state."""
    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {
        "chat": ("openai_chat", "openai_responses", "openai_completions"),
        "embeddings": ("openai_embeddings",),
    }

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        problems = [*_problems(config), *identity_problems(config)]
        if problems:
            raise ConfigError(problems)
        self.models = tuple(config.deployments)
        date = _DATE.fullmatch(config.api_version or "")
        self._date = None if date is None else date[1]
        source = token_source(config, context.folder)
        self._tokens = None if source is None else Tokens(source)

    def path(self, format_name: str, target: Target, *, stream: bool) -> str:
        """The deployment's own path for a dated version, the common one for v1."""
        version = self.config.api_version
        query = "" if version is None else f"?api-version={quote(version, safe='')}"
        if self._date is None:
            return f"/openai/v1/{_OPERATIONS.get(format_name, 'responses')}{query}"
        operation = _OPERATIONS.get(format_name)
        if operation is None:
            return f"/openai/responses{query}"
        return f"/openai/deployments/{quote(target.model, safe='')}/{operation}{query}"

    def offers(self, operation: str) -> tuple[str | Format, ...]:
        """No responses by a version that is older than they are, unless ``format`` says so."""
        offered = super().offers(operation)
        if self._date is None or self._date >= "2025-03-01" or self.config.format == "openai_responses":
            return offered
        return tuple(f for f in offered if f != "openai_responses")

    def served_by(self, model: str, format_name: str) -> str | None:
        """/responses, /chat/completions or /completions, for a model that only one of them serves."""
        return served_by(self.model_behind(model), self.info(model), format_name)

    def credentials(self, call: Call) -> list[tuple[str, str]]:
        """The key as ``api-key``; a caller's own in the header that it came in. A token is added when it is sent."""
        key = self.key(call)
        if key is None:
            return []
        if self.config.api_key.value == FORWARD and b"authorization" in call.headers:
            return [("authorization", f"Bearer {key}")]
        return [("api-key", key)]

    def model_behind(self, model: str) -> str:
        """The model of a deployment."""
        behind: str = self.config.deployments.get(model, model)
        return behind

    def traits(self, model: str) -> Traits:
        """What the model's family takes, less what an older version of the API does not know."""
        traits = traits_of(self.model_behind(model), self.info(model))
        if self._date is None or self._date >= "2024-12-01":
            return traits
        # developer: with o1, 2024-12-01-preview; the two others: 2024-09-01-preview.
        options, roles = traits.options, {"developer": "system", **traits.roles}
        if self._date < "2024-09-01":
            options = {**options, "max_tokens_field": "max_tokens", "stream_options": False}
        return msgspec.structs.replace(traits, options=options, roles=roles)

    async def send(self, call: Call, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        """Send with a token of Entra ID, where the settings say so."""
        if self._tokens is None:
            return await super().send(call, request, timeouts)
        token = await self._tokens.get()
        headers = [*request.headers, ("authorization", f"Bearer {token}")]
        reply = await super().send(call, msgspec.structs.replace(request, headers=headers), timeouts)
        if reply.status == 401:
            self._tokens.forget(token)
        return reply

    async def close(self) -> None:
        """Close the connections to the resource and to the token service."""
        await super().close()
        if self._tokens is not None:
            await self._tokens.close()


def _problems(config: Any) -> list[str]:
    problems: list[str] = []
    url: str | None = config.base_url
    if url is None:
        problems.append('base_url: needed: the resource\'s endpoint, such as "https://NAME.openai.azure.com"')
    elif not url.startswith(("http://", "https://")):
        problems.append(f'base_url: "{url}" must begin with http:// or https://')
    elif "/openai" in url.partition("://")[2]:
        problems.append(f'base_url: "{url}" must end before /openai: it is the resource\'s endpoint')
    version: str | None = config.api_version
    if version is not None and version not in _V1_VERSIONS and _DATE.fullmatch(version) is None:
        problems.append(f'api_version: "{version}" must be a date such as "2024-10-21", or one of v1, preview, latest')
    return problems
