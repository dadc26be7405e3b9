"""Parts, read: those of requests and of replies.

A part of a kind that is not understood is kept whole as Opaque: code that Gemini ran, its server-side tools, and
whatever comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from gateway.protocol import Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from gateway_plugins.formats.gemini_carrier import thinking_of
from gateway_plugins.formats.gemini_fields import NAME, Fields

_MARKS = ("thought", "thoughtSignature", "partMetadata")
_KINDS: tuple[Literal["image", "audio", "video"], ...] = ("image", "audio", "video")
_OWN_FILES = ("gs://", "https://generativelanguage.googleapis.com/", "files/")
_VIDEO_SITES = ("https://www.youtube.com/", "https://youtu.be/", "https://youtube.com/")
# Keys under which a function's one answer stands; Google documents the first.
_ANSWERS = ("output", "result")


def read_part(value: Any, path: str, call_id: Callable[[str, str], str]) -> tuple[Part, str | None]:
    """One part, and the thought signature that its own struct has no place for.

    ``call_id`` gives an id to a call of that name and arguments that came without one.
    """
    fields = Fields(value, path)
    fields.rest = fields.left()  # a kind of part that is null is not this part's kind
    whole = dict(fields.rest)
    signature = fields.text("thoughtSignature")
    thought = fields.flag("thought")
    if "functionCall" in fields.rest:
        return _read_call(fields, signature, call_id), None
    if thought and "text" not in fields.rest:
        part: Part | None = None
    elif "text" in fields.rest or not fields.rest:
        text = fields.text("text") or ""
        if thought:
            thinking = thinking_of(text, signature)
            thinking.extra = fields.left()
            return thinking, None
        part = Text(text=text)
    elif "inlineData" in fields.rest:
        part = read_inline(fields)
    elif "fileData" in fields.rest:
        part = read_file(fields)
    else:
        part = None
    if part is None:
        kind = next((key for key in whole if key not in _MARKS), "thought")
        return Opaque(origin=NAME, type=kind, value=whole), None
    part.extra = fields.left()
    return part, signature


def _read_call(fields: Fields, signature: str | None, call_id: Callable[[str, str], str]) -> ToolCall:
    inner = fields.nested("functionCall")
    assert inner is not None
    name = inner.text("name") or ""
    args = inner.object("args")
    arguments = msgspec.json.encode(args or {}).decode()
    found = inner.text("id")
    fields.keep("functionCall", inner)
    thinking = thinking_of("", signature)
    return ToolCall(
        id=found or call_id(name, arguments),
        name=name,
        arguments=arguments,
        # What was carried for others belongs to no call.
        signature=signature if thinking.origin == NAME else None,
        extra=fields.left(),
    )


def read_inline(fields: Fields) -> Media:
    """``inlineData``: base64 in either alphabet."""
    inner = fields.nested("inlineData")
    assert inner is not None
    media_type = inner.text("mimeType")
    data = (inner.text("data") or "").replace("-", "+").replace("_", "/")
    media = Media(kind=kind_of(media_type), media_type=media_type, data=data, name=inner.text("displayName"))
    fields.keep("inlineData", inner)
    return media


def read_file(fields: Fields) -> Media:
    """``fileData``: a file that Google holds, or a public address."""
    inner = fields.nested("fileData")
    assert inner is not None
    media_type = inner.text("mimeType")
    uri = inner.text("fileUri") or ""
    media = Media(kind=kind_of(media_type), media_type=media_type, name=inner.text("displayName"))
    if media_type is None and uri.startswith(_VIDEO_SITES):
        media.kind = "video"
    if uri.startswith(_OWN_FILES):
        media.file_id = uri
    else:
        media.url = uri
    fields.keep("fileData", inner)
    return media


def kind_of(media_type: str | None) -> Literal["image", "document", "audio", "video"]:
    """The kind of media of a MIME type."""
    family = (media_type or "").partition("/")[0]
    return next((kind for kind in _KINDS if kind == family), "document")


def read_result(value: Any, path: str, ids: Callable[[str], str]) -> tuple[ToolResult, str | None]:
    """A ``functionResponse`` part, and the key under which its one answer stood.

    ``ids`` gives the id of the call of a name whose answer came without one.
    """
    fields = Fields(value, path)
    inner = fields.nested("functionResponse")
    assert inner is not None
    name = inner.text("name") or ""
    found = inner.text("id")
    result = ToolResult(tool_call_id=found or ids(name), name=name)
    response = inner.object("response") or {}
    key = next((key for key in (*_ANSWERS, "error") if response.keys() == {key}), None)
    answer = response.get(key) if key is not None else None
    result.is_error = key == "error"
    if isinstance(answer, str):
        result.content.append(Text(text=answer))
    else:
        key = None
        content = answer if result.is_error else response
        result.content.append(Text(text=msgspec.json.encode(content).decode()))
    for index, item in enumerate(inner.items("parts")):
        part, _ = read_part(item, f"{inner.at('parts')}[{index}]", lambda _name, _arguments: "")
        result.content.append(part)
    fields.keep("functionResponse", inner)
    result.extra = fields.left()
    return result, key


def loose_signature(signature: str) -> Thinking:
    """A signature on a part that has no place for it, on its way through formats that know thinking only."""
    return Thinking(signature=signature, origin=NAME)
