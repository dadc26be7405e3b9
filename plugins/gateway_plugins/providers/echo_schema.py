"""An instance of a JSON Schema: small, the same each time, and checked; or an honest refusal.

Candidates are made from what the keywords suggest and the first that passes the checker is taken. So an answer is
always valid, and what the maker does not think of ends in Unsatisfiable, which names the keyword in the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from math import ceil, floor
from typing import Any

from gateway_plugins.providers.echo_check import DEEPEST, Checker, Unsatisfiable, equal, exact, prefix_and_rest
from gateway_plugins.providers.echo_check import schemas_of as bound_by
from gateway_plugins.providers.echo_merge import CHOICES, allowed_values, both, merge
from gateway_plugins.providers.echo_pattern import NotUnderstood, parse, samples
from gateway_plugins.providers.echo_strings import strings

MOST_ITEMS = 1000
"""The longest array, and the most properties of an object."""
_TRIES = 60
_HINTS = (
    ("object", ("properties", "required", "additionalProperties", "patternProperties", "minProperties")),
    ("array", ("items", "prefixItems", "minItems", "contains", "uniqueItems")),
    ("string", ("pattern", "format", "minLength", "maxLength")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)
_TYPES = ("string", "object", "array", "integer", "number", "boolean", "null")

Stack = frozenset[str]
"""The references that are being followed, so that a recursive schema ends."""


def instance_of(schema: Any) -> Any:
    """The instance; raises Unsatisfiable."""
    try:
        return _Maker(schema).first(schema, "", 0, frozenset())
    except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError, RecursionError) as error:
        raise Unsatisfiable("schema", "", "the schema is malformed") from error


class _Maker:
    def __init__(self, root: Any) -> None:
        self.checker = Checker(root)
        self.failure: Unsatisfiable | None = None

    def first(self, schema: Any, path: str, depth: int, stack: Stack) -> Any:
        """The first instance; raises Unsatisfiable with the reason noted first."""
        for value in self.valid(schema, path, depth, stack):
            return value
        raise self.failure or Unsatisfiable("schema", path, "no instance of the schema is found")

    def valid(self, schema: Any, path: str, depth: int, stack: Stack) -> Iterator[Any]:
        """Instances of ``schema``, the simplest first."""
        if depth > DEEPEST:
            self._note(Unsatisfiable("$ref", path, "every instance nests too deeply"))
            return
        try:
            for plain, followed in self._plain(schema, path, depth, stack):
                for value in islice(self._values(plain, path, depth, followed), MOST_ITEMS):
                    failure = self.checker.failing(value, schema, path)
                    if failure is None:
                        yield value
                    else:
                        self._note(Unsatisfiable(failure[0], failure[1], "no value is found that passes"))
        except Unsatisfiable as reason:
            self._note(reason)
            if self.checker.work < 0:
                raise

    def _note(self, reason: Unsatisfiable) -> None:
        if self.failure is None:
            self.failure = reason

    def _plain(self, schema: Any, path: str, depth: int, stack: Stack) -> Iterator[tuple[dict[str, Any], Stack]]:
        """The schema without references and choices: one for each way to choose."""
        self.checker.spend(path)
        if schema is True:
            yield {}, stack
        if not isinstance(schema, dict):
            if schema is False:
                raise Unsatisfiable("false", path, "the schema forbids every value")
            return
        if depth > DEEPEST:
            raise Unsatisfiable("$ref", path, "the schema refers to itself without end")
        own = {keyword: value for keyword, value in schema.items() if keyword not in CHOICES}
        yield from self._joined(own, self._parts(schema, path, stack), path, depth, stack)

    def _joined(
        self, own: dict[str, Any], parts: list[list[tuple[Any, Stack]]], path: str, depth: int, stack: Stack
    ) -> Iterator[tuple[dict[str, Any], Stack]]:
        """``own`` joined with one branch of each part, for all combinations; contradictory ones are left out."""
        if not parts:
            yield own, stack
            return
        for branch, followed in parts[0]:
            for plain, deeper in self._plain(branch, path, depth + 1, stack | followed):
                try:
                    joined = merge(own, plain, path)
                except Unsatisfiable as reason:
                    self._note(reason)
                    continue
                yield from self._joined(joined, parts[1:], path, depth, deeper)

    def _parts(self, schema: dict[str, Any], path: str, stack: Stack) -> list[list[tuple[Any, Stack]]]:
        """What must hold besides the schema's own keywords: for each, the branches to choose from."""
        none: Stack = frozenset()
        parts: list[list[tuple[Any, Stack]]] = []
        if "$ref" in schema:
            reference = schema["$ref"]
            parts.append([(self.checker.resolve(reference, path), frozenset({reference}))])
        parts += [[(sub, none)] for sub in schema.get("allOf", [])]
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                branches = sorted(schema[keyword], key=lambda sub: _recursive(sub, stack))
                parts.append([(sub, none) for sub in branches])
        if "if" in schema:
            met = both(schema["if"], schema.get("then", True))
            parts.append([(met, none), (schema.get("else", True), none)])
        return parts

    def _values(self, plain: dict[str, Any], path: str, depth: int, stack: Stack) -> Iterator[Any]:
        """Candidates for a schema without choices."""
        values = allowed_values(plain)
        if values is not None:
            yield from values
            return
        for keyword in ("default", "examples", "example"):
            if keyword in plain:
                yield from plain[keyword] if keyword == "examples" else [plain[keyword]]
        types = _types_of(plain)
        for name in types:
            found = self._of_type(name, plain, path, depth, stack)
            yield from found if len(types) == 1 else islice(found, _TRIES)

    def _of_type(self, name: str, plain: dict[str, Any], path: str, depth: int, stack: Stack) -> Iterator[Any]:
        if name == "string":
            return strings(plain, path)
        if name in ("integer", "number"):
            return _numbers(plain, path, whole=name == "integer")
        if name == "object":
            return self._objects(plain, path, depth, stack)
        if name == "array":
            return self._arrays(plain, path, depth, stack)
        return iter({"boolean": (True, False), "null": (None,)}.get(name, ()))

    def _objects(self, plain: dict[str, Any], path: str, depth: int, stack: Stack) -> Iterator[dict[str, Any]]:
        """With all properties, then with the required ones only, then with others of their values."""
        needed = list(plain.get("required", []))
        wanted = [name for name, sub in plain.get("properties", {}).items() if not _recursive(sub, stack)]
        whole = self._object(plain, needed, wanted, path, depth, stack)
        if whole is None:
            return
        yield whole
        if len(needed) < len(whole):
            least = self._object(plain, needed, [], path, depth, stack)
            if least is not None and len(least) < len(whole):
                yield least
        for name in whole:
            for value in islice(self._property(plain, name, path, depth, stack), 1, _TRIES):
                yield {**whole, name: value}

    def _object(
        self, plain: dict[str, Any], needed: list[str], wanted: list[str], path: str, depth: int, stack: Stack
    ) -> dict[str, Any] | None:
        least, most = plain.get("minProperties", 0), plain.get("maxProperties", MOST_ITEMS)
        if least > MOST_ITEMS:
            raise Unsatisfiable("minProperties", path, f"more than {MOST_ITEMS} properties are not made")
        out: dict[str, Any] = {}
        for name in needed:
            for value in self._property(plain, name, path, depth, stack):
                out[name] = value
                break
            else:
                return None
        for name in (*wanted, *self._names(plain, path, depth, stack, int(least))):
            enough = len(out) >= (most if name in wanted else least)
            if name in out or enough:
                continue
            noted = self.failure
            for value in self._property(plain, name, path, depth, stack):
                out[name] = value
                break
            # A property that may be absent is no reason for a refusal.
            self.failure = noted
        for name, others in plain.get("dependentRequired", {}).items():
            if name in out and any(other not in out for other in others):
                return self._object(plain, [*out, *(o for o in others if o not in out)], [], path, depth, stack)
        return out

    def _property(self, plain: dict[str, Any], name: str, path: str, depth: int, stack: Stack) -> Iterator[Any]:
        schema: Any = True
        for sub in bound_by(name, plain):
            schema = both(schema, sub)
        if schema is False:
            self._note(Unsatisfiable("additionalProperties", path, f"the property {name!r} is asked for and forbidden"))
        yield from self.valid(schema, f"{path}.{name}" if path else name, depth + 1, stack)

    def _names(self, plain: dict[str, Any], path: str, depth: int, stack: Stack, count: int) -> Iterator[str]:
        """Names for properties that nobody named, where ``minProperties`` asks for more."""
        if not count:
            return
        for pattern in plain.get("patternProperties", {}):
            try:
                node = parse(pattern)
                yield from islice((name for length in range(2 * count) for name in samples(node, length)), 20 * count)
            except NotUnderstood:
                continue
        names = both({"type": "string"}, plain.get("propertyNames", True))
        yield from islice(self.valid(names, path, depth + 1, stack), 2 * count)

    def _arrays(self, plain: dict[str, Any], path: str, depth: int, stack: Stack) -> Iterator[list[Any]]:
        """One item, or as many as must be; then other lengths."""
        first, rest = prefix_and_rest(plain)
        least, most = int(plain.get("minItems", 0)), plain.get("maxItems", MOST_ITEMS)
        if least > MOST_ITEMS:
            raise Unsatisfiable("minItems", path, f"more than {MOST_ITEMS} items are not made")
        contained = plain.get("contains")
        wished = max(least, len(first), 0 if _recursive(rest, stack) else 1)
        if contained is not None:
            wished = max(wished, len(first) + int(plain.get("minContains", 1)))
        for length in dict.fromkeys((int(min(wished, most)), least, 0, least + 1)):
            if not least <= length <= most:
                continue
            made = self._array(plain, length, path, depth, stack)
            if made is not None:
                yield made

    def _array(self, plain: dict[str, Any], length: int, path: str, depth: int, stack: Stack) -> list[Any] | None:
        first, rest = prefix_and_rest(plain)
        unique, containing = plain.get("uniqueItems"), plain.get("minContains", 1) if "contains" in plain else 0
        out: list[Any] = []
        for at in range(length):
            schema = first[at] if at < len(first) else rest
            if at >= length - containing:
                schema = both(schema, plain["contains"])
            for value in self.valid(schema, f"{path}[{at}]", depth + 1, stack):
                if not (unique and any(equal(value, other) for other in out)):
                    out.append(value)
                    break
            else:
                if self.failure is None:
                    self._note(Unsatisfiable("uniqueItems", path, "not enough different items are found"))
                return None
        return out


def _types_of(plain: dict[str, Any]) -> list[str]:
    """The types to try: the declared ones, or the one that the keywords are about and then all others."""
    types = plain.get("type")
    if types is not None:
        # null says least.
        return [types] if isinstance(types, str) else sorted(types, key=lambda name: bool(name == "null"))
    hinted = [name for name, keywords in _HINTS if any(keyword in plain for keyword in keywords)]
    return list(dict.fromkeys([*hinted, *_TYPES]))


def _recursive(schema: Any, stack: Stack) -> bool:
    """Whether a schema leads at once into a reference that is being followed."""
    if not isinstance(schema, dict):
        return False
    return (
        schema.get("$ref") in stack
        or any(_recursive(sub, stack) for sub in schema.get("allOf", []))
        or _recursive(schema.get("items"), stack)
        or any(_recursive(schema.get("properties", {}).get(name), stack) for name in schema.get("required", []))
    )


def _numbers(plain: dict[str, Any], path: str, *, whole: bool) -> Iterator[int | float]:
    """Numbers within the bounds, those nearest to zero first."""
    lows = [exact(plain[keyword]) for keyword in ("minimum", "exclusiveMinimum") if keyword in plain]
    highs = [exact(plain[keyword]) for keyword in ("maximum", "exclusiveMaximum") if keyword in plain]
    low, high = max(lows, default=None), min(highs, default=None)
    if low is not None and high is not None and low > high:
        raise Unsatisfiable("minimum", path, "the lower bound exceeds the upper one")
    step = exact(plain["multipleOf"]) if "multipleOf" in plain else Fraction(1)
    if step <= 0:
        raise Unsatisfiable("multipleOf", path, "it must be above 0")
    if whole:
        step *= step.denominator  # the smallest whole multiple
    nearest = low if low is not None and low > 0 else high if high is not None and high < 0 else Fraction(0)
    start = floor(nearest / step) if nearest < 0 else ceil(nearest / step)
    inside = [Fraction(0)] if whole or "multipleOf" in plain else [Fraction(0), Fraction(1, 2)]
    for distance in range(MOST_ITEMS):
        for value in (multiple * step + part for multiple in (start + distance, start - distance) for part in inside):
            if (low is None or value >= low) and (high is None or value <= high):
                yield int(value) if whole else _number(value)
    if len(inside) > 1 and low is not None and high is not None:
        # Two bounds so close that they hold no half.
        yield from (_number(low + (high - low) / parts) for parts in (2, 3, 4, 10))


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 and abs(value) <= 2**53 else float(value)
