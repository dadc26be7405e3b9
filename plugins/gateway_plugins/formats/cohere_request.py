"""A request for Cohere's v2 chat, written from the normalised protocol."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, Reasoning, ResponseFormat, Tool, ToolChoice
from gateway_plugins.formats.cohere_messages import NAME, write_messages
from gateway_plugins.formats.custom_tools import as_function
from gateway_plugins.formats.named_schema import named_schema

_SAME = ("max_tokens", "temperature", "seed", "frequency_penalty", "presence_penalty")
_PENALTIES = ("frequency_penalty", "presence_penalty")
_ABSENT = (
    "min_p",
    "repetition_penalty",
    "logit_bias",
    "user",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
    "store",
)
# Fields of Cohere's own that no other dialect has: a caller who sends one means just that.
_COHERES = ("documents", "citation_options", "safety_mode", "priority")
_MOST_P = 0.99
_NO_FIELD = "Cohere has no such field"


def write_request(request: ChatRequest, traits: Traits, dropped: Dropped) -> bytes:
    """The upstream request body; losses are named in ``dropped``.

    ``documents``, ``citation_options``, ``safety_mode`` and ``priority`` pass from any dialect. A tool choice that
    Cohere has no word for is said by the list of tools. ``traits.options["thinking"]`` (True unless said) tells
    whether the model reasons.
    """
    refused = _refused(request, traits, dropped)
    thinks = traits.options.get("thinking") is not False
    out: dict[str, Any] = {
        "model": request.model,
        "messages": write_messages(request.messages, dropped, own=request.origin == NAME, thinks=thinks),
        "stream": request.stream,
    }
    _write_settings(out, request, refused, dropped)
    _name_absent(request, dropped)
    if request.tools and "tools" not in refused:
        _write_tools(out, request, refused, dropped)
    if request.response_format is not None and "response_format" not in refused:
        _write_response_format(out, request.response_format)
    if request.reasoning is not None and "reasoning" not in refused:
        _write_thinking(out, request.reasoning, dropped, thinks=thinks)
    for key, value in request.extra.items():
        if key in _COHERES or request.origin == NAME:
            out[key] = value
        else:
            dropped.add(key, _NO_FIELD)
    out = {traits.renames.get(key, key): value for key, value in out.items()}
    for key, value in traits.defaults.items():
        out.setdefault(key, value)
    return msgspec.json.encode(out)


def _refused(request: ChatRequest, traits: Traits, dropped: Dropped) -> set[str]:
    refused = {name for name in traits.unsupported if getattr(request, name, None) not in (None, [])}
    for name in refused:
        dropped.add(name, traits.unsupported[name])
    return refused


def _write_settings(out: dict[str, Any], request: ChatRequest, refused: set[str], dropped: Dropped) -> None:
    for name in _SAME:
        value = getattr(request, name)
        if value is None or name in refused:
            continue
        if name in _PENALTIES and not 0 <= value <= 1:
            dropped.add(name, "Cohere takes 0 to 1 only")
        else:
            out[name] = value
    if request.top_k is not None and "top_k" not in refused:
        out["k"] = request.top_k
    _write_p(out, request, refused, dropped)
    if request.stop and "stop" not in refused:
        out["stop_sequences"] = request.stop
    if request.logprobs and "logprobs" not in refused:
        out["logprobs"] = True


def _write_p(out: dict[str, Any], request: ChatRequest, refused: set[str], dropped: Dropped) -> None:
    if request.top_p is None or "top_p" in refused:
        return
    out["p"] = min(request.top_p, _MOST_P)
    if request.top_p > _MOST_P:
        dropped.add("top_p", f"sent as {_MOST_P}, the most that Cohere takes")


def _name_absent(request: ChatRequest, dropped: Dropped) -> None:
    """Name what Cohere has no field for."""
    if request.top_logprobs:
        dropped.add("top_logprobs", "Cohere tells the chosen tokens' only")
    if request.n is not None and request.n != 1:
        dropped.add("n", "Cohere gives one answer")
    if request.cache_control is not None:
        dropped.add("cache_control", "Cohere caches by itself")
    for name in _ABSENT:
        if getattr(request, name) is not None:
            dropped.add(name, _NO_FIELD)


def _write_tools(out: dict[str, Any], request: ChatRequest, refused: set[str], dropped: Dropped) -> None:
    found: list[dict[str, Any]] = []
    strict: set[bool] = set()
    names = _allowed(request.tool_choice) if "tool_choice" not in refused else None
    for index, tool in enumerate(request.tools):
        path = f"tools[{index}]"
        if tool.kind == "server":
            dropped.add(path, "Cohere runs no tools of its own")
        elif names is None or tool.name in names:
            found.append(_function(tool, path, dropped))
            strict.add(bool(tool.strict))
    if not found:
        return
    out["tools"] = found
    if strict == {True}:
        out["strict_tools"] = True
    elif True in strict:
        dropped.add("tools.strict", "Cohere holds to the schemas of all tools or of none")
    choice = request.tool_choice
    if choice is not None and "tool_choice" not in refused:
        word = _CHOICES.get(choice.mode if choice.mode != "allowed" else choice.allowed_mode)
        if word is not None:
            out["tool_choice"] = word
    if request.parallel_tool_calls is False and "parallel_tool_calls" not in refused:
        dropped.add("parallel_tool_calls", "Cohere cannot be kept from calling several tools at once")


_CHOICES = {"required": "REQUIRED", "named": "REQUIRED", "none": "NONE"}


def _allowed(choice: ToolChoice | None) -> list[str] | None:
    """The only tools that may be called; None for all."""
    if choice is None or choice.mode not in ("named", "allowed"):
        return None
    return [choice.name or ""] if choice.mode == "named" else choice.names


def _function(tool: Tool, path: str, dropped: Dropped) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}}
    if tool.kind == "custom":
        function = as_function(tool, path, dropped)
    if tool.cache_control is not None:
        dropped.add(f"{path}.cache_control", "Cohere caches by itself")
    for key in tool.extra:
        dropped.add(f"{path}.{key}", _NO_FIELD)
    return {"type": "function", "function": function}


def _write_response_format(out: dict[str, Any], wanted: ResponseFormat) -> None:
    if wanted.type == "text":
        return
    out["response_format"] = {"type": "json_object"}
    if wanted.schema is not None:
        out["response_format"]["json_schema"] = named_schema(wanted)


def _write_thinking(out: dict[str, Any], wanted: Reasoning, dropped: Dropped, *, thinks: bool) -> None:
    off = wanted.mode == "disabled" or wanted.effort == "none"
    if not thinks:
        if not off:
            dropped.add("reasoning", "the model does not reason")
        return
    thinking: dict[str, Any] = {"type": "disabled" if off else "enabled"}
    if wanted.budget_tokens is not None and not off:
        thinking["token_budget"] = wanted.budget_tokens
    elif wanted.effort is not None and not off:
        dropped.add("reasoning.effort", "sent as thinking enabled: Cohere knows no efforts, only a budget")
    out["thinking"] = thinking
    for name in ("summary", "display"):
        if getattr(wanted, name) is not None:
            dropped.add(f"reasoning.{name}", _NO_FIELD)
