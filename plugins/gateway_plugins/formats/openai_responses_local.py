"""The built-in tools that a caller runs itself (apply_patch, shell, the search for tools), told as functions.

For the model of another provider such a tool is a function with the schema below; its calls and their results are
written as the items that a caller of this dialect expects, and read from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.json_text import BAD_JSON
from gateway.protocol import ChatRequest, Part, Text, Tool, ToolCall
from gateway_plugins.formats.openai_responses_fields import NAME


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_TEXT = {"type": "string"}
_COUNT = {"type": "integer"}
_TEXTS = {"type": "array", "items": _TEXT}

_APPLY_PATCH = (
    "Create, update or delete one file. For create_file and update_file, diff is a V4A diff: lines that begin "
    "with +, - or a space, in hunks that begin with @@."
)
_SCHEMAS: dict[str, tuple[str, dict[str, Any]]] = {
    "apply_patch": (
        _APPLY_PATCH,
        _object(
            ("type", "path"),
            type={"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
            path=_TEXT,
            diff=_TEXT,
        ),
    ),
    "shell": (
        "Run shell commands on the user's machine, each in a shell of its own, and return what they print.",
        _object(("commands",), commands=_TEXTS, timeout_ms=_COUNT, max_output_length=_COUNT),
    ),
    "local_shell": (
        "Run one command, given as its argument vector, on the user's machine and return what it prints.",
        _object(("command",), command=_TEXTS, timeout_ms=_COUNT, working_directory=_TEXT, user=_TEXT),
    ),
}
_HOLDERS = {"apply_patch_call": "operation", "shell_call": "action", "local_shell_call": "action"}
SEARCH = "tool_search"
"""The search for tools; it is the caller's where its ``execution`` is ``client``."""
CALLS = {
    "apply_patch_call": "apply_patch",
    "shell_call": "shell",
    "local_shell_call": "local_shell",
    "tool_search_call": SEARCH,
}
"""The type of a call's item → its tool."""
OUTPUTS = {
    "apply_patch_call_output": "apply_patch",
    "shell_call_output": "shell",
    "local_shell_call_output": "local_shell",
    "tool_search_output": SEARCH,
}
"""The type of a result's item → its tool."""


def local_tool(kind: str, settings: dict[str, Any]) -> Tool | None:
    """The tool as a function; None for one that does not run at the caller."""
    if kind == SEARCH and settings.get("execution") == "client" and isinstance(settings.get("parameters"), dict):
        rest = dict(settings)
        del rest["execution"]
        description, schema = rest.pop("description", None), rest.pop("parameters")
        text = description if isinstance(description, str) else None
        return Tool(name=kind, description=text, parameters=schema, type=kind, origin=NAME, extra=rest)
    if kind not in _SCHEMAS:
        return None
    place = settings.get("environment")
    if isinstance(place, dict) and place.get("type") not in (None, "local"):
        return None  # a container at OpenAI
    description, schema = _SCHEMAS[kind]
    return Tool(name=kind, description=description, parameters=schema, type=kind, origin=NAME, extra=settings)


def is_local(tool: Tool) -> bool:
    """Whether a tool is one of these."""
    return tool.origin == NAME and tool.kind == "function" and tool.type in CALLS.values()


def written_tool(tool: Tool) -> dict[str, Any]:
    """The tool as the caller wrote it."""
    out: dict[str, Any] = {"type": tool.type}
    if tool.type == SEARCH:
        said = {"execution": "client", "description": tool.description, "parameters": tool.parameters}
        out |= {key: value for key, value in said.items() if value is not None}
    return {**out, **tool.extra}


def is_the_callers(item: Mapping[str, Any]) -> bool:
    """Whether an item is a call, or a result, of a tool that the caller runs."""
    kind = item.get("type")
    if not isinstance(kind, str) or (kind not in CALLS and kind not in OUTPUTS):
        return False
    return SEARCH not in kind or (item.get("execution") == "client" and isinstance(item.get("call_id"), str))


def local_names(request: Any) -> Mapping[str, str]:
    """The names of a request's tools of this sort → the type of their calls' items."""
    if not isinstance(request, ChatRequest):
        return {}
    kinds = {tool: item for item, tool in CALLS.items()}
    return {tool.name: kinds[tool.type] for tool in request.tools if is_local(tool) and tool.type in kinds}


def arguments_of(item: Mapping[str, Any]) -> str:
    """The arguments, as JSON text, that stand for the action of a call's item."""
    if item["type"] == "tool_search_call":
        asked = item.get("arguments")
        return asked if isinstance(asked, str) else msgspec.json.encode(asked or {}).decode()
    held = item.get(_HOLDERS[item["type"]])
    action = {key: value for key, value in held.items() if value is not None} if isinstance(held, dict) else {}
    if item["type"] == "local_shell_call":
        action.pop("type", None)
    return msgspec.json.encode(action).decode()


def call_item(kind: str, item_id: str, call: ToolCall) -> dict[str, Any] | None:
    """The item of a call; None where the model's arguments are not such a tool's."""
    try:
        action = msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
    except BAD_JSON:
        return None
    if kind == "tool_search_call":
        rest = {"execution": "client", "status": "completed", "arguments": action}
        return {"type": kind, "id": item_id, "call_id": call.id, **rest}
    required = _SCHEMAS[CALLS[kind]][1]["required"]
    if not all(key in action for key in required):
        return None
    if kind == "local_shell_call":
        action = {"type": "exec", "env": {}, **action}
    elif kind == "shell_call":
        action = {"timeout_ms": None, "max_output_length": None, **action}
    elif action.get("type") != "delete_file":
        action.setdefault("diff", "")
    return {"type": kind, "id": item_id, "call_id": call.id, "status": "completed", _HOLDERS[kind]: action}


def read_output(item: dict[str, Any]) -> tuple[str, bool]:
    """What a result's item says, as text, and whether the tool failed."""
    output = item.get("tools" if item["type"] == "tool_search_output" else "output")
    if item["type"] == "shell_call_output" and isinstance(output, list):
        chunks = [chunk for chunk in output if isinstance(chunk, dict)]
        return "\n".join(map(_shell_text, chunks)), False
    text = output if isinstance(output, str) else "" if output is None else msgspec.json.encode(output).decode()
    return text or str(item.get("status") or ""), item.get("status") == "failed"


def _shell_text(chunk: dict[str, Any]) -> str:
    said = [text for name in ("stdout", "stderr") if isinstance(text := chunk.get(name), str) and text]
    outcome = chunk.get("outcome")
    if isinstance(outcome, dict):
        exit_code = outcome.get("exit_code")
        said.append("(timed out)" if outcome.get("type") == "timeout" else f"(exit code {exit_code})")
    return "\n".join(said)


def output_text(parts: list[Part]) -> str:
    """The text of a result."""
    return "".join(part.text for part in parts if isinstance(part, Text))
