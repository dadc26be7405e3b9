"""What exists: finds, loads, configures, orders, registers and validates plugins, and joins them to a Gateway."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import pluggy

from gateway import hookspecs
from gateway.config import GatewayConfig, PluginTable, convert_plugin_table
from gateway.dialect import Dialect
from gateway.errors import ConfigError
from gateway.format import Format
from gateway.loading import DEFAULTS, CannotLoad, entry_point_names, load_format, load_plugin_class
from gateway.plugin import STAGES, Plugin, PluginContext
from gateway.provider import Provider, format_name
from gateway.state import Gateway, Lane, PluginRecord
from gateway.translation import Pair, default_translator

if TYPE_CHECKING:
    from gateway.translation import Translator

__all__ = ["Gateway", "PluginRecord", "build"]

HOOKS = tuple(name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec"))


def build(config: GatewayConfig, previous: Gateway | None = None) -> Gateway:
    """Make a Gateway of a configuration; opens nothing. Raises ConfigError with every problem found.

    A plugin of ``previous`` whose class, settings and place are unchanged is taken over with its state: a reload does
    not empty a cache, reset a limit or close a pool.
    """
    problems: list[str] = []
    records = _load(config, previous, problems)
    manager = _register(records, config, problems)
    _check_auth(config, records, problems)
    _check_strategies(config, records, problems)
    lanes = _lanes(config, records, manager, problems) if not problems else {}
    if problems:
        raise ConfigError(problems)
    gateway = Gateway(config, records, manager, lanes)
    for record in records:
        gateway.warnings += [f"[plugins.{record.name}] {text}" for text in record.plugin.warnings()]
    return gateway


def where(config: GatewayConfig, table: str) -> str:
    """The beginning of a problem's line: file and table."""
    return f"{config.path.name if config.path else 'configuration'}: [plugins.{table}]"


def _load(config: GatewayConfig, previous: Gateway | None, problems: list[str]) -> list[PluginRecord]:
    named = {table.name for table in config.plugins}
    defaults = [PluginTable(name=name, use=name) for name in sorted(entry_point_names(DEFAULTS)) if name not in named]
    old = {record.name: record for record in previous.records} if previous else {}
    records: list[PluginRecord] = []
    for place, table in enumerate((*config.plugins, *defaults)):
        if not table.enabled:
            continue
        record = _record(table, place, config, old.get(table.name), problems)
        if record is not None:
            records.append(record)
    records.sort(key=lambda record: (STAGES.index(record.stage), record.place))
    return records


def _record(
    table: PluginTable, place: int, config: GatewayConfig, old: PluginRecord | None, problems: list[str]
) -> PluginRecord | None:
    try:
        cls = load_plugin_class(table.use, config.folder)
    except CannotLoad as error:
        problems.append(f"{where(config, table.name)} use: {error}")
        return None
    stage: Any = table.stage or cls.stage
    if stage not in STAGES:
        near = get_close_matches(str(stage), STAGES, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        problems.append(f'{where(config, table.name)} stage: "{stage}" is none of {", ".join(STAGES)}{hint}')
        return None
    settings = convert_plugin_table(table, cls.Config, config, problems)
    if settings is None:
        return None
    context = PluginContext(name=table.name, use=table.use, folder=config.folder, workers=config.server.workers)
    default = table.name in entry_point_names(DEFAULTS)
    if old and type(old.plugin) is cls and old.plugin.config == settings and old.plugin.context == context:
        return PluginRecord(table.name, table.use, stage, place, old.plugin, default=default, life=old.life)
    try:
        plugin = cls(settings, context)
    except ConfigError as error:
        problems.extend(f"{where(config, table.name)} {problem}" for problem in error.problems)
        return None
    except Exception as error:  # noqa: BLE001  # whatever a plugin's constructor raises is a problem of its table
        problems.append(f"{where(config, table.name)} cannot be made: {type(error).__name__}: {error}")
        return None
    return PluginRecord(table.name, table.use, stage, place, plugin, default=default)


def _register(records: list[PluginRecord], config: GatewayConfig, problems: list[str]) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for table in config.plugins:
        if not table.enabled:
            # A name that is switched off stays off, whoever else tries to register under it.
            manager.set_blocked(table.name)
    for record in records:
        place = where(config, record.name)
        problems.extend(f"{place} {text}" for text in _misuse(record.plugin))
        try:
            manager.register(record.plugin, record.name)
        except (pluggy.PluginValidationError, ValueError) as error:
            problems.append(f"{place} {str(error).splitlines()[-1].strip()}")
            continue
        record.hooks = [caller.name for caller in manager.get_hookcallers(record.plugin) or []]
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hook = str(error).split("'")[1] if "'" in str(error) else "?"
        near = get_close_matches(hook, HOOKS, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        problems.append(f"{where(config, _owner(manager, error))} implements an unknown hook {hook!r}{hint}")
    return manager


def _owner(manager: pluggy.PluginManager, error: pluggy.PluginValidationError) -> str:
    return manager.get_name(error.plugin) or "?"


def _misuse(plugin: Plugin) -> Iterable[str]:
    """Mistakes that pluggy lets pass: a hook without its mark, or of the wrong colour."""
    for hook in HOOKS:
        method = inspect.getattr_static(type(plugin), hook, None)
        if not inspect.isfunction(method):
            continue
        if not hasattr(method, f"{hookspecs.PROJECT}_impl"):
            yield f"{hook} is not marked with @hookimpl, so it would never run"
        elif inspect.iscoroutinefunction(method) != inspect.iscoroutinefunction(getattr(hookspecs, hook)):
            colour = "async def" if inspect.iscoroutinefunction(getattr(hookspecs, hook)) else "def"
            yield f"{hook} must be written with {colour!r}"


def _check_auth(config: GatewayConfig, records: list[PluginRecord], problems: list[str]) -> None:
    if config.server.open or any(record.stage == "auth" for record in records):
        return
    host = config.server.bind.rpartition(":")[0].strip("[]")
    if config.server.bind.startswith("unix:") or host in ("localhost", "::1") or host.startswith("127."):
        return
    file = config.path.name if config.path else "configuration"
    problems.append(
        f'{file}: [server] bind = "{config.server.bind}" is reachable by others and nothing checks keys: '
        "switch on [plugins.api_keys], bind to 127.0.0.1, or say open = true"
    )


def _check_strategies(config: GatewayConfig, records: list[PluginRecord], problems: list[str]) -> None:
    known = {word for record in records for word in record.plugin.strategies}
    file = config.path.name if config.path else "configuration"
    for model in config.models.values():
        if model.strategy not in known:
            near = get_close_matches(model.strategy, sorted(known), n=1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            problems.append(
                f'{file}: [models.{model.name}] strategy: no routing plugin offers "{model.strategy}"; '
                f"known are {', '.join(sorted(known)) or 'none'}{hint}"
            )


def _lanes(
    config: GatewayConfig, records: list[PluginRecord], manager: pluggy.PluginManager, problems: list[str]
) -> dict[tuple[str, str], Lane]:
    """A translator for each (caller's format, provider) that can carry something together."""
    lanes: dict[tuple[str, str], Lane] = {}
    providers = [record.plugin for record in records if isinstance(record.plugin, Provider)]
    for provider in providers:
        known = {format_name(f) for offered in provider.formats.values() for f in offered}
        if provider.config.format is not None and provider.config.format not in known:
            problems.append(
                f'{where(config, provider.name)} format: "{provider.config.format}" is not spoken by this provider; '
                f"known are {', '.join(sorted(known))}"
            )
    for record in records:
        if not isinstance(record.plugin, Dialect):
            continue
        for endpoint in record.plugin.endpoints:
            for provider in providers:
                try:
                    source = load_format(endpoint.format)
                    wire = _wire(provider, source)
                except CannotLoad as error:
                    problems.append(f"{where(config, provider.name)} {error}")
                    continue
                if wire is not None:
                    pair = Pair(dialect=record.plugin, provider=provider, source=source, wire=wire)
                    translator: Translator | None = manager.hook.translate(pair=pair)
                    lanes[source.name, provider.name] = Lane(wire, translator or default_translator(pair))
    return lanes


def _wire(provider: Provider, source: Format) -> Format | None:
    offered = provider.offers(source.operation)
    chosen = next((f for f in offered if format_name(f) == source.name), offered[0] if offered else None)
    return load_format(chosen) if isinstance(chosen, str) else chosen
