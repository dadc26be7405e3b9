"""TOML text → tree, with as many syntax errors at once as can be told apart for certain."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec

MAX_SYNTAX_ERRORS = 20

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_PAIR = re.compile(r"""\s*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*(?:[\w-]+|"[^"\n]*"|'[^'\n]*'))*\s*=""")
_HEADER = re.compile(r"\s*\[\[?([^\[\]\n]*)\]")
_SET_TWICE = "Cannot overwrite a value"
_WRITTEN_TWICE = "Cannot declare"
_LEFT_OUT = "_left_out"


class Reading(msgspec.Struct, frozen=True):
    """What was read. ``tree`` is None where the rest of the text cannot be understood.

    ``text`` is what the tree was made of, line for line: the lines that are wrong are left out of it. ``problems`` are
    ready lines.
    """

    tree: dict[str, Any] | None
    text: str
    problems: list[str]


def read_toml(text: str, file: str) -> Reading:
    """Parse a document. No value appears in a problem: what is no valid TOML may be a secret without its quotes.

    A line ``key = value`` that is wrong in itself is left out and the rest is read, so that one slip does not hide the
    mistakes behind it; so is the header of a table that is there already. Anything else, an open bracket for one,
    ends the reading.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    problems: list[str] = []
    last = 0
    while len(problems) < MAX_SYNTAX_ERRORS:
        try:
            tree = tomllib.loads("\n".join(lines))
        except tomllib.TOMLDecodeError as error:
            number, column, message = _position(error, lines)
            pair = bool(_PAIR.match(lines[number - 1])) and _is_document(lines[: number - 1])
            header = _HEADER.match(lines[number - 1])
            if number <= last or (problems and not (pair or header)):
                break  # most likely the rest of a statement whose first line was left out
            if _PAIR.match(lines[number - 1]) and not pair:
                message = "the brackets or quotes of the value above are not closed"
            problems.append(f"{file}:{number}:{column}: {_explain(message, lines, number)}")
            last = number
            if pair and _is_whole(lines[number - 1]):
                lines[number - 1] = ""
            elif header and message.startswith(_WRITTEN_TWICE):
                lines[number - 1] = f"[{_LEFT_OUT}.line_{number}]"
            else:
                break
        except (ValueError, RecursionError):
            problems.append(f"{file}: not valid TOML: a number is too long, or brackets are nested too deep")
            break
        else:
            tree.pop(_LEFT_OUT, None)
            return Reading(tree, "\n".join(lines), problems)
    return Reading(None, "", problems)


def _position(error: tomllib.TOMLDecodeError, lines: list[str]) -> tuple[int, int, str]:
    """Line and column, both from 1, and the parser's words without them."""
    text = str(error)
    match = _POSITION.search(text)
    message = text[: match.start()] if match else text
    if match and match.group(1):
        number, column = int(match.group(1)), int(match.group(2))
        if message == _SET_TWICE:
            column = 1  # the parser notices behind the value
        return number, column, message
    number = max((number for number, line in enumerate(lines, 1) if line.strip()), default=1)
    return number, 1 if message == _SET_TWICE else len(lines[number - 1]) + 1, message


def _is_document(lines: list[str]) -> bool:
    """Whether the text above a line is complete, so that the line begins a statement."""
    try:
        tomllib.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return False
    return True


def _is_whole(line: str) -> bool:
    """Whether nothing that the line opens goes on below it."""
    brackets = [sum(map(line.count, kind)) for kind in ("[{", "]}")]
    return brackets[0] == brackets[1] and '"""' not in line and "'''" not in line


def _explain(message: str, lines: list[str], number: int) -> str:
    """The mistake in words, with the table and key that it is in."""
    line = lines[number - 1]
    header = _HEADER.match(line)
    if header and message.startswith(_WRITTEN_TWICE):
        return f"[{header.group(1).strip()}] is written twice{_first(lines, 0, number, _squeeze(line))}; make it one"
    above = next((n for n in range(number - 1, 0, -1) if _HEADER.match(lines[n - 1])), 0)
    table = _HEADER.match(lines[above - 1]) if above and not header else None
    key = line.partition("=")[0].strip() if _PAIR.match(line) else ""
    place = " ".join(part for part in (f"[{table.group(1).strip()}]" if table else "", key) if part)
    start = f"{place}: " if place else ""
    if message == _SET_TWICE and key:
        return f"{start}is set twice{_first(lines, above, number, _squeeze(key) + '=')}; keep one"
    if message == "Invalid value":
        return f'{start}not valid TOML: this is no value (text stands in "quotes", true and false in small letters)'
    return f"{start}not valid TOML: {message}"


def _first(lines: list[str], above: int, number: int, beginning: str) -> str:
    """Where the first of two stands: a line between ``above`` and ``number`` that begins so."""
    found = next((n for n in range(above + 1, number) if _squeeze(lines[n - 1]).startswith(beginning)), None)
    return f" (first on line {found})" if found else ""


def _squeeze(line: str) -> str:
    """A line without blanks, and a header without its comment."""
    return re.sub(r"\s", "", line.partition("#")[0] if line.lstrip().startswith("[") else line)
