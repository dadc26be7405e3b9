"""What stands in the pages of docs/."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def page(name: str) -> str:
    """A page's Markdown."""
    return (DOCS / name).read_text(encoding="utf-8")


def files_in(name: str) -> dict[str, str]:
    """The files that a page shows: title of the code block → its text."""
    found = _BLOCK.findall(page(name))
    files = dict(found)
    assert len(files) == len(found), "two blocks have one title"
    return files
