"""A Converse request, written from the normalised protocol."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, ResponseFormat
from gateway_plugins.formats.anthropic_fields import overlay
from gateway_plugins.formats.anthropic_schema import fit_schema, resolve_top
from gateway_plugins.formats.bedrock_converse_fields import CLAUDE, NAME, Outgoing
from gateway_plugins.formats.bedrock_converse_messages import write_messages
from gateway_plugins.formats.bedrock_converse_reasoning import write_reasoning
from gateway_plugins.formats.bedrock_converse_tools import write_tools
from gateway_plugins.formats.bedrock_models import ANTHROPIC

# What Converse has nothing for → the values that ask for nothing, and so lose nothing.
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
    "prompt_cache_key": (),
    "verbosity": ("medium",),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "store": (False,),
}
OWN_FIELDS = frozenset(
    (
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
    )
)
"""Fields of Converse's own, which a caller of any dialect may send beside those of the dialect."""
# Fields of a Claude request beyond the normalised ones, which Bedrock takes among the additional ones.
_CLAUDE_FIELDS = frozenset(("anthropic_beta", "context_management"))
_TIERS = {"standard_only": "default", "default": "default", "flex": "flex", "priority": "priority"}
_META_KEY = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_META_VALUE = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
_MOST_META = 16
LEAST_TOP_P = 0.95
"""The least topP that Claude takes while thinking."""


def write_request(request: ChatRequest, traits: Traits, dropped: Dropped) -> bytes:
    """The upstream request body; losses are named in ``dropped``. ``bedrock_models`` documents the options."""
    return msgspec.json.encode(request_object(request, traits, dropped))


def request_object(request: ChatRequest, traits: Traits, dropped: Dropped) -> dict[str, Any]:
    """The body as an object. The model is no part of it: it stands in the path."""
    to = Outgoing(traits, dropped, request.origin)
    request = _without_refused(request, to)
    out: dict[str, Any] = {}
    turns = write_messages(out, request, to)
    write_tools(out, request, to, turns.writer)
    more: dict[str, Any] = out.pop("additionalModelRequestFields", {})
    limit = _limit(request, to)
    thinks, limit = write_reasoning(more, request, to, limit=limit, unthought_turn=turns.goes_on_unthought())
    config = _sampling(more, request, to, thinks=thinks)
    if limit is not None:
        config["maxTokens"] = limit
    stops = _stops(request, to)
    if stops:
        config["stopSequences"] = stops
        if to.options.get("family") == ANTHROPIC:
            # Which of them it was is said only when asked for.
            out["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if config:
        out["inferenceConfig"] = config
    if request.response_format is not None:
        _response_format(out, request.response_format, to)
    _settings(out, request, to)
    _extras(out, more, request.extra, to)
    if more:
        overlay(more, out.pop("additionalModelRequestFields", {}))
        out["additionalModelRequestFields"] = more
    return _for_provider(out, traits)


def _without_refused(request: ChatRequest, to: Outgoing) -> ChatRequest:
    """The request without the fields that this provider does not take; each that was set is named."""
    fresh: dict[str, Any] = {}
    for name, reason in to.traits.unsupported.items():
        value = getattr(request, name, None)
        if value is not None and value != []:
            to.lose(name, reason)
            fresh[name] = [] if isinstance(value, list) and name in ("tools", "stop") else None
    return msgspec.structs.replace(request, **fresh) if fresh else request


def _limit(request: ChatRequest, to: Outgoing) -> int | None:
    """``maxTokens``; without one Bedrock takes the most that the model can say."""
    if request.max_tokens is None:
        default: int | None = to.options.get("limit")
        return default
    most = to.options.get("max_output")
    if request.max_tokens < 1:
        to.lose("max_tokens", "sent as 1: Converse takes no less")
        return 1
    if most is not None and request.max_tokens > most:
        to.lose("max_tokens", f"sent as {most}, the most that the model can say")
        return int(most)
    return request.max_tokens


def _sampling(more: dict[str, Any], request: ChatRequest, to: Outgoing, *, thinks: bool) -> dict[str, Any]:
    """``temperature``, ``topP`` and the family's own top k, where the model takes them."""
    said = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    options = to.options
    refuses = options.get("sampling") is False
    claude_thinks = thinks and options.get("family") == ANTHROPIC
    nova_thinks = (more.get("reasoningConfig") or {}).get("maxReasoningEffort") == "high"
    if refuses or claude_thinks or nova_thinks:
        why = "the model takes no sampling parameters" if refuses else "the model does not take it while thinking"
        _give_up(said, "temperature", 1, why, to)
        _give_up(said, "top_k", None, why, to)
        if not claude_thinks or (said["top_p"] or 0) < LEAST_TOP_P or refuses:
            _give_up(said, "top_p", 1, why, to)
    for name, field in (("temperature", "temperature"), ("top_p", "top_p")):
        value = said[name]
        if value is not None and not 0 <= value <= 1:
            said[name] = 1 if value > 1 else 0
            to.lose(field, f"sent as {said[name]}: Converse takes 0 to 1")
    if said["temperature"] is not None and options.get("one_sampler"):
        _give_up(said, "top_p", 1, "the model takes it or a temperature, not both", to)
    if said["top_k"] is not None:
        place = options.get("top_k")
        if place is None:
            to.lose("top_k", "Bedrock documents no top k of this model")
        else:
            holder = more
            for name in place[:-1]:
                holder = holder.setdefault(name, {})
            holder[place[-1]] = said["top_k"]
    named = {"temperature": said["temperature"], "topP": said["top_p"]}
    return {name: value for name, value in named.items() if value is not None}


def _give_up(said: dict[str, float | None], name: str, neutral: float | None, why: str, to: Outgoing) -> None:
    """Leave a setting out, and name the loss unless it asked for what is done anyway."""
    value = said[name]
    if value is not None and value != neutral:
        to.lose(name, why)
    said[name] = None


def _stops(request: ChatRequest, to: Outgoing) -> list[str]:
    stops: list[str] = []
    for index, stop in enumerate(request.stop):
        if stop.strip() or (stop and to.options.get("family") != ANTHROPIC):
            stops.append(stop)
        else:
            to.lose(f"stop[{index}]", "the model takes no stop sequence of white space only")
    return stops


def _response_format(out: dict[str, Any], wanted: ResponseFormat, to: Outgoing) -> None:
    """``outputConfig.textFormat``, whose schema is JSON in a string."""
    if wanted.type == "text":
        return
    if wanted.type == "json_object":
        to.lose("response_format", "Converse gives JSON only by a schema")
        return
    if not to.options.get("structured"):
        to.lose("response_format", "the model cannot be held to a schema")
        return
    path = "response_format.json_schema.schema" if to.origin == "openai_chat" else "response_format.schema"
    path = "output_config.format.schema" if to.origin == CLAUDE else path
    schema = resolve_top(wanted.schema or {})
    fitted = fit_schema(schema, lambda at, why: to.lose(path + at, why.replace("Anthropic", "Bedrock")))
    if fitted is None:
        to.lose("response_format", "Bedrock takes no schema that is recursive, allows nothing or refers elsewhere")
        return
    definition: dict[str, Any] = {"schema": msgspec.json.encode(fitted).decode()}
    if wanted.name:
        definition["name"] = wanted.name
    if wanted.description:
        definition["description"] = wanted.description
    text_format = {"type": "json_schema", "structure": {"jsonSchema": definition}}
    out.setdefault("outputConfig", {})["textFormat"] = text_format


def _settings(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    """Tier and metadata; what else there is has no place, and is named."""
    tier = request.service_tier
    if tier not in (None, "auto"):
        word = _TIERS.get(tier or "")
        if word is None:
            to.lose("service_tier", f"Bedrock knows no tier {tier}")
        elif word != "default":
            out["serviceTier"] = {"type": word}
    metadata = dict(request.metadata or {})
    if request.user is not None:
        # It tells the caller's users apart in the invocation log, the one place that Bedrock has for it.
        metadata.setdefault("user", request.user)
    kept: dict[str, str] = {}
    for key, value in metadata.items():
        where = "user" if key == "user" and request.user is not None else f"metadata.{key}"
        good = isinstance(value, str) and _META_KEY.fullmatch(key) and _META_VALUE.fullmatch(value)
        if good and len(kept) < _MOST_META:
            kept[key] = value
        else:
            to.lose(where, "Bedrock's metadata are 16 pairs of short texts of letters, digits and :_@$#=/+,.-")
    if kept:
        out["requestMetadata"] = kept
    for name, idle in _NOTHING_FOR.items():
        value = getattr(request, name)
        if value is not None and value not in idle:
            to.lose(name, "Converse has nothing for it")


def _extras(out: dict[str, Any], more: dict[str, Any], extra: dict[str, Any], to: Outgoing) -> None:
    """Fields of Converse's own pass, and those of Claude's that Bedrock takes; others are named."""
    claude = to.options.get("family") == ANTHROPIC and to.origin == CLAUDE
    for key, value in extra.items():
        if key in OWN_FIELDS and isinstance(value, dict | list):
            if isinstance(value, dict):
                overlay(out.setdefault(key, {}), value)
            else:
                out[key] = [*out.get(key, ()), *(item for item in value if item not in out.get(key, ()))]
        elif to.origin == NAME:
            out[key] = value
        elif claude and key in _CLAUDE_FIELDS:
            more[key] = value
        else:
            to.lose(key, "Converse has no such field")


def _for_provider(out: dict[str, Any], traits: Traits) -> dict[str, Any]:
    """The provider's defaults for what is absent."""
    for key, value in traits.defaults.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            overlay(filled := {**value}, out[key])
            out[key] = filled
        else:
            out.setdefault(key, value)
    return out
