"""Where things stand in a TOML text: the line of each table, key and item. The parser tells none of it."""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_left

Place = tuple[str, ...]
"""The way to a value from the top of the document: names of keys, and indices of arrays (``"0"``, ``"1"``)."""

_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?'{3,5}(?!')|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'''', re.DOTALL
)
_BARE_VALUE = re.compile(r"[^,\]}#\n]+")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


def written(place: Place) -> str:
    """A dotted name as TOML writes it: quoted where it must be."""
    return ".".join(part if _BARE_KEY.match(part) else json.dumps(part, ensure_ascii=False) for part in place)


class LineMap:
    """The line (from 1) of each table, key and item of a text that is valid TOML."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[Place, int] = {}
        self._items: dict[Place, int] = {}
        table: Place = ()
        while self._skip(_GAP) < len(text):
            if self._here("["):
                table = self._header()
            else:
                self._pair(table)

    def line(self, place: Place) -> int | None:
        """The line of a place, or of the innermost thing around it that has one."""
        for length in range(len(place), 0, -1):
            if place[:length] in self._lines:
                return self._lines[place[:length]]
        return None

    def _header(self) -> Place:
        """Read ``[table]`` or ``[[array]]``; the place is that of the array's newest item."""
        array = self._here("[[")
        line = self._line()
        self._at += 2 if array else 1
        key = self._key()
        self._at += 2 if array else 1
        place: Place = ()
        for depth, part in enumerate(key, 1):
            place = (*place, part)
            self._lines.setdefault(place, line)
            if array and depth == len(key):
                self._items[place] = self._items.get(place, -1) + 1
            if place in self._items:
                place = (*place, str(self._items[place]))
        # A header of its own beats the mention in a header of a table below it.
        self._lines[place] = line
        return place

    def _pair(self, table: Place) -> None:
        line = self._line()
        place = table
        for part in self._key():
            place = (*place, part)
            self._lines.setdefault(place, line)
        self._at += 1  # the equals sign
        self._value(place)

    def _key(self) -> Place:
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            raw = self._take(_KEY)
            parts.append(next(iter(tomllib.loads(f"{raw} = 0"))) if raw[0] in "\"'" else raw)
            self._skip(_BLANK)
            if not self._here("."):
                return tuple(parts)
            self._at += 1

    def _value(self, place: Place) -> None:
        self._skip(_BLANK)
        if self._here("["):
            self._at += 1
            index = 0
            while not self._closed("]"):
                item = (*place, str(index))
                self._lines.setdefault(item, self._line())
                self._value(item)
                index += 1
        elif self._here("{"):
            self._at += 1
            while not self._closed("}"):
                self._pair(place)
        else:
            self._take(_STRING if self._text[self._at] in "\"'" else _BARE_VALUE)

    def _closed(self, bracket: str) -> bool:
        """Go on to the next item of an array or inline table; true where there is none."""
        self._skip(_GAP)
        if self._here(","):
            self._at += 1
            self._skip(_GAP)
        if self._here(bracket):
            self._at += 1
            return True
        return False

    def _line(self) -> int:
        return bisect_left(self._ends, self._at) + 1

    def _here(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None, "the text is valid TOML"
        self._at = match.end()
        return match.group()
