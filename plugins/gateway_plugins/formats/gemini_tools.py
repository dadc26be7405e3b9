"""Tools and the choice among them, both ways."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.protocol import ChatRequest, Tool, ToolChoice
from gateway_plugins.formats.custom_tools import described, input_schema
from gateway_plugins.formats.gemini_fields import NAME, Fields, Outgoing, wrong
from gateway_plugins.formats.gemini_schema import fit_schema, read_openapi
from gateway_plugins.formats.json_fields import merge

SEARCH = "googleSearch"
# What tools that run at a provider are called in general → Gemini's field for one.
_ALIKE = (
    ("web_search", SEARCH),
    ("code_interpreter", "codeExecution"),
    ("code_execution", "codeExecution"),
    ("web_fetch", "urlContext"),
)
_GENERAL = {SEARCH: "web_search", "codeExecution": "code_execution", "urlContext": "web_fetch"}
_MODES: dict[str, Any] = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}


def read_tools(fields: Fields, spelling: dict[str, str]) -> list[Tool]:
    """The ``tools`` array: the functions of all its objects, and each server-side tool, in their order."""
    found: list[Tool] = []
    for index, item in enumerate(fields.items("tools")):
        holder = Fields(item, f"tools[{index}]")
        for key in list(holder.rest):
            if key == "functionDeclarations":
                at = holder.at(key)
                for place, declaration in enumerate(holder.items(key)):
                    inner = Fields(declaration, f"{at}[{place}]")
                    found.append(_read_function(inner, f"tools.{len(found)}", spelling))
            elif holder.rest[key] is not None:
                settings = holder.nested(key) if isinstance(holder.rest[key], dict) else None
                extra = settings.left() if settings is not None else {key: holder.take(key)}
                found.append(Tool(kind="server", name=key, type=_GENERAL.get(key, key), origin=NAME, extra=extra))
    return found


def _read_function(fields: Fields, word: str, spelling: dict[str, str]) -> Tool:
    tool = Tool(name=fields.required_text("name"), description=fields.text("description"), origin=NAME)
    older = fields.object("parameters")
    tool.parameters = fields.object("parametersJsonSchema")
    if older is not None and tool.parameters is None:
        tool.parameters = read_openapi(older)
        spelling[word] = msgspec.json.encode(older).decode()
    tool.extra = fields.left()
    return tool


def read_tool_config(fields: Fields, spelling: dict[str, str]) -> ToolChoice | None:
    """The choice in ``toolConfig``; the rest of it is kept."""
    holder = fields.nested("toolConfig")
    if holder is None:
        return None
    inner = holder.nested("functionCallingConfig")
    choice = None if inner is None else _read_choice(inner, spelling)
    if inner is not None:
        holder.keep("functionCallingConfig", inner)
    fields.keep("toolConfig", holder)
    return choice


def _read_choice(inner: Fields, spelling: dict[str, str]) -> ToolChoice | None:
    mode = inner.text("mode")
    names = inner.items("allowedFunctionNames")
    if not all(isinstance(name, str) for name in names):
        raise wrong(inner.at("allowedFunctionNames"), "it must be an array of strings")
    if mode is None or mode == "MODE_UNSPECIFIED":
        return None
    word = mode.upper()
    if word not in _MODES:
        raise wrong(inner.at("mode"), "it must be AUTO, ANY, NONE or VALIDATED")
    general = _MODES[word]
    if names and general != "none":
        if len(names) == 1 and general == "required":
            return ToolChoice(mode="named", name=names[0])
        spelling["tool_choice"] = word
        return ToolChoice(mode="allowed", names=names, allowed_mode=general)
    spelling["tool_choice"] = word
    return ToolChoice(mode=general)


def write_tools(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    """``tools``: all functions in one object, each server-side tool in one of its own."""
    functions: list[dict[str, Any]] = []
    servers: list[dict[str, Any]] = []
    has_functions = any(tool.kind != "server" for tool in request.tools)
    for index, tool in enumerate(request.tools):
        path = f"tools[{index}]"
        to.cache_control(tool.cache_control, path)
        if tool.kind != "server":
            functions.append(_write_function(tool, index, request, to))
            continue
        if tool.type == "web_search_options":
            path = tool.type
        if not to.own and has_functions and not to.options.get("mixed_tools"):
            to.lose(path, "the model takes no server-side tool beside functions")
            continue
        written = _write_server(tool, path, to)
        if written is not None and written not in servers:
            servers.append(written)
    found = ([{"functionDeclarations": functions}] if functions else []) + servers
    if found:
        out["tools"] = found
    if not to.own and functions and servers:
        out["toolConfig"] = {"includeServerSideToolInvocations": True}


def _write_server(tool: Tool, path: str, to: Outgoing) -> dict[str, Any] | None:
    if tool.origin == NAME:
        return {tool.name: tool.extra if tool.extra.keys() != {tool.name} else tool.extra[tool.name]}
    word = tool.type or tool.name
    field = next((field for start, field in _ALIKE if word.startswith(start)), None)
    if field is None:
        to.lose(path, f"{word} runs only at the provider that offers it")
        return None
    settings: dict[str, Any] = {}
    for key, value in tool.extra.items():
        if field == SEARCH and key == "blocked_domains" and to.options.get("vertex"):
            settings["excludeDomains"] = value
        elif value not in (None, "medium", {"type": "auto"}, "auto"):
            to.lose(f"{path}.{key}", f"Gemini's {field} has no such setting")
    return {field: settings}


def _write_function(tool: Tool, index: int, request: ChatRequest, to: Outgoing) -> dict[str, Any]:
    path = f"tools[{index}]"
    written: dict[str, Any] = {"name": tool.name}
    description = described(tool) if tool.kind == "custom" else tool.description
    if description is not None:
        written["description"] = description
    if tool.kind == "custom":
        if tool.grammar is not None:
            inner = f"{path}.custom" if request.origin == "openai_chat" else path
            to.lose(f"{inner}.format", "Gemini cannot hold the text to a grammar: it is told in the description")
        written["parametersJsonSchema"] = input_schema()
    elif to.own:
        older = request.spelling.get(f"tools.{index}")
        if older is not None:
            written["parameters"] = msgspec.json.decode(older)
        elif tool.parameters is not None:
            written["parametersJsonSchema"] = tool.parameters
    elif tool.parameters:
        inner = f"{path}.function.parameters" if request.origin == "openai_chat" else f"{path}.parameters"
        schema = fit_schema(tool.parameters, lambda at, why: to.lose(inner + at, why))
        if schema.get("type") != "object" and "$ref" not in schema:
            schema = {**schema, "type": "object"}
        written["parametersJsonSchema"] = schema
    to.extras(written, tool.extra, path)
    return written


def write_tool_choice(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    """``toolConfig.functionCallingConfig``."""
    if request.parallel_tool_calls is False:
        to.lose("parallel_tool_calls", "Gemini cannot be held to one call at a time")
    choice = request.tool_choice
    if not to.own and (choice is None or choice.mode == "auto") and any(tool.strict for tool in request.tools):
        # Held to the schemas, and free to answer in words.
        merge(out.setdefault("toolConfig", {}), {"functionCallingConfig": {"mode": "VALIDATED"}})
        return
    if choice is None:
        return
    functions = [tool.name for tool in request.tools if tool.kind != "server"]
    if not to.own and not functions:
        if choice.mode not in ("auto", "none"):
            to.lose("tool_choice", "there is no function that Gemini could call")
        return
    config = _written_choice(choice, functions, request, to)
    if config is not None:
        merge(out.setdefault("toolConfig", {}), {"functionCallingConfig": config})
    to.extras({}, {} if to.own else choice.extra, "tool_choice")


def _written_choice(
    choice: ToolChoice, functions: list[str], request: ChatRequest, to: Outgoing
) -> dict[str, Any] | None:
    said = request.spelling.get("tool_choice") if to.own else None
    if choice.mode == "named":
        if not to.own and choice.name not in functions:
            to.lose("tool_choice", "it names no function of the request")
            return None
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    if choice.mode == "allowed":
        names = choice.names if to.own else [name for name in choice.names if name in functions]
        # VALIDATED is what takes a list and leaves the model free to answer in words.
        mode = said or ("ANY" if choice.allowed_mode == "required" else "VALIDATED")
        return {"mode": mode, "allowedFunctionNames": names}
    return {"mode": said or {"auto": "AUTO", "none": "NONE", "required": "ANY"}[choice.mode]}
