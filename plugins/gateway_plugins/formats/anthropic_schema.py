"""A JSON schema made to fit what Anthropic holds a model to.

The rules are those of https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
and of what Anthropic's SDKs do to a schema before they send it: every object is closed, a constraint that is not
enforced is said in the description, and recursion is not possible. What is no longer enforced is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

Report = Callable[[str, str], None]
"""Called with the place below the schema (``.properties.age.minimum``) and why it is not enforced."""

_KEPT = frozenset(("title", "description", "default", "const"))
_SHAPES = frozenset(("type", "properties", "items", "enum", "anyOf", "oneOf"))
# Keywords whose value is a map of schemas, and those whose value is none.
_MAPS = frozenset(("properties", "$defs", "definitions", "patternProperties", "dependentSchemas"))
_VALUES = frozenset(("$ref", "enum", "const", "default", "examples", "example"))
# Definitions that use each other by allOf are written out; some would never come to an end.
_MOST_NODES = 20_000
# Said for readers and tools, not for the model.
_IDLE = ("$schema", "$id", "$anchor", "$comment", "discriminator", "deprecated", "readOnly", "writeOnly")
_READ = ("$defs", "definitions", "unevaluatedProperties", "additionalProperties", "required", "allOf", "$ref")
_SILENT = frozenset((*_IDLE, *_READ, *_SHAPES))
# Told to the model, and no constraint.
_TOLD = frozenset(("examples", "example"))
_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"),
)
# Look-around, back references and word boundaries are not supported in patterns.
_HARD_PATTERN = re.compile(r"\(\?[=!<]|\\[bB1-9]")
_ANY_SCALAR = [{"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}]
_NOT_ENFORCED = "Anthropic does not enforce it: it is said in the description"


class _Unfit(Exception):
    """The schema cannot be expressed at all."""


def fit_schema(schema: dict[str, Any], report: Report) -> dict[str, Any] | None:
    """The schema as Anthropic takes it, or None where it takes none such (recursive, or referring elsewhere)."""
    try:
        return _Fitting(schema, report).fit(schema, "")
    except (_Unfit, RecursionError):
        return None


def resolve_top(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose top level is said in place, where it was only a reference to one of its own definitions."""
    target = schema.get("$ref")
    if not isinstance(target, str):
        return schema
    found = _lookup(schema, target)
    if found is None:
        return schema
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}


def _lookup(root: dict[str, Any], target: str) -> dict[str, Any] | None:
    """What a reference within ``root`` points to, or None."""
    if not target.startswith("#/"):
        return None
    value: Any = root
    for step in target[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


class _Fitting:
    """One schema being fitted; ``root`` is where its references point."""

    def __init__(self, root: dict[str, Any], report: Report) -> None:
        self._root = root
        self._report = report
        self._left = _MOST_NODES
        # Reference → whether its target is still being followed.
        self._open: dict[str, bool] = {}
        self._follow(root)

    def _follow(self, schema: Any) -> None:
        """Follow every reference: one that leads back to itself, or out of the schema, does not fit."""
        if isinstance(schema, list):
            for item in schema:
                self._follow(item)
        if not isinstance(schema, dict):
            return
        target = schema.get("$ref")
        if isinstance(target, str) and self._open.get(target) is not False:
            found = None if target in self._open else _lookup(self._root, target)
            if found is None:
                raise _Unfit
            self._open[target] = True
            self._follow(found)
            self._open[target] = False
        for key, value in schema.items():
            if key in _MAPS and isinstance(value, dict):
                self._follow(list(value.values()))
            elif key not in _VALUES:
                self._follow(value)

    def fit(self, schema: Any, path: str) -> dict[str, Any]:
        self._left -= 1
        if self._left < 0 or schema is False or not isinstance(schema, dict | bool):
            raise _Unfit
        if schema is True:
            schema = {}
        out: dict[str, Any] = {}
        for name in ("$defs", "definitions"):
            if isinstance(schema.get(name), dict):
                out[name] = {key: self.fit(item, f"{path}.{name}.{key}") for key, item in schema[name].items()}
        if isinstance(schema.get("allOf"), list):
            return {**out, **self.fit(self._all_of(schema, path), path)}
        if "$ref" in schema:
            self._refer(schema, out)
        elif schema.keys() & _SHAPES:
            self._shape(schema, path, out)
        elif "const" not in schema:
            self._report(path or ".type", "Anthropic wants a type: a string, a number, a boolean or null")
            out["anyOf"] = list(_ANY_SCALAR)
        out.update({key: value for key, value in schema.items() if key in _KEPT})
        self._tell(schema, path, out)
        return out

    @staticmethod
    def _refer(schema: dict[str, Any], out: dict[str, Any]) -> None:
        """A reference; where something is said beside it, that needs a place of its own."""
        beside = schema.keys() - {"$ref", "$defs", "definitions"}
        if beside:
            out["anyOf"] = [{"$ref": schema["$ref"]}]
        else:
            out["$ref"] = schema["$ref"]

    def _all_of(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        """The branches of ``allOf`` in one schema: closed objects could never all hold at once."""
        merged: dict[str, Any] = {
            key: value for key, value in schema.items() if key not in ("allOf", "$defs", "definitions")
        }
        for branch in schema["allOf"]:
            found = branch
            while isinstance(found, dict) and isinstance(found.get("$ref"), str):
                beside = {key: value for key, value in found.items() if key != "$ref"}
                found = {**(_lookup(self._root, found["$ref"]) or {}), **beside}
            if not isinstance(found, dict):
                raise _Unfit
            for key, value in found.items():
                there = merged.get(key)
                if key == "properties" and isinstance(there, dict):
                    merged[key] = {**there, **value}
                elif key == "required" and isinstance(there, list):
                    merged[key] = [*there, *(name for name in value if name not in there)]
                elif key == "allOf" and isinstance(there, list):
                    merged[key] = [*there, *value]
                elif key not in merged:
                    merged[key] = value
                elif there != value and key not in _KEPT:
                    self._report(f"{path}.allOf", "Anthropic takes no allOf whose parts say different things")
        return merged

    def _shape(self, schema: dict[str, Any], path: str, out: dict[str, Any]) -> None:
        self._choices(schema, path, out)
        kind = schema.get("type")
        if kind is not None:
            out["type"] = kind
        elif "properties" in schema:
            out["type"] = kind = "object"
        elif "items" in schema:
            out["type"] = kind = "array"
        kinds = kind if isinstance(kind, list) else [kind]
        if "object" in kinds:
            self._object(schema, path, out)
        if "array" in kinds and "items" in schema:
            out["items"] = self.fit(schema["items"], f"{path}.items")

    def _choices(self, schema: dict[str, Any], path: str, out: dict[str, Any]) -> None:
        """One of several schemas, or of several values."""
        for word in ("anyOf", "oneOf"):
            if isinstance(schema.get(word), list):
                if word == "oneOf" and "discriminator" not in schema:
                    self._report(f"{path}.oneOf", "sent as anyOf")
                out["anyOf"] = [self.fit(item, f"{path}.{word}[{at}]") for at, item in enumerate(schema[word])]
        values = schema.get("enum")
        if isinstance(values, list):
            if any(isinstance(value, dict | list) for value in values):
                self._report(f"{path}.enum", "Anthropic takes plain values only: it is said in the description")
            else:
                out["enum"] = values

    def _object(self, schema: dict[str, Any], path: str, out: dict[str, Any]) -> None:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        further = schema.get("additionalProperties")
        if isinstance(further, dict) or (not properties and further is not False):
            self._report(f"{path}.additionalProperties", "Anthropic takes closed objects only")
        out["properties"] = {key: self.fit(item, f"{path}.properties.{key}") for key, item in properties.items()}
        out["additionalProperties"] = False
        if isinstance(schema.get("required"), list):
            out["required"] = schema["required"]

    def _tell(self, schema: dict[str, Any], path: str, out: dict[str, Any]) -> None:
        """Constraints that are supported stay; the others are told to the model and reported."""
        told: dict[str, Any] = {}
        if "enum" in schema and "enum" not in out:
            told["enum"] = schema["enum"]
        for key, value in schema.items():
            if key in _KEPT or key in _SILENT:
                continue
            if _supported(key, value):
                out[key] = value
            else:
                told[key] = value
                if key not in _TOLD:
                    self._report(f"{path}.{key}", _NOT_ENFORCED)
        if told:
            _say(out, told)


def _supported(key: str, value: Any) -> bool:
    if key == "format":
        return value in _FORMATS
    if key == "minItems":
        return value in (0, 1)
    return key == "pattern" and isinstance(value, str) and _HARD_PATTERN.search(value) is None


def _say(out: dict[str, Any], told: dict[str, Any]) -> None:
    """Add what is not enforced to the description."""
    text = ", ".join(f"{key}: {msgspec.json.encode(value).decode()}" for key, value in told.items())
    before = out.get("description")
    out["description"] = f"{before}\n\n{{{text}}}" if isinstance(before, str) and before else f"{{{text}}}"
