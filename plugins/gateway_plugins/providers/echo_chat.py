"""What the echo model answers: a chat reply for a chat request, without I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from gateway.errors import InvalidRequest
from gateway.protocol import (
    ChatReply,
    ChatRequest,
    Choice,
    End,
    Event,
    Finish,
    Media,
    Message,
    Part,
    PartDelta,
    PartStart,
    PartStop,
    Start,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    UsageUpdate,
)
from gateway_plugins.providers.echo_check import Unsatisfiable
from gateway_plugins.providers.echo_pattern import NotUnderstood, matches, parse, samples
from gateway_plugins.providers.echo_schema import instance_of
from gateway_plugins.providers.echo_text import TOKEN_BYTES, tokens, truncated, until_stop, words

MOST_CHOICES = 128
CONTEXT = 131_072
"""The longest prompt, in tokens: so that nobody makes the gateway repeat a whole library."""


def answer(request: ChatRequest, reply_id: str, new_id: Callable[[], str]) -> ChatReply:
    """The reply; raises InvalidRequest. ``new_id`` gives a tool call's id.

    In this order: calls of tools where they are asked for, an instance of the response format's schema, the text of
    the last tool results, the text of the last user message.
    """
    _check(request)
    text = _last_text(request.messages)
    choice = Choice(finish_reason="stop")
    called = _called(request, text)
    if called:
        limit = request.max_tokens
        for tool, arguments in called:
            shown = truncated(arguments, limit)
            choice.content.append(ToolCall(id=new_id(), name=tool.name, arguments=shown, kind=_kind(tool)))
            limit = None if limit is None else limit - len(tokens(shown))
            if shown != arguments:
                break
        choice.finish_reason = "tool_calls" if shown == arguments and len(choice.content) == len(called) else "length"
    else:
        whole, choice.stop_sequence = until_stop(_formatted(request, text), request.stop)
        shown = truncated(whole, request.max_tokens)
        if shown != whole:
            choice.finish_reason, choice.stop_sequence = "length", None
        choice.content = [Text(text=shown)]
        if request.logprobs:
            choice.logprobs = _logprobs(shown, request.top_logprobs or 0)
    count = request.n or 1
    choices = [choice, *(_again(choice, index, new_id) for index in range(1, count))]
    usage = Usage(
        prompt_tokens=_prompt_tokens(request),
        completion_tokens=count * sum(len(tokens(t)) for t in _texts(choice.content)),
    )
    return ChatReply(id=reply_id, model=request.model, choices=choices, usage=usage)


def events(reply: ChatReply, *, top_logprobs: int | None) -> Iterator[Event]:
    """The reply as a stream, word by word; with logprobs unless ``top_logprobs`` is None."""
    yield Start(id=reply.id, model=reply.model, created=reply.created)
    for choice in reply.choices:
        assert choice.finish_reason is not None
        for place, part in enumerate(choice.content):
            yield from _part_events(choice.index, place, part, top_logprobs)
        yield Finish(choice=choice.index, finish_reason=choice.finish_reason, stop_sequence=choice.stop_sequence)
    if reply.usage is not None:
        yield UsageUpdate(usage=reply.usage)
    yield End()


def _part_events(choice: int, place: int, part: Part, top: int | None) -> Iterator[Event]:
    if isinstance(part, ToolCall):
        yield PartStart(choice=choice, part=place, content=msgspec.structs.replace(part, arguments=""))
        for word in words(part.arguments):
            yield PartDelta(choice=choice, part=place, kind="arguments", value=word)
    elif isinstance(part, Text):
        yield PartStart(choice=choice, part=place, content=Text(text=""))
        for word in words(part.text):
            probable = None if top is None else _logprobs(word, top)
            yield PartDelta(choice=choice, part=place, kind="text", value=word, logprobs=probable)
    yield PartStop(choice=choice, part=place)


def _check(request: ChatRequest) -> None:
    if not request.messages:
        raise InvalidRequest("'messages' must hold at least one message.", param="messages", code="empty_array")
    if request.n is not None and not 1 <= request.n <= MOST_CHOICES:
        raise InvalidRequest(f"'n' must be from 1 to {MOST_CHOICES}.", param="n", code="invalid_value")
    if request.max_tokens is not None and request.max_tokens < 1:
        raise InvalidRequest("The limit of tokens must be at least 1.", param="max_tokens", code="invalid_value")
    characters = sum(len(text) for message in request.messages for text in _texts(message.content))
    if characters > CONTEXT * TOKEN_BYTES:
        raise InvalidRequest(
            f"This model's maximum context length is {CONTEXT} tokens. The messages have about "
            f"{characters // TOKEN_BYTES}.",
            param="messages",
            code="context_length_exceeded",
        )
    _check_tool_choice(request)


def _check_tool_choice(request: ChatRequest) -> None:
    choice = request.tool_choice
    if choice is None or choice.mode in ("auto", "none"):
        return
    names = [tool.name for tool in _callable(request)]
    if not names:
        raise InvalidRequest("'tool_choice' needs 'tools'.", param="tool_choice", code="invalid_value")
    for name in [choice.name] if choice.mode == "named" else choice.names:
        if name not in names:
            raise InvalidRequest(f"'tool_choice' names {name!r}, which is not in 'tools'.", param="tool_choice")


def _last_text(messages: list[Message]) -> str:
    """The text to echo: of the tool results at the end, else of the last user message."""
    results: list[str] = []
    for message in reversed(messages):
        parts = [part for part in message.content if isinstance(part, ToolResult)]
        if message.role != "tool" or not parts:
            break
        results[:0] = [_text_of(part.content) for part in parts]
    if results:
        return "\n".join(results)
    users = [message for message in messages if message.role == "user"]
    return _text_of((users or messages)[-1].content)


def _texts(parts: list[Part]) -> Iterator[str]:
    """All text in a message's parts, results of tools included."""
    for part in parts:
        if isinstance(part, ToolResult):
            yield from _texts(part.content)
        elif isinstance(part, ToolCall):
            yield from (part.name, part.arguments)
        elif isinstance(part, Text):
            yield part.text


def _text_of(parts: list[Part]) -> str:
    """The parts' text; media are named where there is none."""
    text = "".join(part.text for part in parts if isinstance(part, Text))
    return text or " ".join(f"[{part.kind}]" for part in parts if isinstance(part, Media))


def _callable(request: ChatRequest) -> list[Tool]:
    """The tools that a caller runs; a server-side tool is nobody's here."""
    return [tool for tool in request.tools if tool.kind != "server"]


def _kind(tool: Tool) -> Any:
    return "custom" if tool.kind == "custom" else "function"


def _called(request: ChatRequest, text: str) -> list[tuple[Tool, str]]:
    """The tools to call, with their arguments as text."""
    choice, tools = request.tool_choice, _callable(request)
    mode = "auto" if choice is None else choice.mode
    if choice is not None and mode == "allowed":
        tools = [tool for tool in tools if tool.name in choice.names]
        mode = choice.allowed_mode
    if choice is not None and mode == "named":
        chosen = [tool for tool in tools if tool.name == choice.name][:1]
    elif mode == "none" or (mode == "auto" and request.messages[-1].role == "tool"):
        chosen = []
    else:
        chosen = _mentioned(tools, text) or (tools[:1] if mode == "required" else [])
        if request.parallel_tool_calls is False:
            chosen = chosen[:1]
    return [(tool, _arguments(tool, text, request.tools.index(tool))) for tool in chosen]


def _mentioned(tools: list[Tool], text: str) -> list[Tool]:
    """The tools whose names stand in the text as words, in its order."""
    places = {tool.name: re.search(rf"(?<![\w-]){re.escape(tool.name)}(?![\w-])", text) for tool in tools if tool.name}
    found = [tool for tool in tools if places.get(tool.name)]
    return sorted(found, key=lambda tool: match.start() if (match := places[tool.name]) else 0)


def _arguments(tool: Tool, text: str, index: int) -> str:
    if tool.kind == "custom":
        return _free_text(tool, text, index)
    schema = tool.parameters or {}
    try:
        # The schema's own top level is kept, for references begin there.
        return _json(instance_of({**schema, "type": schema.get("type", "object")}))
    except Unsatisfiable as error:
        param = f"tools[{index}].function.parameters"
        raise InvalidRequest(
            f"Invalid schema for function '{tool.name}': {error}.", param=param, code="invalid_function_parameters"
        ) from None


def _free_text(tool: Tool, text: str, index: int) -> str:
    """A custom tool's input: the caller's text, or what its regular expression matches."""
    if tool.grammar is None:
        return text
    why = f"grammars of syntax {tool.grammar.get('syntax')!r} are not known to this model"
    if tool.grammar.get("syntax") == "regex":
        try:
            node = parse(f"^(?:{tool.grammar.get('definition', '')})$")
            for sample in (text, *samples(node, 0)):
                if matches(node, sample):
                    return sample
            why = "no text is found that matches"
        except NotUnderstood as error:
            why = f"the expression has {error}"
    raise InvalidRequest(
        f"Invalid grammar for tool '{tool.name}': {why}.", param=f"tools[{index}].custom.format", code="invalid_grammar"
    )


def _formatted(request: ChatRequest, text: str) -> str:
    """The text in the shape that ``response_format`` asks for."""
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return text
    if wanted.schema is None:
        return _json({"echo": text})
    try:
        return _json(instance_of(wanted.schema))
    except Unsatisfiable as error:
        name = f" '{wanted.name}'" if wanted.name else ""
        raise InvalidRequest(
            f"Invalid schema for response_format{name}: {error}.", param="response_format", code="invalid_json_schema"
        ) from None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _logprobs(text: str, top: int) -> dict[str, Any]:
    """Every token is certain: the model has no other."""
    found = []
    for token in tokens(text):
        entry = {"token": token, "logprob": 0.0, "bytes": list(token.encode())}
        found.append({**entry, "top_logprobs": [entry] if top else []})
    return {"content": found, "refusal": None}


def _again(choice: Choice, index: int, new_id: Callable[[], str]) -> Choice:
    """The same choice once more; its tool calls have ids of their own."""
    content = [msgspec.structs.replace(p, id=new_id()) if isinstance(p, ToolCall) else p for p in choice.content]
    return msgspec.structs.replace(choice, index=index, content=content)


def _prompt_tokens(request: ChatRequest) -> int:
    """Tokens of the messages and the tools."""
    count = sum(len(tokens(text)) for message in request.messages for text in _texts(message.content))
    if request.tools:
        count += len(tokens(_json([(tool.name, tool.description, tool.parameters) for tool in request.tools])))
    return count
