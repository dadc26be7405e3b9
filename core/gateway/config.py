"""gateway.toml as typed, frozen Structs; secrets are references and are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec


class Secret:
    """A secret's value with a repr that hides it; ``source`` says where it is from: ``env:NAME``, ``file:PATH``, ``plain``."""

    __slots__ = ("source", "value")

    def __init__(self, value: str, source: str = "plain") -> None:
        self.value = value
        self.source = source

    def __repr__(self) -> str:
        return f"Secret({self.source})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Time limits of a call to a provider, in seconds; None where unset.

    ``connect``: to an open connection. ``first_token``: from the request sent to the first byte of the reply's body
    (for a whole reply, its head). ``idle``: between two reads of a stream. ``total``: the whole attempt.
    """

    connect: float | None = None
    first_token: float | None = None
    idle: float | None = None
    total: float | None = None

    def over(self, below: Timeouts) -> Timeouts:
        """These limits, with ``below``'s where unset."""
        return Timeouts(
            connect=below.connect if self.connect is None else self.connect,
            first_token=below.first_token if self.first_token is None else self.first_token,
            idle=below.idle if self.idle is None else self.idle,
            total=below.total if self.total is None else self.total,
        )


DEFAULT_TIMEOUTS = Timeouts(connect=10.0, first_token=120.0, idle=120.0, total=600.0)


class TlsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[server.tls]``: PEM files, relative to the TOML's folder."""

    cert: str
    key: str
    ca: str | None = None


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[server]``. Sizes are in bytes, durations in seconds."""

    bind: str = "127.0.0.1:8080"
    admin_bind: str = "127.0.0.1:8081"
    workers: int = 1
    drain_seconds: float = 600.0
    open: bool = False
    gateway_headers: bool = True
    strict: bool = False
    max_body_bytes: int = 32 * 1024 * 1024
    body_timeout: float = 60.0
    reload: bool = True
    tls: TlsConfig | None = None


class TargetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry of ``targets``: ``{ provider = "openai", model = "gpt-4o", weight = 9 }``, or ``"openai/gpt-4o"``."""

    provider: str
    model: str
    weight: float = 1.0
    timeouts: Timeouts = Timeouts()


Rescue = Literal["resume", "hold", "error"]


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``[models.<name>]``, with ``[defaults]`` already folded in."""

    name: str
    strategy: str = "ordered"
    targets: tuple[TargetConfig, ...] = ()
    fallbacks: tuple[TargetConfig, ...] = ()
    retries: int = 2
    timeouts: Timeouts = Timeouts()
    rescue: Rescue = "error"


class PluginTable(msgspec.Struct, frozen=True, kw_only=True):
    """``[plugins.<name>]`` before its plugin is loaded: ``use``, ``enabled`` and the plugin's own keys."""

    name: str
    use: str
    enabled: bool = True
    stage: str | None = None
    values: dict[str, Any] = {}


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file, checked but for what its plugins know. ``text`` is the TOML as read."""

    path: Path | None
    folder: Path
    text: str
    server: ServerConfig
    plugins: tuple[PluginTable, ...] = ()
    models: dict[str, ModelConfig] = {}
    defaults: ModelConfig = ModelConfig(name="")
    warnings: tuple[str, ...] = ()
