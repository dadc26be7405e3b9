"""Two JSON Schemas joined into one that both of them would accept an instance of."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from gateway_plugins.providers.echo_check import Unsatisfiable, equal, exact, prefix_and_rest, schemas_of

CHOICES = ("$ref", "allOf", "anyOf", "oneOf", "if", "then", "else")
"""Keywords that are resolved before schemas are joined."""


def both(a: Any, b: Any) -> Any:
    """The conjunction of two schemas, not worked out."""
    if a is True or a == {}:
        return b
    if b is True or b == {} or a == b:
        return a
    return {"allOf": [a, b]}


def merge(a: dict[str, Any], b: dict[str, Any], path: str) -> dict[str, Any]:
    """One schema for two that hold no CHOICES; raises Unsatisfiable where they exclude each other at once.

    It serves to make an instance, which is then checked against the schemas as they were: what cannot be joined
    (``contains``, ``not``) is kept from one of them.
    """
    out = {**b, **a}
    for keyword in a.keys() & b.keys():
        if keyword in _JOINED:
            out[keyword] = _JOINED[keyword](a[keyword], b[keyword])
    if out.get("type") == []:
        raise Unsatisfiable("type", path, f"nothing is both {a['type']} and {b['type']}")
    _merge_values(out, a, b, path)
    _merge_properties(out, a, b)
    _merge_items(out, a, b)
    return out


def _join_types(a: Any, b: Any) -> list[str]:
    left, right = ([types] if isinstance(types, str) else types for types in (a, b))
    found = [name for name in left if name in right or (name == "integer" and "number" in right)]
    found += [name for name in right if name == "integer" and "number" in left and name not in found]
    return found


def _join_steps(a: Any, b: Any) -> Any:
    left, right = exact(a), exact(b)
    common = Fraction(math.lcm(left.numerator, right.numerator), math.gcd(left.denominator, right.denominator))
    return int(common) if common.denominator == 1 else float(common)


def listed(value: Any) -> list[Any]:
    """The values of a keyword that is a list where several were joined: ``pattern``, ``format``."""
    return value if isinstance(value, list) else [value]


def _join_lists(a: Any, b: Any) -> list[Any]:
    return list(dict.fromkeys([*listed(a), *listed(b)]))


def _larger(a: Any, b: Any) -> Any:
    return max(a, b)


def _smaller(a: Any, b: Any) -> Any:
    return min(a, b)


def _union(a: Any, b: Any) -> list[Any]:
    return list(dict.fromkeys([*a, *b]))


def _tables(a: Any, b: Any) -> dict[str, Any]:
    return {key: both(a.get(key, True), b.get(key, True)) for key in {**a, **b}}


def _needs(a: Any, b: Any) -> dict[str, Any]:
    return {key: [*a.get(key, []), *b.get(key, [])] for key in {**a, **b}}


def _either(a: Any, b: Any) -> bool:
    return bool(a or b)


def _conjunction(a: Any, b: Any) -> Any:
    return both(a, b)


_JOINED: dict[str, Callable[[Any, Any], Any]] = {
    "type": _join_types,
    "multipleOf": _join_steps,
    "pattern": _join_lists,
    "format": _join_lists,
    "required": _union,
    "dependentRequired": _needs,
    "dependentSchemas": _tables,
    "patternProperties": _tables,
    "propertyNames": _conjunction,
    "uniqueItems": _either,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"), _larger),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"), _smaller),
}


def _merge_values(out: dict[str, Any], a: dict[str, Any], b: dict[str, Any], path: str) -> None:
    """``const`` and ``enum`` as one ``enum``."""
    left, right = allowed_values(a), allowed_values(b)
    if left is None or right is None:
        return
    out.pop("const", None)
    out["enum"] = [value for value in left if any(equal(value, other) for other in right)]
    if not out["enum"]:
        raise Unsatisfiable("enum", path, "two lists of values have none in common")


def allowed_values(schema: dict[str, Any]) -> list[Any] | None:
    """The values that ``const`` or ``enum`` leave, or None where any may do."""
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _merge_properties(out: dict[str, Any], a: dict[str, Any], b: dict[str, Any]) -> None:
    """A property named by one side only is bound by the other's ``additionalProperties``, too."""
    if "properties" in a or "properties" in b:
        joined: dict[str, Any] = {}
        for name in {**a.get("properties", {}), **b.get("properties", {})}:
            schema: Any = True
            for sub in (*schemas_of(name, a), *schemas_of(name, b)):
                schema = both(schema, sub)
            joined[name] = schema
        out["properties"] = joined
    if "additionalProperties" in a and "additionalProperties" in b:
        out["additionalProperties"] = both(a["additionalProperties"], b["additionalProperties"])


def _merge_items(out: dict[str, Any], a: dict[str, Any], b: dict[str, Any]) -> None:
    left, left_rest = prefix_and_rest(a)
    right, right_rest = prefix_and_rest(b)
    count = max(len(left), len(right))
    if count:
        out["prefixItems"] = [
            both(left[at] if at < len(left) else left_rest, right[at] if at < len(right) else right_rest)
            for at in range(count)
        ]
    rest = both(left_rest, right_rest)
    if count or rest is not True:
        out["items"] = rest
