"""Messages of the normalised protocol, written for Cohere's v2 chat."""

from __future__ import annotations

from typing import Any

from gateway.format import Dropped
from gateway.protocol import Media, Message, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway_plugins.formats.custom_tools import wrapped
from gateway_plugins.formats.openai_chat_media import url_of
from gateway_plugins.formats.text_documents import text_of

NAME = "cohere_chat"
"""The format's name: the ``origin`` of what it read."""

PLAN = "tool_plan"
"""Marks thinking that Cohere gave as the plan in front of its tool calls."""

_ROLES = {"system": "system", "developer": "system", "user": "user", "tool": "user"}


def write_messages(messages: list[Message], dropped: Dropped, *, own: bool, thinks: bool) -> list[dict[str, Any]]:
    """The ``messages`` array. Pictures of a tool's result follow in a user message, for a tool's has no place."""
    out: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        results = [(at, part) for at, part in enumerate(message.content) if isinstance(part, ToolResult)]
        if shown and not results:
            out.append({"role": "user", "content": shown})
            shown = []
        for at, result in results:
            out.append(_result(result, f"{path}.content[{at}]", dropped, shown))
        if message.name is not None:
            dropped.add(f"{path}.name", "Cohere has no such field")
        for key in message.extra:
            dropped.add(f"{path}.{key}", "Cohere has no such field")
        if message.role == "assistant":
            out.append(_assistant(message, path, dropped, own=own, thinks=thinks))
            continue
        rest = [(at, part) for at, part in enumerate(message.content) if not isinstance(part, ToolResult)]
        if rest or not results:
            if shown:
                out.append({"role": "user", "content": shown})
                shown = []
            out.append({"role": _ROLES[message.role], "content": _content(rest, path, dropped)})
    if shown:
        out.append({"role": "user", "content": shown})
    return out


def _content(parts: list[tuple[int, Part]], path: str, dropped: Dropped) -> Any:
    """A string for text alone, else an array."""
    found = [one for at, part in parts if (one := _part(part, f"{path}.content[{at}]", dropped)) is not None]
    if len(found) == 1 and found[0]["type"] == "text":
        return found[0]["text"]
    return found or ""


def _part(part: Part, path: str, dropped: Dropped) -> dict[str, Any] | None:
    if part.cache_control is not None:
        dropped.add(f"{path}.cache_control", "Cohere caches by itself")
    for key in part.extra:
        dropped.add(f"{path}.{key}", "Cohere has no such field")
    if isinstance(part, Text | Refusal):
        if isinstance(part, Text) and part.citations:
            dropped.add(f"{path}.citations", "Cohere reads citations of its own kind only")
        return {"type": "text", "text": part.text}
    if isinstance(part, Media) and (text := text_of(part)) is not None:
        return {"type": "text", "text": text}
    if isinstance(part, Media) and part.kind == "image" and part.file_id is None:
        image: dict[str, Any] = {"url": url_of(part)}
        if part.detail is not None:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    what = f"{part.kind}s of this kind" if isinstance(part, Media) else type(part).__name__
    dropped.add(path, f"Cohere's chat takes no {what}")
    return None


def _result(result: ToolResult, path: str, dropped: Dropped, shown: list[dict[str, Any]]) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    apart: list[dict[str, Any]] = []
    for at, part in enumerate(result.content):
        if isinstance(part, Media) and part.kind == "document" and part.text is not None:
            data = {"content": part.text} if part.name is None else {"title": part.name, "content": part.text}
            found.append({"type": "document", "document": {"data": data}})
            continue
        one = _part(part, f"{path}.content[{at}]", dropped)
        if one is not None:
            (found if one["type"] == "text" else apart).append(one)
    if apart:
        shown.append({"type": "text", "text": f"From the result of tool call {result.tool_call_id}:"})
        shown += apart
    if result.is_error:
        dropped.add(f"{path}.is_error", "Cohere does not tell a failed tool from a good one")
    if result.cache_control is not None:
        dropped.add(f"{path}.cache_control", "Cohere caches by itself")
    plain = len(found) == 1 and found[0]["type"] == "text"
    content: Any = found[0]["text"] if plain else found or ""
    return {"role": "tool", "tool_call_id": result.tool_call_id, "content": content}


def _assistant(message: Message, path: str, dropped: Dropped, *, own: bool, thinks: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "assistant"}
    content: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    plans: list[str] = []
    has_calls = any(isinstance(part, ToolCall) for part in message.content)
    for at, part in enumerate(message.content):
        here = f"{path}.content[{at}]"
        if isinstance(part, ToolCall):
            calls.append(_call(part, here, dropped))
        elif isinstance(part, Thinking):
            _think(part, here, content, plans, dropped, thinks=thinks, has_calls=has_calls)
        elif not isinstance(part, ToolResult):
            content += _said(part, here, out, dropped, own=own)
    if plans:
        out[PLAN] = "\n\n".join(plans)
    if calls:
        out["tool_calls"] = calls
    if len(content) == 1 and content[0]["type"] == "text":
        out["content"] = content[0]["text"]
    elif content or not calls:
        out["content"] = content or ""
    return out


def _said(part: Part, path: str, out: dict[str, Any], dropped: Dropped, *, own: bool) -> list[dict[str, Any]]:
    """A text of the assistant's, its citations put into ``out``."""
    if own and isinstance(part, Text) and part.citations:
        out.setdefault("citations", []).extend(part.citations)
        part = Text(text=part.text, cache_control=part.cache_control, extra=part.extra)
    one = _part(part, path, dropped)
    if one is None or one["type"] == "text":
        return [] if one is None else [one]
    dropped.add(path, "Cohere takes no pictures from the assistant")
    return []


def _call(call: ToolCall, path: str, dropped: Dropped) -> dict[str, Any]:
    if call.signature is not None:
        dropped.add(f"{path}.signature", "only Gemini reads a thought signature")
    for key in call.extra:
        dropped.add(f"{path}.{key}", "Cohere has no such field")
    arguments = wrapped(call.arguments) if call.kind == "custom" else call.arguments or "{}"
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def _think(
    part: Thinking,
    path: str,
    content: list[dict[str, Any]],
    plans: list[str],
    dropped: Dropped,
    *,
    thinks: bool,
    has_calls: bool,
) -> None:
    """A plan goes in front of the calls; of other thinking the text, where the model can read it."""
    if part.signature is not None or part.encrypted is not None:
        dropped.add(
            path if not part.text else f"{path}.signature", f"thinking of {part.origin} cannot be replayed here"
        )
    if not part.text:
        return
    if has_calls and (PLAN in part.extra or not thinks):
        plans.append(part.text)
    elif thinks:
        content.append({"type": "thinking", "thinking": part.text})
    else:
        dropped.add(path, "the model does not reason")
