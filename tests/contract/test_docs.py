"""The documentation hangs together: links lead somewhere, and no page is left out of the navigation."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.checkout import ROOT, shown

DOCS = ROOT / "docs"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def pages() -> list[Path]:
    """All pages: those at the top of the checkout and those in docs/."""
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def test_every_page_that_is_linked_exists() -> None:
    missing = [
        f"{shown(page)}: {target}"
        for page in pages()
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not missing


def test_every_page_is_in_the_navigation() -> None:
    listed = set(
        re.findall(r"- (?:[^:\n]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert listed == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
