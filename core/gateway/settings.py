"""What gateway.toml holds, as typed, frozen Structs. Secrets are references and are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from gateway.config_reader import Reader

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

    A weight of 0 is for a target that only stands in for others.
    """

    provider: Annotated[str, msgspec.Meta(min_length=1)]
    model: Annotated[str, msgspec.Meta(min_length=1)]
    weight: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    timeouts: Timeouts = Timeouts()

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


Rescue = Literal["resume", "hold", "error"]


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``[models.<name>]``, with ``[defaults]`` already folded in."""

    name: str
    strategy: str = "ordered"
    targets: tuple[TargetConfig, ...] = ()
    fallbacks: tuple[TargetConfig, ...] = ()
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    timeouts: Timeouts = Timeouts()
    rescue: Rescue = "error"


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
