"""What differs between two configurations, as written; secrets are named, never shown."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import msgspec

from gateway.config_lines import written
from gateway.secret import HeaderValue, Secret

HIDDEN = "***"
_Path = tuple[str, ...]
_NAMED = ("plugins", "models")
"""Sections whose tables have names of the file's own."""
_LISTED = ("targets", "fallbacks", "degrade")
_SECRET_NAMES = re.compile(
    r"auth|key|token|secret|signature|cookie|pass|pwd|private|credential|hash|salt|dsn", re.IGNORECASE
)
_IN_ADDRESS = re.compile(
    r"""(?<=[/"'])[^\s/"'@:]*:[^\s/"'@]+(?=@)|(?<==)(?<=key=|sig=|ken=|ret=)[^&\s"']+"""
    r"""|\b(?:sk-[\w-]{12,}|(?:[rp]k|gsk|xai|hf|r8|nvapi|csk|fw|gw)[-_](?=\D*\d)[\w-]{24,}|AIza[\w-]{24,}|eyJ[\w.-]{24,})""",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Change(msgspec.Struct, kw_only=True):
    """One difference. ``key`` is empty where a whole table came or went; ``old`` and ``new`` are TOML-like text."""

    section: str
    name: str = ""
    key: str = ""
    what: Literal["added", "removed", "changed"]
    old: str | None = None
    new: str | None = None

    @property
    def table(self) -> str:
        """The table's heading."""
        return f"[{written(tuple(part for part in (self.section, self.name) if part))}]"


def changes(old: str, new: str, configs: Mapping[str, type[msgspec.Struct]]) -> list[Change]:
    """The differences of two good TOML texts, by section and table. ``configs`` are the plugins' Configs, by name."""
    before, after = tomllib.loads(old), tomllib.loads(new)
    hider = _Hider(configs, before, after)
    found: list[Change] = []
    for section in dict.fromkeys((*before, *after)):
        one, other = before.get(section, {}), after.get(section, {})
        if section not in _NAMED:
            found += _table(section, "", one, other, hider)
            continue
        for name in dict.fromkeys((*one, *other)):
            if name not in one or name not in other:
                what: Literal["added", "removed"] = "added" if name in other else "removed"
                found.append(Change(section=section, name=name, what=what))
            # What is in a table that came is told, what was in one that went is not.
            if name in other:
                found += _table(section, name, one.get(name, {}), other[name], hider)
    return found


def _table(section: str, name: str, one: Any, other: Any, hider: _Hider) -> list[Change]:
    before, after = dict(_leaves(one)), dict(_leaves(other))
    found = []
    for path in dict.fromkeys((*before, *after)):
        if path in before and path in after and before[path] == after[path]:
            continue
        old = hider.shown(section, name, path, before[path]) if path in before else None
        new = hider.shown(section, name, path, after[path]) if path in after else None
        what: Literal["added", "removed", "changed"] = (
            "added" if path not in before else "removed" if path not in after else "changed"
        )
        found.append(Change(section=section, name=name, key=_key(path), what=what, old=old, new=new))
    return found


def _leaves(value: Any, path: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    """The values of a table with their paths. Lists of tables go by what names their entries, not by position."""
    if isinstance(value, dict) and not _is_reference(value):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
        return
    listed = bool(path) and path[-1] in _LISTED
    if isinstance(value, list) and value and (listed or all(isinstance(item, dict) for item in value)):
        labels = [_label(item, place) for place, item in enumerate(value)]
        if len(set(labels)) == len(labels):
            yield path, labels
            for label, item in zip(labels, value, strict=True):
                if isinstance(item, dict):
                    rest = {key: inner for key, inner in item.items() if key not in ("provider", "model", "name")}
                    if not _names(item):
                        rest = item
                    yield from _leaves(rest, (*path[:-1], f"{path[-1] if path else ''}[{label}]"))
            return
    yield path, value


def _names(item: dict[str, Any]) -> bool:
    return "name" in item or ("provider" in item and "model" in item)


def _label(item: Any, place: int) -> str:
    if isinstance(item, dict):
        if "provider" in item and "model" in item:
            return f"{item['provider']}/{item['model']}"
        return str(item["name"]) if "name" in item else str(place)
    return str(item)


def _key(path: _Path) -> str:
    return ".".join(part if "[" in part else written((part,)) for part in path)


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("env", "file")


class _Hider:
    """Knows which values are secrets: by their plugin's types, by their names, and by how they look."""

    def __init__(self, configs: Mapping[str, type[msgspec.Struct]], *trees: dict[str, Any]) -> None:
        self._names = {name: frozenset(_secret_fields(config)) for name, config in configs.items()}
        self._secrets: set[str] = set()
        for tree in trees:
            for name, table in tree.get("plugins", {}).items():
                for path, value in _leaves(table):
                    if isinstance(value, str) and len(value) >= 6 and self._is_secret("plugins", name, path):
                        self._secrets.add(value)

    def shown(self, section: str, name: str, path: _Path, value: Any) -> str:
        """A value as text."""
        if _is_reference(value):
            ((how, where),) = value.items()
            if isinstance(where, str) and (how == "file" or _VARIABLE.match(where)):
                return self._clean(f"{{ {how} = {json.dumps(where)} }}")
            return HIDDEN
        if isinstance(value, bool | int | float):
            return json.dumps(value)
        if self._is_secret(section, name, path) and not _is_labels(path, value):
            return HIDDEN
        return self._clean(json.dumps(value, ensure_ascii=False, default=str))

    def _is_secret(self, section: str, name: str, path: _Path) -> bool:
        if section != "plugins":
            return False
        parts = [part.partition("[")[0] for part in path]
        if name not in self._names:
            return parts[:1] not in (["use"], ["enabled"], ["stage"])  # a plugin that is off: nobody knows its keys
        return any(part in self._names[name] for part in parts) or (
            bool(parts) and _SECRET_NAMES.search(parts[-1]) is not None and parts[-1] != "api_version"
        )

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(json.dumps(secret, ensure_ascii=False)[1:-1], HIDDEN)
        return _IN_ADDRESS.sub(HIDDEN, text)


def _is_labels(path: _Path, value: Any) -> bool:
    """Whether a list holds the names of tables, whose values stand apart: ``keys`` of API keys."""
    return isinstance(value, list) and bool(path) and path[-1] == "keys" and all(isinstance(v, str) for v in value)


def _secret_fields(kind: type[msgspec.Struct]) -> Iterator[str]:
    """The names of the fields, at any depth, that hold secrets."""
    for field in msgspec.structs.fields(kind):
        types = list(_types(field.type))
        if any(t in (Secret, HeaderValue) for t in types):
            yield field.encode_name
        for inner in types:
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and inner is not kind:
                yield from _secret_fields(inner)


def _types(annotation: Any) -> Iterator[Any]:
    arguments = get_args(annotation)
    if not arguments:
        yield annotation
    for argument in arguments:
        yield from _types(argument)
