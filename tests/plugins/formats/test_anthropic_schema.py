"""JSON schemas, made to fit: nothing that is no longer enforced goes unnamed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gateway_plugins.formats.anthropic_schema import fit_schema, resolve_top


def fit(schema: dict[str, Any]) -> tuple[Any, list[str]]:
    lost: list[str] = []
    before = copy.deepcopy(schema)
    fitted = fit_schema(schema, lambda at, _: lost.append(at))
    assert schema == before, "the caller's own schema is left alone"
    return fitted, lost


def test_every_object_is_closed_in_silence() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}},
        "required": ["a"],
        "additionalProperties": True,
    }
    fitted, lost = fit(schema)
    assert fitted["additionalProperties"] is False
    assert fitted["properties"]["a"]["additionalProperties"] is False
    assert fitted["required"] == ["a"]
    assert not lost


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "enum": ["a", "b"], "description": "d", "title": "t", "default": "a"},
        {"type": ["string", "null"], "format": "date-time"},
        {"type": "string", "pattern": "^[a-z]+$"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"const": 3},
        {"enum": [1, None, "x"]},
    ],
)
def test_what_is_enforced_stays(schema: dict[str, Any]) -> None:
    assert fit(schema) == (schema, [])


@pytest.mark.parametrize(
    ("schema", "lost"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 5}, [".minimum", ".maximum"]),
        ({"type": "string", "minLength": 2}, [".minLength"]),
        ({"type": "string", "format": "phone"}, [".format"]),
        ({"type": "string", "pattern": r"(?=x)\bx"}, [".pattern"]),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
            [".minItems", ".uniqueItems"],
        ),
        ({"type": "string", "not": {"const": "x"}}, [".not"]),
        ({"type": "object", "properties": {"a": {"type": "number", "multipleOf": 2}}}, [".properties.a.multipleOf"]),
        ({"type": "array", "items": {"type": "string", "maxLength": 1}}, [".items.maxLength"]),
        ({"type": "object", "enum": [{"a": 1}], "properties": {"a": {"type": "string"}}}, [".enum"]),
    ],
)
def test_what_is_not_enforced_is_said_and_named(schema: dict[str, Any], lost: list[str]) -> None:
    fitted, named = fit(schema)
    assert named == lost
    for name in (path.rpartition(".")[2] for path in lost):
        assert name in str(fitted)
        assert f"'{name}':" not in str(fitted)


def test_the_models_own_words_come_before_what_is_added() -> None:
    fitted, _ = fit({"type": "integer", "minimum": 1, "description": "a number", "examples": [3]})
    assert fitted == {"type": "integer", "description": "a number\n\n{minimum: 1, examples: [3]}"}


def test_open_maps_are_named() -> None:
    assert fit({"type": "object", "additionalProperties": {"type": "string"}})[1] == [".additionalProperties"]
    assert fit({"type": "object"})[1] == [".additionalProperties"]
    assert fit({"type": "object", "additionalProperties": False})[1] == []


def test_a_value_of_any_kind_becomes_a_plain_one() -> None:
    fitted, lost = fit({"type": "object", "properties": {"a": {"description": "anything"}}})
    assert [branch["type"] for branch in fitted["properties"]["a"]["anyOf"]] == ["string", "number", "boolean", "null"]
    assert fitted["properties"]["a"]["description"] == "anything"
    assert lost == [".properties.a"]


def test_definitions_and_references_are_kept() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/A", "description": "the other"}},
        "$defs": {"A": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    }
    fitted, lost = fit(schema)
    assert fitted["properties"]["a"] == {"$ref": "#/$defs/A"}
    assert fitted["properties"]["b"] == {"anyOf": [{"$ref": "#/$defs/A"}], "description": "the other"}
    assert fitted["$defs"]["A"]["additionalProperties"] is False
    assert "$schema" not in fitted
    assert not lost


def test_one_of_is_any_of_and_named_unless_a_discriminator_tells_them_apart() -> None:
    branches = [{"type": "string"}, {"type": "null"}]
    assert fit({"oneOf": branches}) == ({"anyOf": branches}, [".oneOf"])
    assert fit({"oneOf": branches, "discriminator": {"propertyName": "k"}}) == ({"anyOf": branches}, [])


def test_all_of_is_written_as_one() -> None:
    schema = {
        "allOf": [
            {"$ref": "#/$defs/A"},
            {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
        ],
        "description": "both",
        "$defs": {"A": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
    }
    fitted, lost = fit(schema)
    assert fitted["properties"].keys() == {"a", "b"}
    assert fitted["required"] == ["a", "b"]
    assert fitted["description"] == "both"
    assert "allOf" not in fitted
    assert not lost
    assert fit({"allOf": [{"type": "string"}, {"type": "integer"}]})[1] == [".allOf"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}}},
        {"type": "object", "properties": {"a": {"$ref": "https://elsewhere/schema.json"}}},
        {"type": "object", "properties": {"default": {"$ref": "#/$defs/missing"}}},
        {"type": "object", "properties": {"a": False}},
        {"type": "object", "properties": {"a": "string"}},
    ],
)
def test_recursion_foreign_references_and_impossible_values_do_not_fit(schema: dict[str, Any]) -> None:
    assert fit(schema)[0] is None


def test_a_schema_that_grows_without_bound_does_not_fit() -> None:
    defs: dict[str, Any] = {"D0": {"type": "object", "properties": {"x": {"type": "string"}}}}
    for level in range(1, 40):
        inner = {"allOf": [{"$ref": f"#/$defs/D{level - 1}"}]}
        defs[f"D{level}"] = {"type": "object", "properties": {"a": inner, "b": inner}}
    assert fit({"allOf": [{"$ref": "#/$defs/D39"}], "$defs": defs})[0] is None


def test_a_schema_that_is_only_a_reference_is_said_in_place() -> None:
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}
    assert resolve_top(schema) == {"type": "object", "$defs": {"A": {"type": "object"}}}
    assert resolve_top({"$ref": "#/nowhere"}) == {"$ref": "#/nowhere"}
