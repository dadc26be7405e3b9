"""What gateway.toml holds, as typed, frozen Structs. Secrets are references and are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from gateway.catalogue import Catalogue
from gateway.config_reader import Reader
from gateway.health_settings import BudgetConfig, HealthConfig, HedgeConfig

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Time limits of a call to a provider, in seconds; None where unset.

    ``connect``: to an open connection. ``first_token``: from the request sent to the first byte of the reply's body
    (for a whole reply, its head). ``idle``: between two reads of a stream. ``total``: the whole attempt.
    """

    connect: Seconds | None = None
    first_token: Seconds | None = None
    idle: Seconds | None = None
    total: Seconds | None = None

    def over(self, below: Timeouts) -> Timeouts:
        """These limits, with ``below``'s where unset."""
        return Timeouts(
            connect=below.connect if self.connect is None else self.connect,
            first_token=below.first_token if self.first_token is None else self.first_token,
            idle=below.idle if self.idle is None else self.idle,
            total=below.total if self.total is None else self.total,
        )

    def within(self, bounds: Timeouts) -> Timeouts:
        """These limits, none above ``bounds``'s."""
        return Timeouts(
            connect=least(self.connect, bounds.connect),
            first_token=least(self.first_token, bounds.first_token),
            idle=least(self.idle, bounds.idle),
            total=least(self.total, bounds.total),
        )


def least(one: float | None, other: float | None) -> float | None:
    """The smaller of two limits, either of which may be unset."""
    return min((limit for limit in (one, other) if limit is not None), default=None)


DEFAULT_TIMEOUTS = Timeouts(connect=10.0, first_token=120.0, idle=120.0, total=600.0)


class TlsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[server.tls]``: PEM files, relative to the TOML's folder."""

    cert: str
    key: str
    ca: str | None = None


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[server]``. Sizes are in bytes, durations in seconds.

    ``workers`` 0 is one for each core. ``open`` allows to serve others than loopback without keys. ``strict`` refuses
    what a translation cannot carry instead of naming it. ``http1`` picks the HTTP/1.1 parser.
    """

    bind: str = "127.0.0.1:8080"
    admin_bind: str = "127.0.0.1:8081"
    workers: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 1
    drain_seconds: Annotated[float, msgspec.Meta(ge=0)] = 600.0
    open: bool = False
    gateway_headers: bool = True
    strict: bool = False
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1)] = 32 * 1024 * 1024
    body_timeout: Seconds = 60.0
    reload: bool = True
    http1: Literal["httptools", "hypercorn"] = "httptools"
    tls: TlsConfig | None = None


class TargetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry of ``targets``: ``{ provider = "openai", model = "gpt-4o", weight = 9 }``, or ``"openai/gpt-4o"``.

    A weight of 0 is for a target that only stands in for others. ``base_model`` is what a deployment's or alias's
    ``model`` really is, for the catalogue. ``max_in_flight`` calls it takes at a time, from all workers together;
    ``queue`` more wait. Unset is what the provider's table says.
    """

    written_form: ClassVar[str] = '{ provider = "…", model = "…" } or "provider/model"'
    provider: Annotated[str, msgspec.Meta(min_length=1)]
    model: Annotated[str, msgspec.Meta(min_length=1)]
    weight: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    timeouts: Timeouts = Timeouts()
    base_model: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    max_in_flight: Annotated[int, msgspec.Meta(ge=1)] | None = None
    queue: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"

    @classmethod
    def from_text(cls, text: str) -> TargetConfig | None:
        """A target written ``provider/model``; None where it is not."""
        provider, slash, model = text.partition("/")
        return cls(provider=provider, model=model) if slash and provider and model else None


Rescue = Literal["resume", "hold", "error"]


FallbackKind = Literal[
    "overloaded",
    "rate_limit",
    "timeout",
    "upstream",
    "server_error",
    "quota",
    "billing",
    "context_length",
    "content_filter",
    "model_not_found",
    "request_too_large",
]
"""What another target may be asked for; never a wrong request, nor a key that a provider refuses."""


class Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``hold``: how much of a stream is kept back with ``rescue = "hold"``: so many events, or milliseconds."""

    tokens: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20
    milliseconds: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 1000


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``[models.<name>]``, with ``[defaults]`` already folded in. ``extra`` are keys that only routing plugins know."""

    name: str
    strategy: str = "ordered"
    targets: tuple[TargetConfig, ...] = ()
    fallbacks: tuple[TargetConfig, ...] = ()
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    timeouts: Timeouts = Timeouts()
    rescue: Rescue = "error"
    hold: Hold = Hold()
    fallback_on: tuple[FallbackKind, ...] | None = None
    retry_budget: BudgetConfig = BudgetConfig()
    hedge: HedgeConfig | None = None
    extra: dict[str, Any] = {}


class PluginTable(msgspec.Struct, frozen=True, kw_only=True):
    """``[plugins.<name>]`` before its plugin is loaded: ``use``, ``enabled`` and the plugin's own keys."""

    name: str
    use: str
    enabled: bool = True
    stage: str | None = None
    values: dict[str, Any] = {}

    def __repr__(self) -> str:
        # Only the plugin's Config says which of the values are secrets.
        return f"PluginTable(name={self.name!r}, use={self.use!r}, enabled={self.enabled}, keys={list(self.values)})"


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file, checked but for what its plugins know. ``text`` is the TOML as read.

    ``damaged`` tells that lines of the text could not be read: such a configuration is examined for further mistakes,
    and never served.
    """

    path: Path | None
    folder: Path
    text: str
    server: ServerConfig
    plugins: tuple[PluginTable, ...] = ()
    models: dict[str, ModelConfig] = {}
    defaults: ModelConfig = ModelConfig(name="")
    catalogue: Catalogue = msgspec.field(default_factory=Catalogue)
    health: HealthConfig = HealthConfig()
    warnings: tuple[str, ...] = ()
    damaged: bool = False

    def __repr__(self) -> str:
        # The text may hold secrets.
        return f"GatewayConfig(path={str(self.path)!r}, plugins={list(self.plugins)}, models={list(self.models)})"

    def reader(self) -> Reader:
        """A reader that knows this file's lines."""
        return Reader(file_name(self.path), self.text, self.folder, damaged=self.damaged)


def file_name(path: Path | None) -> str:
    """What a message calls the file; ``configuration`` for the built-in one."""
    return path.name if path else "configuration"
