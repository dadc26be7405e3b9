"""What a provider is: a wire format on the upstream side, an address, credentials, and its differences as data."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec

from gateway.catalogue import ModelInfo, preload
from gateway.config import Secret, Timeouts
from gateway.errors import ConfigError, GatewayError, InvalidRequest, UpstreamRejected, UpstreamUnreachable
from gateway.format import Format, Traits
from gateway.health_settings import BreakerConfig, HealthCheck, Seconds
from gateway.plugin import Plugin, PluginConfig, PluginContext, Stage
from gateway.resilience.keypool import KeyPool
from gateway.secret import FORWARD, HeaderValue
from gateway.upstream import Upstream, UpstreamOptions, UpstreamReply, UpstreamRequest
from gateway.upstream_head import HeadWriter

if TYPE_CHECKING:
    from gateway.call import Call, Target


class ProviderConfig(PluginConfig, frozen=True, kw_only=True):
    """The settings that every provider takes. Durations are in seconds.

    ``base_url`` is what the provider's own SDK takes. ``format`` picks the wire format where the provider speaks
    several. A header's value may be a secret's reference. ``limit`` caps connections to it from one worker, 0 for none.
    ``api_keys`` are used in turn with ``api_key``; one that is refused is left alone for a while. ``max_in_flight``
    calls each model takes at a time, from all workers together, and ``queue`` more wait. ``cooldown`` is for a rate
    limit that names no time.
    """

    base_url: str | None = None
    api_key: Secret | None = None
    headers: dict[str, HeaderValue] = {}
    timeouts: Timeouts = Timeouts()
    format: str | None = None
    limit: int = 0
    forward_headers: tuple[str, ...] = ()
    api_keys: tuple[Secret, ...] = ()
    max_in_flight: Annotated[int, msgspec.Meta(ge=1)] | None = None
    queue: Annotated[int, msgspec.Meta(ge=0)] | None = None
    cooldown: Seconds | None = None
    breaker: BreakerConfig | None = None
    health_check: HealthCheck | None = None

    def __post_init__(self) -> None:
        if self.api_key is None and self.api_keys:
            first, *others = self.api_keys
            msgspec.structs.force_setattr(self, "api_key", first)
            msgspec.structs.force_setattr(self, "api_keys", tuple(others))


class Provider(Plugin):
    """The base of provider plugins. An in-house one sets ``base_url`` and ``formats``, and is done.

    ``formats`` maps an operation (``chat``, ``embeddings``) to the wire formats spoken for it, the recommended one
    first; a value is a registered format's name or a Format of the plugin's own. The caller's own format is preferred
    where it is among them, for then the bytes pass.
    """

    stage: ClassVar[Stage] = "provider"
    Config: ClassVar[type[msgspec.Struct]] = ProviderConfig
    base_url: ClassVar[str | None] = None
    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {"chat": ("openai_chat",)}
    paths: ClassVar[Mapping[str, str]] = {
        "openai_chat": "/chat/completions",
        "openai_completions": "/completions",
        "openai_embeddings": "/embeddings",
        "openai_responses": "/responses",
        "openai_responses_compact": "/responses/compact",
        "openai_responses_input_tokens": "/responses/input_tokens",
        "anthropic_messages": "/v1/messages",
    }
    """Format name → path below ``base_url``."""

    family: str = ""
    """The catalogue's list of what is served here (``openai``, ``bedrock``), or empty."""
    models: tuple[str, ...] = ()
    """Models that this provider is sure to serve; listed as ``<instance>/<model>``."""

    config: Any

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        self._upstream: Upstream | None = None
        further: tuple[Secret, ...] = getattr(config, "api_keys", ())
        self._keys = KeyPool(1 + len(further)) if further else None

    def prepare(self) -> None:
        """Make the way to the provider; opens nothing. The registry calls it once the plugin is made.

        Raises ConfigError for an address that cannot be one, and for headers that cannot be sent.
        """
        if self.family:
            preload(self.family)
        if self.address:
            self._upstream = Upstream(self.address, UpstreamOptions(limit=self.config.limit))
            if problems := list(self._header_problems()):
                raise ConfigError(problems)

    def _header_problems(self) -> Iterator[str]:
        head = HeadWriter(self.address)
        for name, value in self.config.headers.items():
            try:
                head.write(UpstreamRequest(path="/", headers=[(name, value.value)]))
            except InvalidRequest as error:
                yield f"headers: {error.message}"

    @property
    def takes_pieces(self) -> bool:
        """Whether a large body may be sent in pieces: not where the plugin looks at it."""
        cls = type(self)
        return cls.send is Provider.send and cls.request_headers is Provider.request_headers

    @property
    def address(self) -> str:
        """The base URL without a trailing slash; the TOML's before the class's."""
        return (self.config.base_url or self.base_url or "").rstrip("/")

    def offers(self, operation: str) -> tuple[str | Format, ...]:
        """The wire formats usable for ``operation`` by these settings, the recommended one first.

        ``format`` in the TOML decides for the operation that it belongs to and leaves the others as they are.
        """
        offered = self.formats.get(operation, ())
        return tuple(f for f in offered if format_name(f) == self.config.format) or offered

    def served_by(self, model: str, format_name: str) -> str | None:
        """The one format that serves ``model``, where it is not the one that callers of ``format_name`` get else.

        None: any. Only what ``offers`` names counts, so a ``format`` of the TOML's is the last word.
        """
        return None

    def path(self, format_name: str, target: Target, *, stream: bool) -> str:
        """The path below ``base_url`` for a format, with its query string where it has one."""
        return self.paths[format_name]

    def credentials(self, call: Call) -> list[tuple[str, str]]:
        """The headers that authenticate us to the provider."""
        key = self.key(call)
        return [] if key is None else [("authorization", f"Bearer {key}")]

    def key(self, call: Call) -> str | None:
        """The key to send: the configured one, or the caller's own with ``api_key = "forward"``."""
        secret: Secret | None = self.config.api_key
        if secret is None:
            return None
        if self._keys is not None:
            place = self._keys.pick(time.monotonic())
            call.state[f"{self.name}.key"] = place
            if place:
                secret = self.config.api_keys[place - 1]
                assert secret is not None
        # A secret that reads so by chance, from the environment or a file, is a secret.
        return call.credential if secret.value == FORWARD and secret.source == "plain" else secret.value

    def rejected(self, call: Call, error: GatewayError) -> bool:
        """Leave the key alone that an attempt was refused for (429, 401, 402, 403), where there are several.

        Returns whether another is fit, with which the same target may be asked at once. A call is sent around at most
        once; the same error may be told twice.
        """
        if self._keys is None or not isinstance(error, UpstreamRejected):
            return False
        place = call.state.pop(f"{self.name}.key", None)
        if place is None:
            return error.another_key
        spent = error.kind in ("quota", "billing")
        fit = self._keys.refused(place, time.monotonic(), 402 if spent else error.status, error.retry_after)
        tried = call.state[f"{self.name}.keys"] = call.state.get(f"{self.name}.keys", 0) + 1
        error.another_key = fit and tried < len(self._keys.cooling)
        return error.another_key

    def request_headers(self, call: Call, format_name: str, body: bytes) -> list[tuple[str, str]]:
        """Further headers that the wire format needs (a version, a beta list); body is what will be sent."""
        return []

    def traits(self, model: str) -> Traits:
        """How ``model`` at this provider differs from its wire format's documentation."""
        return _NO_TRAITS

    def model_behind(self, model: str) -> str:
        """What ``model``, as targets write it, really is: another name where it is a deployment's."""
        return model

    def info(self, model: str) -> ModelInfo:
        """What is known of ``model`` here: the configuration's word, then the catalogue's; ``UNKNOWN`` at worst."""
        return self.context.catalogue.info(self.name, self.family, model, self.model_behind(model))

    def refine_error(self, error: UpstreamRejected) -> UpstreamRejected:
        """A chance to correct the taxonomy for this provider's own errors."""
        return error

    async def send(self, call: Call, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        """Send one request. A built-in model overrides this and opens no connection."""
        if self._upstream is None:
            raise UpstreamUnreachable(f"The provider {self.name!r} has no base_url.")
        return await self._upstream.send(request, timeouts)

    @property
    def connects(self) -> bool:
        """Whether there is an address to connect to."""
        return self._upstream is not None

    async def close(self) -> None:
        """Close the pooled connections; the core calls it after the last call."""
        if self._upstream is not None:
            await self._upstream.close()


def format_name(offered: str | Format) -> str:
    """The name of an entry of ``Provider.formats``."""
    return offered if isinstance(offered, str) else offered.name


_NO_TRAITS = Traits()
