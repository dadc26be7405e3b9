"""Parts, written for a request: what Gemini takes of another format's, and our own as they came."""

from __future__ import annotations

import base64
import mimetypes
from typing import Any, Literal

import msgspec

from gateway.errors import InvalidRequest
from gateway.json_text import BAD_JSON
from gateway.protocol import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway_plugins.formats.custom_tools import wrapped
from gateway_plugins.formats.gemini_fields import MADE_UP, NAME, Outgoing

SKIP = "skip_thought_signature_validator"
"""The signature that Google documents for calls that a model of theirs has not made."""

_DEFAULT_TYPES = {"image": "image/jpeg", "document": "application/pdf", "audio": "audio/mp3", "video": "video/mp4"}
_STARTS = (
    ("iVBOR", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("JVBERi", "application/pdf"),
)
_OTHER_NAMES = {"image/jpg": "image/jpeg", "audio/x-wav": "audio/wav", "audio/mpeg": "audio/mp3"}
Parts = list[dict[str, Any]]


class PartWriter:
    """Writes the parts of one request's messages."""

    def __init__(self, to: Outgoing) -> None:
        self._to = to
        self._names: dict[str, str] = {}

    def write(self, parts: list[Part], path: str, role: Literal["user", "model"], spelling: dict[str, str]) -> Parts:
        """The parts for a message; what has none is named."""
        out: Parts = []
        aside: Parts = []
        waiting: list[str] = []
        for index, part in enumerate(parts):
            here = f"{path}.content[{index}]"
            if not isinstance(part, Opaque):
                self._to.cache_control(part.cache_control, here)
            if isinstance(part, Thinking) and part.origin == NAME and not part.text and part.signature:
                self._attach(part.signature, out, waiting)
                continue
            if isinstance(part, ToolResult):
                written: dict[str, Any] | None = self._result(part, here, spelling.get(str(index)), aside)
            else:
                written = self._part(part, here, role)
            if written is None:
                continue
            if not isinstance(part, Opaque):
                self._to.extras(written, part.extra, here)
            if waiting and isinstance(part, Text | Media) and "thoughtSignature" not in written:
                written["thoughtSignature"] = waiting.pop(0)
            out.append(written)
        out += [{"text": "", "thoughtSignature": signature} for signature in waiting]
        if role == "model" and self._to.options.get("signatures") and not self._to.own:
            _sign(out)
        if not self._to.own:
            # All answers stand together, before what else is said.
            out.sort(key=lambda part: "functionResponse" not in part)
        return out + aside

    @staticmethod
    def _attach(signature: str, out: Parts, waiting: list[str]) -> None:
        """Give a signature to the text or picture before it; of a format with thinking first, to the one behind."""
        last = out[-1] if out else {}
        if ("text" in last or "inlineData" in last) and not last.get("thought") and "thoughtSignature" not in last:
            last["thoughtSignature"] = signature
        else:
            waiting.append(signature)

    def _part(self, part: Part, path: str, role: str) -> dict[str, Any] | None:
        to = self._to
        if isinstance(part, Text):
            if part.citations and not to.own:
                to.lose(f"{path}.citations", "Gemini takes no citations back")
            return {"text": part.text} if part.text or to.own else None
        if isinstance(part, Refusal):
            to.lose(path, "Gemini has no refusal part: sent as text")
            return {"text": part.text} if part.text else None
        if isinstance(part, Opaque):
            if part.origin == NAME:
                return dict(part.value)
            to.lose(path, f"only {part.origin} understands {part.type}")
            return None
        if isinstance(part, Media):
            return self._media(part, path)
        if isinstance(part, Thinking):
            return self._thinking(part, path)
        if isinstance(part, ToolCall) and (to.own or role == "model"):
            return self._call(part, path)
        to.lose(path, f"Gemini takes no {type(part).__name__.lower()} in a {role} turn")
        return None

    def _thinking(self, part: Thinking, path: str) -> dict[str, Any] | None:
        if part.origin != NAME:
            self._to.lose(path, "Gemini takes back only its own thoughts")
            return None
        written: dict[str, Any] = {"text": part.text, "thought": True}
        if part.signature is not None:
            written["thoughtSignature"] = part.signature
        return written

    def _call(self, part: ToolCall, path: str) -> dict[str, Any]:
        self._names[part.id] = part.name
        call: dict[str, Any] = {} if part.id.startswith(MADE_UP) else {"id": part.id}
        call["name"] = part.name
        call["args"] = msgspec.json.decode(wrapped(part.arguments)) if part.kind == "custom" else _args(part, path)
        written: dict[str, Any] = {"functionCall": call}
        if part.signature is not None:
            written["thoughtSignature"] = part.signature
        return written

    def _result(self, part: ToolResult, path: str, key: str | None, aside: Parts) -> dict[str, Any]:
        call_id = part.tool_call_id
        name = part.name or self._names.get(call_id)
        if not name:
            raise InvalidRequest(
                f"{path}: the tool result {call_id!r} answers no call of this conversation, and Gemini wants its name.",
                param=f"{path}.tool_call_id",
            )
        response: dict[str, Any] = {} if call_id.startswith(MADE_UP) or not call_id else {"id": call_id}
        response["name"] = name
        texts: list[str] = []
        media: Parts = []
        for index, item in enumerate(part.content):
            here = f"{path}.content[{index}]"
            self._to.cache_control(item.cache_control, here)
            if isinstance(item, Text | Refusal):
                texts.append(item.text)
            elif (written := self._part(item, here, "user")) is not None:
                self._to.extras(written, item.extra, here)
                media.append(written)
        response["response"] = _response("\n".join(texts), part, key)
        if media and (self._to.own or self._to.options.get("result_media")):
            response["parts"] = media
        else:
            # Older models take pictures only beside the answer.
            aside += media
        return {"functionResponse": response}

    def _media(self, part: Media, path: str) -> dict[str, Any] | None:
        to = self._to
        if part.detail not in (None, "auto"):
            to.lose(f"{path}.detail", "Gemini has one resolution for a whole request")
        said = {"displayName": part.name} if part.name is not None and to.own else {}
        if part.name is not None and not to.own:
            to.lose(f"{path}.name", "Gemini's files have no names")
        if part.text is not None:
            data = base64.b64encode(part.text.encode()).decode()
            return {"inlineData": {"mimeType": part.media_type or "text/plain", "data": data}}
        if part.data is not None:
            return {"inlineData": {**_typed(self._type(part)), "data": part.data, **said}}
        if part.file_id is not None:
            if not to.own and not part.file_id.startswith(("gs://", "https://", "files/")):
                to.lose(path, "a file id is known only to the provider that gave it")
                return None
            return {"fileData": {**_typed(part.media_type), "fileUri": part.file_id, **said}}
        return {"fileData": {**_typed(self._type(part)), "fileUri": part.url or "", **said}}

    def _type(self, part: Media) -> str | None:
        """The MIME type, which Gemini wants: as said, else by the first bytes, the address, or the kind."""
        if self._to.own:
            return part.media_type
        said = (part.media_type or "").partition(";")[0].strip().lower()
        if said and "*" not in said:
            return _OTHER_NAMES.get(said, said)
        if part.data is not None:
            found = next((name for start, name in _STARTS if part.data.startswith(start)), None)
        else:
            if part.kind == "video" and "youtu" in (part.url or ""):
                return None
            found, _ = mimetypes.guess_type((part.url or "").partition("?")[0])
        return found or _DEFAULT_TYPES[part.kind]


def _typed(media_type: str | None) -> dict[str, str]:
    return {} if media_type is None else {"mimeType": media_type}


def _sign(parts: Parts) -> None:
    """Newer models refuse a turn whose first call lacks a signature, as one of another provider's must."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None:
        first.setdefault("thoughtSignature", SKIP)


def _args(part: ToolCall, path: str) -> dict[str, Any]:
    """The arguments as the object that Gemini wants."""
    if not part.arguments.strip():
        return {}
    try:
        value = msgspec.json.decode(part.arguments)
    except BAD_JSON:
        value = None
    if isinstance(value, dict):
        return value
    raise InvalidRequest(
        f"{path}.arguments: the arguments of the call {part.id!r} are not a JSON object, and Gemini takes no other.",
        param=f"{path}.arguments",
    )


def _response(text: str, part: ToolResult, key: str | None) -> dict[str, Any]:
    """The answer as the object that Gemini wants: the tool's own where it is one."""
    if key is not None and not part.is_error:
        return {key: text}
    try:
        value = msgspec.json.decode(text)
    except BAD_JSON:
        value = text
    if part.is_error:
        return {"error": value if isinstance(value, dict) and key is None else text}
    return value if isinstance(value, dict) else {"output": text}


def add(content: dict[str, Any], parts: Parts) -> None:
    """Go on with a turn that was begun: answers of functions first."""
    there = content["parts"]
    answers = [part for part in parts if "functionResponse" in part]
    at = next((at for at, part in enumerate(there) if "functionResponse" not in part), len(there))
    others = [part for part in parts if "functionResponse" not in part]
    content["parts"] = [*there[:at], *answers, *there[at:], *others]
