"""Whether a value is an instance of a JSON Schema (draft 2020-12, and the older spellings still in use)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any
from urllib.parse import unquote

from gateway_plugins.providers.echo_pattern import NotUnderstood, matches, parse

MOST_WORK = 50_000
"""How many subschemas one answer may look at: a fraction of a second, for the schema comes from the caller."""
DEEPEST = 40
"""How many levels of a schema are followed, and so how deep an instance may nest."""


Failure = tuple[str, str]
"""A keyword, and the path of the part of the value that fails it."""


class Unsatisfiable(Exception):
    """No instance of a schema is found: ``keyword`` stands in the way, at ``path`` of the instance."""

    def __init__(self, keyword: str, path: str, why: str) -> None:
        place = path if len(path) <= 80 else f"{path[:77]}..."
        super().__init__(f"{why} ({keyword!r} at {place or 'the top'})")
        self.keyword = keyword
        self.path = place


class Checker:
    """Checks against parts of one schema ``root``, whose references it follows; bounded in work."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.work = MOST_WORK

    def spend(self, path: str) -> None:
        """Count one step."""
        self.work -= 1
        if self.work < 0:
            raise Unsatisfiable("schema", path, "the schema is too large for this model")

    def resolve(self, reference: Any, path: str) -> Any:
        """The schema that a ``$ref`` within the same document names."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise Unsatisfiable("$ref", path, f"only references like #/$defs/name are followed, not {reference!r}")
        found = self.root
        for token in unquote(reference).split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isascii() and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                raise Unsatisfiable("$ref", path, f"{reference} leads nowhere")
        return found

    def failing(self, value: Any, schema: Any, path: str = "", depth: int = 0) -> Failure | None:
        """The first keyword that ``value`` fails and where, or None for an instance."""
        self.spend(path)
        if schema is True or schema is False:
            return None if schema else ("false", path)
        if not isinstance(schema, dict):
            raise Unsatisfiable("schema", path, "a schema must be an object or a boolean")
        if depth > DEEPEST:
            raise Unsatisfiable("$ref", path, "the schema nests too deeply")
        for keyword in schema:
            try:
                failure = self._fails(keyword, value, schema, path, depth + 1)
            except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError) as error:
                raise Unsatisfiable(keyword, path, "the keyword's value is malformed") from error
            if failure is not None:
                return failure
        return None

    def _fails(self, keyword: str, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
        if keyword in _REFUSED:
            raise Unsatisfiable(keyword, path, "the keyword is not understood")
        if keyword == "$ref":
            return self.failing(value, self.resolve(schema["$ref"], path), path, depth)
        assertion = _ASSERTIONS.get(keyword)
        if assertion is not None:
            return None if assertion(value, schema[keyword]) else (keyword, path)
        applicator = _APPLICATORS.get(keyword)
        return None if applicator is None else applicator(self, value, schema, path, depth)

    def fits(self, value: Any, schema: Any, path: str, depth: int) -> bool:
        """Whether ``value`` is an instance."""
        return self.failing(value, schema, path, depth) is None


_REFUSED = ("$dynamicRef", "$recursiveRef", "dependencies", "unevaluatedItems")


def equal(a: Any, b: Any) -> bool:
    """JSON's equality: 1 is 1.0, and is not true."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return bool(a == b)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def exact(number: Any) -> Fraction:
    """A JSON number as it is written, in decimal."""
    return Fraction(str(number))


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: is_number(value) and value == int(value),
    "number": is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}


def has_type(value: Any, types: Any) -> bool:
    names = types if isinstance(types, list) else [types]
    return any(name in _TYPES and _TYPES[name](value) for name in names)


def is_multiple(value: Any, step: Any) -> bool:
    """By the decimal notation and by floating point both, since validators differ in which one they use."""
    if not is_number(value):
        return True
    if exact(value) % exact(step) != 0:
        return False
    return isinstance(step, int) or (value / step).is_integer()


def fits_pattern(value: Any, pattern: Any, path: str = "") -> bool:
    """Whether a string matches; raises Unsatisfiable for an expression that is not understood."""
    if not isinstance(value, str):
        return True
    try:
        return matches(parse(pattern), value)
    except NotUnderstood as error:
        raise Unsatisfiable("pattern", path, f"the pattern {pattern!r} has {error}") from None


def _bound(
    concerns: Callable[[Any], bool], measure: Callable[[Any], Any], good: Callable[[Any, Any], bool]
) -> Callable[[Any, Any], bool]:
    def check(value: Any, limit: Any) -> bool:
        if not is_number(limit):
            raise TypeError(limit)
        return not concerns(value) or good(measure(value), limit)

    return check


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_array(value: Any) -> bool:
    return isinstance(value, list)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _itself(value: Any) -> Any:
    return value


def _are_unique(value: Any, wanted: Any) -> bool:
    if not wanted or not isinstance(value, list):
        return True
    return not any(equal(one, other) for at, one in enumerate(value) for other in value[:at])


_ASSERTIONS: dict[str, Callable[[Any, Any], bool]] = {
    "type": has_type,
    "enum": lambda value, values: any(equal(value, one) for one in values),
    "const": equal,
    "minimum": _bound(is_number, _itself, operator.ge),
    "maximum": _bound(is_number, _itself, operator.le),
    "exclusiveMinimum": _bound(is_number, _itself, operator.gt),
    "exclusiveMaximum": _bound(is_number, _itself, operator.lt),
    "multipleOf": is_multiple,
    "minLength": _bound(_is_string, len, operator.ge),
    "maxLength": _bound(_is_string, len, operator.le),
    "pattern": fits_pattern,
    "minItems": _bound(_is_array, len, operator.ge),
    "maxItems": _bound(_is_array, len, operator.le),
    "uniqueItems": _are_unique,
    "minProperties": _bound(_is_object, len, operator.ge),
    "maxProperties": _bound(_is_object, len, operator.le),
    "required": lambda value, names: not isinstance(value, dict) or all(name in value for name in names),
    "dependentRequired": lambda value, table: (
        not isinstance(value, dict) or all(need in value for name in table if name in value for need in table[name])
    ),
}


def prefix_and_rest(schema: dict[str, Any]) -> tuple[list[Any], Any]:
    """The schemas of an array's first items, and that of the others, in the new spelling or in draft 7's."""
    items = schema.get("items", True)
    if isinstance(items, list):
        return items, schema.get("additionalItems", True)
    return schema.get("prefixItems", []), items


def schemas_of(name: str, schema: dict[str, Any]) -> list[Any]:
    """The schemas that an object's property of this name is bound by."""
    properties = schema.get("properties", {})
    found = [properties[name]] if name in properties else []
    found += [sub for pattern, sub in schema.get("patternProperties", {}).items() if fits_pattern(name, pattern)]
    return found or [schema.get("additionalProperties", True)]


Applicator = Callable[[Checker, Any, dict[str, Any], str, int], Failure | None]


def _first(failures: Iterable[Failure | None]) -> Failure | None:
    return next((failure for failure in failures if failure is not None), None)


def _properties(checker: Checker, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
    if not isinstance(value, dict):
        return None
    return _first(
        checker.failing(value[name], sub, f"{path}.{name}" if path else name, depth)
        for name in value
        for sub in schemas_of(name, schema)
    )


def _items(checker: Checker, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
    if not isinstance(value, list):
        return None
    first, rest = prefix_and_rest(schema)
    return _first(
        checker.failing(item, first[at] if at < len(first) else rest, f"{path}[{at}]", depth)
        for at, item in enumerate(value)
    )


def _contains(checker: Checker, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
    if not isinstance(value, list):
        return None
    count = sum(checker.fits(item, schema["contains"], path, depth) for item in value)
    good = schema.get("minContains", 1) <= count <= schema.get("maxContains", count)
    return None if good else ("contains", path)


def _names(checker: Checker, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
    if not isinstance(value, dict):
        return None
    good = all(checker.fits(name, schema["propertyNames"], path, depth) for name in value)
    return None if good else ("propertyNames", path)


def _all_of(checker: Checker, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
    return _first(checker.failing(value, sub, path, depth) for sub in schema["allOf"])


def _any_of(checker: Checker, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
    return None if any(checker.fits(value, sub, path, depth) for sub in schema["anyOf"]) else ("anyOf", path)


def _one_of(checker: Checker, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
    count = sum(checker.fits(value, sub, path, depth) for sub in schema["oneOf"])
    return None if count == 1 else ("oneOf", path)


def _not(checker: Checker, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
    return ("not", path) if checker.fits(value, schema["not"], path, depth) else None


def _if(checker: Checker, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
    branch = "then" if checker.fits(value, schema["if"], path, depth) else "else"
    return checker.failing(value, schema.get(branch, True), path, depth)


def _dependent(checker: Checker, value: Any, schema: dict[str, Any], path: str, depth: int) -> Failure | None:
    if not isinstance(value, dict):
        return None
    table = schema["dependentSchemas"]
    return _first(checker.failing(value, table[name], path, depth) for name in table if name in value)


_APPLICATORS: dict[str, Applicator] = {
    "properties": _properties,
    "patternProperties": _properties,
    "additionalProperties": _properties,
    "prefixItems": _items,
    "items": _items,
    "contains": _contains,
    "propertyNames": _names,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "dependentSchemas": _dependent,
}
