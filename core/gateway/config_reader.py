"""Converts tables of a TOML file to strict Structs, and collects every mistake with its place and its mend."""

from __future__ import annotations

import os
import re
import types
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from gateway.config_lines import LineMap
from gateway.secret import FORWARD, Secret

T = TypeVar("T", bound=msgspec.Struct)
Place = tuple[str, ...]

_TYPE_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
    "datetime": "a date and time",
    "date": "a date",
}
_REFUSED = object()


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message: the known name that was probably meant, or nothing."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


class Reader:
    """One reading of one file. ``problems`` and ``warnings`` are lines ready to be shown; they hold no secret."""

    def __init__(self, file: str, text: str, folder: Path) -> None:
        self.file = file
        self.folder = folder
        self.lines = LineMap(text)
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def where(self, table: Place, key: str = "") -> str:
        """The beginning of a message: file, line, table and key."""
        line = self.lines.line((*table, *_key_path(key)))
        name = f" [{'.'.join(table)}]" if table else ""
        return f"{self.file}{f':{line}' if line else ''}:{name}{f' {key}' if key else ''}"

    def problem(self, table: Place, key: str, text: str) -> None:
        """Note a mistake."""
        self.problems.append(f"{self.where(table, key)}: {text}")

    def struct(self, values: Any, kind: type[T], table: Place, key: str = "") -> T | None:
        """A Struct from a table; None where anything in it is wrong, all of which is noted."""
        if not isinstance(values, dict):
            self.problem(table, key, f"expected a table, got {_found(values)}")
            return None
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        before = len(self.problems)
        read: dict[str, Any] = {}
        for name, value in values.items():
            inner = f"{key}.{name}" if key else name
            if name not in fields:
                self.problem(table, inner, f"unknown key{nearest(name, fields) or _known(fields)}")
                continue
            got = self.value(value, fields[name].type, table, inner)
            if got is not _REFUSED:
                read[fields[name].name] = got
        for name, field in fields.items():
            if field.required and name not in values:
                self.problem(table, f"{key}.{name}" if key else name, f"is missing; expected {_expected(field.type)}")
        if len(self.problems) > before:
            return None
        try:
            return kind(**read)
        except (ValueError, TypeError) as error:  # a Struct's own __post_init__
            self.problem(table, key, str(error))
            return None

    def value(self, value: Any, kind: Any, table: Place, key: str) -> Any:
        """One value of the type ``kind``, or the mark of a refusal."""
        options = [option for option in _options(kind) if option is not types.NoneType]
        for option in options:
            origin, args = get_origin(option), get_args(option)
            if option is Secret:
                return self.secret(value, table, key)
            if isinstance(option, type) and issubclass(option, msgspec.Struct):
                if isinstance(value, dict) or len(options) == 1:
                    got = self.struct(value, option, table, key)
                    return _REFUSED if got is None else got
            elif origin in (list, tuple) and isinstance(value, list) and (origin is list or args[1:] == (...,)):
                items = [self.value(item, args[0], table, f"{key}[{place}]") for place, item in enumerate(value)]
                return _REFUSED if _REFUSED in items else origin(items)
            elif origin is dict and isinstance(value, dict):
                pairs = {name: self.value(item, args[1], table, f"{key}.{name}") for name, item in value.items()}
                return _REFUSED if _REFUSED in pairs.values() else pairs
        return self._plain(value, kind, table, key)

    def _plain(self, value: Any, kind: Any, table: Place, key: str) -> Any:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            words = [word for option in _options(kind) if get_origin(option) is Literal for word in get_args(option)]
            near = nearest(value, [str(word) for word in words]) if isinstance(value, str) else ""
            self.problem(table, key, f"expected {_expected(kind, str(error))}, got {_found(value)}{near}")
            return _REFUSED

    def secret(self, value: Any, table: Place, key: str) -> Any:
        """A secret by reference or plain; what is wrong is told without the value."""
        if isinstance(value, str):
            if not value:
                self.problem(table, key, 'is empty; expected { env = "NAME" } or { file = "path" }')
                return _REFUSED
            if value != FORWARD:
                self.warnings.append(
                    f'{self.where(table, key)}: is a plain secret; better {"{"} env = "NAME" {"}"} or a file'
                )
            return Secret(value)
        if not isinstance(value, dict) or len(value) != 1:
            self.problem(table, key, 'expected { env = "NAME" }, { file = "path" } or text')
            return _REFUSED
        ((how, name),) = value.items()
        if how not in ("env", "file") or not isinstance(name, str):
            self.problem(
                table, key, f'expected {{ env = "NAME" }} or {{ file = "path" }}{nearest(how, ("env", "file"))}'
            )
            return _REFUSED
        return self._from_env(name, table, key) if how == "env" else self._from_file(name, table, key)

    def _from_env(self, name: str, table: Place, key: str) -> Any:
        found = os.environ.get(name)
        if not found:
            state = "is not set" if found is None else "is empty"
            self.problem(table, key, f"the environment variable {name} {state}; export it before the start")
            return _REFUSED
        return Secret(found, f"env:{name}")

    def _from_file(self, name: str, table: Place, key: str) -> Any:
        try:
            found = (self.folder / name).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self.problem(table, key, f"the file {name} cannot be read: {reason}")
            return _REFUSED
        if not found:
            self.problem(table, key, f"the file {name} is empty")
            return _REFUSED
        return Secret(found, f"file:{name}")


def _key_path(key: str) -> Place:
    return tuple(re.findall(r"[^.\[\]]+", key))


def _options(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) in (Union, types.UnionType):
        return get_args(kind)
    return (kind,)


def _known(fields: Iterable[str]) -> str:
    names = ", ".join(sorted(fields))
    return f"; known are {names}" if names else "; this table takes none"


def _found(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'the text "{value[:60]}"'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return f"{value}"


def _expected(kind: Any, error: str = "") -> str:
    """A type in words; ``error`` is msgspec's message, which knows the bound that was broken."""
    words = []
    for option in _options(kind):
        origin, args = get_origin(option), get_args(option)
        if option is types.NoneType:
            continue
        if option is Secret:
            words.append('{ env = "NAME" } or { file = "path" }')
        elif origin is Literal:
            words.append(" or ".join(f'"{word}"' for word in args))
        elif origin is Annotated:
            bound = re.search(r"(?:>=|<=|>|<) ?-?[\d.]+", error)
            words.append(_expected(args[0]) + (f" {bound.group()}" if bound else ""))
        elif origin in (list, tuple):
            words.append("a list")
        elif origin is dict or (isinstance(option, type) and issubclass(option, msgspec.Struct)):
            words.append("a table")
        else:
            words.append(_TYPE_WORDS.get(getattr(option, "__name__", ""), getattr(option, "__name__", str(option))))
    return " or ".join(dict.fromkeys(words))
