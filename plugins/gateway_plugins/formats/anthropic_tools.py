"""Tools and the choice among them, both ways."""

from __future__ import annotations

from typing import Any

from gateway.protocol import ChatRequest, Tool, ToolChoice
from gateway_plugins.formats.anthropic_fields import NAME, Fields, Outgoing, wrong
from gateway_plugins.formats.anthropic_schema import fit_schema, resolve_top
from gateway_plugins.formats.custom_tools import described, input_schema

_EMPTY_SCHEMA = {"type": "object", "properties": {}}
# Anthropic refuses these as the top level of a tool's schema.
_NOT_AT_TOP = ("anyOf", "oneOf", "allOf")
WEB_SEARCH = "web_search_20250305"
"""The version of Anthropic's web search that every model with tools takes."""
_PLACE = ("city", "country", "region", "timezone")


def read_tools(items: list[Any]) -> list[Tool]:
    """The ``tools`` array: those with a schema are functions, any other type runs at the provider."""
    return [_read_tool(Fields(item, f"tools.{index}")) for index, item in enumerate(items)]


def _read_tool(fields: Fields) -> Tool:
    kind = fields.text("type")
    control = fields.cache_control()
    if kind in (None, "custom"):
        schema = fields.take("input_schema")
        if not isinstance(schema, dict):
            fields.missing("input_schema")
        tool = Tool(name=fields.required_text("name"), parameters=schema)
        tool.description = fields.text("description")
        tool.strict = fields.flag("strict")
    else:
        tool = Tool(kind="server", name=fields.text("name") or "", type=kind, origin=NAME)
    tool.cache_control = control
    tool.extra = fields.left()
    return tool


def read_tool_choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether calls may be parallel; None for each that is not said or not known."""
    disable = fields.flag("disable_parallel_tool_use")
    parallel = None if disable is None else not disable
    kind = fields.rest.get("type")
    if kind == "tool":
        fields.take("type")
        return ToolChoice(mode="named", name=fields.required_text("name")), parallel
    modes: dict[Any, Any] = {"auto": "auto", "any": "required", "none": "none"}
    if not isinstance(kind, str):
        raise wrong(fields.at("type"), "Input should be 'auto', 'any', 'tool' or 'none'")
    if kind not in modes:
        return None, parallel
    fields.take("type")
    return ToolChoice(mode=modes[kind]), parallel


def write_tools(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    """``tools``. Where the caller limited the choice to some, only these are sent."""
    found: list[dict[str, Any]] = []
    choice = request.tool_choice
    allowed = None if choice is None or choice.mode != "allowed" else choice.names
    for index, tool in enumerate(request.tools):
        if allowed is not None and tool.name not in allowed:
            continue
        path = f"tools[{index}]"
        if tool.kind == "server" and tool.origin != NAME:
            foreign = _write_foreign(tool, path, to)
            if foreign is not None:
                found.append(foreign)
            continue
        if tool.kind == "server":
            written: dict[str, Any] = {"type": tool.type}
            if tool.name:
                written["name"] = tool.name
        elif tool.kind == "custom":
            written = _write_custom(tool, path, to)
        else:
            written = _write_function(tool, path, to)
        to.cache_control(written, tool.cache_control)
        to.extras(written, tool.extra, path)
        found.append(written)
    if found:
        out["tools"] = found


def _write_foreign(tool: Tool, path: str, to: Outgoing) -> dict[str, Any] | None:
    """Another provider's web search as Anthropic's; what else runs at a provider runs nowhere else."""
    if tool.type == "web_search_options":
        # Chat completions has it beside its tools.
        path = tool.type
    elif not (tool.type or "").startswith("web_search"):
        to.lose(path, f"{tool.type or tool.name} runs only at the provider that offers it")
        return None
    written: dict[str, Any] = {"type": WEB_SEARCH, "name": "web_search"}
    for key, value in tool.extra.items():
        if key == "user_location" and isinstance(value, dict):
            inner = value.get("approximate")
            said = inner if isinstance(inner, dict) else value
            place = {name: item for name, item in said.items() if name in _PLACE and item is not None}
            written["user_location"] = {"type": "approximate", **place}
        elif key == "filters" and isinstance(value, dict) and value.keys() == {"allowed_domains"}:
            written.update(value)
        elif key == "excludeDomains":
            written["blocked_domains"] = value
        elif value not in (None, "medium"):
            to.lose(f"{path}.{key}", "Anthropic's web search has no such setting")
    return written


def _write_function(tool: Tool, path: str, to: Outgoing) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if to.own:
        written["input_schema"] = tool.parameters
        if tool.strict is not None:
            written["strict"] = tool.strict
        return written
    where = f"{path}.function.parameters" if to.origin == "openai_chat" else f"{path}.parameters"
    schema = _at_top(tool.parameters or _EMPTY_SCHEMA, where, to)
    if tool.strict:
        fitted = None
        if to.options.get("structured") is not False:
            fitted = fit_schema(schema, lambda at, why: to.lose(where + at, why))
        if fitted is None:
            to.lose(f"{path}.strict", "the model cannot be held to this schema")
        else:
            schema = fitted
            written["strict"] = True
    written["input_schema"] = schema
    return written


def _at_top(schema: dict[str, Any], path: str, to: Outgoing) -> dict[str, Any]:
    """A schema whose top level is an object, as Anthropic wants it."""
    out = resolve_top(schema)
    for key in _NOT_AT_TOP:
        if key in out:
            out = {name: value for name, value in out.items() if name != key}
            to.lose(f"{path}.{key}", "Anthropic does not take it at the top level of a tool's schema")
    if out.get("type") != "object":
        out = {**out, "type": "object"}
    return out


def _write_custom(tool: Tool, path: str, to: Outgoing) -> dict[str, Any]:
    """A tool of free text as a function with one string; its calls become custom calls again on the way back."""
    if tool.grammar is not None:
        inner = f"{path}.custom" if to.origin == "openai_chat" else path
        to.lose(f"{inner}.format", "Anthropic cannot hold the text to a grammar: it is told in the description")
    written: dict[str, Any] = {"name": tool.name}
    description = described(tool)
    if description is not None:
        written["description"] = description
    written["input_schema"] = input_schema()
    return written


def forces(choice: ToolChoice | None) -> bool:
    """Whether the choice makes the model call a tool."""
    return choice is not None and (
        choice.mode in ("required", "named") or (choice.mode == "allowed" and choice.allowed_mode == "required")
    )


def write_tool_choice(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    """``tool_choice`` with ``disable_parallel_tool_use``; neither without tools, which Anthropic refuses."""
    choice = request.tool_choice
    parallel = request.parallel_tool_calls
    if not to.own and "tools" not in out:
        if forces(choice):
            to.lose("tool_choice", "there is no tool that Anthropic could call")
        return
    if choice is None:
        if parallel is not None and (not parallel or to.own):
            out["tool_choice"] = {"disable_parallel_tool_use": not parallel}
            if not to.own:
                out["tool_choice"]["type"] = "auto"
        return
    written = _write_choice(choice, to)
    if parallel is not None and (to.own or (not parallel and written["type"] != "none")):
        written["disable_parallel_tool_use"] = not parallel
    to.extras(written, choice.extra, "tool_choice")
    out["tool_choice"] = written


def _write_choice(choice: ToolChoice, to: Outgoing) -> dict[str, Any]:
    if forces(choice) and not to.own and to.options.get("forced_tools") is False:
        to.lose("tool_choice", "the model cannot be made to call a tool: it is left to choose")
        return {"type": "auto"}
    if choice.mode == "named":
        return {"type": "tool", "name": choice.name}
    mode = choice.allowed_mode if choice.mode == "allowed" else choice.mode
    return {"type": {"auto": "auto", "required": "any", "none": "none"}[mode]}
