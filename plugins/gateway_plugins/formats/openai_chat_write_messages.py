"""Messages of the normalised protocol, written for a chat completions provider."""

from __future__ import annotations

from typing import Any

from gateway.protocol import Media, Message, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway_plugins.formats.json_fields import merge
from gateway_plugins.formats.openai_chat_fields import Outgoing
from gateway_plugins.formats.openai_chat_media import write_part
from gateway_plugins.formats.openai_chat_reasoning import write_thinking
from gateway_plugins.formats.openai_chat_tools import write_tool_call


def write_messages(messages: list[Message], to: Outgoing) -> list[dict[str, Any]]:
    """The ``messages`` array.

    A tool message here has text only: images and files of a tool's result follow in a user message of their own,
    unless the provider takes them in place (``accepts = ["tool_images"]``).
    """
    out: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        results = [(at, part) for at, part in enumerate(message.content) if isinstance(part, ToolResult)]
        if shown and not results:
            out.append({"role": "user", "content": shown})
            shown = []
        for at, result in results:
            out.append(_write_result(message, result, f"{path}.content[{at}]", to, shown))
            if message.role == "tool":
                _finish(out[-1], message, path, to)
        if message.role == "assistant":
            out.append(_write_assistant(message, path, to))
        elif len(results) < len(message.content) or (not results and message.role != "tool"):
            if shown:
                out.append({"role": "user", "content": shown})
                shown = []
            out.append(_write_plain(message, path, to))
    if shown:
        out.append({"role": "user", "content": shown})
    return out


def _finish(out: dict[str, Any], message: Message, path: str, to: Outgoing) -> None:
    if message.name is not None and "name" not in out:
        reason = to.traits.unsupported.get("messages.name")
        if reason is None:
            out["name"] = message.name
        else:
            to.dropped.add(f"{path}.name", reason)
    to.extras(out, message.extra, path)


def _write_plain(message: Message, path: str, to: Outgoing) -> dict[str, Any]:
    """A system, developer or user message."""
    # What is left of a tool message besides its results is said by the user.
    role = "user" if message.role == "tool" else message.role
    out: dict[str, Any] = {"role": to.traits.roles.get(role, role)}
    parts = [(at, part) for at, part in enumerate(message.content) if not isinstance(part, ToolResult)]
    out["content"] = _content(parts, path, to, message.spelling)
    _finish(out, message, path, to)
    return out


def _content(parts: list[tuple[int, Part]], path: str, to: Outgoing, spelling: dict[str, str]) -> Any:
    """A string for nothing and for one plain Text, else an array of parts."""
    found: list[dict[str, Any]] = []
    for at, part in parts:
        # Thinking is here only where the caller had Mistral's chunks in the content.
        one = _chunk(part) if isinstance(part, Thinking) else write_part(part, f"{path}.content[{at}]", to, spelling)
        if one is not None:
            found.append(one)
    return _joined(found, to)


def _chunk(part: Thinking) -> dict[str, Any]:
    chunk: dict[str, Any] = {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
    if part.signature is not None:
        chunk["signature"] = part.signature
    merge(chunk, part.extra)
    return chunk


def _joined(found: list[dict[str, Any]], to: Outgoing) -> Any:
    if not found:
        return ""
    if len(found) == 1 and found[0].keys() == {"type", "text"}:
        return found[0]["text"]
    if to.options.get("content") == "string" and all(part.get("type") == "text" for part in found):
        # Some providers read strings only.
        return "\n\n".join(part["text"] for part in found)
    return found


def _write_result(
    message: Message, result: ToolResult, path: str, to: Outgoing, shown: list[dict[str, Any]]
) -> dict[str, Any]:
    if to.own and message.spelling.get("role") == "function":
        out: dict[str, Any] = {"role": "function", "name": result.name}
    else:
        role = to.traits.roles.get("tool", "tool")
        out = {"role": role, "tool_call_id": result.tool_call_id}
        if result.name is not None and to.own:
            out["name"] = result.name
    in_place: list[dict[str, Any]] = []
    apart: list[dict[str, Any]] = []
    for at, part in enumerate(result.content):
        written = write_part(part, f"{path}.content[{at}]", to, message.spelling)
        if written is not None:
            hoist = isinstance(part, Media) and written.get("type") != "text" and not to.takes("tool_images")
            (apart if hoist else in_place).append(written)
    if apart:
        shown.append({"type": "text", "text": f"From the result of tool call {result.tool_call_id}:"})
        shown += apart
    out["content"] = _joined(in_place, to)
    if result.is_error:
        to.dropped.add(f"{path}.is_error", "chat completions does not tell a failed tool from a good one")
    return to.part(out, result, path)


def _write_assistant(message: Message, path: str, to: Outgoing) -> dict[str, Any]:
    out: dict[str, Any] = {"role": to.traits.roles.get("assistant", "assistant"), "content": None}
    spelling = message.spelling if to.own else {}
    content: list[tuple[int, Part]] = []
    thinking: list[tuple[str, Thinking]] = []
    calls: list[tuple[str, ToolCall]] = []
    for at, part in enumerate(message.content):
        here = f"{path}.content[{at}]"
        if isinstance(part, ToolCall):
            calls.append((here, part))
        elif isinstance(part, Thinking) and spelling.get("reasoning") != "thinking":
            thinking.append((here, part))
        elif not isinstance(part, ToolResult) and not _beside_content(out, part, here, to, spelling):
            content.append((at, part))
    found = _content(content, path, to, message.spelling)
    if found or not (calls or "refusal" in out or "audio" in out):
        out["content"] = found
    write_thinking(out, thinking, to, spelling.get("reasoning"))
    _write_calls(out, calls, to, deprecated=spelling.get("tool_calls") == "function_call")
    _finish(out, message, path, to)
    return out


def _beside_content(out: dict[str, Any], part: Part, path: str, to: Outgoing, spelling: dict[str, str]) -> bool:
    """Write what an assistant message says in fields of its own; whether ``part`` is done with."""
    if isinstance(part, Refusal) and not part.extra and part.cache_control is None and "refusal" not in out:
        out["refusal"] = part.text
        return True
    if isinstance(part, Text) and part.citations and to.own:
        out.setdefault("annotations", []).extend(part.citations)
        return False
    if not isinstance(part, Media):
        return False
    if part.kind == "audio" and part.file_id is not None and to.own:
        out["audio"] = {"id": part.file_id}
        return True
    if part.kind != "image" or (to.own and "images" not in spelling):
        return False
    if to.takes("images"):
        out.setdefault("images", []).append(write_part(part, path, to, spelling))
    else:
        to.dropped.add(path, "chat completions takes no images from the assistant")
    return True


def _write_calls(out: dict[str, Any], calls: list[tuple[str, ToolCall]], to: Outgoing, *, deprecated: bool) -> None:
    if not calls:
        return
    if deprecated:
        call = calls[0][1]
        out["function_call"] = {"name": call.name, "arguments": call.arguments}
        return
    written = []
    for path, call in calls:
        signed = to.takes("thought_signature")
        if call.signature is not None and not signed:
            to.dropped.add(f"{path}.signature", "only Gemini reads a thought signature")
        one = write_tool_call(call, signed=signed, custom=to.custom_tools)
        if call.kind == "function" and not call.arguments and not to.own:
            one["function"]["arguments"] = "{}"
        written.append(to.part(one, call, path))
    out["tool_calls"] = written
