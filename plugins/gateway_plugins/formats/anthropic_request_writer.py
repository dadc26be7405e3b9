"""A messages request, written for a provider from the normalised protocol."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, ResponseFormat
from gateway_plugins.formats.anthropic_fields import Outgoing, overlay
from gateway_plugins.formats.anthropic_messages_writer import write_messages
from gateway_plugins.formats.anthropic_reasoning import write_reasoning
from gateway_plugins.formats.anthropic_schema import fit_schema, resolve_top
from gateway_plugins.formats.anthropic_tools import write_tool_choice, write_tools

MAX_TOKENS = 4096
"""The limit where neither the caller nor the provider's traits set one: every model of Anthropic's allows it."""

# What Anthropic has nothing for → the values that ask for nothing, and so lose nothing.
_NOTHING_FOR: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "min_p": (0,),
    "seed": (),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "n": (1,),
    "metadata": ({},),
    "prompt_cache_key": (),
    "verbosity": ("medium",),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "store": (False,),
}
LEAST_TOP_P = 0.95
"""The least top_p that Anthropic takes while thinking."""
# Tiers in OpenAI's words → Anthropic's.
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


def write_request(request: ChatRequest, traits: Traits, dropped: Dropped) -> bytes:
    """The upstream request body; losses are named in ``dropped``.

    ``traits.options``, for requests of another format (our own go out as they came in): ``thinking`` (``adaptive``,
    ``budget`` or ``none``), ``budgets`` (an adaptive model that takes a budget too), ``thinking_off`` (``disabled``,
    ``between_tools`` or ``never``), ``efforts`` (the words of ``output_config.effort``, rising), ``sampling`` (False:
    no temperature, top_p, top_k), ``one_sampler`` (temperature or top_p, not both), ``forced_tools`` (False: none),
    ``mid_system`` (system messages in mid-conversation), ``structured`` (JSON schemas are enforced), ``max_output``
    (the most that ``max_tokens`` may be).
    """
    return msgspec.json.encode(write_body(request, traits, dropped))


def write_body(request: ChatRequest, traits: Traits, dropped: Dropped) -> dict[str, Any]:
    """The members of the upstream request body; ``write_request`` says how."""
    to = Outgoing(traits, dropped, request.origin)
    request = _without_refused(request, to)
    out: dict[str, Any] = {"model": request.model, "max_tokens": _limit(request, to)}
    unthought = write_messages(out, request, to)
    write_tools(out, request, to)
    write_tool_choice(out, request, to)
    thinks = write_reasoning(out, request, to, unthought_turn=unthought)
    if request.response_format is not None:
        _write_response_format(out, request.response_format, to)
    _write_sampling(out, request, to, thinks=thinks)
    _write_settings(out, request, to)
    to.cache_control(out, request.cache_control)
    to.extras(out, request.extra, "")
    return _for_provider(out, traits)


def _limit(request: ChatRequest, to: Outgoing) -> int:
    """``max_tokens``, which Anthropic demands."""
    if request.max_tokens is None:
        return to.traits.max_tokens_default or MAX_TOKENS
    most = to.options.get("max_output")
    if to.own or most is None or request.max_tokens <= most:
        return request.max_tokens
    to.lose("max_tokens", f"sent as {most}, the most that the model can say")
    return int(most)


def _without_refused(request: ChatRequest, to: Outgoing) -> ChatRequest:
    """The request without the fields that this provider does not take; each that was set is named."""
    fresh: dict[str, Any] = {}
    for name, reason in to.traits.unsupported.items():
        value = getattr(request, name, None)
        if value is not None and value != []:
            to.lose(name, reason)
            fresh[name] = [] if isinstance(value, list) and name in ("tools", "stop") else None
    return msgspec.structs.replace(request, **fresh) if fresh else request


def _write_response_format(out: dict[str, Any], wanted: ResponseFormat, to: Outgoing) -> None:
    if wanted.type == "text":
        return
    if wanted.type == "json_object":
        to.lose("response_format", "Anthropic gives JSON only by a schema")
        return
    schema = wanted.schema or {}
    if not to.own:
        fitted = _fitted(wanted, schema, to)
        if fitted is None:
            return
        schema = fitted
    out.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}


def _fitted(wanted: ResponseFormat, schema: dict[str, Any], to: Outgoing) -> dict[str, Any] | None:
    """The schema as Anthropic takes it, under the name and with the description that the caller gave it."""
    if to.options.get("structured") is False:
        to.lose("response_format", "the model cannot be held to a schema")
        return None
    path = "response_format.json_schema.schema" if to.origin == "openai_chat" else "response_format.schema"
    fitted = fit_schema(resolve_top(schema), lambda at, why: to.lose(path + at, why))
    if fitted is None:
        to.lose("response_format", "Anthropic takes no schema that is recursive, allows nothing or refers elsewhere")
        return None
    if wanted.name is not None:
        fitted.setdefault("title", wanted.name)
    if wanted.description is not None and fitted.get("description") != wanted.description:
        there = fitted.get("description")
        fitted["description"] = f"{wanted.description}\n\n{there}" if there else wanted.description
    return fitted


def _write_sampling(out: dict[str, Any], request: ChatRequest, to: Outgoing, *, thinks: bool) -> None:
    """``temperature``, ``top_p`` and ``top_k`` where the model takes them: not every one does, and none while thinking.

    A temperature of 1 and a top_p of 1 are what a model does anyway.
    """
    said = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    if not to.own:
        refuses = to.options.get("sampling") is False
        if refuses or thinks:
            why = "the model takes no sampling parameters" if refuses else "Anthropic does not take it while thinking"
            _give_up(said, "temperature", 1, why, to)
            _give_up(said, "top_k", None, why, to)
            if refuses or (said["top_p"] or 0) < LEAST_TOP_P:
                _give_up(said, "top_p", 1, why, to)
        temperature = said["temperature"]
        if temperature is not None and temperature > 1:
            to.lose("temperature", "sent as 1: Anthropic takes 0 to 1")
            said["temperature"] = 1
        if temperature is not None and to.options.get("one_sampler"):
            _give_up(said, "top_p", 1, "the model takes it or a temperature, not both", to)
    out.update({name: value for name, value in said.items() if value is not None})


def _give_up(said: dict[str, float | None], name: str, neutral: float | None, why: str, to: Outgoing) -> None:
    """Leave a setting out, and name the loss unless it asked for what is done anyway."""
    value = said[name]
    if value is not None and value != neutral:
        to.lose(name, why)
    said[name] = None


def _write_settings(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    stops: list[str] = []
    for index, stop in enumerate(request.stop):
        if to.own or stop.strip():
            stops.append(stop)
        else:
            to.lose(f"stop[{index}]", "Anthropic takes no stop sequence of white space only")
    if stops:
        out["stop_sequences"] = stops
    if request.user is not None:
        out["metadata"] = {"user_id": request.user}
    if request.service_tier is not None:
        tier = request.service_tier if to.own else _TIERS.get(request.service_tier)
        if tier is None:
            to.lose("service_tier", f"Anthropic knows no tier {request.service_tier}")
        else:
            out["service_tier"] = tier
    if request.stream:
        out["stream"] = True
    for name, idle in _NOTHING_FOR.items():
        value = getattr(request, name)
        if value is not None and value not in idle:
            to.lose(name, "Anthropic has nothing for it")


def _for_provider(out: dict[str, Any], traits: Traits) -> dict[str, Any]:
    """The provider's own names, and its defaults for what is absent."""
    if traits.renames:
        out = {traits.renames.get(key, key): value for key, value in out.items()}
    if traits.defaults:
        defaults = {key: value for key, value in traits.defaults.items() if key not in out}
        overlay(out, defaults)
    return out
