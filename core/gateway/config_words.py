"""Types and values in the words of a message: what was expected, what was found, what was probably meant."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from datetime import date, datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from gateway.secret import REFERENCES, Secret

_WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    tuple: "a list",
    set: "a list",
    frozenset: "a list",
    dict: "a table",
    date: "a date",
    datetime: "a date and time",
    Secret: REFERENCES,
}
# What a value in the wrong place may be. The text of such a value is not repeated in a message.
_SECRET_NAME = re.compile(r"key|secret|token|passw|credential|auth|bearer|cookie", re.IGNORECASE)
_LONGEST_ECHO = 24


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, if one is near."""
    names = {_plain(word): word for word in known}
    close = get_close_matches(_plain(name), names, n=1, cutoff=0.6)
    return names[close[0]] if close else None


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message: the known name that was probably meant, or nothing."""
    near = nearest_name(name, known)
    return "" if near is None else f'; did you mean "{near}"?'


def known_names(names: Iterable[str]) -> str:
    """The end of a message: everything that could have stood there."""
    text = ", ".join(sorted(names))
    return f"; known are {text}" if text else "; there is none to be set"


def options_of(kind: Any) -> tuple[Any, ...]:
    """The types that a union allows. None is none of them, for TOML has no null."""
    parts = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return tuple(part for part in parts if part is not types.NoneType)


def choices(kind: Any) -> list[str]:
    """The words of a Literal."""
    return [str(word) for option in options_of(kind) if get_origin(option) is Literal for word in get_args(option)]


def expected(kind: Any) -> str:
    """What a type wants: ``a whole number from 0 to 10``."""
    words = []
    for option in options_of(kind):
        if get_origin(option) is Literal:
            quoted = [f'"{word}"' for word in get_args(option)]
            words.append(quoted[0] if len(quoted) == 1 else f"one of {', '.join(quoted)}")
        elif get_origin(option) is Annotated:
            inner, *marks = get_args(option)
            bounds = [_bound(mark) for mark in marks if isinstance(mark, msgspec.Meta)]
            words.append(" ".join([expected(inner), *filter(None, bounds)]))
        elif isinstance(option, type) and issubclass(option, msgspec.Struct):
            words.append(getattr(option, "written_form", "a table"))
        else:
            origin = get_origin(option) or option
            words.append(_WORDS.get(origin) or str(getattr(origin, "__name__", origin)))
    return " or ".join(dict.fromkeys(words))


def found(value: Any, kind: Any, key: str) -> str:
    """What was there instead. Text is repeated only where it cannot well be a secret."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if not isinstance(value, str | int | float):
        return "a date or time"
    word, shown = ("text ", f'"{value}"') if isinstance(value, str) else ("", str(value))
    if _wants_a_word_or_number(kind) and not _SECRET_NAME.search(key) and len(shown) <= _LONGEST_ECHO:
        return word + shown
    return "text" if word else "a number"


def _wants_a_word_or_number(kind: Any) -> bool:
    simple = [get_args(option)[0] if get_origin(option) is Annotated else option for option in options_of(kind)]
    return all(option in (int, float, bool) or get_origin(option) is Literal for option in simple)


def _bound(meta: msgspec.Meta) -> str:
    if meta.ge is not None and meta.le is not None:
        return f"from {meta.ge} to {meta.le}"
    sizes = {"of at least": meta.ge, "greater than": meta.gt, "of at most": meta.le, "less than": meta.lt}
    words = [f"{word} {size}" for word, size in sizes.items() if size is not None]
    lengths = {"or more": meta.min_length, "or less": meta.max_length}
    if meta.min_length == 1 and meta.max_length is None:
        lengths = {}
        words.append("that is not empty")
    words += [f"of length {size} {word}" for word, size in lengths.items() if size is not None]
    if meta.pattern is not None:
        words.append(f"of the form {meta.pattern}")
    return " and ".join(words)


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
