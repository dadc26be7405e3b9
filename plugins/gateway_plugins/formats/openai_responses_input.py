"""The items of a request's ``input``, read as messages."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import InvalidRequest
from gateway.protocol import Media, Message, Opaque, Part, Role, Text, Thinking, ToolCall, ToolResult
from gateway_plugins.formats.openai_responses_carrier import unpacked
from gateway_plugins.formats.openai_responses_fields import (
    AT,
    BEFORE,
    ITEMS,
    NAME,
    Fields,
    Item,
    note_items,
    wrong_value,
)
from gateway_plugins.formats.openai_responses_local import CALLS, OUTPUTS, arguments_of, is_the_callers, read_output
from gateway_plugins.formats.openai_responses_parts import read_content
from gateway_plugins.formats.openai_responses_tools import NAMESPACE, joined

# The small fields of an item that only its own provider knows the use of: no loss elsewhere.
_SMALL = ("id", "status", "created_by")


class InputReader:
    """Reads items one after another. What an assistant did between two inputs is one message of many parts.

    An ``additional_tools`` item holds no words: it stands in the spelling of the message behind it.
    """

    def __init__(self, spelling: dict[str, str]) -> None:
        self.messages: list[Message] = []
        self._spelling = spelling
        self._at = 0
        self._before: list[dict[str, Any]] = []
        self._parts: list[Part] = []
        self._items: list[Item] = []
        self._signatures: dict[str, str] = {}

    def read(self, value: Any) -> None:
        """Read the whole ``input``."""
        if isinstance(value, str):
            self.messages.append(Message(role="user", content=[Text(text=value)] if value else []))
            self._spelling["input"] = "string"
            return
        if not isinstance(value, list):
            raise InvalidRequest(
                "Invalid type for 'input': expected a string or an array of input items.",
                param="input",
                code="invalid_type",
            )
        for index, item in enumerate(value):
            self._at = index
            self._item(Fields(item, f"input[{index}]"), item)
        self._flush()
        if self._before:
            self._spelling[BEFORE] = msgspec.json.encode(self._before).decode()
        for message in self.messages:
            for part in message.content:
                if isinstance(part, ToolCall) and part.id in self._signatures:
                    part.signature = self._signatures[part.id]

    def _item(self, fields: Fields, raw: dict[str, Any]) -> None:
        kind = fields.text("type") or "message"
        if kind == "message":
            self._message(fields)
        elif kind == "reasoning":
            self._reasoning(fields)
        elif kind in ("function_call", "custom_tool_call"):
            self._call(kind, fields)
        elif kind in CALLS and is_the_callers(raw):
            call = ToolCall(id=_call_id(fields), name=CALLS[kind], arguments=arguments_of(raw))
            self._add(kind, [call], {key: value for key, value in raw.items() if key not in ("type", "call_id")})
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._output(kind, fields)
        elif kind in OUTPUTS and is_the_callers(raw):
            text, failed = read_output(raw)
            content: list[Part] = [Text(text=text)] if text else []
            result = ToolResult(tool_call_id=_call_id(fields), content=content, is_error=failed)
            self._say("tool", [result], {"type": kind, "item": msgspec.json.encode(raw).decode()})
        elif kind == "additional_tools":
            self._flush()
            self._before.append(raw)
        elif kind == "image_generation_call" and isinstance(raw.get("result"), str) and raw["result"]:
            rest = {key: value for key, value in raw.items() if key not in ("type", "result")}
            self._add(kind, [Media(kind="image", data=raw["result"])], rest)
        else:
            self._add(kind, [Opaque(origin=NAME, type=kind, value=raw)], {})

    def _message(self, fields: Fields) -> None:
        role = fields.required_text("role")
        if role not in ("user", "system", "developer", "assistant"):
            raise wrong_value(fields.at("role"), role, "'assistant', 'system', 'developer' and 'user'")
        parts = read_content(fields.take("content"), fields.at("content"))
        rest = _small(fields)
        phase = fields.take("phase")
        left = fields.left()
        if role != "assistant":
            self._say(role, parts, {key: str(value) for key, value in rest.items()}, left)  # type: ignore[arg-type]
            return
        if phase is not None:
            left["phase"] = phase
        for part in parts[:1]:
            # Where another format loses them, it names them.
            part.extra = {**part.extra, **left}
        self._add("message", parts, {**rest, **left})

    def _reasoning(self, fields: Fields) -> None:
        item_id = fields.text("id")
        encrypted = fields.text("encrypted_content")
        summary, content = fields.array("summary") or [], fields.array("content") or []
        carried = unpacked(encrypted)
        if carried is not None and carried.call is not None and carried.call_signature is not None:
            self._signatures[carried.call] = carried.call_signature
            return
        texts = [text for chunk in summary if isinstance(text := _text_of(chunk), str)]
        if carried is not None:
            part = Thinking(text="".join(texts), signature=carried.signature, encrypted=carried.encrypted)
            part.id, part.origin, part.redacted = carried.id, carried.origin, carried.redacted
            self._add("reasoning", [part], {})
            return
        parts = thinking_parts(item_id, texts, content, encrypted)
        rest = _small(fields)
        if item_id is not None:
            rest["id"] = item_id
        parts[0].extra = fields.left()
        self._add("reasoning", list(parts), rest)

    def _call(self, kind: str, fields: Fields) -> None:
        call = ToolCall(id=_call_id(fields), name=fields.required_text("name"))
        if kind == "custom_tool_call":
            call.kind, call.arguments = "custom", fields.text("input") or ""
        else:
            call.arguments = fields.text("arguments") or ""
        rest = _small(fields)
        space = fields.rest.get("namespace")
        if isinstance(space, str) and NAMESPACE + joined(space, call.name) in self._spelling:
            call.name = joined(space, call.name)
            del fields.rest["namespace"]
        call.extra = fields.left()
        self._add(kind, [call], rest)

    def _output(self, kind: str, fields: Fields) -> None:
        result = ToolResult(tool_call_id=_call_id(fields))
        output = fields.take("output")
        if isinstance(output, str | list) or output is None:
            result.content = read_content(output, fields.at("output"))
        else:
            result.content = [Text(text=msgspec.json.encode(output).decode())]
        rest = {key: str(value) for key, value in _small(fields).items()}
        result.name = fields.text("name")
        result.extra = fields.left()
        self._say("tool", [result], {"type": kind, **rest})

    def _add(self, kind: str, parts: list[Part], rest: dict[str, Any]) -> None:
        """Parts of the assistant's turn."""
        self._items.append(Item(parts=len(parts), type=kind, at=self._at, rest=rest))
        self._parts += parts

    def _say(
        self, role: Role, parts: list[Part], spelling: dict[str, str], extra: dict[str, Any] | None = None
    ) -> None:
        """A message that is an item for itself."""
        self._flush()
        spelling[AT] = str(self._at)
        self.messages.append(Message(role=role, content=parts, extra=extra or {}, spelling=self._marked(spelling)))

    def _flush(self) -> None:
        if self._items:
            spelling = self._marked({ITEMS: note_items(self._items)})
            self.messages.append(Message(role="assistant", content=self._parts, spelling=spelling))
            self._parts, self._items = [], []

    def _marked(self, spelling: dict[str, str]) -> dict[str, str]:
        if self._before:
            spelling[BEFORE] = msgspec.json.encode(self._before).decode()
            self._before = []
        return spelling


def thinking_parts(
    item_id: str | None, summary: list[str], content: list[Any], encrypted: str | None
) -> list[Thinking]:
    """A reasoning item of OpenAI's as parts, one at least: each piece of the summary, and the reasoning itself.

    The latter, which open models show, is plain text that any model may read: it has no origin.
    """
    parts = [Thinking(text=text, id=item_id, origin=NAME) for text in summary]
    plain = [Thinking(text=text, id=item_id) for chunk in content if isinstance(text := _text_of(chunk), str)]
    if encrypted is not None or not (parts or plain):
        parts = parts or [Thinking(id=item_id, origin=NAME)]
        parts[-1].encrypted = encrypted
    return parts + plain


def _small(fields: Fields) -> dict[str, Any]:
    return {key: value for key in _SMALL if (value := fields.take(key)) is not None}


def _call_id(fields: Fields) -> str:
    call_id = fields.text("call_id")
    if call_id is None:
        # Older local shell items are known by their id alone.
        call_id = fields.rest.get("id")
    if not isinstance(call_id, str):
        fields.missing("call_id")
    return call_id


def _text_of(chunk: Any) -> Any:
    return chunk.get("text") if isinstance(chunk, dict) else chunk
