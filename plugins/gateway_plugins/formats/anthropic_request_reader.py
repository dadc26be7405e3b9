"""A messages request, read into the normalised protocol."""

from __future__ import annotations

from typing import Any

from gateway.protocol import ChatRequest, Message, Part, ResponseFormat, ToolResult
from gateway_plugins.formats.anthropic_blocks_reader import read_content
from gateway_plugins.formats.anthropic_fields import NAME, Fields, wrong
from gateway_plugins.formats.anthropic_reasoning import read_reasoning
from gateway_plugins.formats.anthropic_tools import read_tool_choice, read_tools

IN_MESSAGES = "messages"
"""The spelling of a system message that stood among the messages, not in ``system``."""


def read_request(body: bytes, *, counted: bool = False) -> ChatRequest:
    """A caller's request; raises InvalidRequest, naming the field, for what the dialect does not allow.

    One whose tokens are to be ``counted`` needs no ``max_tokens``.
    """
    fields = Fields.of_body(body)
    request = ChatRequest(model=fields.required_text("model"), origin=NAME)
    request.max_tokens = fields.integer("max_tokens")
    if request.max_tokens is None and not counted:
        fields.missing("max_tokens")
    if request.max_tokens is not None and request.max_tokens < 0:
        raise wrong("max_tokens", "Input should be greater than or equal to 0")
    messages = fields.array("messages")
    if messages is None:
        fields.missing("messages")
    request.messages = _read_system(fields) + read_messages(messages)
    request.tools = read_tools(fields.array("tools") or [])
    choice = fields.nested("tool_choice")
    if choice is not None:
        request.tool_choice, request.parallel_tool_calls = read_tool_choice(choice)
        fields.keep("tool_choice", choice)
    _read_output(request, fields)
    _read_settings(request, fields)
    request.extra = fields.left()
    return request


def _read_system(fields: Fields) -> list[Message]:
    parts = read_content(fields.take("system"), "system")
    return [Message(role="system", content=parts)] if parts else []


def read_messages(items: list[Any]) -> list[Message]:
    """The ``messages`` array. A user turn's tool results become a ``tool`` message of their own."""
    if not items:
        raise wrong("messages", "at least one message is required")
    messages: list[Message] = []
    for index, item in enumerate(items):
        fields = Fields(item, f"messages.{index}")
        role = fields.required_text("role")
        if "content" not in fields.rest and role != "system":
            fields.missing("content")
        content = read_content(fields.take("content"), fields.at("content"))
        extra = fields.left()
        if role == "user":
            messages += _split(content, extra)
        elif role == "assistant":
            messages.append(Message(role="assistant", content=content, extra=extra))
        elif role == "system":
            spelling = {"place": IN_MESSAGES}
            messages.append(Message(role="system", content=content, extra=extra, spelling=spelling))
        else:
            raise wrong(fields.at("role"), "Input should be 'user', 'assistant' or 'system'")
    return messages


def _split(content: list[Part], extra: dict[str, Any]) -> list[Message]:
    """A user turn as messages of either tool results or other parts, in their order."""
    messages: list[Message] = []
    for part in content:
        role: Any = "tool" if isinstance(part, ToolResult) else "user"
        if not messages or messages[-1].role != role:
            messages.append(Message(role=role))
        messages[-1].content.append(part)
    if not messages:
        messages.append(Message(role="user"))
    messages[0].extra = extra
    return messages


def _read_output(request: ChatRequest, fields: Fields) -> None:
    """``thinking``, ``output_config`` and the deprecated ``output_format``."""
    config = fields.nested("output_config")
    effort = None
    wanted = fields.take("output_format")
    if config is not None:
        effort = config.text("effort")
        inner = config.take("format")
        if inner is not None:
            wanted = inner
        fields.keep("output_config", config)
    if wanted is not None:
        request.response_format = _read_format(wanted)
        if request.response_format is None:
            fields.rest["output_config"] = {**fields.rest.get("output_config", {}), "format": wanted}
    thinking = fields.nested("thinking")
    request.reasoning = read_reasoning(thinking, effort)
    if thinking is not None:
        fields.keep("thinking", thinking)


def _read_format(wanted: Any) -> ResponseFormat | None:
    """The response format; None where its shape is not known, and it is then kept as it is."""
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema" or not wanted.keys() <= {"type", "schema"}:
        return None
    schema = wanted.get("schema")
    return ResponseFormat(type="json_schema", schema=schema) if isinstance(schema, dict) else None


def _read_settings(request: ChatRequest, fields: Fields) -> None:
    request.temperature = fields.number("temperature")
    request.top_p = fields.number("top_p")
    request.top_k = fields.integer("top_k")
    stops = fields.array("stop_sequences") or []
    if not all(isinstance(item, str) for item in stops):
        raise wrong("stop_sequences", "Input should be a valid list of strings")
    request.stop = stops
    request.service_tier = fields.text("service_tier")
    request.cache_control = fields.cache_control()
    request.stream = bool(fields.flag("stream"))
    # A stream of this dialect always shows its usage.
    request.include_usage = request.stream
    metadata = fields.nested("metadata")
    if metadata is not None:
        request.user = metadata.text("user_id")
        fields.keep("metadata", metadata)
