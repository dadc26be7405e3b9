"""Breaks a JSON value in one or more places, by a seed: what comes out is bytes, and not always JSON."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

_OPEN, _CLOSE = "@@raw(", ")raw@@"


def raw(text: str) -> str:
    """A string that becomes this text, unquoted, when it is encoded."""
    return f"{_OPEN}{text}{_CLOSE}"


def _deep(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


NO_JSON = [
    raw("NaN"),
    raw("-Infinity"),
    raw("1e999"),
    raw("-1e999"),
    raw('"\\ud800"'),
    raw('"a\\udc00b"'),
    raw('{"\\ud83d":1}'),
    raw("[" * 3000 + "]" * 3000),
    raw("1" * 5000),
    raw("01"),
    raw('"\t"'),
    raw("tru"),
]
"""What is no JSON, or none that all parsers agree on."""

ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    -0.0,
    2**31,
    2**53 + 1,
    2**63,
    2**64 - 1,
    2**64,
    -(2**63) - 1,
    10**40,
    1e308,
    5e-324,
    "",
    " ",
    "\x00",
    "\r\nx-evil: 1",
    "NaN",
    "null",
    "x" * 70_000,
    "🦊\u2028\ufeff",
    "unknown_kind",
    "{",
    "[]",
    "42",
    '{"a":1}',
    "data:",
    "data:image/png;base64,@@@",
    "data:image/png;base64,iVBORw0KGgoAmkA",
    "data:text/plain,hi",
    "http://",
    "https://[::1",
    "file:///etc/passwd",
    "gs://bucket/x",
    [],
    {},
    [None],
    [[]],
    [{}],
    ["x", 1, None],
    {"": None},
    {"type": None},
    {"type": "unknown_kind"},
    {"type": 7},
    {"type": "text"},
    {"text": "x"},
    {"role": "user"},
    {"type": "object", "properties": []},
    {"$ref": "#"},
    {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    {"anyOf": "x"},
    {"type": ["object", 3]},
    {"required": 1, "enum": {}, "items": [], "properties": {"a": 3}},
    _deep(150),
    raw('{"a":1,"a":2}'),
]


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        for key in value:
            found.append((value, key))
            _places(value[key], found)
    elif isinstance(value, list):
        for index in range(len(value)):
            found.append((value, index))
            _places(value[index], found)
    return found


def mutated(value: Any, random: Random, *, no_json: float = 0.05) -> Any:
    """A copy that is broken in one to three places."""
    broken = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = _places(broken, [])
        if not places:
            return broken
        holder, key = random.choice(places)
        _break(holder, key, places, random, no_json)
    return broken


def _break(holder: Any, key: Any, places: list[tuple[Any, Any]], random: Random, no_json: float) -> None:
    how = random.random()
    if how < no_json:
        holder[key] = random.choice(NO_JSON)
    elif how < 0.55:
        holder[key] = copy.deepcopy(random.choice(ODD))
    elif how < 0.65:
        del holder[key]
    elif how < 0.75:
        other, place = random.choice(places)
        holder[key] = copy.deepcopy(other[place])
    elif how < 0.8:
        holder[key] = [holder[key]]
    elif how < 0.85:
        holder[key] = {random.choice(("type", "text", "content", "", "value")): holder[key]}
    elif how < 0.9 and isinstance(holder, list):
        holder[key:key] = [copy.deepcopy(holder[key]) for _ in range(random.choice((1, 1, 2, 40)))]
    elif isinstance(holder, dict):
        other = random.choice(places)[1]
        name = other if isinstance(other, str) and random.random() < 0.7 else "unknown_key"
        holder[name] = copy.deepcopy(holder[key]) if random.random() < 0.5 else copy.deepcopy(random.choice(ODD))
    else:
        holder[key] = None


def encoded(value: Any) -> bytes:
    """The bytes, with what is no JSON put in as it stands."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    pieces = text.split(f'"{_OPEN}')
    out = [pieces[0]]
    for piece in pieces[1:]:
        inner, rest = piece.split(f'{_CLOSE}"', 1)
        out += [json.loads(f'"{inner}"'), rest]
    return "".join(out).encode("utf-8", "surrogatepass")


def strict(body: bytes) -> Any:
    """Decode as the strictest parser would; raises ValueError for what some would refuse, or read otherwise."""

    def refuse(text: str) -> Any:
        raise ValueError(text)

    def number(text: str) -> float:
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise ValueError(text)
        return value

    value = json.loads(body.decode(), parse_constant=refuse, parse_float=number)
    json.dumps(value, ensure_ascii=False).encode()  # lone surrogates cannot be
    return value


def lenient(body: bytes) -> Any:
    """Decode what a provider may have written itself: JSON by its grammar, whatever its numbers."""

    def refuse(text: str) -> Any:
        raise ValueError(text)

    return json.loads(body.decode(), parse_constant=refuse, parse_int=lambda text: int(text[:400]))
