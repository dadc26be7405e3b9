"""The language of ``when = "…"``: Python's grammar, a handful of names, types; compiled once into closures.

Nothing is evaluated by Python: its parser gives a tree, each node of which is checked and made a closure, and a node
that is not in the list below is an error that names its column.

``and or not``, ``== != < <= > >=`` (also chained), ``in``, ``not in``, ``+ - *`` of numbers, parentheses, text,
numbers, ``true false``, lists, ``startswith(text, beginning)`` and ``matches(text, pattern)`` (a regular expression,
searched for), also written ``model.startswith("gpt-")``, and ``header("x-name")``.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, NamedTuple

Type = Literal["truth", "number", "text", "texts", "numbers", "nothing"]
"""``texts`` and ``numbers`` are lists; ``nothing`` is an empty one."""
Run = Callable[[Any], Any]

NAMES: Mapping[str, Type] = {
    "model": "text",
    "operation": "text",
    "tokens": "number",
    "max_tokens": "number",
    "has_tools": "truth",
    "has_images": "truth",
    "has_audio": "truth",
    "has_documents": "truth",
    "has_schema": "truth",
    "stream": "truth",
    "tags": "texts",
    "key": "text",
    "team": "text",
    "user": "text",
    "hour": "number",
    "weekday": "text",
}
"""What an expression may ask, and its type. Each is an attribute of the facts that it is run on."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

FUNCTIONS = ("header", "matches", "startswith")
LONGEST = 4096
"""Characters of an expression."""
LONGEST_MATCHED = 4096
"""Characters of a text that a pattern is searched in: callers write it."""

_KIND = {
    "truth": "true or false",
    "number": "a number",
    "text": "a text",
    "texts": "a list of texts",
    "numbers": "a list of numbers",
    "nothing": "an empty list",
}
_COMPARE: dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.In: ("in", lambda a, b: a in b),
    ast.NotIn: ("not in", lambda a, b: a not in b),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
}


class ExpressionError(ValueError):
    """An expression that cannot be used; the text names the column, counted from 1, and the mend."""


class _Value(NamedTuple):
    type: Type
    run: Run
    constant: Any = None


@lru_cache(maxsize=1024)
def compiled(text: str) -> Run:
    """A closure that takes the facts of a call and returns true or false; raises ExpressionError."""
    if len(text) > LONGEST:
        raise ExpressionError(f"is longer than {LONGEST} characters")
    # The parser takes leading blanks for an indentation, and a line's end for the end: neither matters here.
    source = " ".join(text.split("\n"))
    blanks = len(source) - len(source.lstrip())
    try:
        tree = ast.parse(source.strip(), mode="eval")
    except SyntaxError as error:
        at = (error.offset or 1) + blanks
        raise ExpressionError(f"column {at}: {_syntax(error, source)}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("is not understood: it is nested too deeply or holds a zero byte") from None
    compiler = _Compiler(source.strip(), blanks)
    try:
        value = compiler.value(tree.body)
    except RecursionError:
        raise ExpressionError("is nested too deeply") from None
    if value.type != "truth":
        raise compiler.error(tree.body, f"a condition is true or false, and this is {_KIND[value.type]}{_mend(value)}")
    return value.run


def _syntax(error: SyntaxError, source: str) -> str:
    if not source.strip():
        return "the condition is empty"
    if re.search(r"&&|\|\|", source):
        return 'write "and" and "or" instead of && and ||'
    if re.search(r"(?<![=!<>])=(?!=)", re.sub(r"\"[^\"]*\"|'[^']*'", "", source)):
        return "write == to compare"
    return f"the condition is not complete or has something too much ({error.msg})"


def _mend(value: _Value) -> str:
    return {
        "number": "; compare it, as in > 0",
        "text": '; compare it, as in == "…"',
        "texts": '; write "…" in it',
    }.get(value.type, "")


class _Compiler:
    def __init__(self, source: str, blanks: int) -> None:
        self.source = source
        self.blanks = blanks

    def error(self, node: ast.AST, text: str) -> ExpressionError:
        offset: int = getattr(node, "col_offset", 0)  # in bytes of UTF-8
        column = len(self.source.encode()[:offset].decode("utf-8", "replace")) + 1 + self.blanks
        return ExpressionError(f"column {column}: {text}")

    def value(self, node: ast.expr) -> _Value:
        maker = _MAKERS.get(type(node))
        if maker is None:
            word = ast.get_source_segment(self.source, node) or ""
            raise self.error(node, f"{word[:40]!r} is not part of this language")
        return maker(self, node)

    def constant(self, node: ast.Constant) -> _Value:
        given = node.value
        if isinstance(given, bool):
            return _Value("truth", lambda _: given, given)
        if isinstance(given, int | float):
            return _Value("number", lambda _: given, given)
        if isinstance(given, str):
            return _Value("text", lambda _: given, given)
        raise self.error(node, f"{given!r} is neither text nor number nor true or false")

    def name(self, node: ast.Name) -> _Value:
        if node.id in ("true", "false"):
            given = node.id == "true"
            return _Value("truth", lambda _: given, given)
        kind = NAMES.get(node.id)
        if kind is None:
            if node.id in FUNCTIONS:
                raise self.error(node, f'{node.id} is a function: write {node.id}("…")')
            raise self.error(node, f"there is no {node.id!r} here{_near(node.id)}")
        return _Value(kind, operator.attrgetter(node.id))

    def list(self, node: ast.List | ast.Tuple) -> _Value:
        items = [self.value(item) for item in node.elts]
        kinds = {item.type for item in items}
        for item, value in zip(node.elts, items, strict=True):
            if value.type not in ("text", "number"):
                raise self.error(item, f"a list holds texts or numbers, and this is {_KIND[value.type]}")
        if len(kinds) > 1:
            raise self.error(node, "a list holds either texts or numbers, not both")
        kind: Type = "nothing" if not items else "texts" if "text" in kinds else "numbers"
        if all(item.constant is not None for item in items):
            fixed = tuple(item.constant for item in items)
            return _Value(kind, lambda _: fixed, fixed)
        runs = tuple(item.run for item in items)
        return _Value(kind, lambda facts: tuple(run(facts) for run in runs))

    def truth(self, node: ast.expr, word: str) -> Run:
        value = self.value(node)
        if value.type != "truth":
            raise self.error(node, f'"{word}" joins conditions, and this is {_KIND[value.type]}{_mend(value)}')
        return value.run

    def joined(self, node: ast.BoolOp) -> _Value:
        every = isinstance(node.op, ast.And)
        runs = tuple(self.truth(item, "and" if every else "or") for item in node.values)
        if len(runs) == 2:
            first, second = runs
            if every:
                return _Value("truth", lambda facts: first(facts) and second(facts))
            return _Value("truth", lambda facts: first(facts) or second(facts))
        if every:
            return _Value("truth", lambda facts: all(run(facts) for run in runs))
        return _Value("truth", lambda facts: any(run(facts) for run in runs))

    def unary(self, node: ast.UnaryOp) -> _Value:
        if isinstance(node.op, ast.Not):
            run = self.truth(node.operand, "not")
            return _Value("truth", lambda facts: not run(facts))
        value = self.value(node.operand)
        if not isinstance(node.op, ast.USub | ast.UAdd) or value.type != "number":
            raise self.error(node, f"a sign stands before a number, and this is {_KIND[value.type]}")
        if isinstance(node.op, ast.UAdd):
            return value
        if value.constant is not None:
            negative = -value.constant
            return _Value("number", lambda _: negative, negative)
        run = value.run
        return _Value("number", lambda facts: -run(facts))

    def arithmetic(self, node: ast.BinOp) -> _Value:
        found = _ARITHMETIC.get(type(node.op))
        if found is None:
            raise self.error(node, "of arithmetic there are + - and *")
        sign, apply = found
        left, right = self.value(node.left), self.value(node.right)
        for side, value in ((node.left, left), (node.right, right)):
            if value.type != "number":
                raise self.error(side, f'"{sign}" takes numbers, and this is {_KIND[value.type]}')
        one, other = left.run, right.run
        return _Value("number", lambda facts: apply(one(facts), other(facts)))

    def comparison(self, node: ast.Compare) -> _Value:
        nodes = [node.left, *node.comparators]
        values = [self.value(item) for item in nodes]
        tests = []
        for place, op in enumerate(node.ops):
            found = _COMPARE.get(type(op))
            if found is None:
                raise self.error(node, 'write == instead of "is"')
            sign, apply = found
            self.comparable(sign, nodes[place], nodes[place + 1], values[place], values[place + 1])
            tests.append((values[place].run, apply, values[place + 1].run))
        if len(tests) == 1:
            left, apply, right = tests[0]
            return _Value("truth", lambda facts: apply(left(facts), right(facts)))
        chain = tuple(tests)
        return _Value("truth", lambda facts: all(apply(left(facts), right(facts)) for left, apply, right in chain))

    def comparable(self, sign: str, left: ast.expr, right: ast.expr, one: _Value, other: _Value) -> None:
        """Refuse what could never be true, or not be told."""
        if sign in ("in", "not in"):
            fits = {"texts": ("text",), "numbers": ("number",), "text": ("text",), "nothing": ("text", "number")}
            if one.type not in fits.get(other.type, ()):
                raise self.error(left, f"{_KIND[one.type]} cannot be in {_KIND[other.type]}")
        elif sign in ("==", "!="):
            if one.type != other.type:
                raise self.error(left, f"{_KIND[one.type]} is never equal to {_KIND[other.type]}")
        elif one.type != "number" or other.type != "number":
            wrong = right if one.type == "number" else left
            value = other if one.type == "number" else one
            raise self.error(wrong, f'"{sign}" compares numbers, and this is {_KIND[value.type]}')
        for name, told, value in ((left, right, other), (right, left, one)):
            if isinstance(name, ast.Name) and name.id == "weekday" and value.constant is not None:
                self.days(told, value.constant)

    def days(self, node: ast.expr, constant: Any) -> None:
        for word in constant if isinstance(constant, tuple) else (constant,):
            if word not in WEEKDAYS:
                raise self.error(node, f"{word!r} is no weekday; they are {', '.join(WEEKDAYS)}")

    def call(self, node: ast.Call) -> _Value:
        name, arguments = self.called(node)
        if name not in FUNCTIONS:
            raise self.error(node, f"there is no function {name!r}; known are {', '.join(FUNCTIONS)}")
        count = 1 if name == "header" else 2
        if len(arguments) != count:
            raise self.error(node, f"{name} takes {count} value{'s' * (count > 1)}, not {len(arguments)}")
        values = [self.value(argument) for argument in arguments]
        for argument, value in zip(arguments, values, strict=True):
            if value.type != "text":
                raise self.error(argument, f"{name} takes texts, and this is {_KIND[value.type]}")
        return self.applied(name, arguments, values)

    def called(self, node: ast.Call) -> tuple[str, Sequence[ast.expr]]:
        """A function's name and what it is given: ``startswith(model, "x")`` or ``model.startswith("x")``."""
        if node.keywords:
            raise self.error(node, "values are given without names")
        if isinstance(node.func, ast.Attribute):
            return node.func.attr, [node.func.value, *node.args]
        if isinstance(node.func, ast.Name):
            return node.func.id, node.args
        raise self.error(node, "this cannot be called")

    def applied(self, name: str, arguments: Sequence[ast.expr], values: Sequence[_Value]) -> _Value:
        last = values[-1].constant
        if name != "startswith" and last is None:
            raise self.error(arguments[-1], f"{name} takes a text in quotation marks here")
        if name == "header":
            header = str(last).lower()
            return _Value("text", lambda facts: facts.header(header))
        text, other = values[0].run, values[1].run
        if name == "startswith":
            return _Value("truth", lambda facts: text(facts).startswith(other(facts)))
        try:
            search = re.compile(str(last)).search
        except re.error as error:
            raise self.error(arguments[1], f"the pattern is none: {error}") from None
        return _Value("truth", lambda facts: search(text(facts)[:LONGEST_MATCHED]) is not None)


_MAKERS: dict[type[ast.expr], Callable[[_Compiler, Any], _Value]] = {
    ast.Constant: _Compiler.constant,
    ast.Name: _Compiler.name,
    ast.List: _Compiler.list,
    ast.Tuple: _Compiler.list,
    ast.BoolOp: _Compiler.joined,
    ast.UnaryOp: _Compiler.unary,
    ast.BinOp: _Compiler.arithmetic,
    ast.Compare: _Compiler.comparison,
    ast.Call: _Compiler.call,
}


def _near(name: str) -> str:
    close = get_close_matches(name, [*NAMES, *FUNCTIONS], n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(NAMES)}"
