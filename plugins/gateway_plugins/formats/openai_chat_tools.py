"""Tools of chat completions: definitions, the choice among them, and calls, both ways."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.protocol import ChatRequest, Tool, ToolCall, ToolChoice
from gateway_plugins.formats.custom_tools import described, input_schema, wrapped
from gateway_plugins.formats.json_fields import merge
from gateway_plugins.formats.openai_chat_fields import NAME, Fields, Outgoing, wrong_value

WEB_SEARCH = "web_search_options"
_PLACE = ("city", "country", "region", "timezone")


def read_tools(items: list[Any]) -> list[Tool]:
    """The ``tools`` array."""
    return [_read_tool(Fields(item, f"tools[{index}]")) for index, item in enumerate(items)]


def read_functions(items: list[Any]) -> list[Tool]:
    """The deprecated ``functions`` array."""
    return [_read_function(Fields(item, f"functions[{index}]"), Fields({}, "")) for index, item in enumerate(items)]


def web_search_tool(settings: dict[str, Any]) -> Tool:
    """``web_search_options`` as the server-side tool that it switches on."""
    return Tool(kind="server", name="web_search", type=WEB_SEARCH, origin=NAME, extra=settings)


def _read_tool(fields: Fields) -> Tool:
    kind = fields.text("type") or "function"
    control = fields.cache_control()
    if kind == "function":
        inner = fields.nested("function")
        if inner is None:
            fields.missing("function")
        control = control or inner.cache_control()
        tool = _read_function(inner, fields)
    elif kind == "custom":
        inner = fields.nested("custom")
        if inner is None:
            fields.missing("custom")
        tool = Tool(kind="custom", name=inner.required_text("name"), description=inner.text("description"))
        form = inner.nested("format")
        if form is not None:
            if form.text("type") == "grammar":
                tool.grammar = form.object("grammar")
            inner.keep("format", form)
        fields.keep("custom", inner)
        tool.extra = fields.left()
    else:
        tool = Tool(kind="server", name=kind.rpartition(":")[2], type=kind, origin=NAME, extra=fields.left())
    tool.cache_control = control
    return tool


def _read_function(inner: Fields, outer: Fields) -> Tool:
    tool = Tool(
        name=inner.required_text("name"),
        description=inner.text("description"),
        parameters=inner.object("parameters"),
        strict=inner.flag("strict"),
    )
    outer.keep("function", inner)
    tool.extra = outer.left()
    return tool


def write_tools(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    """``tools``, the deprecated ``functions`` where the caller used them, and ``web_search_options``."""
    as_functions = to.own and request.spelling.get("tools") == "functions"
    found: list[dict[str, Any]] = []
    for index, tool in enumerate(request.tools):
        path = f"tools[{index}]"
        if tool.kind == "server" and tool.origin != NAME:
            _write_foreign(out, tool, path, to)
        elif tool.type == WEB_SEARCH:
            out[WEB_SEARCH] = tool.extra
        elif as_functions:
            function = _write_function(tool, path, to)
            merge(function, tool.extra.get("function", {}))
            found.append(function)
        else:
            written = {"type": tool.type} if tool.kind == "server" else _write_tool(tool, path, to)
            to.cache_control(written, tool.cache_control, path)
            to.extras(written, tool.extra, path)
            found.append(written)
    if found:
        out["functions" if as_functions else "tools"] = found


def _write_foreign(out: dict[str, Any], tool: Tool, path: str, to: Outgoing) -> None:
    """Another format's web search, for a model that searches; what else runs at a provider runs nowhere else."""
    if not (tool.type or "").startswith("web_search"):
        to.dropped.add(path, f"{tool.type or tool.name} runs only at the provider that offers it")
        return
    if not to.options.get("web_search"):
        to.dropped.add(path, "the model does not search the web when asked by chat completions")
        return
    settings: dict[str, Any] = {}
    for key, value in tool.extra.items():
        if key == "search_context_size":
            settings[key] = value
        elif key == "user_location" and isinstance(value, dict):
            place = {name: item for name, item in value.items() if name in _PLACE and item is not None}
            settings[key] = {"type": "approximate", "approximate": place}
        elif value is not None:
            to.dropped.add(f"{path}.{key}", "chat completions has no such setting for its web search")
    out[WEB_SEARCH] = settings


def _write_tool(tool: Tool, path: str, to: Outgoing) -> dict[str, Any]:
    if tool.kind == "function":
        return {"type": "function", "function": _write_function(tool, path, to)}
    if not to.custom_tools:
        if tool.grammar is not None:
            to.dropped.add(f"{to.inner(path, 'custom')}.format", "the provider cannot hold the text to a grammar")
        function = {"name": tool.name, "description": described(tool), "parameters": input_schema()}
        return {"type": "function", "function": {key: value for key, value in function.items() if value is not None}}
    custom: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        custom["description"] = tool.description
    if tool.grammar is not None:
        custom["format"] = {"type": "grammar", "grammar": tool.grammar}
    return {"type": "custom", "custom": custom}


def _write_function(tool: Tool, path: str, to: Outgoing) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        if "tools.strict" in to.traits.unsupported:
            to.dropped.add(f"{path}.strict", to.traits.unsupported["tools.strict"])
        else:
            function["strict"] = tool.strict
    return function


def read_tool_choice(value: Any) -> ToolChoice | None:
    """``tool_choice``; None where its shape is not known, and it is then kept as it is."""
    if isinstance(value, str):
        # Mistral says any.
        mode = {"auto": "auto", "none": "none", "required": "required", "any": "required"}.get(value)
        if mode is None:
            raise wrong_value("tool_choice", value, "'none', 'auto' and 'required'")
        return ToolChoice(mode=mode)  # type: ignore[arg-type] # the words of the table above
    fields = Fields(value, "tool_choice")
    kind = fields.text("type") or "function"
    if kind in ("function", "custom"):
        inner = fields.nested(kind)
        if inner is None:
            fields.missing(kind)
        name = inner.required_text("name")
        fields.keep(kind, inner)
        return ToolChoice(mode="named", name=name, extra=fields.left())
    if kind == "allowed_tools":
        inner = fields.nested("allowed_tools")
        if inner is None:
            fields.missing("allowed_tools")
        return _read_allowed(inner)
    return None


def _read_allowed(inner: Fields) -> ToolChoice | None:
    mode = inner.text("mode") or "auto"
    names: list[str] = []
    for index, item in enumerate(inner.array("tools") or []):
        fields = Fields(item, f"{inner.at('tools')}[{index}]")
        kind = fields.text("type") or "function"
        if kind not in ("function", "custom"):
            return None
        tool = fields.nested(kind)
        if tool is None:
            fields.missing(kind)
        names.append(tool.required_text("name"))
    if mode not in ("auto", "required"):
        raise wrong_value(inner.at("mode"), mode, "'auto' and 'required'")
    return ToolChoice(mode="allowed", names=names, allowed_mode=mode)  # type: ignore[arg-type] # checked above


def write_tool_choice(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    """``tool_choice``, or ``function_call`` where the caller used it."""
    choice = request.tool_choice
    if choice is None:
        return
    reason = to.traits.unsupported.get(f"tool_choice.{choice.mode}")
    if reason is not None:
        to.dropped.add("tool_choice", reason)
        return
    kinds = {tool.name: tool.kind for tool in request.tools}

    def named(name: str | None) -> dict[str, Any]:
        kind = "custom" if kinds.get(name or "") == "custom" and to.custom_tools else "function"
        return {"type": kind, kind: {"name": name}}

    if to.own and request.spelling.get("tool_choice") == "function_call":
        out["function_call"] = {"name": choice.name} if choice.mode == "named" else choice.mode
    elif choice.mode == "named":
        written = named(choice.name)
        to.extras(written, choice.extra, "tool_choice")
        out["tool_choice"] = written
    elif choice.mode == "allowed":
        allowed = {"mode": choice.allowed_mode, "tools": [named(name) for name in choice.names]}
        out["tool_choice"] = {"type": "allowed_tools", "allowed_tools": allowed}
    else:
        out["tool_choice"] = choice.mode


def tool_call_of(raw: dict[str, Any], fallback_id: str) -> ToolCall:
    """A ToolCall from an object of ``tool_calls``, forgiving what providers leave out.

    ``fallback_id`` is used where the id is missing or empty. ``index`` says nothing that the order does not.
    """
    rest = {key: value for key, value in raw.items() if value is not None}
    rest.pop("index", None)
    kind = rest.pop("type", None)
    function, custom = rest.pop("function", None), rest.pop("custom", None)
    is_custom = isinstance(custom, dict) and (kind == "custom" or not isinstance(function, dict))
    inner = dict(custom if is_custom else function) if isinstance(custom if is_custom else function, dict) else {}
    arguments = inner.pop("input" if is_custom else "arguments", None)
    name = inner.pop("name", None)
    signature, content = take_signature(rest.pop("extra_content", None))
    if content:
        rest["extra_content"] = content
    if inner:
        rest["custom" if is_custom else "function"] = inner
    call = ToolCall(
        id=str(rest.pop("id", None) or fallback_id),
        name=name if isinstance(name, str) else "",
        arguments=argument_text(arguments),
        kind="custom" if is_custom else "function",
        signature=signature,
    )
    if rest:
        call.extra = rest
    return call


def argument_text(value: Any) -> str:
    """Arguments as JSON text; some providers send the object itself."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def take_signature(content: Any) -> tuple[str | None, dict[str, Any]]:
    """Gemini's thought signature in ``extra_content.google.thought_signature``, and what else is there."""
    if not isinstance(content, dict):
        return None, {}
    rest = dict(content)
    google = rest.get("google")
    if not isinstance(google, dict) or not isinstance(google.get("thought_signature"), str):
        return None, rest
    left = {key: value for key, value in google.items() if key != "thought_signature"}
    if left:
        rest["google"] = left
    else:
        del rest["google"]
    return google["thought_signature"], rest


def write_tool_call(call: ToolCall, *, signed: bool = True, custom: bool = True) -> dict[str, Any]:
    """An object of ``tool_calls``; ``signed`` with Gemini's thought signature where it has one.

    Without ``custom`` a custom tool's call is written as one of the function that stands for it.
    """
    if call.kind == "custom" and custom:
        out: dict[str, Any] = {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    else:
        arguments = wrapped(call.arguments) if call.kind == "custom" else call.arguments
        function = {"name": call.name, "arguments": arguments}
        out = {"id": call.id, "type": "function", "function": function}
    if signed and call.signature is not None:
        out["extra_content"] = {"google": {"thought_signature": call.signature}}
    return out
