"""TOML text → tree, with as many syntax errors at once as can be told apart for certain."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec

from gateway.config_lines import Source

MAX_SYNTAX_ERRORS = 20

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_PAIR = re.compile(r"""\s*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*(?:[\w-]+|"[^"\n]*"|'[^'\n]*'))*\s*=""")
_HEADER = re.compile(r"\s*\[+([^\]\n]*)\]")
_TWICE = "Cannot overwrite a value"


class Reading(msgspec.Struct, frozen=True):
    """What was read: ``tree`` is None where the rest cannot be understood; ``problems`` are ready lines."""

    tree: dict[str, Any] | None
    source: Source
    problems: list[str]


def read_toml(text: str, file: str) -> Reading:
    """Parse a document. No text of a value appears in a problem: what is not valid TOML may be a secret.

    A line ``key = value`` that is wrong in itself is left out, and the rest is read, so that one slip does not hide
    the others. Anything else (an open bracket, a broken header) ends the reading.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    problems: list[str] = []
    last = 0
    while len(problems) < MAX_SYNTAX_ERRORS:
        try:
            tree = tomllib.loads("\n".join(lines))
        except tomllib.TOMLDecodeError as error:
            number, column, message = _position(error, lines)
            if number <= last:
                break
            line = lines[number - 1]
            header = _HEADER.match(line)
            whole = bool(_PAIR.match(line)) and _is_complete(lines[: number - 1])
            if problems and not (whole or header):
                break  # most likely the rest of the statement that was left out before
            problems.append(f"{file}:{number}:{column}: {_say(message, lines, number, header)}")
            last = number
            if whole:
                lines[number - 1] = ""
            elif header and message.startswith("Cannot declare"):
                lines[number - 1] = f"[_left_out.line_{number}]"
            else:
                break
        except (ValueError, RecursionError):
            problems.append(f"{file}: not valid TOML: a number is too long or brackets are nested too deep")
            break
        else:
            tree.pop("_left_out", None)
            return Reading(tree, Source("\n".join(lines), file, damaged=bool(problems)), problems)
    return Reading(None, Source("", file, damaged=True), problems)


def _position(error: tomllib.TOMLDecodeError, lines: list[str]) -> tuple[int, int, str]:
    """The line and column (from 1) and the parser's words without them."""
    text = str(error)
    match = _POSITION.search(text)
    message = text[: match.start()] if match else text
    if match and match.group(1):
        number, column = int(match.group(1)), int(match.group(2))
        if message == _TWICE and column == 1 and number > 1:
            number -= 1  # the parser notices after the line's end
        return min(number, len(lines)), column, message
    number = max((n for n, line in enumerate(lines, 1) if line.strip()), default=1)
    return number, len(lines[number - 1]) + 1, message


def _is_complete(lines: list[str]) -> bool:
    """Whether the text before a line is a document of its own, so that the line begins a statement."""
    try:
        tomllib.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return False
    return True


def _say(message: str, lines: list[str], number: int, header: re.Match[str] | None) -> str:
    """The mistake in human words, with the table and key that it is in."""
    line = lines[number - 1]
    if header and message.startswith("Cannot declare"):
        first = _first_line(lines, number, _squeeze(line))
        return f"[{header.group(1).strip()}] is written twice{first}; join the two"
    table = next((m.group(1).strip() for text in reversed(lines[:number]) if (m := _HEADER.match(text))), "")
    key = line.partition("=")[0].strip() if _PAIR.match(line) else ""
    place = f"[{table}] {key}".strip() if table else key
    start = f"{place}: " if place else ""
    if message == _TWICE and key:
        above = next((n for n in range(number - 1, 0, -1) if _HEADER.match(lines[n - 1])), 0)
        first = _first_line(lines, number, f"{_squeeze(key)}=", above)
        return f"{start}set twice{first}; keep one of the two"
    if message == "Invalid value":
        return f'{start}not valid TOML: this is no value (text stands in "quotes"; true and false have small letters)'
    return f"{start}not valid TOML: {message}"


def _first_line(lines: list[str], number: int, beginning: str, above: int = 0) -> str:
    for n in range(above + 1, number):
        if _squeeze(lines[n - 1]).startswith(beginning):
            return f" (first on line {n})"
    return ""


def _squeeze(text: str) -> str:
    return re.sub(r"\s", "", text.partition("#")[0] if text.lstrip().startswith("[") else text)
