"""Pages that other providers cite, as the results of a web search that Anthropic's clients know.

Anthropic cites for a block as a whole, and in the words of its source; others say from where to where in their own
answer. ``encrypted_index``, which Anthropic needs to take a citation back, is our mark: it never goes to Anthropic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.format import Dropped
from gateway_plugins.formats.anthropic_carrier import MARK

CITATIONS = "Anthropic's citations point into what it was given"
"""Why another provider's citation of what is no page has no place in a message."""
_SAID = frozenset(("type", "url", "title", "url_citation"))


def write_citation(citation: Mapping[str, Any], path: str, dropped: Dropped) -> dict[str, Any] | None:
    """A citation of a page in Anthropic's shape; None, and named, for any other."""
    inner = citation.get("url_citation")
    said = inner if isinstance(inner, dict) else citation
    url, title = said.get("url"), said.get("title")
    if not isinstance(url, str):
        dropped.add(path, CITATIONS)
        return None
    for key, value in said.items():
        if key not in _SAID and value is not None:
            dropped.add(f"{path}.{key}", "Anthropic cites a page for a whole block, by its address and title")
    return {
        "type": "web_search_result_location",
        "cited_text": "",
        "url": url,
        "title": title if isinstance(title, str) and title else None,
        "encrypted_index": MARK,
    }
