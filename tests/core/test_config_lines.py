"""The line of everything in a TOML text."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.config_lines import LineMap, Place, written

TEXT = r'''# a comment with [brackets] = and "quotes"
top = 1
"quoted key".'inner' = "x # no comment ]"
[server]   # [not.a.table]
text = """first
[not.a.table]
a = 1
"""""
raw = \'\'\'
[nor.this]
\'\'\'
escaped = "a\"b" # c
both = """a\"""b"""
empty = ""
date = 1979-05-27 07:32:00
list = [
  { a = "x", "b" = [1, 2] },  # c ]
  # { a = "commented" },

  { a = '}', b = """
""" },
  3,
]
[[item]]
x = 1
[[item]]
x = 2
[item.inner]
y = 1
[late.early]
z = 1
[late]
"ü.v" = true'''.replace("\\'", "'")

LINES: dict[Place, int] = {
    ("top",): 2,
    ("quoted key", "inner"): 3,
    ("server",): 4,
    ("server", "text"): 5,
    ("server", "raw"): 9,
    ("server", "escaped"): 12,
    ("server", "both"): 13,
    ("server", "empty"): 14,
    ("server", "date"): 15,
    ("server", "list"): 16,
    ("server", "list", "0", "b", "1"): 17,
    ("server", "list", "1"): 20,
    ("server", "list", "1", "b"): 20,
    ("server", "list", "2"): 22,
    ("item", "0", "x"): 25,
    ("item", "1", "x"): 27,
    ("item", "1", "inner", "y"): 29,
    ("late",): 32,
    ("late", "early", "z"): 31,
    ("late", "ü.v"): 33,
}


def test_each_thing_has_its_line() -> None:
    lines = LineMap(TEXT)
    assert {place: lines.line(place) for place in LINES} == LINES


def test_line_ends_of_windows_count_as_one() -> None:
    lines = LineMap(TEXT.replace("\n", "\r\n"))
    assert {place: lines.line(place) for place in LINES} == LINES


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    lines = LineMap(TEXT)
    assert lines.line(("server", "list", "0", "missing")) == 17
    assert lines.line(("server", "missing", "deeper")) == 4
    assert lines.line(("missing",)) is None


def test_names_are_written_as_in_toml() -> None:
    assert written(("models", "gpt-4.1", "ü", 'a"b', "")) == 'models."gpt-4.1"."ü"."a\\"b".""'


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every place of a tree."""
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for name, item in items:
        yield (*place, str(name))
        yield from places(item, (*place, str(name)))


NAME = st.text("ab.\"'# é=[", min_size=1, max_size=3)
SCALAR = st.sampled_from(
    [
        "1",
        "-0.5e3",
        "true",
        "inf",
        "2020-01-01",
        '"x"',
        '"# ] }"',
        "'\\'",
        '"\\""',
        '""""q""\nw\\"""""',
        "'''\n[t]\n'''",
    ]
)
KINDS = ["scalar", "array", "table"]
GAP = st.sampled_from(["", " ", "\n", " # ] , }\n"])


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    """A value as TOML writes it, with blanks and comments where they may stand."""
    kind = draw(st.sampled_from(KINDS if depth else KINDS[:1]))
    if kind == "array":
        items = [draw(values(depth - 1)) + draw(GAP) for _ in range(draw(st.integers(0, 3)))]
        comma = draw(st.sampled_from(["", ","])) if items else ""
        return f"[{draw(GAP)}" + f",{draw(GAP)}".join(items) + f"{comma}{draw(GAP)}]"
    if kind == "table":
        names = draw(st.lists(NAME, max_size=3, unique=True))
        return "{ " + ", ".join(f"{written((name,))} = {draw(values(depth - 1))}" for name in names) + " }"
    return draw(SCALAR)


@given(st.data())
def test_every_place_of_any_document_has_the_line_where_it_was_written(data: st.DataObject) -> None:
    text = ""
    expected: dict[Place, int] = {}
    for table in data.draw(st.lists(NAME, max_size=3, unique=True)):
        text += data.draw(GAP) + "\n"
        expected[(table,)] = text.count("\n") + 1
        text += f"[{written((table,))}]\n"
        for name in data.draw(st.lists(NAME, max_size=3, unique=True)):
            expected[(table, name)] = text.count("\n") + 1
            text += f"{written((name,))} = {data.draw(values())} # c\n"
    lines = LineMap(text)
    for place in places(tomllib.loads(text)):
        line = lines.line(place)
        assert line is not None
        assert line == expected.get(place, line)
        assert line >= expected[place[:2]]
