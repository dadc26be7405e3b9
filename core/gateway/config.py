"""Reads gateway.toml: strict, with every mistake of a file at once, each with its place and its mend."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec

from gateway.config_reader import Place, Reader, nearest
from gateway.errors import ConfigError
from gateway.secret import Secret
from gateway.settings import (
    DEFAULT_TIMEOUTS,
    GatewayConfig,
    ModelConfig,
    PluginTable,
    Rescue,
    ServerConfig,
    TargetConfig,
    Timeouts,
    TlsConfig,
)

__all__ = [
    "DEFAULT_TIMEOUTS",
    "GatewayConfig",
    "ModelConfig",
    "PluginTable",
    "Secret",
    "ServerConfig",
    "TargetConfig",
    "Timeouts",
    "TlsConfig",
    "load_config",
    "parse_config",
]


class _Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """``[defaults]``: what every model has unless its own table says otherwise."""

    strategy: str = "ordered"
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    timeouts: Timeouts = Timeouts()
    rescue: Rescue = "error"


class _ModelTable(msgspec.Struct, frozen=True, kw_only=True):
    targets: list[TargetConfig | str]
    fallbacks: list[TargetConfig | str] = []
    strategy: str | None = None
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None
    timeouts: Timeouts = Timeouts()
    rescue: Rescue | None = None


def load_config(path: Path | None) -> GatewayConfig:
    """Read a file; without one, ``gateway.toml`` beside us, or the built-in configuration. Raises ConfigError."""
    if path is None:
        path = Path("gateway.toml")
        if not path.exists():
            return parse_config(_built_in(), path=None, folder=Path.cwd())
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8 text"]) from None
    return parse_config(text, path=path, folder=path.absolute().parent)


def parse_config(text: str, *, path: Path | None, folder: Path) -> GatewayConfig:
    """Read TOML text; raises ConfigError with every mistake of it.

    Plugins are loaded only where there is a mistake, to tell theirs with it: a good file is read quickly.
    """
    reader = Reader(path.name if path else "configuration", text, folder)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{reader.file}: is not valid TOML: {error}"]) from None
    for name, value in data.items():
        if name not in ("server", "plugins", "models", "defaults"):
            known = ("server", "plugins", "models", "defaults")
            reader.problem((name,), "", f"unknown table{nearest(name, known) or '; known are ' + ', '.join(known)}")
        elif not isinstance(value, dict):
            reader.problem((), name, "expected a table")
    tables = {name: value if isinstance(value, dict) else {} for name, value in data.items()}
    server = reader.struct(tables.get("server", {}), ServerConfig, ("server",)) or ServerConfig()
    _check_bind(reader, server)
    plugins = _plugin_tables(reader, tables.get("plugins", {}))
    defaults = reader.struct(tables.get("defaults", {}), _Defaults, ("defaults",)) or _Defaults()
    models = _Models(reader, tables.get("models", {}), defaults, plugins).read()
    config = GatewayConfig(
        path=path,
        folder=folder,
        text=text,
        server=server,
        plugins=tuple(plugins),
        models=models,
        defaults=ModelConfig(
            name="",
            strategy=defaults.strategy,
            retries=defaults.retries,
            timeouts=defaults.timeouts,
            rescue=defaults.rescue,
        ),
        warnings=tuple(reader.warnings),
    )
    if reader.problems:
        raise ConfigError(_in_order([*reader.problems, *_plugin_problems(config)]))
    return config


def _plugin_problems(config: GatewayConfig) -> list[str]:
    from gateway.registry import build  # noqa: PLC0415  # see parse_config

    try:
        build(config)
    except ConfigError as error:
        return error.problems
    return []


def _in_order(problems: list[str]) -> list[str]:
    """Each problem once, by its line."""
    lines = {problem: re.match(r"[^:]*:(\d+):", problem) for problem in problems}
    return sorted(lines, key=lambda problem: int(match.group(1)) if (match := lines[problem]) else 0)


def _built_in() -> str:
    """What serves without a file: the echo model, and the providers whose keys are in the environment."""
    text = "[plugins.echo]\n"
    for name, variable in (("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")):
        if os.environ.get(variable):
            text += f'[plugins.{name}]\napi_key = {{ env = "{variable}" }}\n'
    return text + '[models.echo]\ntargets = ["echo/echo"]\n'


def _check_bind(reader: Reader, server: ServerConfig) -> None:
    for key, bind in (("bind", server.bind), ("admin_bind", server.admin_bind)):
        host, colon, port = bind.rpartition(":")
        if bind.startswith("unix:") and len(bind) > len("unix:"):
            continue
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            reader.problem(("server",), key, f'expected "host:port", ":port" or "unix:/path", got the text "{bind}"')
        elif ":" in host and not (host.startswith("[") and host.endswith("]")):
            reader.problem(("server",), key, f'an IPv6 address stands in brackets: "[{host}]:{port}"')


def _plugin_tables(reader: Reader, tables: dict[str, Any]) -> list[PluginTable]:
    plugins: list[PluginTable] = []
    for name, values in tables.items():
        place: Place = ("plugins", name)
        if not isinstance(values, dict):
            reader.problem(("plugins",), name, "expected a table")
            continue
        own = dict(values)
        use = reader.value(own.pop("use", name), str, place, "use")
        enabled = reader.value(own.pop("enabled", True), bool, place, "enabled")
        stage = reader.value(own.pop("stage", None), str | None, place, "stage")
        if isinstance(use, str) and isinstance(enabled, bool) and (stage is None or isinstance(stage, str)):
            plugins.append(PluginTable(name=name, use=use, enabled=enabled, stage=stage, values=own))
    return plugins


class _Models:
    """Reads ``[models.*]``: targets and fallbacks, which may name other models."""

    def __init__(self, reader: Reader, tables: dict[str, Any], defaults: _Defaults, plugins: list[PluginTable]) -> None:
        self.reader = reader
        self.tables = tables
        self.defaults = defaults
        self.providers = [table.name for table in plugins if table.enabled]
        self.read_tables: dict[str, _ModelTable] = {}

    def read(self) -> dict[str, ModelConfig]:
        for name, values in self.tables.items():
            table = self.reader.struct(values, _ModelTable, ("models", name))
            if table is None:
                self._check_raw(name, values)
            else:
                self.read_tables[name] = table
                if not table.targets:
                    self.reader.problem(("models", name), "targets", "is empty; a model needs at least one target")
        return {name: self._model(name, table) for name, table in self.read_tables.items()}

    def _check_raw(self, name: str, values: Any) -> None:
        """The providers of a table that has other mistakes."""
        for key in ("targets", "fallbacks"):
            entries = values.get(key) if isinstance(values, dict) else None
            for place, entry in enumerate(entries if isinstance(entries, list) else ()):
                if isinstance(entry, str):
                    self._entry(name, f"{key}[{place}]", entry, (name,))
                elif isinstance(entry, dict) and isinstance(entry.get("provider"), str):
                    self._check_provider(("models", name), f"{key}[{place}].provider", entry["provider"])

    def _model(self, name: str, table: _ModelTable) -> ModelConfig:
        rescue = table.rescue or self.defaults.rescue
        if rescue != "error":
            self.reader.warnings.append(
                f'{self.reader.where(("models", name), "rescue")}: "{rescue}" acts as "error" in this version: '
                "a stream that dies midway ends with an error event"
            )
        return ModelConfig(
            name=name,
            strategy=table.strategy or self.defaults.strategy,
            targets=self._targets(name, "targets", table.targets),
            fallbacks=self._targets(name, "fallbacks", table.fallbacks),
            retries=self.defaults.retries if table.retries is None else table.retries,
            timeouts=table.timeouts.over(self.defaults.timeouts),
            rescue=rescue,
        )

    def _targets(self, model: str, key: str, entries: list[TargetConfig | str]) -> tuple[TargetConfig, ...]:
        found: list[TargetConfig] = []
        for place, entry in enumerate(entries):
            found += self._entry(model, f"{key}[{place}]", entry, (model,))
        return tuple(found)

    def _entry(self, model: str, key: str, entry: TargetConfig | str, seen: tuple[str, ...]) -> list[TargetConfig]:
        where: Place = ("models", model)
        if isinstance(entry, TargetConfig):
            self._check_provider(where, f"{key}.provider", entry.provider)
            return [entry]
        if entry in self.tables:
            if entry in seen:
                self.reader.problem(
                    where, key, f"the models refer to each other in a circle: {' → '.join((*seen, entry))}"
                )
                return []
            inner = self.read_tables.get(entry)
            targets = () if inner is None else inner.targets
            return [target for item in targets for target in self._entry(model, key, item, (*seen, entry))]
        provider, slash, name = entry.partition("/")
        if not slash or not name:
            self.reader.problem(
                where,
                key,
                f'"{entry}" is no model of this file{nearest(entry, self.tables)}; expected "provider/model"',
            )
            return []
        self._check_provider(where, key, provider)
        return [TargetConfig(provider=provider, model=name)]

    def _check_provider(self, where: Place, key: str, provider: str) -> None:
        if provider not in self.providers:
            known = nearest(provider, self.providers) or f"; known are {', '.join(self.providers) or 'none'}"
            self.reader.problem(where, key, f"there is no table [plugins.{provider}]{known}")
