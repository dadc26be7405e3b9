"""Where an answer is from: ``groundingMetadata`` and ``citationMetadata``, both ways.

Citations are in the shape of chat completions' annotations, whose places count characters of the whole answer;
Gemini's count bytes of one part.
"""

from __future__ import annotations

from typing import Any


def read_citations(candidate: dict[str, Any], texts: list[str]) -> list[tuple[int, dict[str, Any]]]:
    """The citations of a candidate, each with the index (among ``texts``) of the text that it belongs to.

    ``texts`` are the texts of the answer in their order.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    metadata = candidate.get("groundingMetadata")
    if isinstance(metadata, dict):
        chunks = _dicts(metadata.get("groundingChunks"))
        for support in _dicts(metadata.get("groundingSupports")):
            segment = support.get("segment")
            places = support.get("groundingChunkIndices")
            numbers = [at for at in places if isinstance(at, int)] if isinstance(places, list) else []
            where = segment if isinstance(segment, dict) else {}
            found += [_cited(chunks[at], where, texts) for at in numbers if 0 <= at < len(chunks)]
        if not found:
            found = [_cited(chunk, {}, texts) for chunk in chunks]
    recited = candidate.get("citationMetadata")
    if isinstance(recited, dict):
        sources = _dicts(recited.get("citationSources")) or _dicts(recited.get("citations"))
        found += [_cited({"web": source}, source, texts) for source in sources if isinstance(source.get("uri"), str)]
    return [pair for at, pair in enumerate(found) if pair not in found[:at]]


def _cited(chunk: dict[str, Any], segment: dict[str, Any], texts: list[str]) -> tuple[int, dict[str, Any]]:
    source = next((chunk[kind] for kind in ("web", "maps", "image") if isinstance(chunk.get(kind), dict)), None)
    if source is None:
        source = chunk.get("retrievedContext")
    source = source if isinstance(source, dict) else {}
    index = _number(segment.get("partIndex"))
    index = index if index < len(texts) else max(0, len(texts) - 1)
    text = texts[index] if texts else ""
    before = sum(len(other) for other in texts[:index])
    encoded = text.encode("utf-8", "surrogatepass")
    start = len(encoded[: _number(segment.get("startIndex"))].decode("utf-8", "ignore"))
    end = segment.get("endIndex")
    stop = len(text) if end is None else len(encoded[: _number(end)].decode("utf-8", "ignore"))
    uri = source.get("uri") or source.get("sourceUri")
    if not isinstance(uri, str):
        # A file of the caller's, which has no address.
        return index, {"type": "retrieved_context", **source}
    title = source.get("title")
    cited = {"url": uri, "title": title if isinstance(title, str) else ""}
    place = {"start_index": before + start, "end_index": before + stop}
    return index, {"type": "url_citation", "url_citation": {**cited, **place}}


_CARRIED = frozenset(("type", "url", "title", "start_index", "end_index"))


def write_citations(citations: list[tuple[int, str, dict[str, Any]]]) -> tuple[dict[str, Any] | None, list[str]]:
    """``groundingMetadata`` for citations, and what has no place there, each as the end of a path.

    Each comes with its text and where that begins in the whole answer, in characters.
    """
    chunks: list[dict[str, Any]] = []
    supports: list[dict[str, Any]] = []
    lost: list[str] = []
    for before, text, citation in citations:
        inner = citation.get("url_citation")
        said = inner if isinstance(inner, dict) else citation
        url = said.get("url")
        if not isinstance(url, str):
            lost.append("citations")
            continue
        lost += [f"citations.{key}" for key, item in said.items() if key not in _CARRIED and item is not None]
        title = said.get("title")
        chunk = {"web": {"uri": url, **({"title": title} if isinstance(title, str) and title else {})}}
        if chunk not in chunks:
            chunks.append(chunk)
        supports.append({"segment": _segment(said, text, before), "groundingChunkIndices": [chunks.index(chunk)]})
    if not chunks:
        return None, lost
    return {"groundingChunks": chunks, "groundingSupports": supports}, lost


def _segment(said: dict[str, Any], text: str, before: int) -> dict[str, Any]:
    start, stop = said.get("start_index"), said.get("end_index")
    first = max(0, start - before) if isinstance(start, int) else 0
    last = max(0, stop - before) if isinstance(stop, int) else len(text)
    quoted = text[first:last]
    begin = len(text[:first].encode("utf-8", "replace"))
    end = begin + len(quoted.encode("utf-8", "replace"))
    return {**({"startIndex": begin} if begin else {}), "endIndex": end, "text": quoted}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
