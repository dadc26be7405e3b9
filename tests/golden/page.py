"""Writes docs/translation-table.md out of what the codecs do.

    python -m tests.golden.page

The page must be committed as it is written: a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

from gateway.format import Format
from tests.golden.cells import Cell, callers, chat_formats, reply_cell, request_cell, wires
from tests.golden.replies import REPLIES
from tests.golden.requests import REQUESTS
from tests.golden.speech import Feature

PAGE = Path(__file__).parents[2] / "docs" / "translation-table.md"

SIGNS = {"carried": "✓", "adapted": "≈", "dropped": "✗", "refused": "⊘", "lost": "LOST", "unsaid": "·"}

HEAD = """# Table of translations

What becomes of each feature between what a caller speaks (its dialect) and what a provider speaks (its wire format).
The page is written by running the gateway's own codecs (`make table`), and a test fails where it is out of date, or
where something would be lost without being named.

| sign | meaning |
| --- | --- |
| ✓ | carried: the target is told the same, in its own words |
| ≈ | adapted: told in another way, or in part; what differs is named in `x-gateway-dropped` |
| ✗ | dropped, and named in `x-gateway-dropped`; with `x-gateway-strict: 1` the request is refused instead |
| ⊘ | refused with 400 |
| · | the feature is no more than what that format does anyway |
| LOST | missing and not named: a defect, and a test fails for it |

A row without a sign for a dialect is one that the dialect cannot say. Where dialect and wire format are the same, bytes
pass as they are and nothing is dropped, so such columns are left out. The columns show formats at their best: models
and providers that take less (a model without vision, a server without `tool_choice`) have more named as dropped; their
pages say what. `gateway translate` ([how](translate.md)) shows any request at any target.

How long a provider took, and under which number it was asked (Ollama's `…_duration`, Converse's `metrics`, Groq's
`x_groq` and times, Cerebras' `time_info`, llama.cpp's `timings`, Z.ai's `request_id`), is no part of an answer: callers
of the same format get it as it came, others do not, and it is not named.
"""

CellOf = Callable[[Feature, str], Cell]


def page() -> str:
    """The page's Markdown."""
    out = [HEAD]
    for name, dialect in callers().items():
        rows = [row for row in REQUESTS if name in row.said]
        others = {wire: made for wire, made in wires().items() if wire != name}
        if rows and others:
            out.append(f"\n## Requests of `{name}`\n")
            out += _table(rows, others, _request_of(dialect, others))
    for name, wire in chat_formats().items():
        rows = [row for row in REPLIES if name in row.said]
        others = {caller: made for caller, made in callers().items() if caller != name}
        if rows and others:
            out.append(f"\n## Replies of `{name}`\n")
            out.append("Whole and streamed alike; the columns are the callers' dialects.\n")
            out += _table(rows, others, _reply_of(wire, others))
    return "\n".join(out) + "\n"


def _request_of(dialect: Format, others: dict[str, Format]) -> CellOf:
    return lambda row, other: request_cell(dialect, others[other], row)


def _reply_of(wire: Format, others: dict[str, Format]) -> CellOf:
    return lambda row, other: reply_cell(others[other], wire, row)


def _table(rows: Iterable[Feature], others: Iterable[str], cell: CellOf) -> list[str]:
    names = list(others)
    out = ["| | " + " | ".join(f"`{name}`" for name in names) + " |", "| --- |" + " :-: |" * len(names)]
    told: list[str] = []
    for group, members in groupby(rows, key=lambda row: row.group):
        out.append(f"| **{group}** |" + " |" * len(names))
        for row in members:
            cells = {name: cell(row, name) for name in names}
            out.append(f"| {row.name} | " + " | ".join(SIGNS[cells[name].verdict] for name in names) + " |")
            told += _told(row, cells)
    if told:
        out += ["", "What is named, and why:", "", *told]
    return out


def _told(row: Feature, cells: dict[str, Cell]) -> list[str]:
    """The names and reasons of one row: those that are the same for several formats once."""
    by_text: dict[str, list[str]] = {}
    for name, cell in cells.items():
        if cell.named and cell.verdict != "carried":
            text = "; ".join(f"`{field}`: {why}" for field, why in cell.named.items())
            by_text.setdefault(text, []).append(f"`{name}`")
    return [f"- {row.name} → {', '.join(names)}: {text}" for text, names in by_text.items()]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
