"""Content parts of the responses API: text, refusals, images, files and audio, both ways."""

from __future__ import annotations

from typing import Any

from gateway.errors import InvalidRequest
from gateway.protocol import Media, Opaque, Part, Refusal, Text
from gateway_plugins.formats.openai_chat_fields import Outgoing as ChatOutgoing
from gateway_plugins.formats.openai_chat_media import media_of_url, read_part, url_of, write_part
from gateway_plugins.formats.openai_responses_fields import NAME, Fields, Outgoing, read_breakpoint, typed


def read_content(value: Any, path: str) -> list[Part]:
    """The content of a message or of a tool's result. A string is one Text; ``""`` and null are no parts."""
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
    return [_read_part(item, f"{path}[{index}]") for index, item in enumerate(value)]


def _read_part(value: Any, path: str) -> Part:
    fields = typed(value, path)
    kind = fields.rest["type"]
    if kind == "input_audio":
        return read_part(value, path, {})
    del fields.rest["type"]
    control = read_breakpoint(fields)
    part: Part
    if kind in ("input_text", "output_text", "text", "summary_text"):
        part = Text(text=fields.required_text("text"))
        annotations = fields.array("annotations")
        if annotations:
            part.citations = [item for item in annotations if isinstance(item, dict)]
        if fields.rest.get("logprobs") == []:
            del fields.rest["logprobs"]
    elif kind == "refusal":
        part = Refusal(text=fields.required_text("refusal"))
    elif kind in ("input_image", "computer_screenshot"):
        part = _read_image(fields)
        if kind != "input_image":
            return Opaque(origin=NAME, type=kind, value=value)
    elif kind == "input_file":
        part = _read_file(fields)
    else:
        return Opaque(origin=NAME, type=kind, value=value)
    part.cache_control = control
    part.extra = fields.left()
    return part


def _read_image(fields: Fields) -> Media:
    url: str | None
    if isinstance(fields.rest.get("image_url"), dict):
        inner = Fields(fields.take("image_url"), fields.at("image_url"))  # chat's shape, which many send here too
        url = inner.required_text("url")
    else:
        url = fields.text("image_url")
    file_id, detail = fields.text("file_id"), fields.text("detail")
    if url is not None:
        media = media_of_url("image", url)
    elif file_id is not None:
        media = Media(kind="image", file_id=file_id)
    else:
        fields.missing("image_url")
    media.detail = detail
    return media


def _read_file(fields: Fields) -> Media:
    data, url, file_id = fields.text("file_data"), fields.text("file_url"), fields.text("file_id")
    name = fields.text("filename")
    if data is not None:
        media = media_of_url("document", data) if data[:5].lower() == "data:" else Media(kind="document", data=data)
    elif url is not None:
        media = Media(kind="document", url=url)
    elif file_id is not None:
        media = Media(kind="document", file_id=file_id)
    else:
        fields.missing("file_data")
    media.name = name
    return media


def write_content(parts: list[tuple[str, Part]], to: Outgoing) -> Any:
    """What a user, a system or a tool says: a string for one plain Text, else an array; parts come with paths."""
    found = [one for path, part in parts if (one := write_input(part, path, to)) is not None]
    if not found:
        return ""
    if len(found) == 1 and found[0].keys() == {"type", "text"}:
        return found[0]["text"]
    return found


def write_input(part: Part, path: str, to: Outgoing) -> dict[str, Any] | None:
    """One input part, or None where there is none for it, which is then named."""
    if isinstance(part, Text | Refusal):
        if isinstance(part, Text) and part.citations:
            to.lose(f"{path}.citations", "an input has no citations")
        return to.part({"type": "input_text", "text": part.text}, part, path)
    if isinstance(part, Media):
        out = _write_media(part, path, to)
        return None if out is None else to.part(out, part, path)
    if isinstance(part, Opaque) and part.origin == NAME:
        return part.value
    if isinstance(part, Opaque):
        to.lose(path, f"only {part.origin} understands {part.type}")
    else:
        to.lose(path, f"the responses API has no place for {type(part).__name__} here")
    return None


def _write_media(media: Media, path: str, to: Outgoing) -> dict[str, Any] | None:
    if media.file_id is not None and not to.own:
        to.lose(path, "a file id is known only to the provider that gave it")
        return None
    if media.kind == "image":
        out: dict[str, Any] = {"type": "input_image"}
        if media.file_id is None:
            out["image_url"] = url_of(media)
        else:
            out["file_id"] = media.file_id
        if media.detail is not None or not to.own:
            out["detail"] = media.detail or "auto"
        return out
    if media.kind == "document":
        return _write_document(media, own=to.own)
    if media.kind == "audio" and media.data is not None:
        return write_part(media, path, ChatOutgoing(to.traits, to.dropped, own=to.own), {})
    to.lose(path, f"the responses API takes no {media.kind} by this way")
    return None


def _write_document(media: Media, *, own: bool) -> dict[str, Any]:
    if media.text is not None:
        # A document of plain text is text; its title is put where the model sees it.
        return {"type": "input_text", "text": f"{media.name}\n\n{media.text}" if media.name else media.text}
    out: dict[str, Any] = {"type": "input_file"}
    name = media.name
    if media.file_id is not None:
        out["file_id"] = media.file_id
    elif media.data is not None:
        kind = media.media_type if own else media.media_type or "application/pdf"
        out["file_data"] = media.data if kind is None else f"data:{kind};base64,{media.data}"
        if name is None and kind is not None and not own:
            # OpenAI refuses file_data without a name.
            name = "document." + kind.partition(";")[0].rpartition("/")[2]
    else:
        out["file_url"] = media.url
    if name is not None and (own or media.url is None):
        out["filename"] = name
    return out


def write_output(part: Text | Refusal, path: str, to: Outgoing) -> dict[str, Any]:
    """A part of what an assistant said, as a part of an output message."""
    if isinstance(part, Refusal):
        return to.part({"type": "refusal", "refusal": part.text}, part, path)
    if part.citations and not to.own:
        to.lose(f"{path}.citations", "citations of another provider cannot be given back")
    return to.part(
        {"type": "output_text", "text": part.text, "annotations": part.citations if to.own else []}, part, path
    )
