"""Tables → Structs: which types a plugin's Config may have, and what is told where a value does not fit."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from gateway.config_reader import Reader

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    size: int = 1


class Cat(msgspec.Struct, tag="cat", frozen=True):
    lives: int = 9


class Everything(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    a_text: str = ""
    number: float = 0.0
    port: Port | None = None
    flag: bool = False
    mode: Literal["on", "off", 3] = "on"
    one: Inner | None = None
    many: list[Inner] = []
    mapped: dict[str, Inner] = {}
    sizes: Annotated[tuple[Port, ...], msgspec.Meta(min_length=1, max_length=2)] = (1,)
    words: frozenset[str] = frozenset()
    pair: tuple[int, str] | None = None
    text_or_list: str | list[str] = ""
    text_or_table: str | Inner = ""
    day: date | None = None
    moment: datetime | None = None
    pattern: Annotated[str, msgspec.Meta(pattern="^[a-z]+$", max_length=4)] = "a"
    cat: Cat = Cat()
    anything: Any = None


def read(values: dict[str, Any]) -> tuple[Everything | None, list[str]]:
    reader = Reader("f", "", Path("/nonexistent"))
    return reader.struct(values, Everything, ("t",)), [text.removeprefix("f: [t] ") for text in reader.problems]


def test_every_kind_of_value_that_toml_has_is_read() -> None:
    values = {
        "a-text": "x",
        "number": 3,
        "port": 80,
        "flag": True,
        "mode": 3,
        "one": {"name": "a"},
        "many": [{"name": "b", "size": 2}],
        "mapped": {"k": {"name": "c"}},
        "sizes": [1, 2],
        "words": ["v", "w"],
        "pair": [1, "x"],
        "text-or-list": ["x"],
        "text-or-table": {"name": "d"},
        "day": date(2030, 1, 2),
        "moment": datetime(2030, 1, 2),  # noqa: DTZ001  # TOML has times without a zone
        "pattern": "abc",
        "cat": {"type": "cat", "lives": 7},
        "anything": {"deep": [1, {"x": float("inf")}]},
    }
    got, problems = read(values)
    assert problems == []
    assert got == Everything(
        a_text="x",
        number=3.0,
        port=80,
        flag=True,
        mode=3,
        one=Inner(name="a"),
        many=[Inner(name="b", size=2)],
        mapped={"k": Inner(name="c")},
        sizes=(1, 2),
        words=frozenset({"v", "w"}),
        pair=(1, "x"),
        text_or_list=["x"],
        text_or_table=Inner(name="d"),
        day=date(2030, 1, 2),
        moment=datetime(2030, 1, 2),  # noqa: DTZ001
        pattern="abc",
        cat=Cat(7),
        anything={"deep": [1, {"x": float("inf")}]},
    )


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("a-text", 1, "a-text: expected text, got a number"),
        ("a_text", "x", 'a_text: unknown key; did you mean "a-text"?'),
        ("number", "3", 'number: expected a number, got text "3"'),
        ("number", True, "number: expected a number, got true"),
        ("port", 0, "port: expected a whole number from 1 to 65535, got 0"),
        ("port", 2.0, "port: expected a whole number from 1 to 65535, got 2.0"),
        ("mode", "of", 'mode: expected one of "on", "off", "3", got text "of"; did you mean "off"?'),
        ("one", [], "one: expected a table, got a list"),
        ("one", {}, "one.name: is missing; expected text"),
        ("many", {}, "many: expected a list, got a table"),
        ("many", [{"name": "a"}, {"nmae": "b"}], 'many[1].nmae: unknown key; did you mean "name"?'),
        ("mapped", {"a.b": {"name": 1}}, 'mapped."a.b".name: expected text, got a number'),
        ("sizes", [], "sizes: expected a list of length 1 or more and of length 2 or less, got 0"),
        ("sizes", [1, 2, 3], "sizes: expected a list of length 1 or more and of length 2 or less, got 3"),
        ("sizes", [1, 0], "sizes[1]: expected a whole number from 1 to 65535, got 0"),
        ("words", ["a", 1], "words[1]: expected text, got a number"),
        ("pair", [1], "pair: expected a list, got a list"),
        ("text-or-list", 1, "text-or-list: expected text or a list, got a number"),
        ("text-or-table", [], "text-or-table: expected text or a table, got a list"),
        ("day", "monday", "day: expected a date, got text"),
        ("pattern", "ABC", "pattern: expected text of length 4 or less and of the form ^[a-z]+$, got text"),
        ("cat", {"type": "dog"}, "cat.type: unknown key; known are lives"),
        ("cat", {"lifes": 1}, 'cat.lifes: unknown key; did you mean "lives"?'),
        (
            "zzz",
            1,
            (
                "zzz: unknown key; known are a-text, anything, cat, day, flag, many, mapped, mode, moment, number, "
                "one, pair, pattern, port, sizes, text-or-list, text-or-table, words"
            ),
        ),
    ],
)
def test_a_value_that_does_not_fit_is_told_in_words(key: str, value: Any, problem: str) -> None:
    assert read({key: value}) == (None, [problem])


def test_text_is_repeated_only_where_it_can_hardly_be_a_secret() -> None:
    class Settings(msgspec.Struct):
        limit: int = 0
        token_limit: int = 0

    reader = Reader("f", "", Path("/nonexistent"))
    reader.struct({"limit": "x" * 30, "token_limit": "x"}, Settings, ("t",))
    assert reader.problems == [
        "f: [t] limit: expected a whole number, got text",
        "f: [t] token_limit: expected a whole number, got text",
    ]


class Range(msgspec.Struct):
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


class Ranges(msgspec.Struct):
    range: Range
    table: dict[str, int] | Range = {}


def test_a_structs_own_check_is_a_problem_of_its_table() -> None:
    reader = Reader("f", "", Path("/nonexistent"))
    assert reader.struct({"range": {"low": 2, "high": 1}}, Ranges, ("t",)) is None
    assert reader.problems == ["f: [t] range: low is above high"]


def test_a_union_that_msgspec_cannot_tell_apart_is_read_as_its_first_part() -> None:
    reader = Reader("f", "", Path("/nonexistent"))
    range_ = {"low": 1, "high": 2}
    assert reader.struct({"range": range_, "table": {"x": 1}}, Ranges, ("t",)) == Ranges(Range(1, 2), {"x": 1})
    assert reader.struct({"range": range_, "table": "x"}, Ranges, ("t",)) is None
    assert reader.problems == ["f: [t] table: expected a table, got text"]


def test_settings_with_an_annotation_that_leads_nowhere_are_the_plugins_mistake() -> None:
    class Local(msgspec.Struct):
        size: int = 0

    class Odd(msgspec.Struct):
        local: Local  # not to be found by its name from outside of this function

    reader = Reader("f", "", Path("/nonexistent"))
    assert reader.struct({"local": {}}, Odd, ("t",)) is None
    assert reader.problems == ["f: [t]: the plugin's settings are not understood (Odd: name 'Local' is not defined)"]
