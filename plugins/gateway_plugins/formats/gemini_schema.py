"""JSON Schemas as Gemini takes them, and its older OpenAPI schemas as JSON Schemas.

Gemini knows a part of JSON Schema: https://ai.google.dev/api/generate-content#FIELDS.response_json_schema and
https://ai.google.dev/api/caching#Schema. What is beyond is said in another way where there is one; where there is
none it is told to the model in the description and named as a loss, for nothing holds the answer to it any more.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from typing import Any

import msgspec

Lose = Callable[[str, str], None]

_KNOWN = frozenset(
    (
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "default",
        "nullable",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
        "minProperties",
        "maxProperties",
    )
)
# They bind nobody: what is worth telling is told, the rest says nothing to a model.
_TOLD = frozenset(("examples", "example", "deprecated", "readOnly", "writeOnly", "contentMediaType", "contentEncoding"))
_SAYS_NOTHING = frozenset(("$schema", "$comment", "$vocabulary", "discriminator"))
_FORMATS = frozenset(("date-time", "date", "time", "enum"))
_TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
_DEFINITIONS = "#/definitions/"
_DEFS = "#/$defs/"


def fit_schema(schema: dict[str, Any], lose: Lose) -> dict[str, Any]:
    """The schema in Gemini's part of JSON Schema; ``lose`` is told the path below it, and why, of what is not held."""
    definitions = {**_dict(schema.get("definitions")), **_dict(schema.get("$defs"))}
    fitted = _Fitter(definitions, lose).fit(schema, "")
    assert isinstance(fitted, dict)
    return fitted


class _Fitter:
    def __init__(self, definitions: dict[str, Any], lose: Lose) -> None:
        self._definitions = definitions
        self._lose = lose

    def fit(self, value: Any, path: str) -> Any:
        if value is True:
            return {}
        if value is False:
            self._lose(path, "Gemini has no schema that allows nothing")
            return {}
        if not isinstance(value, dict):
            return value
        source = self._merged(self._resolved(value, path), path)
        out: dict[str, Any] = {}
        told: dict[str, Any] = {}
        for key in list(source):
            self._keyword(source, out, told, key, f"{path}.{key}")
        if told:
            said = "; ".join(f"{key}: {msgspec.json.encode(item).decode()}" for key, item in told.items())
            out["description"] = f"{out['description']} ({said})" if out.get("description") else said
        return out

    def _keyword(self, source: dict[str, Any], out: dict[str, Any], told: dict[str, Any], key: str, path: str) -> None:
        item = source[key]
        if key in ("properties", "$defs", "definitions") and isinstance(item, dict):
            name = "$defs" if key == "definitions" else key
            fitted = {inner: self.fit(schema, f"{path}.{inner}") for inner, schema in item.items()}
            out[name] = {**out.get(name, {}), **fitted}
        elif key in ("anyOf", "oneOf", "prefixItems") and isinstance(item, list):
            out[key] = [self.fit(schema, f"{path}[{at}]") for at, schema in enumerate(item)]
        elif key == "items" or (key == "additionalProperties" and isinstance(item, dict)):
            out[key] = self.fit(item, path)
        elif key == "$ref" and isinstance(item, str):
            out[key] = item.replace(_DEFINITIONS, _DEFS, 1)
        elif key == "format" and source.get("type") == "string" and item not in _FORMATS:
            self._tell(told, key, item, path)
        elif key in _KNOWN:
            out.setdefault(key, item)
        elif key in _TOLD:
            told[key] = item
        elif key not in _SAYS_NOTHING:
            self._constraint(source, out, told, key, path)

    def _constraint(
        self, source: dict[str, Any], out: dict[str, Any], told: dict[str, Any], key: str, path: str
    ) -> None:
        """A keyword that Gemini does not know: in other words, or told."""
        item = source[key]
        if key == "const":
            out["enum"] = [item]
            if "type" not in source and (kind := _type_of(item)) is not None:
                out["type"] = kind
        elif key in ("exclusiveMinimum", "exclusiveMaximum") and _is_number(item):
            low = key == "exclusiveMinimum"
            if source.get("type") == "integer":
                bound = floor(item) + 1 if low else ceil(item) - 1
                name = "minimum" if low else "maximum"
                there = source.get(name)
                if _is_number(there):
                    bound = max(there, bound) if low else min(there, bound)
                source[name] = out[name] = bound
            else:
                self._tell(told, key, item, path)
        else:
            self._tell(told, key, item, path)

    def _tell(self, told: dict[str, Any], key: str, item: Any, path: str) -> None:
        told[key] = item
        self._lose(path, f"Gemini does not enforce {key}: told in the description")

    def _resolved(self, value: dict[str, Any], path: str) -> dict[str, Any]:
        """A reference with further keywords, which Gemini does not take, with what it refers to in its place."""
        ref = value.get("$ref")
        beside = {key: item for key, item in value.items() if not key.startswith("$") and key != "definitions"}
        if not isinstance(ref, str) or not beside:
            return value
        name = ref.removeprefix(_DEFS).removeprefix(_DEFINITIONS)
        target = self._definitions.get(name)
        if not isinstance(target, dict) or "$ref" in target or _mentions(target, (_DEFS + name, _DEFINITIONS + name)):
            for key in beside:
                self._lose(f"{path}.{key}", "Gemini takes nothing beside a $ref")
            return {key: item for key, item in value.items() if key not in beside}
        return {**target, **{key: item for key, item in value.items() if key != "$ref"}}

    def _merged(self, value: dict[str, Any], path: str) -> dict[str, Any]:
        """``allOf`` folded into the schema that holds it, where no keyword is said twice in different ways."""
        parts = value.get("allOf")
        if not isinstance(parts, list):
            return dict(value)
        out = {key: item for key, item in value.items() if key != "allOf"}
        for at, part in enumerate(parts):
            found = part
            if isinstance(part, dict) and isinstance(part.get("$ref"), str):
                name = part["$ref"].removeprefix(_DEFS).removeprefix(_DEFINITIONS)
                target = self._definitions.get(name)
                if len(parts) == 1 and not out.keys() - {"description", "title", "default", "$defs", "definitions"}:
                    return self._resolved({**part, **out}, path) if out else dict(part)
                found = {**target, **part} if isinstance(target, dict) else part
                found.pop("$ref", None)
            if not isinstance(found, dict) or not _fold(out, found):
                self._lose(f"{path}.allOf[{at}]", "Gemini has no allOf, and this cannot be folded into the schema")
        return out


def _fold(out: dict[str, Any], part: dict[str, Any]) -> bool:
    merged = dict(out)
    for key, item in part.items():
        there = merged.get(key)
        if key not in merged or there == item or key in ("title", "description"):
            merged.setdefault(key, item)
        elif key == "properties" and isinstance(there, dict) and isinstance(item, dict):
            if any(name in there and there[name] != schema for name, schema in item.items()):
                return False
            merged[key] = {**there, **item}
        elif key == "required" and isinstance(there, list) and isinstance(item, list):
            merged[key] = [*there, *(name for name in item if name not in there)]
        else:
            return False
    out.clear()
    out.update(merged)
    return True


def read_openapi(value: Any) -> Any:
    """Gemini's OpenAPI schema as a JSON Schema: types in small letters, ``nullable`` as a type."""
    if isinstance(value, list):
        return [read_openapi(item) for item in value]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for raw, item in value.items():
        _read_keyword(out, _CAMEL.get(str(raw), str(raw)), item)
    if value.get("nullable") is True:
        kind = out.get("type")
        if isinstance(kind, str):
            out["type"] = [kind, "null"]
            if isinstance(out.get("enum"), list) and None not in out["enum"]:
                out["enum"] = [*out["enum"], None]
        elif isinstance(out.get("anyOf"), list):
            out["anyOf"] = [*out["anyOf"], {"type": "null"}]
    return out


def _read_keyword(out: dict[str, Any], key: str, item: Any) -> None:
    if key == "type" and isinstance(item, str) and item.upper() in _TYPES:
        out[key] = item.lower()
    elif key == "properties" and isinstance(item, dict):
        out[key] = {name: read_openapi(schema) for name, schema in item.items()}
    elif key in ("items", "anyOf", "prefixItems", "additionalProperties"):
        out[key] = read_openapi(item)
    elif key in _COUNTS and isinstance(item, str) and item.isdigit():
        out[key] = int(item)  # Google's JSON has 64-bit integers as strings
    elif key == "example":
        out["examples"] = [item]
    elif key not in ("nullable", "propertyOrdering") and not (key == "format" and item == "enum"):
        out[key] = item


_COUNTS = frozenset(("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"))
_CAMEL = {
    "any_of": "anyOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "property_ordering": "propertyOrdering",
    "additional_properties": "additionalProperties",
    "prefix_items": "prefixItems",
}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mentions(value: Any, refs: tuple[str, ...]) -> bool:
    if isinstance(value, dict):
        return value.get("$ref") in refs or any(_mentions(item, refs) for item in value.values())
    return isinstance(value, list) and any(_mentions(item, refs) for item in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _type_of(value: Any) -> str | None:
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return names.get(type(value))
