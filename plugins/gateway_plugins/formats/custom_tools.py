"""Tools of free text (OpenAI's custom tools) where a target knows functions only, and the way back.

Such a tool goes out as a function with one string. The model's calls of it come back as the custom calls that the
caller expects, whole and piece by piece; ``custom_names`` of the caller's own request says which they are.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from gateway.format import Dropped
from gateway.protocol import ChatRequest, Event, Finish, PartDelta, PartStart, PartStop, Tool, ToolCall

CUSTOM_INPUT = "input"
"""The one property of the function that stands for a custom tool."""

_HEAD = re.compile(r'\s*\{\s*"' + CUSTOM_INPUT + r'"\s*:\s*"')
# Characters and whole escapes. The first half of a surrogate pair waits for what follows it.
_WHOLE = re.compile(
    r"""(?: [^"\\] | \\[^u]
          | \\u(?![dD][89abAB])[0-9a-fA-F]{4}
          | \\u[dD][89abAB][0-9a-fA-F]{2} (?: \\u[0-9a-fA-F]{4} | (?=[^\\]|\\[^u]) )
        )*""",
    re.VERBOSE,
)


def input_schema() -> dict[str, Any]:
    """The JSON Schema of the function that stands for a custom tool."""
    return {
        "type": "object",
        "properties": {CUSTOM_INPUT: {"type": "string"}},
        "required": [CUSTOM_INPUT],
        "additionalProperties": False,
    }


def described(tool: Tool) -> str | None:
    """The description for the function: the tool's own, and the grammar that nothing holds the text to any more."""
    grammar = tool.grammar or {}
    definition = grammar.get("definition")
    if not isinstance(definition, str):
        return tool.description
    said = f"The {CUSTOM_INPUT} must match this {grammar.get('syntax', '')} grammar:\n{definition}"
    return f"{tool.description}\n\n{said}" if tool.description else said


def as_function(tool: Tool, path: str, dropped: Dropped) -> dict[str, Any]:
    """The function that stands for a custom tool: name, description and parameters; what that loses is named."""
    dropped.add(f"{path}.type", f'sent as a function whose one argument "{CUSTOM_INPUT}" is the text')
    description = described(tool)
    said = {} if description is None else {"description": description}
    return {"name": tool.name, **said, "parameters": input_schema()}


def wrapped(text: str) -> str:
    """The arguments of the function, as JSON text, for a custom tool's free text."""
    return msgspec.json.encode({CUSTOM_INPUT: text}).decode()


def custom_names(request: Any) -> frozenset[str]:
    """The names of a request's custom tools; none that a function of it has too."""
    if not isinstance(request, ChatRequest):
        return frozenset()
    functions = {tool.name for tool in request.tools if tool.kind == "function"}
    return frozenset(tool.name for tool in request.tools if tool.kind == "custom") - functions


def unwrapped(call: ToolCall, names: frozenset[str]) -> ToolCall:
    """The call as the caller expects it: free text where ``names`` has the tool; as it is otherwise."""
    if call.kind != "function" or call.name not in names:
        return call
    reader = InputReader()
    text = reader.feed(call.arguments)
    return msgspec.structs.replace(call, kind="custom", arguments=text + reader.close())


class InputReader:
    """The text in ``{"input": "…"}`` as its pieces arrive; what is of another shape is given whole at the end."""

    __slots__ = ("_held", "_inside", "_over")

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._over = False

    def feed(self, piece: str) -> str:
        """Take more of the JSON text; return more of the free text."""
        if self._over:
            return ""
        self._held += piece
        if not self._inside:
            head = _HEAD.match(self._held)
            if head is None:
                return ""
            self._inside = True
            self._held = self._held[head.end() :]
        found = _WHOLE.match(self._held)
        end = 0 if found is None else found.end()
        ready, self._held = self._held[:end], self._held[end:]
        self._over = self._held.startswith('"')
        return _decoded(ready)

    def close(self) -> str:
        """The arguments are complete: what is still due of the text."""
        if self._over:
            return ""
        self._over = True
        return _decoded(self._held) if self._inside else _other(self._held)


def _decoded(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        found: str = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
    # Half a pair of surrogates is no text.
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _other(text: str) -> str:
    """Free text in an unexpected shape: the one string there is, or the JSON as it came."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    if isinstance(value, dict) and isinstance(value.get(CUSTOM_INPUT), str):
        found: str = value[CUSTOM_INPUT]
        return found
    return value if isinstance(value, str) else text


class CustomCalls:
    """Gives the calls of one stream the shape that its caller expects."""

    __slots__ = ("_names", "_open")

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._open: dict[tuple[int, int], InputReader] = {}

    def adapted(self, event: Event) -> list[Event]:
        """The events to write in place of ``event``."""
        if isinstance(event, PartStart):
            content = event.content
            if isinstance(content, ToolCall) and content.kind == "function" and content.name in self._names:
                reader = self._open[event.choice, event.part] = InputReader()
                call = msgspec.structs.replace(content, kind="custom", arguments=reader.feed(content.arguments))
                return [msgspec.structs.replace(event, content=call)]
        elif isinstance(event, PartDelta):
            open_reader = self._open.get((event.choice, event.part)) if event.kind == "arguments" else None
            if open_reader is not None:
                text = open_reader.feed(event.value)
                return [msgspec.structs.replace(event, value=text)] if text else []
        elif isinstance(event, PartStop):
            return [*self._rest(event.choice, event.part), event]
        elif isinstance(event, Finish):
            left = [part for choice, part in self._open if choice == event.choice]
            return [*(delta for part in left for delta in self._rest(event.choice, part)), event]
        return [event]

    def _rest(self, choice: int, part: int) -> list[Event]:
        reader = self._open.pop((choice, part), None)
        text = "" if reader is None else reader.close()
        return [PartDelta(choice=choice, part=part, kind="arguments", value=text)] if text else []
