"""Messages of the normalised protocol, written as the items of a request's ``input``."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.protocol import Media, Message, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway_plugins.formats.custom_tools import wrapped
from gateway_plugins.formats.json_fields import merge
from gateway_plugins.formats.openai_responses_fields import BEFORE, NAME, Item, Outgoing, noted_items
from gateway_plugins.formats.openai_responses_local import CALLS, OUTPUTS, call_item
from gateway_plugins.formats.openai_responses_parts import write_content, write_input, write_output
from gateway_plugins.formats.openai_responses_tools import apart

Placed = tuple[str, Part]
"""A part with its path."""


def write_items(messages: list[tuple[int, Message]], spelling: dict[str, str], to: Outgoing) -> list[dict[str, Any]]:
    """The ``input`` array of these messages, which come with their places."""
    out: list[dict[str, Any]] = []
    custom = {
        part.id for _, m in messages for part in m.content if isinstance(part, ToolCall) and part.kind == "custom"
    }
    writer = _Writer(to, spelling if to.own else {}, custom)
    for index, message in messages:
        if to.own and BEFORE in message.spelling:
            out += msgspec.json.decode(message.spelling[BEFORE])
        writer.write(message, f"messages[{index}]", out)
    if to.own and BEFORE in spelling:
        out += msgspec.json.decode(spelling[BEFORE])
    return out


class _Writer:
    def __init__(self, to: Outgoing, spelling: dict[str, str], custom: set[str]) -> None:
        self._to = to
        self._spelling = spelling
        self._custom = custom if to.options.get("custom_tools") is not False else set()

    def write(self, message: Message, path: str, out: list[dict[str, Any]]) -> None:
        placed: list[Placed] = [(f"{path}.content[{at}]", part) for at, part in enumerate(message.content)]
        if message.name is not None:
            self._to.lose(f"{path}.name", "the responses API has no names for who speaks")
        if message.role == "assistant":
            self._turn(message, placed, out)
            return
        results = [(here, part) for here, part in placed if isinstance(part, ToolResult)]
        for here, result in results:
            out.append(self._result(message, result, here))
        said = [(here, part) for here, part in placed if not isinstance(part, ToolResult)]
        if said or not results:
            self._said(message, said, path, out)
        elif message.extra and not self._to.own:
            self._to.extras({}, message.extra, path)

    def _said(self, message: Message, said: list[Placed], path: str, out: list[dict[str, Any]]) -> None:
        # What is left of a tool message besides its results is said by the user.
        role = "user" if message.role == "tool" else message.role
        item: dict[str, Any] = {"type": "message", "role": self._to.traits.roles.get(role, role)}
        item["content"] = write_content(said, self._to)
        if self._to.own:
            item |= {key: message.spelling[key] for key in ("id", "status") if key in message.spelling}
        self._to.extras(item, message.extra, path)
        out.append(item)

    def _result(self, message: Message, result: ToolResult, path: str) -> dict[str, Any]:
        to = self._to
        kind = message.spelling.get("type") if to.own else None
        if kind in OUTPUTS and "item" in message.spelling:
            found: dict[str, Any] = msgspec.json.decode(message.spelling["item"])
            return found
        if kind is None:
            kind = "custom_tool_call_output" if result.tool_call_id in self._custom else "function_call_output"
        content = [(f"{path}.content[{at}]", part) for at, part in enumerate(result.content)]
        item: dict[str, Any] = {"type": kind, "call_id": result.tool_call_id, "output": write_content(content, to)}
        if to.own:
            item |= {key: message.spelling[key] for key in ("id", "status") if key in message.spelling}
            if result.name is not None:
                item["name"] = result.name
        if result.is_error:
            to.lose(f"{path}.is_error", "the responses API does not tell a failed tool from a good one")
        if result.cache_control is not None:
            to.lose(f"{path}.cache_control", "the model caches by itself")
        to.extras(item, result.extra, path)
        return item

    def _turn(self, message: Message, placed: list[Placed], out: list[dict[str, Any]]) -> None:
        """An assistant's turn: in the items that it came in where they are known, else in as few as will do."""
        items = noted_items(message.spelling, len(placed)) if self._to.own else None
        at = 0
        for item in items if items is not None else _grouped(placed):
            written = self._item(item, placed[at : at + item.parts])
            at += item.parts
            if written is not None:
                out.append(written)
        if message.extra:
            self._to.extras({}, message.extra, "messages")

    def _item(self, item: Item, placed: list[Placed]) -> dict[str, Any] | None:
        if not placed:
            return {"type": "message", "role": "assistant", "content": "", **item.rest}
        path, first = placed[0]
        if isinstance(first, Text | Refusal):
            return self._assistant(item, placed)
        if isinstance(first, Thinking):
            return self._reasoning(item, placed)
        if isinstance(first, ToolCall):
            return self._call(item, first, path)
        if isinstance(first, Media) and first.kind == "image" and item.type == "image_generation_call":
            return {"type": item.type, "result": first.data, **item.rest}
        if isinstance(first, Opaque):
            return write_input(first, path, self._to)
        self._to.lose(path, f"the responses API takes no {type(first).__name__.lower()} from the assistant")
        return None

    def _assistant(self, item: Item, placed: list[Placed]) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        for path, part in placed:
            assert isinstance(part, Text | Refusal)
            bare = msgspec.structs.replace(part, extra={k: v for k, v in part.extra.items() if k not in item.rest})
            content.append(write_output(bare, path, self._to))
        out: dict[str, Any] = {"type": "message", "role": "assistant"}
        plain = len(content) == 1 and content[0] == {
            "type": "output_text",
            "text": content[0].get("text"),
            "annotations": [],
        }
        # The short form, which needs no id of the message.
        out["content"] = content[0]["text"] if plain and "id" not in item.rest else content
        return {**out, **item.rest}

    def _reasoning(self, item: Item, placed: list[Placed]) -> dict[str, Any] | None:
        summary: list[dict[str, Any]] = []
        content: list[dict[str, Any]] = []
        out: dict[str, Any] = {"type": "reasoning", "summary": summary}
        taken = 0
        for path, part in placed:
            assert isinstance(part, Thinking)
            reason = self._refusal(part)
            if reason is not None:
                self._to.lose(path, reason)
                continue
            taken += 1
            if part.encrypted is not None:
                out["encrypted_content"] = part.encrypted
            if part.id is not None:
                out["id"] = part.id
            if part.origin == NAME:
                if part.text or (self._to.own and len(placed) > 1 and part.encrypted is None):
                    summary.append({"type": "summary_text", "text": part.text})
            else:
                content.append({"type": "reasoning_text", "text": part.text})
            self._to.extras(out, part.extra, path)
        if content:
            out["content"] = content
        if not taken:
            return None
        return {**out, **item.rest}

    def _refusal(self, part: Thinking) -> str | None:
        """Why a Thinking part cannot be sent; None if it can."""
        if "thinking" in self._to.traits.unsupported:
            return self._to.traits.unsupported["thinking"]
        if part.origin == NAME or (self._to.own and part.origin is None and part.signature is None):
            return None
        plain = part.signature is None and part.encrypted is None and not part.redacted
        if plain and part.origin in (None, "openai_chat") and self._to.options.get("reasoning_text"):
            return None
        return f"thinking of {part.origin or 'another model'} cannot be replayed here"

    def _call(self, item: Item, call: ToolCall, path: str) -> dict[str, Any]:
        if call.signature is not None:
            self._to.lose(f"{path}.signature", "only the model that gave it understands it")
        if call.cache_control is not None:
            self._to.lose(f"{path}.cache_control", "the model caches by itself")
        if item.type in CALLS:
            local = call_item(item.type, str(item.rest.get("id") or ""), call)
            if local is not None:
                return {**local, **item.rest}
        name, space = apart(call.name, self._spelling)
        if call.kind == "custom" and call.id in self._custom:
            out: dict[str, Any] = {
                "type": "custom_tool_call",
                "call_id": call.id,
                "name": name,
                "input": call.arguments,
            }
        else:
            arguments = wrapped(call.arguments) if call.kind == "custom" else call.arguments
            if not arguments and not self._to.own:
                arguments = "{}"
            out = {"type": "function_call", "call_id": call.id, "name": name, "arguments": arguments}
        if space is not None:
            out["namespace"] = space
        self._to.extras(out, call.extra, path)
        merge(out, item.rest)
        return out


def _grouped(placed: list[Placed]) -> list[Item]:
    """The items for a turn of another origin: neighbours that say text are one, pieces of one reasoning item too."""
    items: list[Item] = []
    last: Part | None = None
    for _, part in placed:
        said = isinstance(part, Text | Refusal) and isinstance(last, Text | Refusal)
        thought = isinstance(part, Thinking) and isinstance(last, Thinking) and part.id is not None
        if said or (thought and getattr(part, "id", None) == getattr(last, "id", None)):
            items[-1].parts += 1
        else:
            items.append(Item(parts=1))
        last = part
    return items
