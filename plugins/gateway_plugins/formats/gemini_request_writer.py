"""A generateContent request, written."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, Message, ResponseFormat
from gateway_plugins.formats.gemini_fields import NAME, Outgoing
from gateway_plugins.formats.gemini_parts_writer import Parts, PartWriter, add
from gateway_plugins.formats.gemini_reasoning import write_reasoning
from gateway_plugins.formats.gemini_schema import fit_schema
from gateway_plugins.formats.gemini_tools import write_tool_choice, write_tools
from gateway_plugins.formats.json_fields import merge

MOST_STOPS = 5
_JSON = "application/json"
_LABEL = re.compile(r"[\w-]{0,63}")
_TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_CONFIG = (
    ("max_tokens", "maxOutputTokens"),
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("seed", "seed"),
    ("n", "candidateCount"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("logprobs", "responseLogprobs"),
    ("top_logprobs", "logprobs"),
)
# Fields that Gemini has nothing for, and the values of each that ask for nothing.
_NOTHING_FOR: dict[str, tuple[Any, ...]] = {
    "min_p": (0,),
    "repetition_penalty": (1,),
    "logit_bias": ({},),
    "user": (),
    "prompt_cache_key": (),
    "verbosity": ("medium",),
    "audio": ({},),
    "prediction": (),
}


def write_request(request: ChatRequest, traits: Traits, dropped: Dropped) -> bytes:
    """The upstream request body; losses are named in ``dropped``.

    ``traits.options``, for requests of another format (our own go out as they came in): ``thinking`` (``level``,
    ``budget`` or ``none``), ``levels`` (the words of ``thinkingLevel``, rising), ``budgets`` (the least and the most),
    ``can_stop`` (False: it always thinks; True: though it knows levels), ``max_output`` (the most tokens of an answer),
    ``signatures`` (calls need one), ``result_media`` (tool results hold media), ``mixed_tools`` (server-side tools
    beside functions), ``json_with_tools``, ``system`` (False: no system instruction), ``labels`` (metadata is taken),
    ``tiers`` (False: no service tier), ``vertex``.
    """
    return msgspec.json.encode(written(request, traits, dropped))


def written(request: ChatRequest, traits: Traits, dropped: Dropped) -> dict[str, Any]:
    """The upstream request as what JSON can say."""
    to = Outgoing(traits, dropped, own=request.origin == NAME)
    request = _without_refused(request, to)
    out: dict[str, Any] = {}
    _write_messages(out, request, to)
    write_tools(out, request, to)
    write_tool_choice(out, request, to)
    config = _config(request, to)
    if config:
        out["generationConfig"] = config
    _write_settings(out, request, to)
    to.cache_control(request.cache_control, "")
    to.extras(out, request.extra, "")
    if traits.renames:
        out = {traits.renames.get(key, key): value for key, value in out.items()}
    merge(out, {key: value for key, value in traits.defaults.items() if key not in out})
    return out


def _without_refused(request: ChatRequest, to: Outgoing) -> ChatRequest:
    """The request without the fields that this provider does not take; each that was set is named."""
    fresh: dict[str, Any] = {}
    for name, reason in to.traits.unsupported.items():
        value = getattr(request, name, None)
        if value is not None and value != []:
            to.lose(name, reason)
            fresh[name] = [] if isinstance(value, list) and name in ("tools", "stop") else None
    return msgspec.structs.replace(request, **fresh) if fresh else request


def _write_messages(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    writer = PartWriter(to)
    system: Parts = []
    systems: list[str] = []
    contents: list[dict[str, Any]] = []
    for index, message in enumerate(request.messages):
        path = f"messages[{index}]"
        if message.name is not None:
            to.lose(f"{path}.name", "Gemini has no names of participants")
        if message.role in ("system", "developer"):
            parts = writer.write(message.content, path, "user", message.spelling)
            if contents and parts and not to.own:
                to.lose(f"{path}.role", "moved into the system instruction: Gemini takes no system message here")
            if to.own and not system:
                _write_own_system(out, parts, message)
            else:
                to.extras({}, {} if to.own else message.extra, path)
            system += parts
            systems.append(path)
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = writer.write(message.content, path, role, message.spelling)  # type: ignore[arg-type] # of the two
        _add(contents, role, parts, message, path, to)
    if not to.own:
        _place_system(out, contents, system, systems, to)
    out["contents"] = contents


def _place_system(
    out: dict[str, Any], contents: list[dict[str, Any]], system: Parts, paths: list[str], to: Outgoing
) -> None:
    """The system's words by themselves, or where that cannot be, in front of the user's."""
    if system and (not contents or to.options.get("system") is False):
        for path in paths:
            to.lose(f"{path}.role", "sent as the user's: Gemini wants a user turn, or takes no system instruction")
        _say_first(contents, system)
    elif system:
        out["systemInstruction"] = {"parts": system}
    if not contents:
        raise InvalidRequest("At least one message with content is required.", param="messages")


def _write_own_system(out: dict[str, Any], parts: Parts, message: Message) -> None:
    said = {"role": message.spelling["role"]} if "role" in message.spelling else {}
    out["systemInstruction"] = {"parts": parts, **said, **message.extra}


def _say_first(contents: list[dict[str, Any]], system: Parts) -> None:
    """Instructions for a model that takes none apart, or where there is nothing else: the user says them."""
    if contents and contents[0]["role"] == "user":
        contents[0]["parts"] = [*system, *contents[0]["parts"]]
    else:
        contents.insert(0, {"role": "user", "parts": system})


def _add(contents: list[dict[str, Any]], role: str, parts: Parts, message: Message, path: str, to: Outgoing) -> None:
    if to.own:
        if message.spelling.get("content") == "same" and contents:
            contents[-1]["parts"] += parts
            return
        said = message.spelling.get("role", role)
        contents.append({**({"role": said} if said else {}), "parts": parts, **message.extra})
        return
    to.extras({}, message.extra, path)
    if not parts:
        return
    if contents and contents[-1]["role"] == role:
        add(contents[-1], parts)
    else:
        contents.append({"role": role, "parts": parts})


def _config(request: ChatRequest, to: Outgoing) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for field, name in _CONFIG:
        value = getattr(request, field)
        idle = (field == "n" and value == 1) or (field == "logprobs" and value is False)
        if value is not None and (to.own or not idle):
            config[name] = value
    stops = request.stop
    if not to.own:
        most = to.options.get("max_output")
        if most is not None and request.max_tokens is not None and request.max_tokens > most:
            config["maxOutputTokens"] = most
            to.lose("max_tokens", f"sent as {most}, the most that the model can say")
        if request.top_logprobs is not None and not request.logprobs:
            del config["logprobs"]
            to.lose("top_logprobs", "logprobs are not asked for")
        for index in range(MOST_STOPS, len(stops)):
            to.lose(f"stop[{index}]", f"Gemini takes {MOST_STOPS} stop sequences")
        stops = stops[:MOST_STOPS]
    if stops:
        config["stopSequences"] = stops
    if request.modalities is not None and (to.own or request.modalities != ["text"]):
        config["responseModalities"] = [word.upper() for word in request.modalities]
    write_reasoning(config, request, to)
    _write_response_format(config, request, to)
    return config


def _write_response_format(config: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    wanted = request.response_format
    if wanted is None:
        return
    if wanted.type == "text":
        if to.own:
            config["responseMimeType"] = "text/plain"
        return
    functions = any(tool.kind != "server" for tool in request.tools)
    if not to.own and functions and not to.options.get("json_with_tools"):
        to.lose("response_format", "the model takes no response format beside functions")
        return
    if not to.own or "response_mime_type" not in request.spelling:
        config["responseMimeType"] = _JSON
    if wanted.type == "json_object":
        return
    if not to.own:
        config["responseJsonSchema"] = _fitted(wanted, request, to)
        return
    older = request.spelling.get("response_format.schema")
    if older is not None:
        config["responseSchema"] = msgspec.json.decode(older)
    if older is None or request.spelling.get("response_format") == "both":
        config["responseJsonSchema"] = wanted.schema or {}


def _fitted(wanted: ResponseFormat, request: ChatRequest, to: Outgoing) -> dict[str, Any]:
    """The schema as Gemini takes it, under the name and with the description that the caller gave it."""
    path = "response_format.json_schema.schema" if request.origin == "openai_chat" else "response_format.schema"
    fitted = fit_schema(wanted.schema or {}, lambda at, why: to.lose(path + at, why))
    if "$ref" in fitted:
        return fitted
    if wanted.name is not None:
        fitted.setdefault("title", wanted.name)
    there = fitted.get("description")
    if wanted.description is not None and there != wanted.description:
        fitted["description"] = f"{wanted.description}\n\n{there}" if there else wanted.description
    return fitted


def _write_settings(out: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    if request.metadata:
        _write_labels(out, request.metadata, to)
    if request.service_tier is not None:
        tier = request.service_tier if to.own else _TIERS.get(request.service_tier)
        if to.own or (tier is not None and to.options.get("tiers") is not False):
            out["serviceTier"] = tier
        elif request.service_tier not in ("auto", "default"):
            to.lose("service_tier", f"Gemini knows no tier {request.service_tier}")
    if request.store is not None:
        if to.own:
            out["store"] = request.store
        elif request.store:
            to.lose("store", "Gemini keeps no answers")
    for name, idle in _NOTHING_FOR.items():
        value = getattr(request, name)
        if value is not None and value not in idle:
            to.lose(name, "Gemini has nothing for it")


def _write_labels(out: dict[str, Any], metadata: dict[str, Any], to: Outgoing) -> None:
    """Metadata as Vertex's labels, which are of few characters."""
    if to.own:
        out["labels"] = metadata
        return
    if not to.options.get("labels"):
        to.lose("metadata", "Gemini has nothing for it")
        return
    labels: dict[str, str] = {}
    for key, value in metadata.items():
        fits = isinstance(value, str) and value == value.lower() and key == key.lower() and key[:1].isalpha()
        if fits and _LABEL.fullmatch(value) and _LABEL.fullmatch(key):
            labels[key] = value
        else:
            to.lose(f"metadata.{key}", "Vertex's labels take small letters, digits, _ and - only")
    if labels:
        out["labels"] = labels
