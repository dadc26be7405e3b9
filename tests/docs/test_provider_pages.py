"""docs/providers/: the page of each provider that imitates OpenAI is the one that its data gives."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from gateway_plugins.providers.presets import BY_HAND, PRESETS
from tests.docs.documents import ROOT


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_provider_pages", ROOT / "scripts" / "make_provider_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = script().pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    text = (ROOT / "docs" / "providers" / f"{name}.md").read_text(encoding="utf-8")
    assert text == PAGES[name], "run scripts/make_provider_pages.py"


def test_every_preset_has_a_page_and_every_page_is_in_the_contents() -> None:
    assert PAGES.keys() == PRESETS.keys() - set(BY_HAND)
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [name for name in PAGES if f"providers/{name}.md" not in contents] == []
