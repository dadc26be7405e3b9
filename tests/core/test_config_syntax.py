"""gateway.toml that is no TOML: line, column, table and key, never the value; the rest of the file is still read."""

from __future__ import annotations

import pytest

from gateway.config_syntax import MAX_SYNTAX_ERRORS, read_toml
from tests.core.config_texts import problems_of

NO_VALUE = 'not valid TOML: this is no value (text stands in "quotes", true and false in small letters)'


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[server]\nopen = True\n", f"2:8: [server] open: {NO_VALUE}"),
        ("[server]\nbind = localhost\n", f"2:8: [server] bind: {NO_VALUE}"),
        ('[server]\nbind = "a\nworkers = 1\n', "2:10: [server] bind: not valid TOML: Illegal character '\\n'"),
        ("[server\nworkers = 1\n", "1:8: not valid TOML: Expected ']' at the end of a table declaration"),
        ("[server]\nworkers 1\n", "2:9: [server] not valid TOML"),
        ("[server]\nworkers = 1\nworkers = 2\n", "3:1: [server] workers: is set twice (first on line 2); keep one"),
        (
            "[plugins.echo]\n\n[ plugins . echo ] # x\n",
            "3:18: [plugins . echo] is written twice (first on line 1); make it one",
        ),
        ("[server]\nbind = '''\n", "2:1"),
        (
            '[models.x]\ntargets = [\n  "a/b",\nretries = 1\n',
            "4:1: [models.x] retries: not valid TOML: the brackets or quotes of the value above are not closed",
        ),
    ],
)
def test_a_syntax_error_is_told_with_its_place(toml: str, problem: str) -> None:
    (told,) = problems_of(toml)
    assert told.replace(": not valid TOML: Expected '=' after", " not valid TOML").startswith(f"gateway.toml:{problem}")


def test_one_slip_does_not_hide_the_mistakes_behind_it() -> None:
    toml = (
        "[server]\nopen = ture\nworkrs = 1\n[plugins.echo]\ndelay = 1\ndelay = 2\n[plugins.echo]\nx = 1\n"
        '[models.m]\ntargets = ["ehco/echo"]\nretries = two\n'
    )
    assert [problem.split(" ")[0] for problem in problems_of(toml)] == [
        "gateway.toml:2:8:",
        "gateway.toml:3:",
        "gateway.toml:6:1:",
        "gateway.toml:7:14:",
        "gateway.toml:10:",
        "gateway.toml:11:11:",
    ]


def test_what_stands_in_a_line_that_is_no_toml_is_not_called_missing() -> None:
    toml = '[plugins.echo]\n[models.m]\ntargets = ["echo/echo]\n[server]\nbind = ":1"\nopen = yes\n'
    assert [problem.split(" ")[1] for problem in problems_of(toml)] == ["[models.m]", "[server]"]


def test_the_text_of_a_value_that_is_no_toml_is_not_repeated() -> None:
    canary = "sk-canary-0123456789"
    for value in (
        canary,
        f'"{canary}',
        f'"{canary}" {canary}',
        f"{{ env = {canary} }}",
        f"[{canary}]",
        f"'{canary}\x01'",
    ):
        told = "\n".join(problems_of(f"[plugins.openai]\napi_key = {value}\n"))
        assert "gateway.toml:2:" in told
        assert "canary" not in told


@pytest.mark.parametrize("text", ["a = " + "[" * 10_000, "a = " + "1" * 10_000])
def test_a_text_that_is_too_much_for_the_parser_is_a_problem_like_any_other(text: str) -> None:
    reading = read_toml(text, "gateway.toml")
    assert reading.tree is None
    assert reading.problems == ["gateway.toml: not valid TOML: a number is too long, or brackets are nested too deep"]


def test_there_is_an_end_to_the_list_of_syntax_errors() -> None:
    reading = read_toml("".join(f"k{n} = no\n" for n in range(100)), "f")
    assert reading.tree is None
    assert len(reading.problems) == MAX_SYNTAX_ERRORS


def test_lines_are_left_out_in_place_so_that_the_numbers_of_others_stay() -> None:
    reading = read_toml("a = 1\nb = no\nc = 3\n", "f")
    assert reading.tree == {"a": 1, "c": 3}
    assert reading.text == "a = 1\n\nc = 3\n"
