"""The echo model's instances, with the jsonschema package as the judge."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway_plugins.providers.echo_check import Checker, Unsatisfiable
from gateway_plugins.providers.echo_schema import instance_of

Schema = dict[str, Any]


def judged(schema: Any) -> Any:
    """The instance, which the judge accepts."""
    value = instance_of(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    assert list(validator.iter_errors(value)) == [], f"{value!r} is no instance of {schema!r}"
    assert json.loads(json.dumps(value)) == value
    return value


NODE = {
    "type": "object",
    "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
    "required": ["v", "next"],
    "additionalProperties": False,
}
POINT = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {}}, "required": ["x", "y"]}
EXPRESSION = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"left": {"$ref": "#/$defs/Node"}, "right": {"$ref": "#/$defs/Node"}},
            "required": ["left", "right"],
        },
        {"type": "number"},
    ]
}

EXAMPLES: list[tuple[str, Any, Any]] = [
    ("anything", True, "echo"),
    ("no keywords", {}, "echo"),
    ("string", {"type": "string"}, "echo"),
    ("short string", {"type": "string", "maxLength": 2}, "ec"),
    ("long string", {"type": "string", "minLength": 6}, "echooo"),
    ("null is the last resort", {"type": ["null", "integer"]}, 0),
    ("default", {"type": "string", "default": "blue"}, "blue"),
    ("wrong default", {"type": "string", "default": 3}, "echo"),
    ("examples", {"type": "string", "examples": ["red", "blue"]}, "red"),
    ("const", {"const": {"a": [1, None]}}, {"a": [1, None]}),
    ("enum", {"type": "integer", "enum": ["a", 7]}, 7),
    ("all properties", {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {}}}, {"a": True, "b": "echo"}),
    ("array", {"type": "array", "items": {"type": "integer"}}, [0]),
    ("distinct items", {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3}, [1, 2, 3]),
    ("tuple", {"type": "array", "prefixItems": [{"type": "string"}, {"const": 2}], "items": False}, ["echo", 2]),
    ("contains", {"type": "array", "items": {"type": "integer"}, "contains": {"const": 5}, "minContains": 2}, [5, 5]),
    ("recursion ends", {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}, {"v": 0, "next": None}),
    ("integer above", {"type": "integer", "exclusiveMinimum": 14, "multipleOf": 7}, 21),
    ("negative", {"type": "integer", "maximum": -3}, -3),
    ("decimal steps", {"type": "number", "minimum": 0.25, "multipleOf": 0.1}, 0.4),
    ("between", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
    ("beyond 64 bits", {"type": "integer", "minimum": 10**25}, 10**25),
    ("pattern", {"type": "string", "pattern": r"^[A-Z]{3}-\d{2}$"}, "AAA-00"),
    ("number, not integer", {"oneOf": [{"type": "integer"}, {"type": "number"}]}, 0.5),
    ("not", {"type": "integer", "not": {"const": 0}}, 1),
    (
        "allOf",
        {
            "allOf": [
                {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"a": {"minimum": 5}}},
            ]
        },
        {"a": 5},
    ),
    (
        "if, then",
        {
            "type": "object",
            "properties": {"kind": {"enum": ["cat", "dog"]}},
            "required": ["kind"],
            "if": {"properties": {"kind": {"const": "dog"}}},
            "then": {"required": ["barks"]},
            "else": {"required": ["purrs"]},
        },
        {"kind": "dog", "barks": "echo"},
    ),
    ("dependentRequired", {"properties": {"a": {}}, "dependentRequired": {"a": ["b"]}}, {"a": "echo", "b": "echo"}),
    ("names", {"type": "object", "propertyNames": {"pattern": "^x"}, "minProperties": 2}, None),
    (
        "patternProperties",
        {"patternProperties": {"^x-": {"const": 1}}, "additionalProperties": False, "minProperties": 2},
        None,
    ),
    ("objects that differ", {"type": "array", "uniqueItems": True, "minItems": 4, "items": POINT}, None),
    ("recursion in the middle", {"$ref": "#/$defs/Node", "$defs": {"Node": EXPRESSION}}, 0),
    ("a pointer with escapes", {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"const": 1}}}, 1),
]


@pytest.mark.parametrize(("schema", "expected"), [case[1:] for case in EXAMPLES], ids=[case[0] for case in EXAMPLES])
def test_an_instance_is_the_simplest_that_the_keywords_allow(schema: Any, expected: Any) -> None:
    value = judged(schema)
    if expected is not None:
        assert value == expected


FORMATS = ["date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference", "uuid"]


@pytest.mark.parametrize("form", [*FORMATS, "json-pointer", "regex", "an-unknown-one"])
def test_a_string_has_its_format(form: str) -> None:
    assert isinstance(judged({"type": "string", "format": form}), str)


@pytest.mark.parametrize("form", ["email", "uri", "hostname"])
@pytest.mark.parametrize("length", [21, 40, 90])
def test_a_string_has_its_format_and_its_length(form: str, length: int) -> None:
    assert len(judged({"type": "string", "format": form, "minLength": length, "maxLength": length + 4})) >= length


REFUSED: list[tuple[Any, str, str]] = [
    (False, "false", ""),
    ({"type": "integer", "minimum": 3, "maximum": 2}, "minimum", ""),
    ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength", ""),
    ({"type": "string", "minLength": 10**9}, "minLength", ""),
    ({"type": "string", "enum": [1]}, "type", ""),
    ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "type", ""),
    ({"type": "string", "pattern": "(?=a)b"}, "pattern", ""),
    ({"type": "string", "pattern": "^b$", "minLength": 2}, "schema", ""),
    ({"$ref": "#"}, "$ref", ""),
    ({"$ref": "https://example.com/schema"}, "$ref", ""),
    ({"$ref": "#/$defs/none"}, "$ref", ""),
    ({"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 3}, "uniqueItems", ""),
    ({"type": "array", "minItems": 10**6}, "minItems", ""),
    ({"type": "object", "required": ["a"], "additionalProperties": False}, "additionalProperties", ""),
    ({"type": "number", "multipleOf": 0}, "multipleOf", ""),
    ({"not": {}}, "not", ""),
    ({"minimum": "three", "type": "integer"}, "schema", ""),
    ({"type": "string", "$dynamicRef": "#node"}, "$dynamicRef", ""),
    (
        {
            "type": "object",
            "required": ["a"],
            "properties": {
                "a": {"type": "object", "required": ["b"], "properties": {"b": {"type": "string", "pattern": r"\bx"}}}
            },
        },
        "pattern",
        "a.b",
    ),
]


@pytest.mark.parametrize(("schema", "keyword", "path"), REFUSED)
def test_what_cannot_be_satisfied_is_refused_by_the_keyword(schema: Any, keyword: str, path: str) -> None:
    with pytest.raises(Unsatisfiable) as refusal:
        instance_of(schema)
    assert (refusal.value.keyword, refusal.value.path) == (keyword, path)
    assert keyword in str(refusal.value)


def nested(levels: int) -> Schema:
    schema: Schema = {"type": "string"}
    for _ in range(levels):
        schema = {"anyOf": [{"allOf": [schema, {"minLength": 9}]}, {"allOf": [schema, {"maxLength": 3}]}]}
    return {"allOf": [schema, {"not": {"type": "string"}}]}


HOSTILE = [
    nested(18),
    {"allOf": [{"pattern": "^a{1000}c$"}, {"pattern": "^(a+)+b$"}], "type": "string"},
    {"type": "string", "pattern": "^(((((a{0,100}){0,100}){0,100}){0,100}){0,100}){100}$", "minLength": 5000},
    {
        "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}] * 9}, "b": {"anyOf": [{"$ref": "#/$defs/a"}] * 9}},
        "$ref": "#/$defs/a",
    },
    {"type": "array", "uniqueItems": True, "minItems": 1000, "items": {"type": "array", "items": {"type": "boolean"}}},
    {"type": "object", "minProperties": 1000, "additionalProperties": {"type": "array", "minItems": 1000}},
]


@pytest.mark.parametrize("schema", HOSTILE)
def test_a_schema_made_to_keep_the_gateway_busy_is_given_up_soon(schema: Schema) -> None:
    started = time.perf_counter()
    with pytest.raises(Unsatisfiable):
        instance_of(schema)
    assert time.perf_counter() - started < 2.0


# A family of schemas that are satisfiable by construction, but for contradictory choices, which the judge rules out.
SMALL = st.integers(-20, 20)
LENGTHS = st.integers(0, 40)
PATTERNS = [r"^[a-f0-9]{8}$", r"\d+", "^(red|green|blue)$", r"^\w+@\w+\.com$", "^$", "x?y*z+"]
SCALARS = st.one_of(st.none(), st.booleans(), SMALL, st.text(max_size=4))


def between(kind: str, low: str, high: str, bounds: st.SearchStrategy[int], gap: int = 0) -> st.SearchStrategy[Schema]:
    return st.builds(lambda a, b: {"type": kind, low: min(a, b), high: max(a, b) + gap}, bounds, bounds)


LEAVES = st.one_of(
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    between("string", "minLength", "maxLength", LENGTHS),
    between("integer", "minimum", "maximum", SMALL),
    between("number", "exclusiveMinimum", "exclusiveMaximum", SMALL, gap=1),
    st.sampled_from([{"type": "string", "format": form} for form in FORMATS]),
    st.sampled_from([{"type": "string", "pattern": pattern} for pattern in PATTERNS]),
    st.builds(
        lambda low, step: {"type": "number", "minimum": low, "multipleOf": step},
        SMALL,
        st.sampled_from([1, 3, 0.1, 0.25, 1.5]),
    ),
    st.lists(SCALARS, min_size=1, max_size=4).map(lambda values: {"enum": values}),
    st.one_of(SCALARS, st.lists(SMALL, max_size=2)).map(lambda value: {"const": value}),
    st.sampled_from([{}, {"$ref": "#/$defs/Tree"}, {"$ref": "#/$defs/Word"}]),
)
NAMES = st.sampled_from(["a", "b", "name", "x y", "ü"])


def with_children(children: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    objects = st.builds(
        lambda properties, required, closed: {
            "type": "object",
            "properties": properties,
            "required": sorted(required & properties.keys()),
            **({"additionalProperties": False} if closed else {}),
        },
        st.dictionaries(NAMES, children, max_size=3),
        st.sets(NAMES, max_size=3),
        st.booleans(),
    )
    arrays = st.builds(
        lambda items, least: {"type": "array", "items": items, "minItems": least, "maxItems": least + 2},
        children,
        st.integers(0, 3),
    )
    tuples = st.lists(children, min_size=1, max_size=2).map(lambda items: {"type": "array", "prefixItems": items})
    choices = st.builds(
        lambda keyword, branches: {keyword: branches},
        st.sampled_from(["anyOf", "oneOf", "allOf"]),
        st.lists(children, min_size=1, max_size=3),
    )
    excluded = st.builds(lambda schema, other: {**schema, "not": other}, children, children)
    decided = st.builds(
        lambda condition, then, other: {"if": condition, "then": then, "else": other}, children, children, children
    )
    return st.one_of(objects, objects, arrays, tuples, choices, excluded, decided)


TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
    "required": ["name", "kids"],
}
DEFINITIONS = {"Tree": TREE, "Word": {"type": "string", "pattern": "^[a-z]+$"}}
SCHEMAS = st.recursive(LEAVES, with_children, max_leaves=8).map(lambda schema: {**schema, "$defs": DEFINITIONS})
QUICK = settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(SCHEMAS)
def test_what_is_given_is_always_an_instance(schema: Schema) -> None:
    try:
        value = instance_of(schema)
    except Unsatisfiable:
        assume(False)
    else:
        # Formats are remarks here: under "if" and "not" they do not say what the judge, asked to check them, reads.
        assert list(jsonschema.Draft202012Validator(schema).iter_errors(value)) == []


PLAIN = st.recursive(
    LEAVES.filter(lambda schema: "enum" not in schema),
    lambda children: st.one_of(
        st.dictionaries(NAMES, children, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties, "required": list(properties)}
        ),
        st.builds(lambda items, n: {"type": "array", "items": items, "minItems": n}, children, st.integers(0, 3)),
        st.lists(children, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
    ),
    max_leaves=8,
).map(lambda schema: {**schema, "$defs": DEFINITIONS})


@QUICK
@given(PLAIN)
def test_what_has_no_contradiction_is_never_refused(schema: Schema) -> None:
    judged(schema)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), SMALL, st.sampled_from([0.5, 1.0, 0.3]), st.text(max_size=5)),
    lambda children: st.one_of(st.lists(children, max_size=3), st.dictionaries(NAMES, children, max_size=3)),
    max_leaves=6,
)


@QUICK
@given(SCHEMAS, VALUES)
def test_the_checker_agrees_with_the_judge(schema: Schema, value: Any) -> None:
    ours = Checker(schema).failing(value, schema) is None
    assert ours == jsonschema.Draft202012Validator(schema).is_valid(value)
