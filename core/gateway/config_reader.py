"""Converts tables of a TOML file to strict Structs, and collects every mistake with its place and its mend."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from gateway.config_lines import LineMap, Place, written
from gateway.config_words import choices, expected, found, known_names, nearest, nearest_name, options_of
from gateway.secret import FORWARD, REFERENCES, HeaderValue, Secret, UnreadableSecret, read_secret

__all__ = ["REFUSED", "Place", "Reader", "nearest"]

T = TypeVar("T", bound=msgspec.Struct)

REFUSED: Any = object()
"""What stands for a value that was refused."""

_LISTS = (list, tuple, set, frozenset)
_SHORTEST_TO_HIDE = 6
# A provider's key, or the password of an address, that stands where none belongs and is quoted for it.
_OUT_OF_PLACE = re.compile(
    r"""\b(?:sk-[\w-]{12,}|(?:[rp]k|gsk|xai|hf|r8|nvapi|csk|fw|gw)[-_](?=\D*\d)[\w-]{24,}|AIza[\w-]{24,})"""
    r"""|(?<=[/"'])[^\s/"'@:]*:[^\s/"'@]+(?=@)"""
)


class Reader:
    """One reading of one file. ``problems`` and ``warnings`` are lines ready to be shown; they hold no secret.

    ``damaged`` tells that lines were left out of ``text`` because they are no TOML: what seems to be missing may stand
    in them, and is not called a mistake.
    """

    def __init__(self, file: str, text: str, folder: Path, *, damaged: bool = False) -> None:
        self.file = file
        self.text = text
        self.folder = folder
        self.damaged = damaged
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._secrets: set[str] = set()

    @cached_property
    def lines(self) -> LineMap:
        """The line of everything in the text; made when the first message wants one."""
        return LineMap(self.text)

    def where(self, table: Place, key: str = "") -> str:
        """The beginning of a message: file, line, table and key."""
        line = self.lines.line((*table, *_parts(key)))
        name = f"[{written(table)}]" if table else ""
        return f"{self.file}{f':{line}' if line else ''}: {' '.join(filter(None, (name, key)))}"

    def problem(self, table: Place, key: str, text: str) -> None:
        """Note a mistake."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        text = _OUT_OF_PLACE.sub("…", text)
        self.problems.append(f"{self.where(table, key)}: {text}")

    def struct(
        self, values: Any, kind: type[T], table: Place, key: str = "", *, also: tuple[str, ...] = ()
    ) -> T | None:
        """A Struct from a table; None where anything in it is wrong, all of which is noted.

        ``also`` are further names that may have been meant by an unknown one.
        """
        before = len(self.problems)
        read = self.fields(values, kind, table, key, also=also)
        if len(self.problems) > before or self._lacks(read, kind):
            return None
        try:
            return kind(**read)
        except (ValueError, TypeError) as error:  # a Struct's own __post_init__
            self.problem(table, key, str(error))
            return None

    def fields(
        self,
        values: Any,
        kind: type[msgspec.Struct],
        table: Place,
        key: str = "",
        *,
        also: tuple[str, ...] = (),
        rest: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Those fields of a Struct that are right in a table; what is wrong is noted. ``rest`` takes unknown keys."""
        if not isinstance(values, dict):
            self.problem(table, key, f"expected a table, got {found(values, kind, key)}")
            return {}
        try:
            fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        except (NameError, TypeError) as error:  # an annotation of a plugin's Config that leads nowhere
            self.problem(table, key, f"the plugin's settings are not understood ({kind.__name__}: {error})")
            return {}
        tag_key, tag = kind.__struct_config__.tag_field, kind.__struct_config__.tag
        read: dict[str, Any] = {}
        meant = {nearest_name(name, fields) for name in values if name not in fields}
        for name, value in values.items():
            inner = _join(key, name)
            if name in fields:
                got = self.value(value, fields[name].type, table, inner)
                if got is not REFUSED:
                    read[fields[name].name] = got
            elif rest is not None:
                rest[name] = value
            elif name != tag_key or value != tag:
                known = (*fields, *also)
                self.problem(table, inner, f"unknown key{nearest(name, known) or known_names(known)}")
        for name, field in fields.items():
            if field.required and name not in values and name not in meant and not self.damaged:
                self.problem(table, _join(key, name), f"is missing; expected {expected(field.type)}")
        return read

    def value(self, value: Any, kind: Any, table: Place, key: str) -> Any:
        """One value of the type ``kind``, or REFUSED."""
        options = options_of(kind)
        for option in options:
            inner, metas = _without_metas(option)
            origin, args = get_origin(inner) or inner, get_args(inner)
            if inner is HeaderValue:
                return self._header(value, table, key)
            if inner is Secret:
                if len(options) == 1 or not isinstance(value, list):
                    return self.secret(value, table, key)
            elif isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                if isinstance(value, dict):
                    got = self.struct(value, inner, table, key)
                    return REFUSED if got is None else got
                from_text = getattr(inner, "from_text", None)  # a Struct that may be written in one word
                if from_text is not None and isinstance(value, str) and (read := from_text(value)) is not None:
                    return read
            elif origin in _LISTS and isinstance(value, list) and (origin is not tuple or args[1:] == (...,)):
                items = [self.value(item, args[0], table, f"{key}[{place}]") for place, item in enumerate(value)]
                return self._sized(items, items, origin, metas, kind, table, key)
            elif origin is dict and args and isinstance(value, dict):
                pairs = {name: self.value(item, args[1], table, _join(key, name)) for name, item in value.items()}
                return self._sized(pairs, pairs.values(), dict, metas, kind, table, key)
        return self._simple(value, kind, table, key)

    def secret(self, value: Any, table: Place, key: str) -> Any:
        """A secret by reference or plain, or REFUSED; what is wrong is told without the value."""
        if isinstance(value, dict):
            wrong = [name for name in value if name not in ("env", "file")]
            for name in wrong:
                hint = nearest(name, ("env", "file")) or f"; expected {REFERENCES}"
                self.problem(table, _join(key, name), f"unknown key{hint}")
            if wrong:
                return REFUSED
        try:
            secret = read_secret(value, self.folder)
        except UnreadableSecret as error:
            self.problem(table, key, str(error))
            return REFUSED
        if len(secret.value) >= _SHORTEST_TO_HIDE and secret.value != FORWARD:
            self._secrets.add(secret.value)
        if secret.source == "plain" and not (secret.value == FORWARD and key.rpartition(".")[2] == "api_key"):
            place = self.where(table, key)
            self.warnings.append(f"{place}: the secret stands in the file itself; {REFERENCES} keeps it elsewhere")
        return secret

    def _header(self, value: Any, table: Place, key: str) -> Any:
        """A header's value: any text, or a secret by reference."""
        if isinstance(value, dict):
            secret = self.secret(value, table, key)
            return secret if secret is REFUSED else HeaderValue(secret.value, secret.source)
        text = self._simple(value, str, table, key)
        return text if text is REFUSED else HeaderValue(text)

    def _simple(self, value: Any, kind: Any, table: Place, key: str) -> Any:
        """A value without anything of ours in it, as msgspec takes it."""
        if isinstance(value, float) and not math.isfinite(value) and kind is not Any:
            self.problem(table, key, f"expected {expected(kind)}, got {value}")
            return REFUSED
        try:
            return msgspec.convert(value, kind)
        except (msgspec.ValidationError, TypeError):  # TypeError: a union that msgspec cannot tell apart
            near = nearest(value, choices(kind)) if isinstance(value, str) else ""
            self.problem(table, key, f"expected {expected(kind)}, got {found(value, kind, key)}{near}")
            return REFUSED

    def _sized(
        self,
        whole: Any,
        items: Iterable[Any],
        origin: Any,
        metas: list[msgspec.Meta],
        kind: Any,
        table: Place,
        key: str,
    ) -> Any:
        """A list or table whose items are read, if it has the size that is asked for."""
        if any(item is REFUSED for item in items):
            return REFUSED
        for meta in metas:
            least, most = meta.min_length or 0, math.inf if meta.max_length is None else meta.max_length
            if not least <= len(whole) <= most:
                self.problem(table, key, f"expected {expected(kind)}, got {len(whole)}")
                return REFUSED
        return whole if isinstance(whole, origin) else origin(whole)

    def _lacks(self, read: dict[str, Any], kind: type[msgspec.Struct]) -> bool:
        """Whether a required field is not there, which is a mistake only in a file that could be read whole."""
        return self.damaged and any(f.required and f.name not in read for f in msgspec.structs.fields(kind))


def _without_metas(option: Any) -> tuple[Any, list[msgspec.Meta]]:
    if get_origin(option) is not Annotated:
        return option, []
    inner, *marks = get_args(option)
    return inner, [mark for mark in marks if isinstance(mark, msgspec.Meta)]


def _join(key: str, name: str) -> str:
    return f"{key}.{written((name,))}" if key else written((name,))


def _parts(key: str) -> Place:
    """The parts of a key as it is written: ``targets[1]."a.b"`` → targets, 1, a.b."""
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|[^.\[\]"]+', key)
    return tuple(json.loads(part) if part.startswith('"') else part for part in parts)
