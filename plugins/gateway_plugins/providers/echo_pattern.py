"""Regular expressions of JSON Schema's ``pattern``: text that matches one, and whether a text does.

Python's ``re`` is not used, for two reasons: ``pattern`` is ECMA-262's notation, and the expression comes from the
caller, who could choose one that keeps a backtracking matcher busy for hours. Here a match follows all positions at
once, so its cost is bounded by the expression's size times the text's length.

Known are literals, escapes, classes, groups, alternatives, quantifiers and anchors. Anything else (look-around, back
references, word boundaries, Unicode properties) raises NotUnderstood.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

LONGEST = 2000
"""The longest text that is matched or made, in characters; the largest count of a quantifier too."""

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_DIGIT = ((48, 57),)
_WORD = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE = ((9, 13), (32, 32), (160, 160), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x3000, 0x3000))
_LINE_ENDS = ((10, 10), (13, 13), (0x2028, 0x2029))
MOST_WORK = 200_000
"""How many positions one match may look at: some 20 ms."""
# Pleasant characters come first when a class leaves the choice.
_PREFERRED = "a0A" + "".join(map(chr, range(33, 127))) + " é\n"
_REPEATED = 64


class NotUnderstood(Exception):
    """The expression uses what is not known here, or is none."""


class Chars(msgspec.Struct, frozen=True):
    """One character out of ``ranges``, or, ``negated``, out of all others."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False

    def has(self, char: str) -> bool:
        return any(low <= ord(char) <= high for low, high in self.ranges) != self.negated

    def pick(self) -> str:
        """A character of the class; raises NotUnderstood for one that holds none worth naming."""
        bounds = (chr(low) for low, _ in self.ranges)
        found: str | None = next((char for char in (*_PREFERRED, *bounds) if self.has(char)), None)
        if found is None:
            raise NotUnderstood("a class that matches no usual character")
        return found


class Anchor(msgspec.Struct, frozen=True):
    """``^`` or ``$``."""

    end: bool


class Sequence(msgspec.Struct, frozen=True):
    parts: tuple[Node, ...]


class Alternatives(msgspec.Struct, frozen=True):
    branches: tuple[Node, ...]


class Repeat(msgspec.Struct, frozen=True):
    """``node`` from ``least`` to ``most`` times; None is without end."""

    node: Node
    least: int
    most: int | None


Node = Chars | Anchor | Sequence | Alternatives | Repeat


def parse(pattern: str) -> Node:
    """The expression as a tree; raises NotUnderstood."""
    if len(pattern) > LONGEST:
        raise NotUnderstood(f"an expression of more than {LONGEST} characters")
    parser = _Parser(pattern)
    node = parser.alternatives(0)
    if parser.at < len(pattern):
        raise NotUnderstood("an unbalanced parenthesis")
    return node


def matches(node: Node, text: str) -> bool:
    """Whether the expression is found anywhere in ``text``, as JSON Schema means it; raises NotUnderstood."""
    if len(text) > LONGEST:
        raise NotUnderstood(f"a text of more than {LONGEST} characters")
    return bool(_Matcher(text).ends(node, frozenset(range(len(text) + 1))))


class _Matcher:
    def __init__(self, text: str) -> None:
        self.text = text
        self.work = MOST_WORK

    def ends(self, node: Node, starts: frozenset[int]) -> frozenset[int]:
        """Where a match may end that begins at one of ``starts``."""
        text = self.text
        self.work -= 1 + len(starts)
        if self.work < 0:
            raise NotUnderstood("an expression that takes too long to match")
        if isinstance(node, Chars):
            return frozenset(at + 1 for at in starts if at < len(text) and node.has(text[at]))
        if isinstance(node, Anchor):
            return starts & {len(text) if node.end else 0}
        if isinstance(node, Sequence):
            for part in node.parts:
                starts = self.ends(part, starts)
            return starts
        if isinstance(node, Alternatives):
            return frozenset().union(*(self.ends(branch, starts) for branch in node.branches))
        return self._repeated(node, starts)

    def _repeated(self, node: Repeat, starts: frozenset[int]) -> frozenset[int]:
        for _ in range(node.least):
            following = self.ends(node.node, starts)
            if following == starts:
                break
            starts = following
        found = reached = starts
        for _ in range(len(self.text) + 1 if node.most is None else node.most - node.least):
            reached = self.ends(node.node, reached) - found
            if not reached:
                break
            found |= reached
        return found


def samples(node: Node, length: int) -> Iterable[str]:
    """Texts that likely match, the simplest first; some have at least ``length`` characters where that is possible."""
    seen: set[str] = set()
    for extra in sorted({0, 1, length, *range(2, min(length, _REPEATED) + 1)}):
        for choice in range(4):
            text = _sample(node, extra, choice)
            if len(text) <= LONGEST and text not in seen:
                seen.add(text)
                yield text
            for padded in (text + "a" * (length - len(text)), "a" * (length - len(text)) + text):
                if len(padded) <= LONGEST and padded not in seen:
                    seen.add(padded)
                    yield padded


def _sample(node: Node, extra: int, choice: int) -> str:
    """One text: each quantifier takes up to ``extra`` more than it must, alternatives are taken by ``choice``."""
    if isinstance(node, Chars):
        return node.pick()
    if isinstance(node, Anchor):
        return ""
    if isinstance(node, Sequence):
        text = ""
        for part in node.parts:
            text += _sample(part, extra, choice)
            if len(text) > LONGEST:
                break
        return text
    if isinstance(node, Alternatives):
        return _sample(node.branches[choice % len(node.branches)], extra, choice)
    count = node.least + (extra if node.most is None else min(extra, node.most - node.least))
    one = _sample(node.node, extra if count else 0, choice)
    return one * min(count, LONGEST // max(1, len(one)) + 1)


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def _peek(self) -> str:
        return self.pattern[self.at] if self.at < len(self.pattern) else ""

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise NotUnderstood("an expression that ends too early")
        self.at += 1
        return char

    def alternatives(self, depth: int) -> Node:
        if depth > 20:
            raise NotUnderstood("groups nested too deeply")
        branches = [self._sequence(depth)]
        while self._peek() == "|":
            self.at += 1
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else Alternatives(tuple(branches))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._quantified(self._atom(depth)))
        return Sequence(tuple(parts))

    def _atom(self, depth: int) -> Node:
        char = self._take()
        if char == "(":
            if self.pattern.startswith("?:", self.at):
                self.at += 2
            elif self._peek() == "?":
                raise NotUnderstood("a group with a special meaning")
            node = self.alternatives(depth + 1)
            if self._take() != ")":
                raise NotUnderstood("an unbalanced parenthesis")
            return node
        if char in "^$":
            return Anchor(end=char == "$")
        if char == ".":
            return Chars(_LINE_ENDS, negated=True)
        if char == "[":
            return self._class()
        if char == "\\":
            return self._escape()
        if char in "*+?":
            raise NotUnderstood("a quantifier with nothing before it")
        return _literal(char)

    def _quantified(self, node: Node) -> Node:
        char = self._peek()
        bounds: tuple[int, int | None] | None = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(char)
        if bounds is not None:
            self.at += 1
        elif char == "{":
            bounds = self._counts()
        if bounds is None:
            return node
        if self._peek() == "?":
            self.at += 1  # a lazy quantifier matches the same texts
        if self._peek() and self._peek() in "*+?":
            raise NotUnderstood("a quantifier behind a quantifier")
        return Repeat(node, *bounds)

    def _counts(self) -> tuple[int, int | None] | None:
        """``{2}``, ``{2,}`` or ``{2,5}``; a brace that is none of them stands for itself."""
        close = self.pattern.find("}", self.at)
        first, comma, last = self.pattern[self.at + 1 : close].partition(",")
        if close < 0 or not _is_count(first) or (last and not _is_count(last)):
            return None
        self.at = close + 1
        least = int(first)
        most = (int(last) if last else None) if comma else least
        if least > LONGEST or (most is not None and not least <= most):
            raise NotUnderstood("a quantifier with such counts")
        return least, most

    def _class(self) -> Node:
        negated = self._peek() == "^"
        self.at += negated
        ranges: list[tuple[int, int]] = []
        while (char := self._take()) != "]":
            low = self._member(char)
            if (
                len(low) == 1
                and low[0][0] == low[0][1]
                and self._peek() == "-"
                and self.pattern[self.at + 1 :][:1] != "]"
            ):
                self.at += 1
                high = self._member(self._take())
                if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
                    raise NotUnderstood("a class with such a range")
                low = ((low[0][0], high[0][0]),)
            ranges += low
        return Chars(tuple(ranges), negated)

    def _member(self, char: str) -> tuple[tuple[int, int], ...]:
        if char != "\\":
            return ((ord(char), ord(char)),)
        if self._peek() == "b":
            self.at += 1
            return ((8, 8),)
        escaped = self._escape()
        if escaped.negated:
            raise NotUnderstood("a negated escape within a class")
        return escaped.ranges

    def _escape(self) -> Chars:
        char = self._take()
        known = {"d": _DIGIT, "w": _WORD, "s": _SPACE}.get(char.lower())
        if known is not None:
            return Chars(known, negated=char.isupper())
        if char in "xu":
            digits = self.pattern[self.at : self.at + (2 if char == "x" else 4)]
            self.at += len(digits)
            if len(digits) not in (2, 4) or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
                raise NotUnderstood(f"the escape \\{char}")
            return _literal(chr(int(digits, 16)))
        if char.isalnum() and char not in _ESCAPES:
            raise NotUnderstood(f"the escape \\{char}")
        return _literal(_ESCAPES.get(char, char))


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6


def _literal(char: str) -> Chars:
    return Chars(((ord(char), ord(char)),))
