"""The language of rules: what it says of a call, and what it refuses, with the column."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_plugins.routing.expressions import FUNCTIONS, NAMES, ExpressionError, compiled
from gateway_plugins.routing.request_facts import Facts


class Known:
    """Facts as a test says them."""

    def __init__(self, **facts: Any) -> None:
        self.model = "gpt-4o-mini"
        self.operation = "chat"
        self.tokens = 9000
        self.max_tokens = 0
        self.has_tools = True
        self.has_images = self.has_audio = self.has_documents = self.has_schema = False
        self.stream = True
        self.tags = ("batch", "eu")
        self.key, self.team, self.user = "team-a", "search", "u-7"
        self.hour, self.weekday = 23, "sat"
        for name, value in facts.items():
            setattr(self, name, value)

    def header(self, name: str) -> str:
        return {"x-tier": "gold"}.get(name, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("has_tools and tokens > 8000", True),
        ("has_tools and not stream", False),
        ("has_images or has_audio or stream", True),
        ("not (has_images or has_tools)", False),
        ('"eu" in tags', True),
        ('"us" not in tags', True),
        ('team in ["search", "ads"]', True),
        ('team in ("ads",)', False),
        ('"mini" in model', True),
        ('startswith(model, "gpt-")', True),
        ('model.startswith("claude")', False),
        ('matches(model, "^gpt-4o(-mini)?$")', True),
        ('model.matches("o3|o4")', False),
        ('header("X-Tier") == "gold"', True),
        ('header("x-none") == ""', True),
        ('weekday in ["sat", "sun"] or hour < 7', True),
        ("9 <= hour < 18", False),
        ("tokens + max_tokens * 2 >= 9000 - 1", True),
        ("max_tokens == -1 or tokens == +9000", True),
        ('key == "team-a" and user != ""', True),
        ("stream == true and has_images == False", True),
        ("tokens in [1, 9000]", True),
        ('"x" in []', False),
        ('tokens > 8000 and\n  "batch" in tags', True),
    ],
)
def test_a_condition_is_true_or_false_of_a_call(text: str, expected: bool) -> None:
    assert compiled(text)(Known()) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("has_tols", "column 1: there is no 'has_tols' here; did you mean 'has_tools'?"),
        ("has_tools and tokens", 'column 15: "and" joins conditions, and this is a number; compare it, as in > 0'),
        ("tokens", "column 1: a condition is true or false, and this is a number; compare it, as in > 0"),
        ("  tokens", "column 3: a condition is true or false"),
        ('tokens > "8000"', 'column 10: ">" compares numbers, and this is a text'),
        ('model > "a"', 'column 1: ">" compares numbers, and this is a text'),
        ('tokens == "8000"', "column 1: a number is never equal to a text"),
        ("tags == []", "column 1: a list of texts is never equal to an empty list"),
        ("tokens in tags", "column 1: a number cannot be in a list of texts"),
        ("not tags", 'column 5: "not" joins conditions, and this is a list of texts; write "…" in it'),
        ('model = "x"', "column 7: write == to compare"),
        ("stream && has_tools", 'write "and" and "or" instead of && and ||'),
        ("", "column 1: the condition is empty"),
        ("(stream", "column 1: the condition is not complete"),
        ('weekday == "Saturday"', "column 12: 'Saturday' is no weekday; they are mon, tue"),
        ('weekday in ["sat", "son"]', "column 12: 'son' is no weekday"),
        ("header(model) == ''", "column 8: header takes a text in quotation marks here"),
        ("header == ''", 'column 1: header is a function: write header("…")'),
        ('startswith("a")', "column 1: startswith takes 2 values, not 1"),
        ('matches(model, "(")', "column 16: the pattern is none"),
        ("matches(model, tokens)", "column 16: matches takes texts, and this is a number"),
        ('endswith(model, "x")', "column 1: there is no function 'endswith'; known are header, matches, startswith"),
        ("__import__('os').system('true')", "column 1: there is no function 'system'"),
        ("model.__class__", "column 1: 'model.__class__' is not part of this language"),
        ("[x for x in tags]", "column 1: '[x for x in tags]' is not part of this language"),
        ("(lambda: true)()", "column 1: this cannot be called"),
        ("tokens / 2 > 1", "column 1: of arithmetic there are + - and *"),
        ('model + "x" == "y"', 'column 1: "+" takes numbers, and this is a text'),
        ("stream is true", 'column 1: write == instead of "is"'),
        ("b'x' == model", "column 1: b'x' is neither text nor number nor true or false"),
        ('"é" == tokens', "column 1: a text is never equal to a number"),
        ('model == "é" and tokens', "column 18: "),
        ("[1, 'a'] == tags", "column 1: a list holds either texts or numbers, not both"),
        ("-stream", "column 1: a sign stands before a number"),
        ('startswith(text=model, start="x")', "column 1: values are given without names"),
        ("(" * 300 + "stream" + ")" * 300, ""),
        ("x" * 5000, "is longer than 4096 characters"),
        ("stream\x00", ""),
    ],
)
def test_what_means_nothing_is_refused_with_its_column(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refusal:
        compiled(text)
    assert message in str(refusal.value)


def test_every_name_is_a_fact_of_a_call() -> None:
    assert {*NAMES, "header"} == {name for name in vars(Facts) if not name.startswith("_")}
    assert set(FUNCTIONS) == {"header", "matches", "startswith"}


def test_only_the_facts_that_decide_are_asked_for() -> None:
    facts = Known()
    del facts.has_images
    assert compiled("has_tools or has_images")(facts)
    assert not compiled("not has_tools and has_images")(facts)
