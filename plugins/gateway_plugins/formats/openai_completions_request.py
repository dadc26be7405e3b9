"""A legacy completions request, both ways: a prompt instead of messages."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, Media, Message, Part, Refusal, Text, ToolResult
from gateway_plugins.formats.json_fields import merge
from gateway_plugins.formats.openai_chat_fields import Fields, wrong_type
from gateway_plugins.formats.text_documents import text_of

NAME = "openai_completions"
"""The format's name: the ``origin`` of what it read."""

_NUMBERS = ("temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty")
_COUNTS = ("max_tokens", "top_k", "seed", "n")
_SAME = (*_NUMBERS, *_COUNTS, "logit_bias", "user")
_BEYOND = ("top_k", "min_p", "repetition_penalty")
# What these say by such a value happens anyway: it is noted for our own writer, and is no loss elsewhere.
_NOTHING: dict[str, tuple[Any, ...]] = {"echo": (False,), "best_of": (1,), "suffix": ("",)}
_FOREIGN = (
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
    "store",
    "cache_control",
)
_SPEAKERS = {"system": "System", "developer": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}
_NO_FIELD = "completions has no such field"


def read_request(body: bytes) -> ChatRequest:
    """A caller's request; raises InvalidRequest, naming the field, for what the dialect does not allow.

    One prompt is a user message. Several prompts are a user message each, token ids are none; both stay as they are in
    ``extra["prompt"]`` as well, for only a provider of this same format can answer them (see ``only_here``).
    """
    fields = Fields.of_body(body)
    spelling: dict[str, str] = {}
    request = ChatRequest(model=fields.text("model") or "", origin=NAME)
    prompt = fields.take("prompt")
    if prompt is None:
        fields.missing("prompt")
    prompts = _prompts(prompt)
    request.messages = [Message(role="user", content=[Text(text=text)]) for text in prompts or ()]
    if prompts is None or len(prompts) > 1:
        fields.rest["prompt"] = prompt
    elif isinstance(prompt, list):
        spelling["prompt"] = "array"
    for name in _NUMBERS:
        setattr(request, name, fields.number(name))
    for name in _COUNTS:
        setattr(request, name, fields.integer(name))
    _read_logprobs(request, fields)
    request.stop = _read_stop(fields, spelling)
    request.logit_bias = fields.object("logit_bias")
    request.user = fields.text("user")
    request.stream = bool(fields.flag("stream"))
    options = fields.nested("stream_options")
    if options is not None:
        request.include_usage = bool(options.flag("include_usage"))
        fields.keep("stream_options", options)
    for name, nothing in _NOTHING.items():
        if fields.rest.get(name) in nothing:
            spelling[name] = msgspec.json.encode(fields.take(name)).decode()
    request.extra = fields.left()
    request.spelling = spelling
    return request


def only_here(request: ChatRequest) -> InvalidRequest | None:
    """The refusal of a prompt that no other format can carry; None where it can be said elsewhere."""
    prompt = request.extra.get("prompt") if request.origin == NAME else None
    if prompt is None:
        return None
    what = "several prompts in one request" if request.messages else "a prompt of token ids"
    return InvalidRequest(
        f"The target does not speak legacy completions and cannot take {what}; send one prompt as a string.",
        param="prompt",
        code="unsupported_value",
    )


def _prompts(prompt: Any) -> list[str] | None:
    """The prompts as texts; None for token ids."""
    if isinstance(prompt, str):
        return [prompt]
    if not isinstance(prompt, list):
        raise wrong_type("prompt", "a string or an array", prompt)
    if not prompt:
        raise InvalidRequest("Invalid 'prompt': empty array.", param="prompt", code="empty_array")
    if all(isinstance(item, str) for item in prompt):
        return prompt
    flat = [prompt] if not isinstance(prompt[0], list) else prompt
    for at, tokens in enumerate(flat):
        if not isinstance(tokens, list) or not all(isinstance(i, int) and not isinstance(i, bool) for i in tokens):
            path = "prompt" if flat is not prompt else f"prompt[{at}]"
            raise wrong_type(path, "a string or an array of tokens", tokens)
    return None


def _read_logprobs(request: ChatRequest, fields: Fields) -> None:
    """Here it is how many alternatives to tell; chat completions has a switch and a number."""
    if isinstance(fields.rest.get("logprobs"), bool):
        raise wrong_type("logprobs", "an integer", fields.rest["logprobs"])
    count = fields.integer("logprobs")
    if count is not None:
        request.logprobs, request.top_logprobs = True, count


def _read_stop(fields: Fields, spelling: dict[str, str]) -> list[str]:
    value = fields.take("stop")
    if isinstance(value, str):
        spelling["stop"] = "string"
        return [value]
    if value is None or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return value or []
    raise wrong_type("stop", "a string or an array of strings", value)


def write_request(request: ChatRequest, traits: Traits, dropped: Dropped) -> bytes:
    """The upstream request body; losses are named in ``dropped``.

    A conversation is written as one prompt, each turn behind its speaker. ``traits.options`` may hold ``accepts`` with
    ``top_k``, ``min_p`` and ``repetition_penalty``, and ``stream_options`` (False: not sent).
    """
    own = request.origin == NAME
    spelling = request.spelling if own else {}
    out: dict[str, Any] = {"model": request.model, "prompt": _write_prompt(request, dropped, own=own)}
    if spelling.get("prompt") == "array":
        out["prompt"] = [out["prompt"]]
    _write_settings(out, request, traits, dropped, own=own)
    _write_rest(out, request, dropped, own=own)
    options = out.pop("stream_options", None) or {}
    if request.stream:
        out["stream"] = True
        if traits.options.get("stream_options") is not False:
            out["stream_options"] = {**options, "include_usage": True}
    out = {traits.renames.get(key, key): value for key, value in out.items()}
    for key, value in traits.defaults.items():
        out.setdefault(key, value)
    return msgspec.json.encode(out)


def _write_settings(out: dict[str, Any], request: ChatRequest, traits: Traits, dropped: Dropped, *, own: bool) -> None:
    refused = {field for field in traits.unsupported if getattr(request, field, None) not in (None, [])}
    for field in refused:
        dropped.add(field, traits.unsupported[field])
    accepts = traits.options.get("accepts", ())
    for name in _SAME:
        value = getattr(request, name)
        if value is None or name in refused:
            continue
        if name in _BEYOND and not own and name not in accepts:
            dropped.add(name, _NO_FIELD)
        else:
            out[name] = value
    if request.logprobs and "logprobs" not in refused:
        out["logprobs"] = request.top_logprobs or 0
    if request.stop and "stop" not in refused:
        out["stop"] = request.stop[0] if own and request.spelling.get("stop") == "string" else request.stop


def _write_rest(out: dict[str, Any], request: ChatRequest, dropped: Dropped, *, own: bool) -> None:
    """What only this format says, restored; what only others say, named."""
    if own:
        for name in _NOTHING.keys() & request.spelling.keys():
            out[name] = msgspec.json.decode(request.spelling[name])
        merge(out, request.extra)
    else:
        for key in request.extra:
            dropped.add(key, _NO_FIELD)
    for name in _FOREIGN:
        value = getattr(request, name)
        if value is not None and value != []:
            dropped.add(name, _NO_FIELD)


def _write_prompt(request: ChatRequest, dropped: Dropped, *, own: bool) -> Any:
    if own and "prompt" in request.extra:
        return request.extra["prompt"]
    said = [_said(message.content, f"messages[{at}].content", dropped) for at, message in enumerate(request.messages)]
    for at, message in enumerate(request.messages):
        if message.name is not None:
            dropped.add(f"messages[{at}].name", "a prompt has no names of its speakers")
        for key in message.extra:
            dropped.add(f"messages[{at}].{key}", _NO_FIELD)
    if len(said) == 1 and request.messages[0].role == "user":
        return said[0]
    dropped.add("messages", "said as one prompt: completions has no roles")
    turns = [f"{_SPEAKERS[message.role]}: {text}" for message, text in zip(request.messages, said, strict=True) if text]
    return "\n\n".join([*turns, "Assistant:"])


def _said(parts: list[Part], path: str, dropped: Dropped) -> str:
    texts: list[str] = []
    for at, part in enumerate(parts):
        here = f"{path}[{at}]"
        if part.cache_control is not None:
            dropped.add(f"{here}.cache_control", "a completion's provider caches by itself")
        for key in part.extra:
            dropped.add(f"{here}.{key}", _NO_FIELD)
        if isinstance(part, Text | Refusal):
            texts.append(part.text)
            if isinstance(part, Text) and part.citations:
                dropped.add(f"{here}.citations", "a prompt cites nothing")
        elif isinstance(part, Media) and (text := text_of(part)) is not None:
            texts.append(text)
        elif isinstance(part, ToolResult):
            texts.append(_said(part.content, f"{here}.content", dropped))
            if part.is_error:
                dropped.add(f"{here}.is_error", "a prompt does not tell a failed tool from a good one")
        else:
            dropped.add(here, f"a prompt is text and holds no {type(part).__name__}")
    return "".join(texts)
