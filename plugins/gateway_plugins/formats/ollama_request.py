"""A request for Ollama's own /api/chat, written from the normalised protocol."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import msgspec

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, Reasoning, ResponseFormat, Tool
from gateway_plugins.formats.custom_tools import as_function
from gateway_plugins.formats.named_schema import named_schema
from gateway_plugins.formats.ollama_messages import write_messages

# The normalised field → the name among Ollama's options.
_OPTIONS = {
    "max_tokens": "num_predict",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "repetition_penalty": "repeat_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
_SAME = ("logprobs", "top_logprobs")
_ABSENT = (
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
# Fields of Ollama's own that no other dialect has: a caller who sends one means just that.
_OLLAMAS = ("keep_alive", "think", "truncate", "shift")
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_KNOWS_EFFORTS = "*gpt-oss*"
_NO_FIELD = "Ollama has no such field"


def write_request(request: ChatRequest, traits: Traits, dropped: Dropped) -> bytes:
    """The upstream request body; losses are named in ``dropped``.

    ``options`` and ``keep_alive`` of ``traits.options`` are sent where the caller does not say otherwise; a caller's
    own ``options``, ``keep_alive`` and ``think`` pass from any dialect.
    """
    refused = {name for name in traits.unsupported if getattr(request, name, None) not in (None, [])}
    for name in refused:
        dropped.add(name, traits.unsupported[name])
    out: dict[str, Any] = {
        "model": request.model,
        "messages": write_messages(request.messages, dropped),
        "stream": request.stream,
    }
    if request.tools and "tools" not in refused:
        _write_tools(out, request, dropped)
    if request.response_format is not None and "response_format" not in refused:
        _write_format(out, request.response_format)
    if request.reasoning is not None and "reasoning" not in refused:
        _write_think(out, request.reasoning, request.model, dropped)
    _write_settings(out, request, traits, refused)
    _write_extra(out, request, dropped)
    _name_absent(request, dropped)
    return msgspec.json.encode(out)


def _write_settings(out: dict[str, Any], request: ChatRequest, traits: Traits, refused: set[str]) -> None:
    for name in _SAME:
        value = getattr(request, name)
        if value is not None and name not in refused:
            out[name] = value
    keep = traits.options.get("keep_alive")
    if keep is not None:
        out["keep_alive"] = keep
    options = _options(request, traits, refused)
    if options:
        out["options"] = options


def _write_extra(out: dict[str, Any], request: ChatRequest, dropped: Dropped) -> None:
    for key, value in request.extra.items():
        if key in _OLLAMAS:
            out[key] = value
        elif key != "options" or not isinstance(value, dict):
            dropped.add(key, _NO_FIELD)


def _options(request: ChatRequest, traits: Traits, refused: set[str]) -> dict[str, Any]:
    """The provider's own, under the caller's in Ollama's words, under the caller's settings."""
    said = request.extra.get("options")
    options: dict[str, Any] = {**traits.options.get("options", {}), **(said if isinstance(said, dict) else {})}
    for name, word in _OPTIONS.items():
        value = getattr(request, name)
        if value is not None and name not in refused:
            options[word] = value
    if request.stop and "stop" not in refused:
        options["stop"] = request.stop
    return options


def _name_absent(request: ChatRequest, dropped: Dropped) -> None:
    if request.n is not None and request.n != 1:
        dropped.add("n", "Ollama gives one answer")
    if request.cache_control is not None:
        dropped.add("cache_control", "Ollama caches by itself")
    for name in _ABSENT:
        if getattr(request, name) is not None:
            dropped.add(name, _NO_FIELD)


def _write_tools(out: dict[str, Any], request: ChatRequest, dropped: Dropped) -> None:
    """The tools that may be called. That none may is said by sending none; that one must, cannot be said."""
    choice = request.tool_choice
    names: list[str] | None = None
    if choice is not None and choice.mode in ("named", "allowed"):
        names = [choice.name or ""] if choice.mode == "named" else choice.names
    if choice is not None and (choice.mode in ("required", "named") or choice.allowed_mode == "required"):
        dropped.add("tool_choice", "Ollama cannot be made to call a tool")
    if request.parallel_tool_calls is False:
        dropped.add("parallel_tool_calls", "Ollama cannot be kept from calling several tools at once")
    if choice is not None and choice.mode == "none":
        return
    found = []
    for index, tool in enumerate(request.tools):
        path = f"tools[{index}]"
        if tool.kind == "server":
            dropped.add(path, "Ollama runs no tools of its own")
        elif names is None or tool.name in names:
            found.append(_function(tool, path, dropped))
    if found:
        out["tools"] = found


def _function(tool: Tool, path: str, dropped: Dropped) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}}
    if tool.kind == "custom":
        function = as_function(tool, path, dropped)
    if tool.strict:
        dropped.add(f"{path}.strict", "Ollama does not hold a model to a tool's schema")
    if tool.cache_control is not None:
        dropped.add(f"{path}.cache_control", "Ollama caches by itself")
    for key in tool.extra:
        dropped.add(f"{path}.{key}", _NO_FIELD)
    return {"type": "function", "function": function}


def _write_format(out: dict[str, Any], wanted: ResponseFormat) -> None:
    if wanted.type == "text":
        return
    out["format"] = "json" if wanted.schema is None else named_schema(wanted)


def _write_think(out: dict[str, Any], wanted: Reasoning, model: str, dropped: Dropped) -> None:
    """On or off; only gpt-oss knows how much, and other models are refused a word."""
    if wanted.mode == "disabled" or wanted.effort == "none":
        out["think"] = False
    elif wanted.effort is not None and fnmatchcase(model, _KNOWS_EFFORTS):
        out["think"] = word = _EFFORTS.get(wanted.effort, "medium")
        if word != wanted.effort:
            dropped.add("reasoning.effort", f"sent as {word}: Ollama does not know {wanted.effort}")
    else:
        out["think"] = True
        if wanted.effort is not None:
            dropped.add("reasoning.effort", "sent as think: true, for the model knows no efforts")
    for name in ("budget_tokens", "summary", "display"):
        if getattr(wanted, name) is not None:
            dropped.add(f"reasoning.{name}", _NO_FIELD)
