"""Images, documents, audio and video, written as Converse's blocks."""

from __future__ import annotations

import base64
import re
from typing import Any

from gateway.protocol import Media
from gateway_plugins.formats.bedrock_converse_fields import CLAUDE, Outgoing

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_WORD, _EXCEL = "application/msword", "application/vnd.ms-excel"
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/csv": "csv",
    _WORD: "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    _EXCEL: "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/x-markdown": "md",
}
# Without a format of its own, and text all the same.
_TEXTS = ("text/", "application/json", "application/xml", "application/yaml", "application/x-yaml")
_AUDIO = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/aac": "aac",
    "audio/x-aac": "x-aac",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/mp4": "mp4",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/webm": "webm",
    "audio/x-matroska": "mka",
    "audio/pcm": "pcm",
    "audio/l16": "pcm",
}
_VIDEO = {
    "video/x-matroska": "mkv",
    "video/matroska": "mkv",
    "video/quicktime": "mov",
    "video/mov": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/mpg": "mpg",
    "video/x-ms-wmv": "wmv",
    "video/wmv": "wmv",
    "video/3gpp": "three_gp",
}
_FORMATS = {"image": _IMAGES, "document": _DOCUMENTS, "audio": _AUDIO, "video": _VIDEO}
_BY_ENDING = {"jpg": "jpeg", "htm": "html", "markdown": "md", "text": "txt", "3gp": "three_gp"}
# The first characters of base64 of PNG, JPEG, GIF, WebP and PDF files: what a file says of itself counts.
_STARTS = (("iVBOR", "png"), ("/9j/", "jpeg"), ("R0lGOD", "gif"), ("UklGR", "webp"), ("JVBERi", "pdf"))
_UNSAFE = re.compile(r"[^A-Za-z0-9\s()\[\]-]")
_SPACES = re.compile(r"\s+")
_MOST_NAME = 200


class MediaWriter:
    """Writes the media of one request; documents need names, each used once."""

    def __init__(self, to: Outgoing) -> None:
        self._to = to
        self._names: set[str] = set()

    def write(self, part: Media, path: str) -> dict[str, Any] | None:
        """The block, or None where Converse has none for it, which is then named."""
        if part.detail not in (None, "auto"):
            self._to.lose(f"{path}.detail", "Converse has no resolution of images")
        source = self._source(part, path)
        if source is None:
            return None
        word = _format_of(part)
        if part.kind == "document":
            return self._document(part, source, word, path)
        if word is None:
            self._to.lose(path, f"Converse takes no {part.kind} of type {part.media_type or 'unknown'}")
            return None
        self._to.lose_extra(part.extra, path)
        return {part.kind: {"format": word, "source": source}}

    def _document(self, part: Media, source: dict[str, Any], word: str | None, path: str) -> dict[str, Any] | None:
        if word is None:
            self._to.lose(path, f"Converse takes no document of type {part.media_type or 'unknown'}")
            return None
        block: dict[str, Any] = {"format": word, "name": self._name(part, word, path), "source": source}
        extra = dict(part.extra)
        content = extra.pop("source", None) if self._to.origin == CLAUDE else None
        texts = _texts(content)
        if texts:
            # Where the caller cut the text into blocks, citations point at them.
            block["source"] = {"content": [{"text": text} for text in texts]}
            del block["format"]
        if isinstance(extra.get("context"), str):
            block["context"] = extra.pop("context")
        citations = extra.get("citations")
        if isinstance(citations, dict) and citations.keys() == {"enabled"}:
            block["citations"] = extra.pop("citations")
        self._to.lose_extra(extra, path)
        return {"document": block}

    def _source(self, part: Media, path: str) -> dict[str, Any] | None:
        if part.text is not None:
            return {"bytes": base64.b64encode(part.text.encode()).decode()}
        if part.url is not None and part.url.startswith("s3://"):
            return {"s3Location": {"uri": part.url}}
        if part.data:
            return {"bytes": part.data}
        if part.url is not None:
            self._to.lose(path, "Converse fetches from S3 only: give the data itself, or an s3:// address")
        elif part.file_id is not None:
            self._to.lose(path, "a file id is known only to the provider that gave it")
        else:
            self._to.lose(path, "it is empty")
        return None

    def _name(self, part: Media, word: str, path: str) -> str:
        """A name of the characters that Converse allows, used once in the request; the format says the ending."""
        given = (part.name or "").strip()
        stem, dot, ending = given.rpartition(".")
        if dot and _BY_ENDING.get(ending.lower(), ending.lower()) == word:
            given = stem
        name = _SPACES.sub(" ", _UNSAFE.sub("-", given)).strip()[:_MOST_NAME] or "document"
        if part.name and name != given:
            self._to.lose(f"{path}.name", f"sent as {name!r}: Converse allows few characters in a document's name")
        unique, count = name, 1
        while unique in self._names:
            count += 1
            unique = f"{name[: _MOST_NAME - 8]}-{count}"
        self._names.add(unique)
        return unique


def _format_of(part: Media) -> str | None:
    """Converse's word for the file's type: by its first bytes, by what it is said to be, by its name or address."""
    formats = _FORMATS[part.kind]
    if part.data is not None:
        found = next((name for start, name in _STARTS if part.data.startswith(start)), None)
        if found is not None and found in formats.values():
            return found
    media_type = (part.media_type or "").partition(";")[0].strip().lower()
    if media_type in formats:
        return formats[media_type]
    for place in (part.name, part.url):
        ending = (place or "").rpartition(".")[2].lower()
        ending = _BY_ENDING.get(ending, ending)
        if ending in formats.values():
            return ending
    if part.kind == "document" and (part.text is not None or media_type.startswith(_TEXTS)):
        return "txt"
    return None


def _texts(source: Any) -> list[str]:
    """The texts of a document that came as content blocks; none where it came otherwise."""
    content = source.get("content") if isinstance(source, dict) else None
    if not isinstance(content, list):
        return []
    return [block["text"] for block in content if isinstance(block, dict) and isinstance(block.get("text"), str)]
