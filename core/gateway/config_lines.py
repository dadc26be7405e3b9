"""Finds the line of a table or key in TOML text, for messages: the parser gives none."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=""")
_WORD = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")

Path = tuple[str, ...]


class LineMap:
    """The line (from 1) of each table header and of each key that begins a line."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._places: dict[Path, int] = {}
        table: Path = ()
        for number, line in enumerate(self._lines, 1):
            if header := _HEADER.match(line):
                table = _words(header.group(1))
                self._places.setdefault(table, number)
            elif key := _KEY.match(line):
                self._places.setdefault(table + _words(key.group(1)), number)

    def line(self, path: Path) -> int | None:
        """The line of ``path``; of something inside an inline table or array, the line where it is written."""
        for length in range(len(path), 0, -1):
            number = self._places.get(path[:length])
            if number is not None:
                return self._within(number, path[length:]) or number
        return None

    def _within(self, start: int, rest: Path) -> int | None:
        """The line of the last word of ``rest`` in the value that begins at ``start``; items are told by brackets."""
        names = [name for name in rest if not name.isdigit()]
        index = next((int(name) for name in rest if name.isdigit()), None)
        end = min((place for place in self._places.values() if place > start), default=len(self._lines) + 1)
        lines = range(start, end)
        if index is not None and len(lines) > 1:
            items = [
                n
                for n in lines
                if re.search(r"[{\"']", self._lines[n - 1].partition("=")[2] if n == start else self._lines[n - 1])
            ]
            if index < len(items):
                return items[index]
        if names:
            word = re.compile(rf"(?<![\w-]){re.escape(names[-1])}(?![\w-])")
            return next((n for n in lines if word.search(self._lines[n - 1])), None)
        return None


def _words(dotted: str) -> Path:
    return tuple(next(group for group in match.groups() if group is not None) for match in _WORD.finditer(dotted))
