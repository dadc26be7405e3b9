"""Tools, and the choice among them, written for Converse."""

from __future__ import annotations

from typing import Any

from gateway.protocol import ChatRequest, Tool, ToolChoice
from gateway_plugins.formats.anthropic_schema import fit_schema, resolve_top
from gateway_plugins.formats.anthropic_tools import forces
from gateway_plugins.formats.bedrock_converse_blocks import BlockWriter
from gateway_plugins.formats.bedrock_converse_fields import CLAUDE, NAME, Outgoing
from gateway_plugins.formats.bedrock_models import ANTHROPIC
from gateway_plugins.formats.custom_tools import CUSTOM_INPUT, described, input_schema

_EMPTY_SCHEMA = {"type": "object", "properties": {}}
# Claude refuses these as the top level of a tool's schema.
_NOT_AT_TOP = ("anyOf", "oneOf", "allOf")
# Tools of Anthropic's that the caller runs, and that Bedrock takes beside those of Converse.
_CLIENT_TOOLS = ("bash_", "computer_", "text_editor_", "memory_", "tool_search_tool_")


def write_tools(out: dict[str, Any], request: ChatRequest, to: Outgoing, conversation: BlockWriter) -> None:
    """``toolConfig``; tools that only Claude understands go to the additional fields."""
    called = bool(conversation.names) or conversation.answers
    choice = request.tool_choice
    if to.options.get("tools") is False:
        _none(request, to)
        return
    if choice is not None and choice.mode == "none" and not called:
        # Without tools none is called, which is what was asked.
        return
    tools = _tools(out, request, to)
    if not tools and called:
        # Converse refuses a conversation with calls whose tools it does not know.
        tools = [_declared(name) for name in conversation.names or ("unknown",)]
        to.lose("tools", "Converse wants the tools that a conversation has called: declared by their names alone")
    if tools:
        out["toolConfig"] = {"tools": tools, **_chosen(out, request, to)}
    elif forces(choice):
        to.lose("tool_choice", "there is no tool that could be called")


def _none(request: ChatRequest, to: Outgoing) -> None:
    """Name the tools for a model that takes none."""
    for index in range(len(request.tools)):
        to.lose(f"tools[{index}]", "the model takes no tools")
    if forces(request.tool_choice):
        to.lose("tool_choice", "the model takes no tools")


def _chosen(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> dict[str, Any]:
    choice = request.tool_choice
    written = None
    if choice is not None:
        to.lose_extra(choice.extra, "tool_choice")
        written = _choice(choice, to)
    if request.parallel_tool_calls is False:
        if to.options.get("family") == ANTHROPIC and (choice is None or choice.mode != "none"):
            # Bedrock refuses a choice that is said in both places, so here all of it is said as Anthropic says it.
            ((kind, named),) = (written or {"auto": {}}).items()
            said = {"type": kind, **named, "disable_parallel_tool_use": True}
            out.setdefault("additionalModelRequestFields", {})["tool_choice"] = said
            return {}
        to.lose("parallel_tool_calls", "Converse cannot hold the model to one call at a time")
    return {} if written is None else {"toolChoice": written}


def _tools(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    choice = request.tool_choice
    allowed = None if choice is None or choice.mode != "allowed" else choice.names
    for index, tool in enumerate(request.tools):
        if allowed is not None and tool.name not in allowed:
            continue
        path = f"tools[{index}]"
        if tool.kind == "server":
            _server(out, found, tool, path, to)
            continue
        found.append({"toolSpec": _custom(tool, path, to) if tool.kind == "custom" else _function(tool, path, to)})
        to.lose_extra(tool.extra, path)
        found += to.cache_point(tool.cache_control, "tools", path)
    return found


def _server(out: dict[str, Any], found: list[dict[str, Any]], tool: Tool, path: str, to: Outgoing) -> None:
    if tool.origin == NAME:
        found.append({"systemTool": {"name": tool.name}})
        return
    client = tool.origin == CLAUDE and (tool.type or "").startswith(_CLIENT_TOOLS)
    if client and to.options.get("family") == ANTHROPIC:
        said = {"type": tool.type, "name": tool.name, **tool.extra}
        out.setdefault("additionalModelRequestFields", {}).setdefault("tools", []).append(said)
        return
    if tool.type == "web_search_options":
        # Chat completions has it beside its tools.
        path = tool.type
    known: dict[str, str] = to.options.get("system_tools", {})
    own = next((name for word, name in known.items() if (tool.type or "").startswith(word)), None)
    if own is None:
        to.lose(path, f"{tool.type or tool.name} runs only at the provider that offers it")
        return
    found.append({"systemTool": {"name": own}})
    for key, value in tool.extra.items():
        if value not in (None, "medium"):
            to.lose(f"{path}.{key}", f"Bedrock's {own} has no such setting")


def _function(tool: Tool, path: str, to: Outgoing) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    where = f"{path}.function.parameters" if to.origin == "openai_chat" else f"{path}.parameters"
    where = f"{path}.input_schema" if to.origin == CLAUDE else where
    schema = _at_top(tool.parameters or _EMPTY_SCHEMA, where, to)
    if tool.strict:
        fitted = None
        if to.options.get("structured"):
            fitted = fit_schema(schema, lambda at, why: to.lose(where + at, why.replace("Anthropic", "Bedrock")))
        if fitted is None:
            to.lose(f"{path}.strict", "the model cannot be held to this schema")
        else:
            schema = fitted
            spec["strict"] = True
    spec["inputSchema"] = {"json": schema}
    return spec


def _at_top(schema: dict[str, Any], path: str, to: Outgoing) -> dict[str, Any]:
    """A schema whose top level is an object, as Converse wants it."""
    out = resolve_top(schema)
    for key in _NOT_AT_TOP if to.options.get("family") == ANTHROPIC else ():
        if key in out:
            out = {name: value for name, value in out.items() if name != key}
            to.lose(f"{path}.{key}", "Claude does not take it at the top level of a tool's schema")
    return out if out.get("type") == "object" else {**out, "type": "object"}


def _custom(tool: Tool, path: str, to: Outgoing) -> dict[str, Any]:
    """A tool of free text as a function with one string."""
    to.lose(f"{path}.type", f'sent as a function whose one argument "{CUSTOM_INPUT}" is the text')
    if tool.grammar is not None:
        to.lose(f"{path}.format", "Converse cannot hold the text to a grammar: it is said in the description")
    spec: dict[str, Any] = {"name": tool.name}
    description = described(tool)
    if description:
        spec["description"] = description
    spec["inputSchema"] = {"json": input_schema()}
    return spec


def _declared(name: str) -> dict[str, Any]:
    return {"toolSpec": {"name": name, "inputSchema": {"json": _EMPTY_SCHEMA}}}


def _choice(choice: ToolChoice, to: Outgoing) -> dict[str, Any] | None:
    known = to.options.get("choices", ("auto", "any", "tool"))
    if choice.mode == "none":
        to.lose("tool_choice", "Converse cannot keep a model from calling the tools that the conversation has used")
        return None
    word = "auto"
    if choice.mode == "named":
        word = "tool"
    elif forces(choice):
        word = "any"
    if word != "auto" and to.options.get("forced_tools") is False:
        to.lose("tool_choice", "the model cannot be made to call a tool: it is left to choose")
        word = "auto"
    if word == "tool" and word not in known and "any" in known:
        to.lose("tool_choice", "the model can be made to call a tool, but not which")
        word = "any"
    if word not in known:
        if word != "auto":
            to.lose("tool_choice", "the model cannot be made to call a tool: it is left to choose")
        return {"auto": {}} if "auto" in known else None
    return {"tool": {"name": choice.name}} if word == "tool" else {word: {}}
