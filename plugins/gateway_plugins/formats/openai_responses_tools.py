"""Tools of the responses API: definitions and the choice among them, both ways."""

from __future__ import annotations

from typing import Any

from gateway.protocol import ChatRequest, Tool, ToolChoice
from gateway_plugins.formats.custom_tools import described, input_schema
from gateway_plugins.formats.json_fields import merge
from gateway_plugins.formats.openai_responses_fields import NAME, Fields, Outgoing, typed, wrong_value
from gateway_plugins.formats.openai_responses_local import CALLS, is_local, local_tool, written_tool

NAMESPACE = "namespace:"
"""``spelling["namespace:<name>"]`` is the namespace of the function that is called ``<name>`` elsewhere."""
_DESCRIBED = "namespace description:"
ADDED = "additional"
"""The first word of ``Tool.type`` where an item of the input brought the tool, not the ``tools`` array."""

_PLACE = ("city", "country", "region", "timezone")


def read_tools(items: list[Any], spelling: dict[str, str], path: str = "tools") -> list[Tool]:
    """The ``tools`` array. The functions of a namespace are put into one list with the others, under joined names."""
    tools: list[Tool] = []
    for index, item in enumerate(items):
        fields = typed(item, f"{path}[{index}]")
        kind = fields.take("type")
        if kind == "namespace":
            tools += _read_namespace(fields, spelling)
        else:
            tools.append(_read_tool(kind, fields))
    return tools


def _read_tool(kind: str, fields: Fields) -> Tool:
    if kind == "function":
        return Tool(
            name=fields.required_text("name"),
            description=fields.text("description"),
            parameters=fields.object("parameters"),
            strict=fields.flag("strict"),
            extra=fields.left(),
        )
    if kind == "custom":
        tool = Tool(kind="custom", name=fields.required_text("name"), description=fields.text("description"))
        form = fields.nested("format")
        if form is not None:
            if form.text("type") == "grammar":
                tool.grammar = form.left()
            else:
                fields.keep("format", form)
        tool.extra = fields.left()
        return tool
    settings = fields.left()
    return local_tool(kind, settings) or Tool(kind="server", name=kind, type=kind, origin=NAME, extra=settings)


def _read_namespace(fields: Fields, spelling: dict[str, str]) -> list[Tool]:
    space = fields.required_text("name")
    description = fields.text("description")
    if description is not None:
        spelling[_DESCRIBED + space] = description
    tools: list[Tool] = []
    for index, item in enumerate(fields.array("tools") or []):
        inner = typed(item, f"{fields.at('tools')}[{index}]")
        tool = _read_tool(inner.take("type"), inner)
        tool.name = joined(space, tool.name)
        spelling[NAMESPACE + tool.name] = space
        tools.append(tool)
    return tools


def joined(space: str, name: str) -> str:
    """A function's name with that of its namespace."""
    return f"{space}{name}" if space.endswith("__") else f"{space}__{name}"


def apart(name: str, spelling: dict[str, str]) -> tuple[str, str | None]:
    """A function's own name and its namespace, as the caller knows them."""
    space = spelling.get(NAMESPACE + name)
    return (name, None) if space is None else (name.removeprefix(joined(space, "")), space)


def added_tools(items: Any, known: list[Tool], spelling: dict[str, str]) -> list[Tool]:
    """The tools that items of an input bring (``additional_tools``, found ones) and that are not there yet.

    They are read before the rest of the input: its calls go by their names.
    """
    names = {tool.name for tool in known}
    fresh: list[Tool] = []
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, dict) or item.get("type") not in ("additional_tools", "tool_search_output"):
            continue
        if not isinstance(item.get("tools"), list):
            continue
        for tool in read_tools(item["tools"], spelling, f"input[{index}].tools"):
            if tool.name not in names:
                tool.type, tool.origin = f"{ADDED} {tool.type or tool.kind}", NAME
                names.add(tool.name)
                fresh.append(tool)
    return fresh


def write_tools(request: ChatRequest, to: Outgoing) -> list[dict[str, Any]]:
    """The ``tools`` array."""
    out: list[dict[str, Any]] = []
    spaces: dict[str, dict[str, Any]] = {}
    for index, tool in enumerate(request.tools):
        if to.own and (tool.type or "").startswith(f"{ADDED} "):
            continue
        written = _write_tool(tool, f"tools[{index}]", to)
        if written is None:
            continue
        name, space = apart(tool.name, request.spelling if to.own else {})
        if space is None:
            out.append(written)
            continue
        written["name"] = name
        if space not in spaces:
            spaces[space] = {"type": "namespace", "name": space, "tools": []}
            description = request.spelling.get(_DESCRIBED + space)
            if description is not None:
                spaces[space]["description"] = description
            out.append(spaces[space])
        spaces[space]["tools"].append(written)
    return out


def _write_tool(tool: Tool, path: str, to: Outgoing) -> dict[str, Any] | None:
    if tool.cache_control is not None:
        to.lose(f"{path}.cache_control", "the model caches by itself")
    if is_local(tool):
        return written_tool(tool)
    if tool.kind == "server":
        return _write_server(tool, path, to)
    if tool.kind == "custom" and to.options.get("custom_tools") is not False:
        out: dict[str, Any] = {"type": "custom", "name": tool.name}
        if tool.description is not None:
            out["description"] = tool.description
        if tool.grammar is not None:
            out["format"] = {"type": "grammar", **tool.grammar}
    else:
        out = _write_function(tool, path, to)
    to.extras(out, tool.extra, path)
    return out


def _write_function(tool: Tool, path: str, to: Outgoing) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "function", "name": tool.name}
    description, parameters = tool.description, tool.parameters
    if tool.kind == "custom":
        to.lose(f"{path}.type", 'sent as a function whose one argument "input" is the text')
        if tool.grammar is not None:
            to.lose(f"{path}.format", "nothing holds the text to its grammar")
        description, parameters = described(tool), input_schema()
    if description is not None:
        out["description"] = description
    if parameters is not None or not to.own:
        out["parameters"] = {"type": "object", "properties": {}} if parameters is None else parameters
    strict = tool.strict
    if strict is not None and "tools.strict" in to.traits.unsupported:
        to.lose(f"{path}.strict", to.traits.unsupported["tools.strict"])
    elif strict is not None or not to.own:
        # Elsewhere a schema is a guide unless said otherwise; here it is strict unless said otherwise.
        out["strict"] = bool(strict)
    return out


def _write_server(tool: Tool, path: str, to: Outgoing) -> dict[str, Any] | None:
    if tool.origin == NAME:
        out = {"type": tool.type}
        merge(out, tool.extra)
        return out
    search = _write_search(tool, path, to)
    if search is None:
        to.lose(path, f"{tool.type or tool.name} runs only at the provider that offers it")
    return search


def _write_search(tool: Tool, path: str, to: Outgoing) -> dict[str, Any] | None:
    """Web search of chat completions, of Anthropic or of Gemini, in OpenAI's words."""
    if not (tool.type or "").startswith("web_search"):
        return None
    if "web_search" in to.traits.unsupported:
        return None
    out: dict[str, Any] = {"type": "web_search"}
    left = dict(tool.extra)
    size = left.pop("search_context_size", None)
    if size is not None:
        out["search_context_size"] = size
    place = left.pop("user_location", None)
    if isinstance(place, dict):
        inner = place.get("approximate") if isinstance(place.get("approximate"), dict) else place
        said = {key: inner[key] for key in _PLACE if isinstance(inner, dict) and inner.get(key) is not None}
        out["user_location"] = {"type": "approximate", **said}
    domains = left.pop("allowed_domains", None)
    if domains:
        out["filters"] = {"allowed_domains": domains}
    for key in left:
        to.lose(f"{path}.{key}", "OpenAI's web search has no such setting")
    return out


def read_tool_choice(value: Any, spelling: dict[str, str]) -> ToolChoice | None:
    """``tool_choice``; None where its shape has no meaning elsewhere, and it is then kept as it is."""
    if isinstance(value, str):
        if value not in ("none", "auto", "required"):
            raise wrong_value("tool_choice", value, "'none', 'auto' and 'required'")
        return ToolChoice(mode=value)  # type: ignore[arg-type] # checked above
    fields = typed(value, "tool_choice")
    kind = fields.take("type")
    if kind in ("function", "custom"):
        name = fields.required_text("name")
        space = fields.text("namespace")
        return ToolChoice(mode="named", name=_known(name, space, spelling), extra=fields.left())
    if kind == "allowed_tools":
        return _read_allowed(fields, spelling)
    if kind in CALLS.values():
        return ToolChoice(mode="named", name=kind, extra=fields.left())
    return None


def _known(name: str, space: str | None, spelling: dict[str, str]) -> str:
    """A function's name as it is in the request's list of tools."""
    return joined(space, name) if space is not None and NAMESPACE + joined(space, name) in spelling else name


def _read_allowed(fields: Fields, spelling: dict[str, str]) -> ToolChoice | None:
    mode = fields.text("mode") or "auto"
    if mode not in ("auto", "required"):
        raise wrong_value(fields.at("mode"), mode, "'auto' and 'required'")
    names: list[str] = []
    for index, item in enumerate(fields.array("tools") or []):
        inner = typed(item, f"{fields.at('tools')}[{index}]")
        kind = inner.take("type")
        if kind in CALLS.values():
            names.append(kind)
        elif kind in ("function", "custom"):
            names.append(_known(inner.required_text("name"), inner.text("namespace"), spelling))
        else:
            return None
    return ToolChoice(mode="allowed", names=names, allowed_mode=mode, extra=fields.left())  # type: ignore[arg-type]


def write_tool_choice(request: ChatRequest, to: Outgoing) -> Any:
    """``tool_choice``; None where nothing is to be said."""
    choice = request.tool_choice
    if choice is None:
        return None
    reason = to.traits.unsupported.get(f"tool_choice.{choice.mode}")
    if reason is not None:
        to.lose("tool_choice", reason)
        return None
    tools = {tool.name: tool for tool in request.tools}
    spelling = request.spelling if to.own else {}

    def named(name: str | None) -> dict[str, Any]:
        tool = tools.get(name or "")
        if tool is not None and is_local(tool):
            return {"type": tool.type}
        own, space = apart(name or "", spelling)
        custom = tool is not None and tool.kind == "custom" and to.options.get("custom_tools") is not False
        out = {"type": "custom" if custom else "function", "name": own}
        return out if space is None else {**out, "namespace": space}

    if choice.mode == "named":
        written = named(choice.name)
    elif choice.mode == "allowed":
        written = {
            "type": "allowed_tools",
            "mode": choice.allowed_mode,
            "tools": [named(name) for name in choice.names],
        }
    else:
        return choice.mode
    to.extras(written, choice.extra, "tool_choice")
    return written
