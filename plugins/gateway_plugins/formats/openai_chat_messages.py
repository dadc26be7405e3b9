"""Messages of a chat completions request, read into the normalised protocol.

A string as content is one Text part; a single Text part with nothing else to say is written as a string again.
"""

from __future__ import annotations

from typing import Any

from gateway.errors import InvalidRequest
from gateway.protocol import Media, Message, Part, Refusal, Role, Text, ToolCall, ToolResult
from gateway_plugins.formats.openai_chat_fields import Fields, wrong_value
from gateway_plugins.formats.openai_chat_media import media_of_url, read_content
from gateway_plugins.formats.openai_chat_reasoning import take_thinking
from gateway_plugins.formats.openai_chat_tools import tool_call_of

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


def read_messages(items: list[Any]) -> list[Message]:
    """The ``messages`` array; raises InvalidRequest with the path of what is wrong."""
    if not items:
        raise InvalidRequest(
            "Invalid 'messages': empty array. Expected an array with minimum length 1.",
            param="messages",
            code="empty_array",
        )
    # The deprecated function calls have no ids: a result belongs to the last call of its name.
    unnamed: dict[str, str] = {}
    return [_read_message(Fields(item, f"messages[{index}]"), index, unnamed) for index, item in enumerate(items)]


def _read_message(fields: Fields, index: int, unnamed: dict[str, str]) -> Message:
    word = fields.required_text("role")
    role = _ROLES.get(word)
    if role is None:
        supported = "'system', 'developer', 'user', 'assistant', 'tool' and 'function'"
        raise wrong_value(fields.at("role"), word, supported)
    spelling: dict[str, str] = {}
    name = fields.text("name")
    control = fields.cache_control()
    content = read_content(fields.take("content"), fields.at("content"), spelling)
    if role == "tool":
        if word == "function":
            spelling["role"] = word
            call_id = unnamed.get(name or "", f"call_{name}")
        else:
            call_id = fields.required_text("tool_call_id")
        content = [ToolResult(tool_call_id=call_id, content=content, name=name, cache_control=control)]
        name = None
    elif role == "assistant":
        content = _read_assistant(fields, index, content, spelling, unnamed)
    if control is not None and content and content[-1].cache_control is None:
        content[-1].cache_control = control
    message = Message(role=role, content=content, name=name, extra=fields.left())
    if spelling:
        message.spelling = spelling
    return message


def _read_assistant(
    fields: Fields, index: int, content: list[Part], spelling: dict[str, str], unnamed: dict[str, str]
) -> list[Part]:
    parts = take_thinking(fields.rest, spelling)
    refusal = fields.text("refusal")
    if refusal:
        content.append(Refusal(text=refusal))
    annotations = fields.objects("annotations")
    if annotations:
        text = next((part for part in reversed(content) if isinstance(part, Text)), None)
        if text is None:
            fields.rest["annotations"] = annotations
        else:
            text.citations = annotations
    parts += content
    parts += _read_images(fields, spelling)
    audio = fields.nested("audio")
    if audio is not None:
        parts.append(Media(kind="audio", file_id=audio.required_text("id")))
        fields.keep("audio", audio)
    parts += _read_calls(fields, index)
    call = fields.nested("function_call")
    if call is not None:
        name = call.required_text("name")
        call_id = unnamed[name] = f"call_{index}"
        spelling["tool_calls"] = "function_call"
        arguments = call.text("arguments") or ""
        fields.keep("function_call", call)
        parts.append(ToolCall(id=call_id, name=name, arguments=arguments))
    return parts


def _read_images(fields: Fields, spelling: dict[str, str]) -> list[Part]:
    """OpenRouter's ``images`` of an assistant message."""
    items = fields.array("images")
    if not items:
        return []
    spelling["images"] = "images"
    return read_content(items, fields.at("images"), spelling)


def _read_calls(fields: Fields, index: int) -> list[Part]:
    calls: list[Part] = []
    for at, item in enumerate(fields.array("tool_calls") or []):
        path = f"{fields.at('tool_calls')}[{at}]"
        call = Fields(item, path)
        control = call.cache_control()
        kind = "custom" if call.rest.get("type") == "custom" else "function"
        inner = Fields(call.rest.get(kind), call.at(kind))
        inner.required_text("name")
        arguments = inner.take("input" if kind == "custom" else "arguments")
        if arguments is not None and not isinstance(arguments, str | dict):
            raise InvalidRequest(
                f"Invalid type for '{inner.at('arguments')}': expected a string.",
                param=inner.at("arguments"),
                code="invalid_type",
            )
        call_id = call.rest.get("id")
        if call_id is not None and not isinstance(call_id, str):
            raise InvalidRequest(
                f"Invalid type for '{call.at('id')}': expected a string.", param=call.at("id"), code="invalid_type"
            )
        read = tool_call_of(call.rest, f"call_{index}_{at}")
        read.cache_control = control
        calls.append(read)
    return calls


def images_of(items: Any) -> list[Part]:
    """The images of a reply's message or delta."""
    found: list[Part] = []
    for item in items if isinstance(items, list) else []:
        url = item.get("image_url") if isinstance(item, dict) else None
        url = url.get("url") if isinstance(url, dict) else url
        if isinstance(url, str):
            found.append(media_of_url("image", url))
    return found
