"""Reads gateway.toml: strict, with every mistake at once, each with its place and its mend."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec

from gateway.config_catalogue import read_catalogue
from gateway.config_models import read_defaults, read_models
from gateway.config_reader import Reader, nearest
from gateway.config_syntax import read_toml
from gateway.errors import ConfigError
from gateway.health_settings import HealthConfig
from gateway.secret import Secret
from gateway.settings import (
    DEFAULT_TIMEOUTS,
    GatewayConfig,
    ModelConfig,
    PluginTable,
    ServerConfig,
    TargetConfig,
    Timeouts,
    TlsConfig,
    file_name,
)

__all__ = [
    "DEFAULT_TIMEOUTS",
    "PLUGIN_KEYS",
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
    "tls_problems",
]

SECTIONS = ("server", "plugins", "models", "defaults", "catalogue", "health")
DEFAULT_FILE = Path("gateway.toml")

_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%[\w.-]+)?\])?\Z")
_BARE_IPV6 = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%[\w.-]+)?\Z")


class _PluginKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that every ``[plugins.*]`` may have, whatever the plugin."""

    use: str | None = None
    enabled: bool = True
    stage: str | None = None


PLUGIN_KEYS = _PluginKeys.__struct_fields__


def load_config(path: Path | None, *, plugins: bool = True) -> GatewayConfig:
    """Read a file; without one, ``gateway.toml`` beside us, or the built-in configuration. Raises ConfigError.

    ``plugins`` is parse_config's.
    """
    if path is None:
        if not DEFAULT_FILE.exists():
            return parse_config(built_in(), path=None, folder=Path.cwd(), plugins=plugins)
        path = DEFAULT_FILE
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError([f"{path}: there is no such file"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: is not UTF-8 text"]) from None
    return parse_config(text, path=path, folder=path.absolute().parent, plugins=plugins)


def parse_config(text: str, *, path: Path | None, folder: Path, plugins: bool = True) -> GatewayConfig:
    """Read TOML text; raises ConfigError with every mistake of it.

    Plugins are loaded only where there is a mistake, to tell theirs with it: a good file is read quickly. With
    ``plugins`` false not even then, for a process that must not run what a plugin's file says.
    """
    file = file_name(path)
    reading = read_toml(text, file)
    if reading.tree is None:
        raise ConfigError(reading.problems)
    reader = Reader(file, reading.text, folder, damaged=bool(reading.problems))
    reader.problems += reading.problems
    sections = _sections(reader, reading.tree)
    server = _server(reader, sections.get("server", {}))
    tables = _plugin_tables(reader, sections.get("plugins", {}))
    unclear = bool(reader.problems)
    defaults = read_defaults(reader, sections.get("defaults", {}))
    enabled = {name: table.enabled for name, table in tables.items()}
    models = read_models(reader, sections.get("models", {}), defaults, enabled)
    health = HealthConfig(**reader.fields(sections.get("health", {}), HealthConfig, ("health",)))
    catalogue = read_catalogue(reader, sections.get("catalogue", {}), models, enabled)
    config = GatewayConfig(
        path=path,
        folder=folder,
        text=reading.text if reader.damaged else text,
        server=server,
        plugins=tuple(table for table in tables.values() if table.use),
        models=models,
        defaults=defaults,
        catalogue=catalogue,
        health=health,
        warnings=tuple(reader.warnings),
        damaged=reader.damaged,
    )
    if reader.problems:
        theirs = _plugin_problems(config, unclear=unclear) if plugins else []
        raise ConfigError(_in_order([*reader.problems, *theirs, *tls_problems(config)]))
    return config


def tls_problems(config: GatewayConfig) -> list[str]:
    """What is wrong with the files of ``[server.tls]``. They are read when the gateway serves, and for a check."""
    if config.server.tls is None:
        return []
    from gateway.serving.tls import server_context  # noqa: PLC0415  # most configurations have none

    try:
        server_context(config.server.tls, config.folder)
    except ConfigError as error:
        lines = config.reader().lines
        keys = [problem.split()[1] for problem in error.problems]  # [server.tls] cert = …
        places = [f"{file_name(config.path)}:{lines.line(('server', 'tls', key))}" for key in keys]
        return [f"{place}: {problem}" for place, problem in zip(places, error.problems, strict=True)]
    return []


def built_in() -> str:
    """What serves without a file: the echo model, and the providers whose keys are in the environment."""
    text = '[plugins.echo]\n\n[models.echo]\ntargets = ["echo/echo"]\n'
    for name, variable in (("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")):
        if os.environ.get(variable, "").strip():
            text += f'\n[plugins.{name}]\napi_key = {{ env = "{variable}" }}\n'
    return text


def _plugin_problems(config: GatewayConfig, *, unclear: bool) -> list[str]:
    """What is wrong in the plugins' tables of a file that has other mistakes."""
    from gateway.registry import build  # noqa: PLC0415  # see parse_config

    if unclear:
        # Whether keys are asked for cannot be told while [server] or a plugin's table is not understood.
        config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, open=True))
    try:
        build(config)
    except ConfigError as error:
        return error.problems
    return []


def _in_order(problems: list[str]) -> list[str]:
    """Each problem once, by its line."""
    lines = {problem: re.match(r"[^:]*:(\d+):", problem) for problem in problems}
    return sorted(lines, key=lambda problem: int(match.group(1)) if (match := lines[problem]) else 0)


def _sections(reader: Reader, tree: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The tables at the top; what else stands there is a mistake."""
    sections: dict[str, dict[str, Any]] = {}
    for name, value in tree.items():
        if name in SECTIONS:
            if isinstance(value, dict):
                sections[name] = value
            else:
                reader.problem(
                    (),
                    name,
                    f"expected tables, [{name}{'.<name>' if name in ('plugins', 'models', 'catalogue') else ''}]",
                )
        elif isinstance(value, dict):
            tables = ", ".join(f"[{section}]" for section in SECTIONS)
            reader.problem((name,), "", f"unknown table{nearest(name, SECTIONS) or f'; known are {tables}'}")
        else:
            hint = (
                "; it belongs below [server]"
                if name in ServerConfig.__struct_fields__
                else "; every key stands in a table, such as [server]"
            )
            reader.problem((), name, f"unknown key{hint}")
    return sections


def _server(reader: Reader, values: dict[str, Any]) -> ServerConfig:
    good = reader.fields(values, ServerConfig, ("server",))
    server = ServerConfig(**good)
    for key in ("bind", "admin_bind"):
        if problem := _bind_problem(getattr(server, key)):
            reader.problem(("server",), key, problem)
    return server


def _bind_problem(bind: str) -> str | None:
    if bind.startswith("unix:") and len(bind) > len("unix:") and bind.isprintable():
        return None
    host, colon, port = bind.rpartition(":")
    if colon and port.isascii() and port.isdigit() and int(port) <= 65535:
        if _HOST.match(host):
            return None
        if _BARE_IPV6.match(host):
            return f'an IPv6 address stands in brackets: "[{host}]:{port}"'
    shown = f' "{bind}"' if bind.isprintable() else ""
    return f'expected "host:port", ":port", "[IPv6]:port" or "unix:/path", got text{shown}'


def _plugin_tables(reader: Reader, tables: dict[str, Any]) -> dict[str, PluginTable]:
    """All plugins' tables by name; one whose ``use`` is not understood has an empty one."""
    plugins: dict[str, PluginTable] = {}
    for name, values in tables.items():
        place = ("plugins", name)
        if not isinstance(values, dict):
            reader.problem(("plugins",), name, f"expected a table; write [plugins.{name}]")
            continue
        if not name or "/" in name:
            reader.problem(place, "", "a plugin's name has at least one letter and no slash")
        common = {key: value for key, value in values.items() if key in PLUGIN_KEYS}
        own = {key: value for key, value in values.items() if key not in PLUGIN_KEYS}
        good = reader.fields(common, _PluginKeys, place)
        if good.get("use") == "":
            reader.problem(place, "use", 'is empty; expected the name of a plugin, or "./file.py:Class"')
        use = good.pop("use", "" if "use" in common else name)
        plugins[name] = PluginTable(name=name, use=use, values=own, **good)
    return plugins
