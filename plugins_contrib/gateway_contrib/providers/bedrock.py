"""Amazon Bedrock."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
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
from gateway.upstream_head import HeadWriter
from gateway_contrib.providers.aws_signer import HAS_BOTOCORE, MISSING, AwsSigner, Keys
from gateway_contrib.providers.bedrock_lanes import ORIGIN, BedrockLane, InvokeLane, chosen_betas
from gateway_plugins.formats.bedrock_models import is_claude, traits_of

CONVERSE, INVOKE, COUNT = "bedrock_converse", "bedrock_invoke_anthropic", "bedrock_count_tokens"

BETAS = (
    # https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
    "computer-use-2024-10-22",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dev-full-thinking-2025-05-14",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "token-efficient-tools-2025-02-19",
    "tool-examples-2025-10-29",
    "tool-search-tool-2025-10-19",
)
"""Betas of Anthropic's that Bedrock takes; it refuses a request with any that it does not know."""

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_REGION_IN_HOST = re.compile(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")
_GEOGRAPHY = re.compile(r"^(us-gov|us|eu|apac|jp|au|ca|global)\.(?=[a-z0-9]+\.)")
_DOMAINS = (
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
)
_KEY_ENV = "AWS_BEARER_TOKEN_BEDROCK"


class Bedrock(Provider):
    """Asks any model on Bedrock by Converse, and Claude by InvokeModel where the caller speaks Anthropic's dialect."""

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``api_key`` is a Bedrock API key; without it requests are signed.

        Signing takes ``access_key_id`` and ``secret_access_key`` (``session_token`` for temporary ones), else
        ``profile``, else what AWS's own tools would find. ``base_models`` says what a model is whose id does not: ARN
        → model id. ``betas`` are further betas of Anthropic's to pass on. ``defaults`` are members of a Converse
        request sent where the caller gives none (``guardrailConfig``, say).
        """

        region: str | None = None
        access_key_id: Secret | None = None
        secret_access_key: Secret | None = None
        session_token: Secret | None = None
        profile: str | None = None
        base_models: dict[str, str] = {}
        betas: tuple[str, ...] = ()
        defaults: dict[str, Any] = {}
        max_tokens_default: int | None = None

    family = "bedrock"
    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {"chat": (CONVERSE, INVOKE), "count_tokens": (COUNT,)}

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        token = os.environ.get(_KEY_ENV, "").strip()
        own = config.access_key_id is not None or config.profile is not None
        self._token = token if token and config.api_key is None and not own else None
        self._named = any(name.lower() == "authorization" for name in config.headers)
        self._region = _region(config)
        self._signer: AwsSigner | None = None
        problems = self._problems()
        if problems:
            raise ConfigError(problems)
        if self._signs:
            keys = None
            if config.access_key_id is not None:
                session = config.session_token
                keys = Keys(
                    config.access_key_id.value, config.secret_access_key.value, session.value if session else None
                )
            assert self._region is not None
            self._signer = AwsSigner(service="bedrock", region=self._region, keys=keys, profile=config.profile)
        self._host = HeadWriter(self.address).where

    @property
    def _signs(self) -> bool:
        return self.config.api_key is None and self._token is None and not self._named

    def _problems(self) -> list[str]:
        """What is wrong with the settings, one line for each mistake."""
        config, region = self.config, self._region
        problems: list[str] = []
        if config.base_url is not None and not config.base_url.startswith(("http://", "https://")):
            problems.append(f'base_url: "{config.base_url}" must begin with http:// or https://')
        if region is None and (config.base_url is None or self._signs):
            problems.append('region: Bedrock needs a region, such as "us-east-1": write it here or set AWS_REGION')
        elif region is not None and _REGION.fullmatch(region) is None:
            problems.append(f'region: "{region}" is none: one looks like "us-east-1"')
        if (config.access_key_id is None) != (config.secret_access_key is None):
            problems.append("access_key_id and secret_access_key belong together")
        if config.session_token is not None and config.access_key_id is None:
            problems.append("session_token: it belongs to an access_key_id")
        if config.access_key_id is not None and config.profile is not None:
            problems.append("profile: not together with access_key_id")
        if config.format not in (None, CONVERSE, INVOKE, COUNT):
            problems.append(f'format: Bedrock speaks "{CONVERSE}" and "{INVOKE}"')
        if config.max_tokens_default is not None and config.max_tokens_default < 1:
            problems.append("max_tokens_default: must be at least 1")
        if self._signs and not HAS_BOTOCORE:
            problems.append(f"api_key: {MISSING}")
        return problems

    @property
    def address(self) -> str:
        """The endpoint of the region, unless the TOML names another."""
        if self.config.base_url is not None:
            return str(self.config.base_url).rstrip("/")
        region = str(self._region)
        domain = next((domain for start, domain in _DOMAINS if region.startswith(start)), "amazonaws.com")
        return f"https://bedrock-runtime.{region}.{domain}"

    def path(self, format_name: str, target: Target, *, stream: bool) -> str:
        """The model's id, encoded whole, and the operation."""
        if format_name == COUNT:
            return _path(_GEOGRAPHY.sub("", target.model), "count-tokens")
        if format_name == INVOKE:
            return _path(target.model, "invoke-with-response-stream" if stream else "invoke")
        return _path(target.model, "converse-stream" if stream else "converse")

    def key(self, call: Call) -> str | None:
        """The API key: the configured one, the caller's own, or the environment's."""
        return super().key(call) or self._token

    def request_headers(self, call: Call, format_name: str, body: bytes) -> list[tuple[str, str]]:
        """What InvokeModel has as headers and Converse in its body: the guardrail and the like of ``defaults``."""
        return _invoke_headers(self.config.defaults) if format_name == INVOKE else []

    def model_behind(self, model: str) -> str:
        """The model's id, for an ARN that ``base_models`` knows."""
        behind: str = self.config.base_models.get(model, model)
        return behind

    def traits(self, model: str) -> Traits:
        """What the model's family takes, by its id."""
        traits = traits_of(self.model_behind(model), self.config.max_tokens_default)
        if self.config.defaults:
            traits = msgspec.structs.replace(traits, defaults=self.config.defaults)
        return traits

    @hookimpl
    def translate(self, pair: Pair) -> Translator | None:
        """The lanes of this provider's own pairs."""
        if pair.provider is not self:
            return None
        if pair.wire.name == CONVERSE:
            return BedrockLane(pair, self._invokes, self._is_claude, self._betas)
        if pair.wire.name == INVOKE and pair.source.name == ORIGIN:
            return InvokeLane(pair, self._betas)
        return None

    async def send(self, call: Call, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        """Send one request, signed unless a key speaks for it."""
        target = call.target
        assert target is not None
        reply = await self._signed(request, timeouts)
        if call.operation == "count_tokens" and reply.status in (400, 404):
            # Some models are counted under their own id only, others under their inference profile's only.
            full = _path(target.model, "count-tokens")
            if full != request.path:
                reply.close()
                request.path = full
                reply = await self._signed(request, timeouts)
        return reply

    async def _signed(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        if self._signer is None:
            return await self._send(request, timeouts)
        signature = await self._signer.sign(
            request.method,
            self.address + request.path,
            self._host,
            {name: value for name, value in request.headers if name == "content-type" or name.startswith("x-amz")},
            request.body,
        )
        return await self._send(msgspec.structs.replace(request, headers=[*request.headers, *signature]), timeouts)

    async def _send(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        assert self._upstream is not None, "an address is sure"
        return await self._upstream.send(request, timeouts)

    async def close(self) -> None:
        """Close the connections, and end a fetch of credentials."""
        if self._signer is not None:
            await self._signer.close()
        await super().close()

    def _is_claude(self, model: str) -> bool:
        return is_claude(self.model_behind(model))

    def _invokes(self, call: Call, target: Target) -> bool:
        """Whether a call goes by InvokeModel: as the settings say, else by the caller's dialect and the model."""
        if self.config.format in (CONVERSE, INVOKE):
            return bool(self.config.format == INVOKE)
        return call.format.name == ORIGIN and self._is_claude(target.model)

    def _betas(self, call: Call) -> list[str]:
        return chosen_betas(call, (*BETAS, *self.config.betas), call.dropped)


def _path(model: str, operation: str) -> str:
    return f"/model/{quote(model, safe='')}/{operation}"


def _invoke_headers(defaults: dict[str, Any]) -> list[tuple[str, str]]:
    places = (
        ("guardrailConfig", "guardrailIdentifier", "x-amzn-bedrock-guardrailidentifier"),
        ("guardrailConfig", "guardrailVersion", "x-amzn-bedrock-guardrailversion"),
        ("guardrailConfig", "trace", "x-amzn-bedrock-trace"),
        ("performanceConfig", "latency", "x-amzn-bedrock-performanceconfig-latency"),
        ("serviceTier", "type", "x-amzn-bedrock-service-tier"),
    )
    found: list[tuple[str, str]] = []
    for member, key, header in places:
        holder = defaults.get(member)
        value = holder.get(key) if isinstance(holder, dict) else None
        if isinstance(value, str):
            found.append((header, value.upper() if key == "trace" else value))
    return found


def _region(config: Any) -> str | None:
    """The region of the settings, of the address, or of the environment."""
    if config.region is not None:
        return str(config.region)
    in_host = _REGION_IN_HOST.search(config.base_url or "")
    found = in_host.group(1) if in_host else os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return found or None
