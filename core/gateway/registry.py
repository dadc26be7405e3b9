"""What exists: finds, loads, configures, orders, registers and validates plugins, and joins them to a Gateway."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
import pluggy

from gateway import hookspecs
from gateway.config import PLUGIN_KEYS, GatewayConfig, PluginTable
from gateway.config_reader import Reader, nearest
from gateway.dialect import Dialect
from gateway.errors import ConfigError
from gateway.format import Format
from gateway.loading import DEFAULTS, CannotLoad, entry_point_names, load_format, load_plugin_class
from gateway.model_options import read_options
from gateway.plugin import STAGES, Plugin, PluginContext, Stage
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
    reader = config.reader()
    seen: list[tuple[str, Stage, type[Plugin]]] = []
    records = _load(config, previous, reader, seen)
    manager = _register(records, config, reader)
    # A plugin whose settings are wrong counts as there, or its mistake would be told twice, the second time as another.
    _check_auth(config, {stage for _, stage, _ in seen}, reader)
    _check_strategies(config, sorted({word for _, _, cls in seen for word in cls.strategies}), reader)
    options = read_options(config, [(name, cls) for name, _, cls in seen], reader)
    _check_targets(config, records, reader)
    lanes = _lanes(records, manager, reader) if not reader.problems else {}
    if reader.problems:
        raise ConfigError(list(dict.fromkeys(reader.problems)))
    gateway = Gateway(config, records, manager, lanes, options, previous)
    gateway.warnings += reader.warnings
    for record in records:
        where = ("plugins", record.name)
        try:
            gateway.warnings += [f"{reader.where(where)} {text}" for text in record.plugin.warnings()]
        except Exception as error:  # noqa: BLE001  # as in its constructor
            reader.problem(where, "", f"cannot say what it warns of: {type(error).__name__}: {error}")
    if reader.problems:
        raise ConfigError(reader.problems)
    return gateway


def _load(
    config: GatewayConfig, previous: Gateway | None, reader: Reader, seen: list[tuple[str, Stage, type[Plugin]]]
) -> list[PluginRecord]:
    named = {table.name for table in config.plugins}
    defaults = [PluginTable(name=name, use=name) for name in sorted(entry_point_names(DEFAULTS)) if name not in named]
    old = {record.name: record for record in previous.records} if previous else {}
    records: list[PluginRecord] = []
    for place, table in enumerate((*config.plugins, *defaults)):
        if not table.enabled or (found := _found(table, config, reader)) is None:
            continue
        seen.append((table.name, *found))
        record = _record(table, place, found, config, old.get(table.name), reader)
        if record is not None:
            records.append(record)
    records.sort(key=lambda record: (STAGES.index(record.stage), record.place))
    return records


def _found(table: PluginTable, config: GatewayConfig, reader: Reader) -> tuple[Stage, type[Plugin]] | None:
    where = ("plugins", table.name)
    try:
        cls = load_plugin_class(table.use, config.folder)
    except CannotLoad as error:
        reader.problem(where, "use", str(error))
        return None
    stage: Any = table.stage or cls.stage
    if stage not in STAGES:
        reader.problem(where, "stage", f'"{stage}" is none of {", ".join(STAGES)}{nearest(str(stage), STAGES)}')
        return None
    return stage, cls


def _record(
    table: PluginTable,
    place: int,
    found: tuple[Stage, type[Plugin]],
    config: GatewayConfig,
    old: PluginRecord | None,
    reader: Reader,
) -> PluginRecord | None:
    where = ("plugins", table.name)
    stage, cls = found
    settings = reader.struct(table.values, cls.Config, where, also=PLUGIN_KEYS)
    if settings is None:
        return None
    context = PluginContext(
        name=table.name,
        use=table.use,
        folder=config.folder,
        workers=config.server.workers,
        catalogue=config.catalogue.of(table.name if issubclass(cls, Provider) else None),
    )
    default = table.name in entry_point_names(DEFAULTS)
    if old and type(old.plugin) is cls and old.plugin.config == settings and old.plugin.context == context:
        return PluginRecord(table.name, table.use, stage, place, old.plugin, default=default, life=old.life)
    try:
        plugin = cls(settings, context)
        if isinstance(plugin, Provider):
            plugin.prepare()
    except ConfigError as error:
        for problem in error.problems:
            key, _, text = problem.partition(": ")
            named = key in cls.Config.__struct_fields__
            reader.problem(where, key if named else "", text if named else problem)
        return None
    except Exception as error:  # noqa: BLE001  # whatever a plugin's constructor raises is a problem of its table
        reader.problem(where, "", f"cannot be made: {type(error).__name__}: {error}")
        return None
    return PluginRecord(table.name, table.use, stage, place, plugin, default=default)


def _register(records: list[PluginRecord], config: GatewayConfig, reader: Reader) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for table in config.plugins:
        if not table.enabled:
            # A name that is switched off stays off, whoever else tries to register under it.
            manager.set_blocked(table.name)
    for record in records:
        where = ("plugins", record.name)
        for text in _misuse(record.plugin):
            reader.problem(where, "", text)
        try:
            manager.register(record.plugin, record.name)
        except (pluggy.PluginValidationError, ValueError) as error:
            reader.problem(where, "", str(error).splitlines()[-1].strip())
            continue
        record.hooks = [caller.name for caller in manager.get_hookcallers(record.plugin) or []]
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hook = str(error).split("'")[1] if "'" in str(error) else "?"
        owner = manager.get_name(error.plugin) or "?"
        reader.problem(("plugins", owner), "", f"implements an unknown hook {hook!r}{nearest(hook, HOOKS)}")
    return manager


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


def _check_auth(config: GatewayConfig, stages: set[Stage], reader: Reader) -> None:
    bind = config.server.bind
    if config.server.open or "auth" in stages:
        return
    host = bind.rpartition(":")[0].strip("[]")
    if not (bind.startswith(("unix:", "127.")) or host in ("localhost", "::1")):
        reader.problem(
            ("server",),
            "bind",
            f'"{bind}" is reachable by others and nothing checks keys: switch on [plugins.api_keys], '
            "bind to 127.0.0.1, or say open = true",
        )


def _check_strategies(config: GatewayConfig, known: list[str], reader: Reader) -> None:
    for model in config.models.values():
        if model.strategy not in known:
            text = f'no routing plugin offers "{model.strategy}"; known are {", ".join(known) or "none"}'
            reader.problem(("models", model.name), "strategy", text + nearest(model.strategy, known))


def _check_targets(config: GatewayConfig, records: list[PluginRecord], reader: Reader) -> None:
    """That a target's plugin is there was seen when the file was read; that it is a provider is known only now."""
    others = {record.name for record in records if not isinstance(record.plugin, Provider)}
    told: set[str] = set()
    for key in ("targets", "fallbacks"):
        for model in config.models.values():
            wrong = {str(target): target for target in getattr(model, key) if target.provider in others}
            for text, target in wrong.items():
                if key == "targets" or text not in told:  # else it is a target of the model that stands there
                    reader.problem(("models", model.name), key, f'"{text}": [plugins.{target.provider}] is no provider')
            told |= wrong.keys()


def _lanes(records: list[PluginRecord], manager: pluggy.PluginManager, reader: Reader) -> dict[tuple[str, str], Lane]:
    """A translator for each (caller's format, provider) that can carry something together."""
    lanes: dict[tuple[str, str], Lane] = {}
    providers = [record.plugin for record in records if isinstance(record.plugin, Provider)]
    for provider in providers:
        known = {format_name(f) for offered in provider.formats.values() for f in offered}
        if provider.config.format is not None and provider.config.format not in known:
            words = f'"{provider.config.format}" is not spoken by this provider; known are {", ".join(sorted(known))}'
            reader.problem(("plugins", provider.name), "format", words)
    for record in records:
        if not isinstance(record.plugin, Dialect):
            continue
        for endpoint in record.plugin.endpoints:
            for provider in providers:
                try:
                    source = load_format(endpoint.format)
                    wire = _wire(provider, source)
                except CannotLoad as error:
                    reader.problem(("plugins", provider.name), "", str(error))
                    continue
                if wire is None:
                    continue
                pair = Pair(dialect=record.plugin, provider=provider, source=source, wire=wire)
                lanes[source.name, provider.name] = _lane(pair, manager, _others(pair))
    return lanes


def _lane(pair: Pair, manager: pluggy.PluginManager, others: Iterable[Format] = ()) -> Lane:
    translator: Translator | None = manager.hook.translate(pair=pair)
    ways = {other.name: _lane(msgspec.structs.replace(pair, wire=other), manager) for other in others}
    return Lane(pair.wire, translator or default_translator(pair), ways or None)


def _others(pair: Pair) -> list[Format]:
    """The formats that some of the provider's models are served by alone, where it tells its models apart."""
    if type(pair.provider).served_by is Provider.served_by:
        return []
    offered = [load_format(f) if isinstance(f, str) else f for f in pair.provider.offers(pair.source.operation)]
    return [wire for wire in offered if wire.name != pair.wire.name]


def _wire(provider: Provider, source: Format) -> Format | None:
    offered = provider.offers(source.operation)
    chosen = next((f for f in offered if format_name(f) == source.name), offered[0] if offered else None)
    return load_format(chosen) if isinstance(chosen, str) else chosen
