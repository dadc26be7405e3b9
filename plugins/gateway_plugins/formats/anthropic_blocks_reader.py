"""Content blocks, read into parts: those of requests and of replies.

A block whose type, or whose source, is not understood is kept whole as Opaque: server-side tools and their results,
search results, container uploads, and whatever comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.protocol import Media, Opaque, Part, Text, ToolCall, ToolResult
from gateway_plugins.formats.anthropic_carrier import read_call_signature, thinking_of
from gateway_plugins.formats.anthropic_fields import NAME, Fields, wrong

# Source type → the field of Media that holds it.
_SOURCES = {"base64": "data", "url": "url", "file": "file_id"}
_SOURCE_KEYS = {
    "base64": frozenset(("type", "media_type", "data")),
    "url": frozenset(("type", "url")),
    "file": frozenset(("type", "file_id")),
    "text": frozenset(("type", "media_type", "data")),
}


def read_content(value: Any, path: str) -> list[Part]:
    """A message's content: a non-empty string is one Text; ``""`` and null are no parts."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [Text(text=value)]
    if not isinstance(value, list):
        raise wrong(path, "Input should be a valid string or list of content blocks")
    parts: list[Part] = []
    signature: str | None = None
    for index, block in enumerate(value):
        carried = read_call_signature(block)
        if carried is not None:
            signature = carried
            continue
        part = read_block(block, f"{path}.{index}")
        if signature is not None and isinstance(part, ToolCall):
            part.signature, signature = signature, None
        parts.append(part)
    return parts


def read_block(value: Any, path: str) -> Part:
    """One content block."""
    fields = Fields(value, path)
    kind = fields.required_text("type")
    reader = _READERS.get(kind)
    part = reader(fields) if reader is not None else None
    if part is None:
        return Opaque(origin=NAME, type=kind, value=value)
    part.cache_control = fields.cache_control()
    extra = fields.left()
    if extra:
        part.extra = {**part.extra, **extra}
    return part


def _read_text(fields: Fields) -> Part:
    part = Text(text=fields.required_text("text"))
    citations = fields.objects("citations")
    if citations:
        part.citations = citations
    return part


def _read_media(fields: Fields, kind: Any) -> Media | None:
    source = fields.rest.get("source")
    if not isinstance(source, dict):
        fields.missing("source")
    said = {key: value for key, value in source.items() if value is not None}
    word = said.get("type")
    if not isinstance(word, str) or not said.keys() <= _SOURCE_KEYS.get(word, frozenset()):
        return None
    value = said.get("data" if word == "text" else _SOURCES.get(word, ""))
    media_type = said.get("media_type")
    if not isinstance(value, str) or not isinstance(media_type, str | None):
        return None
    del fields.rest["source"]
    media = Media(kind=kind, media_type=media_type)
    setattr(media, "text" if word == "text" else _SOURCES[word], value)
    return media


def _read_image(fields: Fields) -> Part | None:
    return _read_media(fields, "image")


def _read_document(fields: Fields) -> Part | None:
    source = fields.rest.get("source")
    if isinstance(source, dict) and source.get("type") == "content":
        # The text is what other formats can carry; the source itself stays for this one.
        text = _text_of(source.get("content"))
        if text is None:
            return None
        media = Media(kind="document", media_type="text/plain", text=text, extra={"source": fields.take("source")})
    else:
        found = _read_media(fields, "document")
        if found is None:
            return None
        media = found
    media.name = fields.text("title")
    return media


def _text_of(content: Any) -> str | None:
    """The text of a document's content; None where there is more to it."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts: list[str] = []
    for block in content:
        if not isinstance(block, dict) or block.get("type") != "text" or not isinstance(block.get("text"), str):
            return None
        texts.append(block["text"])
    return "\n\n".join(texts)


def _read_thinking(fields: Fields) -> Part:
    return thinking_of(fields.required_text("thinking"), fields.text("signature"), redacted=False)


def _read_redacted(fields: Fields) -> Part:
    return thinking_of("", fields.required_text("data"), redacted=True)


def _read_tool_use(fields: Fields) -> Part:
    name, call_id = fields.required_text("name"), fields.required_text("id")
    value = fields.take("input")
    return ToolCall(id=call_id, name=name, arguments="{}" if value is None else msgspec.json.encode(value).decode())


def _read_tool_result(fields: Fields) -> Part:
    call_id = fields.required_text("tool_use_id")
    content = read_content(fields.take("content"), fields.at("content"))
    return ToolResult(tool_call_id=call_id, content=content, is_error=bool(fields.flag("is_error")))


_READERS: dict[str, Callable[[Fields], Part | None]] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "tool_use": _read_tool_use,
    "tool_result": _read_tool_result,
}
