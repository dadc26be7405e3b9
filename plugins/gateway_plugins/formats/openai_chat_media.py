"""Content parts of chat completions: text, refusals, images, audio, files and video, both ways."""

from __future__ import annotations

from typing import Any

from gateway.errors import InvalidRequest
from gateway.protocol import Media, Opaque, Part, Refusal, Text, Thinking
from gateway_plugins.formats.openai_chat_fields import NAME, Fields, Outgoing
from gateway_plugins.formats.text_documents import text_of

# OpenAI takes wav and mp3; others go by their sub-type.
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
# The first characters of base64 of PNG, JPEG, GIF and WebP files.
_IMAGE_STARTS = (("iVBOR", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"))
_URL_KINDS = {"image_url": "image", "video_url": "video", "audio_url": "audio"}


def read_content(value: Any, path: str, spelling: dict[str, str]) -> list[Part]:
    """A message's content. A non-empty string is one Text; ``""`` and null are no parts."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [Text(text=value)]
    if not isinstance(value, list):
        raise InvalidRequest(
            f"Invalid type for '{path}': expected a string or an array of content parts.",
            param=path,
            code="invalid_type",
        )
    return [read_part(item, f"{path}[{index}]", spelling) for index, item in enumerate(value)]


def read_part(value: Any, path: str, spelling: dict[str, str]) -> Part:
    """One content part; a type that is not known is kept whole."""
    if isinstance(value, str):
        return Text(text=value)
    fields = Fields(value, path)
    kind = fields.required_text("type")
    if kind == "text":
        text = fields.required_text("text")
        return Text(text=text, cache_control=fields.cache_control(), extra=fields.left())
    control = fields.cache_control()
    if kind == "refusal":
        part: Part = Refusal(text=fields.required_text("refusal"))
    elif kind in _URL_KINDS:
        part = _read_url(fields, kind)
    elif kind == "input_audio":
        part = _read_audio(fields)
    elif kind == "file":
        part = _read_file(fields)
    elif kind == "document_url":
        spelling["document"] = kind
        part = media_of_url("document", _url(fields, kind))
        part.name = fields.text("document_name")
    elif kind == "thinking" and isinstance(value.get("thinking"), list):
        spelling["reasoning"] = "thinking"
        part = Thinking(text=thinking_text(fields.take("thinking")), origin=NAME)
        part.signature = fields.text("signature")
    else:
        return Opaque(origin=NAME, type=kind, value=value)
    part.cache_control = control
    part.extra = fields.left()
    return part


def thinking_text(chunks: Any) -> str:
    """The text of Mistral's ``thinking`` chunks."""
    if isinstance(chunks, str):
        return chunks
    if not isinstance(chunks, list):
        return ""
    texts = (chunk.get("text") if isinstance(chunk, dict) else chunk for chunk in chunks)
    return "".join(text for text in texts if isinstance(text, str))


def media_of_url(kind: Any, url: str) -> Media:
    """A Media of a URL; base64 in a ``data:`` URL is taken out of it."""
    if url[:5].lower() == "data:":
        head, comma, data = url.partition(",")
        if comma and head.endswith(";base64"):
            return Media(kind=kind, media_type=head[5:-7] or None, data=data)
    return Media(kind=kind, url=url)


def url_of(media: Media) -> str:
    """The URL of a Media with ``url`` or ``data``, the latter as a ``data:`` URL."""
    if media.url is not None:
        return media.url
    data = media.data or ""
    kind = media.media_type
    if kind is None and media.kind == "image":
        kind = next((name for start, name in _IMAGE_STARTS if data.startswith(start)), None)
    return f"data:{kind or ''};base64,{data}"


def _url(fields: Fields, key: str) -> str:
    """The URL of ``{"image_url": {"url": …}}``; some write the bare string."""
    if isinstance(fields.rest.get(key), str):
        return fields.required_text(key)
    inner = fields.nested(key)
    if inner is None:
        fields.missing(key)
    url = inner.required_text("url")
    fields.keep(key, inner)
    return url


def _read_url(fields: Fields, key: str) -> Media:
    detail = None
    inner = fields.rest.get(key)
    if isinstance(inner, dict) and isinstance(inner.get("detail"), str):
        detail = inner["detail"]
        fields.rest[key] = {name: value for name, value in inner.items() if name != "detail"}
    media = media_of_url(_URL_KINDS[key], _url(fields, key))
    media.detail = detail
    return media


def _read_audio(fields: Fields) -> Media:
    inner = fields.nested("input_audio")
    if inner is None:
        fields.missing("input_audio")
    data = inner.required_text("data")
    name = inner.text("format")
    media = media_of_url("audio", data) if data[:5] == "data:" else Media(kind="audio", data=data)
    if name is not None:
        media.media_type = _AUDIO_TYPES.get(name, f"audio/{name}")
    fields.keep("input_audio", inner)
    return media


def _read_file(fields: Fields) -> Media:
    inner = fields.nested("file")
    if inner is None:
        fields.missing("file")
    data, file_id, name = inner.text("file_data"), inner.text("file_id"), inner.text("filename")
    fields.keep("file", inner)
    if file_id is not None:
        return Media(kind="document", file_id=file_id, name=name)
    if data is None:
        inner.missing("file_data")
    if data[:5].lower() == "data:" or "://" in data[:16]:
        media = media_of_url("document", data)
        media.name = name
        return media
    return Media(kind="document", data=data, name=name)


def write_part(part: Part, path: str, to: Outgoing, spelling: dict[str, str]) -> dict[str, Any] | None:
    """One content part, or None where chat completions has none for it, which is then named."""
    if isinstance(part, Text):
        if part.citations and not to.own:
            to.dropped.add(f"{path}.citations", "chat completions takes no citations back")
        return to.part({"type": "text", "text": part.text}, part, path)
    if isinstance(part, Refusal):
        return to.part({"type": "refusal", "refusal": part.text}, part, path)
    if isinstance(part, Media):
        out = _write_media(part, path, to, spelling)
        return None if out is None else to.part(out, part, path)
    if isinstance(part, Opaque) and part.origin == NAME:
        return part.value
    if isinstance(part, Opaque):
        to.dropped.add(path, f"only {part.origin} understands {part.type}")
    else:
        to.dropped.add(path, f"chat completions has no place for {type(part).__name__} here")
    return None


def _write_media(media: Media, path: str, to: Outgoing, spelling: dict[str, str]) -> dict[str, Any] | None:
    if media.file_id is not None and not to.own:
        to.dropped.add(path, "a file id is known only to the provider that gave it")
        return None
    if media.kind == "image" and media.file_id is None:
        image: dict[str, Any] = {"url": url_of(media)}
        if media.detail is not None:
            image["detail"] = media.detail
        return {"type": "image_url", "image_url": image}
    if media.kind == "audio" and media.data is not None:
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": _audio_format(media)}}
    if media.kind in ("audio", "video") and media.file_id is None:
        key = f"{media.kind}_url"
        if not to.takes(key):
            to.dropped.add(path, f"chat completions takes no {media.kind} by this way")
            return None
        return {"type": key, key: {"url": url_of(media)}}
    return _write_document(media, path, to, spelling)


def _audio_format(media: Media) -> str:
    kind = (media.media_type or "audio/wav").partition(";")[0]
    return _AUDIO_FORMATS.get(kind, kind.rpartition("/")[2])


def _write_document(media: Media, path: str, to: Outgoing, spelling: dict[str, str]) -> dict[str, Any] | None:
    text = text_of(media) if not to.own or media.text is not None else None
    if text is not None:
        return {"type": "text", "text": text}  # chat completions takes files of PDF only
    inner: dict[str, Any] = {}
    if media.file_id is not None:
        inner["file_id"] = media.file_id
    elif (to.own and "document" in spelling) or "document_url" in to.accepts:
        # Mistral's part, for URLs and for data.
        out: dict[str, Any] = {"type": "document_url", "document_url": url_of(media)}
        if media.name is not None:
            out["document_name"] = media.name
        return out
    elif media.data is not None:
        inner["file_data"] = url_of(media) if media.media_type is not None else media.data
    elif to.takes("file_url"):
        inner["file_data"] = media.url
    else:
        to.dropped.add(path, "chat completions takes no file by URL")
        return None
    name = media.name
    if name is None and not to.own and media.file_id is None:
        # OpenAI refuses file_data without a name.
        name = "document." + (media.media_type or "application/pdf").partition(";")[0].rpartition("/")[2]
    if name is not None:
        inner["filename"] = name
    return {"type": "file", "file": inner}
