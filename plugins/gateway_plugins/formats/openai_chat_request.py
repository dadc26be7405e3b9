"""A chat completions request, read into the normalised protocol."""

from __future__ import annotations

from typing import Any

from gateway.protocol import ChatRequest, ResponseFormat, ToolChoice
from gateway_plugins.formats.openai_chat_fields import NAME, Fields, wrong_type
from gateway_plugins.formats.openai_chat_messages import read_messages
from gateway_plugins.formats.openai_chat_reasoning import read_reasoning
from gateway_plugins.formats.openai_chat_tools import (
    WEB_SEARCH,
    read_functions,
    read_tool_choice,
    read_tools,
    web_search_tool,
)


def read_request(body: bytes) -> ChatRequest:
    """A caller's request; raises InvalidRequest, naming the field, for what the dialect does not allow."""
    fields = Fields.of_body(body)
    spelling: dict[str, str] = {}
    messages = fields.array("messages")
    if messages is None:
        fields.missing("messages")
    request = ChatRequest(model=fields.text("model") or "", messages=read_messages(messages), origin=NAME)
    _read_tools(request, fields, spelling)
    request.reasoning = read_reasoning(fields, spelling)
    request.response_format = _read_response_format(fields)
    _read_sampling(request, fields, spelling)
    _read_rest(request, fields, spelling)
    request.extra = fields.left()
    if spelling:
        request.spelling = spelling
    return request


def _read_tools(request: ChatRequest, fields: Fields, spelling: dict[str, str]) -> None:
    tools, functions = fields.array("tools"), fields.array("functions")
    if tools:
        request.tools = read_tools(tools)
    elif functions:
        request.tools = read_functions(functions)
        spelling["tools"] = "functions"
    search = fields.object(WEB_SEARCH)
    if search is not None:
        request.tools = [*request.tools, web_search_tool(search)]
    choice, call = fields.take("tool_choice"), fields.take("function_call")
    if choice is not None:
        request.tool_choice = read_tool_choice(choice)
        if request.tool_choice is None:
            fields.rest["tool_choice"] = choice
    elif call is not None:
        spelling["tool_choice"] = "function_call"
        request.tool_choice = _read_function_call(call)
    request.parallel_tool_calls = fields.flag("parallel_tool_calls")


def _read_function_call(value: Any) -> ToolChoice:
    if value == "auto":
        return ToolChoice(mode="auto")
    if value == "none":
        return ToolChoice(mode="none")
    return ToolChoice(mode="named", name=Fields(value, "function_call").required_text("name"))


def _read_response_format(fields: Fields) -> ResponseFormat | None:
    if not isinstance(fields.rest.get("response_format"), dict | None):
        raise wrong_type("response_format", "an object", fields.rest["response_format"])
    inner = fields.nested("response_format")
    if inner is None:
        return None
    kind = inner.required_text("type")
    found: ResponseFormat | None = None
    if kind == "json_schema":
        schema = inner.nested("json_schema")
        if schema is None:
            inner.missing("json_schema")
        found = ResponseFormat(
            type="json_schema",
            name=schema.text("name"),
            description=schema.text("description"),
            schema=schema.object("schema"),
            strict=schema.flag("strict"),
        )
        inner.keep("json_schema", schema)
    elif kind == "json_object":
        # Together, Fireworks and llama.cpp take a schema here as well.
        found = ResponseFormat(type="json_object", schema=inner.object("schema"))
    elif kind == "text":
        found = ResponseFormat(type="text")
    else:
        inner.rest["type"] = kind
    fields.keep("response_format", inner)
    return found


def _read_sampling(request: ChatRequest, fields: Fields, spelling: dict[str, str]) -> None:
    limit, old_limit = fields.integer("max_completion_tokens"), fields.integer("max_tokens")
    request.max_tokens = old_limit if limit is None else limit
    if old_limit is not None:
        if limit is None:
            spelling["max_tokens"] = "max_tokens"
        else:
            fields.rest["max_tokens"] = old_limit
    for name in ("temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty"):
        value = fields.number(name)
        if value is not None:
            setattr(request, name, value)
    request.top_k = fields.integer("top_k")
    request.seed = fields.integer("seed")
    if request.seed is None and fields.rest.get("random_seed") is not None:
        request.seed = fields.integer("random_seed")
        spelling["seed"] = "random_seed"
    request.n = fields.integer("n")
    request.stop = _read_stop(fields, spelling)
    request.logit_bias = fields.object("logit_bias")
    if isinstance(fields.rest.get("logprobs"), bool | None):
        request.logprobs = fields.flag("logprobs")
    request.top_logprobs = fields.integer("top_logprobs")


def _read_stop(fields: Fields, spelling: dict[str, str]) -> list[str]:
    value = fields.take("stop")
    if value is None:
        return []
    if isinstance(value, str):
        spelling["stop"] = "string"
        return [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise wrong_type("stop", "a string or an array of strings", value)


def _read_rest(request: ChatRequest, fields: Fields, spelling: dict[str, str]) -> None:
    request.user = fields.text("user")
    if request.user is None and fields.rest.get("safety_identifier") is not None:
        request.user = fields.text("safety_identifier")
        spelling["user"] = "safety_identifier"
    for name in ("service_tier", "prompt_cache_key", "verbosity"):
        setattr(request, name, fields.text(name))
    for name in ("metadata", "audio", "prediction"):
        setattr(request, name, fields.object(name))
    request.store = fields.flag("store")
    modalities = fields.array("modalities")
    if modalities is not None and not all(isinstance(item, str) for item in modalities):
        raise wrong_type("modalities", "an array of strings", modalities)
    request.modalities = modalities
    request.cache_control = fields.cache_control()
    request.stream = bool(fields.flag("stream"))
    options = fields.nested("stream_options")
    if options is not None:
        request.include_usage = bool(options.flag("include_usage"))
        fields.keep("stream_options", options)
