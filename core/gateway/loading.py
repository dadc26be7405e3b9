"""Finds the class behind a plugin's ``use``: an entry point, a file beside the TOML, or a dotted path."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from gateway.format import Format
from gateway.plugin import Plugin

PLUGINS = "gateway.plugins"
DEFAULTS = "gateway.defaults"
FORMATS = "gateway.formats"


class CannotLoad(Exception):
    """A plugin or format that cannot be found or imported; the text names it and the mend."""


@cache
def entry_point_names(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name; read once, for the installed packages do not change while we run."""
    return {point.name: point for point in entry_points(group=group)}


def load_plugin_class(use: str, folder: Path) -> type[Plugin]:
    """The Plugin class that ``use`` names; raises CannotLoad."""
    if ":" not in use:
        points = entry_point_names(PLUGINS) | entry_point_names(DEFAULTS)
        if use not in points:
            hint = _near(use, points) or '; an in-house one is written use = "./file.py:Class"'
            raise CannotLoad(f'no plugin of the name "{use}"{hint}')
        found = _load(points[use], "plugin")
    else:
        place, _, attribute = use.rpartition(":")
        module = load_file(folder / place) if place.endswith(".py") else _import(place)
        found = getattr(module, attribute, None)
        if found is None:
            names = [name for name, value in vars(module).items() if isinstance(value, type)]
            raise CannotLoad(f'{place} has no class "{attribute}"{_near(attribute, names)}')
    if not (isinstance(found, type) and issubclass(found, Plugin)):
        raise CannotLoad(f"{use} is no plugin: its class must derive from gateway.Plugin")
    return found


def load_format(name: str) -> Format:
    """The Format registered under ``name``; raises CannotLoad."""
    points = entry_point_names(FORMATS)
    if name not in points:
        raise CannotLoad(f'no format of the name "{name}"{_near(name, points)}')
    return _format_instance(name)


@cache
def _format_instance(name: str) -> Format:
    found: Format = _load(entry_point_names(FORMATS)[name], "format")()
    return found


def load_file(path: Path) -> Any:
    """Import a single file afresh, under a module name of its own, so that a changed file is a new module."""
    try:
        source = path.read_bytes()
    except OSError as error:
        raise CannotLoad(f"cannot read {path}: {error.strerror}") from None
    digest = hashlib.blake2b(source, digest_size=8).hexdigest()
    name = f"gateway_file_{path.stem}_{digest}_{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs: msgspec resolves a Struct's annotations through sys.modules.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise CannotLoad(f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _load(point: EntryPoint, what: str) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise CannotLoad(f'the {what} "{point.name}" cannot be imported: {type(error).__name__}: {error}') from error


def _import(place: str) -> Any:
    try:
        return importlib.import_module(place)
    except Exception as error:
        raise CannotLoad(f"{place} cannot be imported: {type(error).__name__}: {error}") from error


def _near(name: str, names: Any) -> str:
    close = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""
