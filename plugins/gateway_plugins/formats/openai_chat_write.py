"""A chat completions request, written for a provider from the normalised protocol."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, ResponseFormat
from gateway_plugins.formats.hashed_user import fitted_user
from gateway_plugins.formats.openai_chat_fields import NAME, Outgoing
from gateway_plugins.formats.openai_chat_reasoning import write_reasoning
from gateway_plugins.formats.openai_chat_tools import write_tool_choice, write_tools
from gateway_plugins.formats.openai_chat_turns import OPTIONS, fit_turns
from gateway_plugins.formats.openai_chat_usage import written_tier
from gateway_plugins.formats.openai_chat_write_messages import write_messages

# Fields that go out under their own name, or the caller's for them.
_SAME = (
    "seed",
    "user",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "n",
    "metadata",
    "prompt_cache_key",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
    "store",
)
# Fields that OpenAI does not have; many who imitate it do.
_BEYOND = ("top_k", "min_p", "repetition_penalty")


def write_request(request: ChatRequest, traits: Traits, dropped: Dropped) -> bytes:
    """The upstream request body; losses are named in ``dropped``.

    What ``traits.options`` may hold: ``accepts``, a list of what the provider takes beyond OpenAI's documentation
    (``top_k``, ``min_p``, ``repetition_penalty``, ``cache_control``, ``reasoning_details``, ``thought_signature``,
    ``images``, ``tool_images``, ``video_url``, ``audio_url``, ``file_url``, ``document_url``); ``max_tokens_field``;
    ``stream_options`` (False: not sent); ``web_search`` (the model searches by ``web_search_options``); ``reasoning``,
    ``reasoning_field`` and ``efforts`` (see the reasoning module; ``reasoning_field = False`` sends no reasoning back);
    ``content`` (``"string"``: text parts are joined);
    ``custom_tools`` (False: sent as functions with one string, see ``custom_tools.py``); and those of
    ``openai_chat_turns.fit_turns``.

    ``traits.unsupported`` takes, besides the fields of ChatRequest, ``thinking``, ``messages.name``, ``tools.strict``,
    ``tool_choice.<mode>`` and ``response_format.json_schema``.
    """
    to = Outgoing(traits, dropped, own=request.origin == NAME)
    spelling = request.spelling if to.own else {}
    refused = _refused(request, to)
    out: dict[str, Any] = {"model": request.model, "messages": write_messages(request.messages, to)}
    if OPTIONS & to.options.keys():
        fit_turns(out["messages"], to.options)
    if "tools" not in refused:
        write_tools(out, request, to)
    if "tool_choice" not in refused:
        write_tool_choice(out, request, to)
    if request.response_format is not None and "response_format" not in refused:
        _write_response_format(out, request.response_format, to)
    if request.reasoning is not None and "reasoning" not in refused:
        write_reasoning(out, request.reasoning, to, spelling)
    _write_settings(out, request, refused, to, spelling)
    to.cache_control(out, request.cache_control, "")
    to.extras(out, request.extra, "")
    _write_stream(out, request, to)
    return msgspec.json.encode(_for_provider(out, traits))


def _write_settings(
    out: dict[str, Any], request: ChatRequest, refused: set[str], to: Outgoing, spelling: dict[str, str]
) -> None:
    """The fields of one value each."""
    if "max_tokens" not in refused:
        _write_limit(out, request, to, spelling)
    for name in _SAME:
        value = getattr(request, name)
        if value is not None and name not in refused:
            out[spelling.get(name, name)] = value
    if "user" in out and not to.own:
        out["user"] = fitted_user(out["user"], to.dropped)
    for name in _BEYOND:
        value = getattr(request, name)
        if value is None or name in refused:
            continue
        if to.takes(name):
            out[name] = value
        else:
            to.dropped.add(name, "chat completions has no such field")
    if request.stop and "stop" not in refused:
        out["stop"] = request.stop[0] if spelling.get("stop") == "string" else request.stop
    if request.service_tier is not None and "service_tier" not in refused:
        _write_tier(out, request.service_tier, to)


def _refused(request: ChatRequest, to: Outgoing) -> set[str]:
    """The fields that this provider does not take and the caller has set, each named."""
    refused: set[str] = set()
    for name, reason in to.traits.unsupported.items():
        value = getattr(request, name, None)
        if value is not None and value != []:
            to.dropped.add(name, reason)
            refused.add(name)
    return refused


def _write_limit(out: dict[str, Any], request: ChatRequest, to: Outgoing, spelling: dict[str, str]) -> None:
    limit = to.traits.max_tokens_default if request.max_tokens is None else request.max_tokens
    if limit is not None:
        field = to.options.get("max_tokens_field") or spelling.get("max_tokens", "max_completion_tokens")
        out[field] = limit


def _write_tier(out: dict[str, Any], tier: str, to: Outgoing) -> None:
    # The caller's own word goes back to those who taught it.
    word = tier if to.own else written_tier("default" if tier == "standard_only" else tier, own=False)
    if word is None:
        to.dropped.add("service_tier", f"chat completions knows no tier {tier}")
    else:
        out["service_tier"] = word


def _write_response_format(out: dict[str, Any], wanted: ResponseFormat, to: Outgoing) -> None:
    found: dict[str, Any] = {"type": wanted.type}
    reason = to.traits.unsupported.get("response_format.json_schema")
    if wanted.type == "json_schema" and reason is not None:
        to.dropped.add("response_format.json_schema", reason)
        found["type"] = "json_object"
    elif wanted.type == "json_schema":
        schema: dict[str, Any] = {"name": wanted.name or "response"}
        for name in ("description", "schema", "strict"):
            value = getattr(wanted, name)
            if value is not None:
                schema[name] = value
        found["json_schema"] = schema
    elif wanted.schema is not None:
        found["schema"] = wanted.schema
    out["response_format"] = found


def _write_stream(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    """Usage is always asked for: the gateway's books need it, whether the caller does or not."""
    options = out.pop("stream_options", None) or {}
    if not request.stream:
        return
    out["stream"] = True
    if to.options.get("stream_options") is not False:
        out["stream_options"] = {**options, "include_usage": True}


def _for_provider(out: dict[str, Any], traits: Traits) -> dict[str, Any]:
    """The provider's own names, and its defaults for what is absent."""
    if traits.renames:
        out = {traits.renames.get(key, key): value for key, value in out.items()}
    for key, value in traits.defaults.items():
        out.setdefault(key, value)
    return out
