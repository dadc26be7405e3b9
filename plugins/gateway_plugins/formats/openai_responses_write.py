"""A responses request, written for a provider from the normalised protocol."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, Message, Reasoning, ResponseFormat, Text, Thinking
from gateway_plugins.formats.hashed_user import fitted_user
from gateway_plugins.formats.json_fields import merge
from gateway_plugins.formats.openai_chat_usage import written_tier
from gateway_plugins.formats.openai_responses_fields import NAME, Outgoing
from gateway_plugins.formats.openai_responses_request import ENCRYPTED, INSTRUCTIONS, LOGPROBS
from gateway_plugins.formats.openai_responses_tools import write_tool_choice, write_tools
from gateway_plugins.formats.openai_responses_write_items import write_items

# Fields that go out under their own name, or the caller's for them.
_SAME = {
    "user": "user",
    "parallel_tool_calls": "parallel_tool_calls",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_logprobs": "top_logprobs",
    "metadata": "metadata",
    "prompt_cache_key": "prompt_cache_key",
}
# Fields of others for which the responses API has no place.
_NOWHERE = (
    "top_k",
    "min_p",
    "repetition_penalty",
    "seed",
    "stop",
    "logit_bias",
    "modalities",
    "audio",
    "prediction",
    "cache_control",
)
_PENALTIES = ("frequency_penalty", "presence_penalty")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_BUDGETS = ((4096, "low"), (16384, "medium"))


def write_request(request: ChatRequest, traits: Traits, dropped: Dropped) -> bytes:
    """The upstream request body as bytes; see ``write_body``."""
    return msgspec.json.encode(write_body(request, traits, dropped))


def write_body(request: ChatRequest, traits: Traits, dropped: Dropped) -> dict[str, Any]:
    """The upstream request body; losses are named in ``dropped``.

    What ``traits.options`` may hold: ``efforts``, the words for reasoning effort that the model knows; ``accepts``
    with ``frequency_penalty`` and ``presence_penalty``; ``custom_tools`` (False: sent as functions); ``reasoning_text``
    (True: plain thinking of other models is given back); ``encrypted_reasoning`` (True or False: whether reasoning is
    asked for in a form that can be replayed, where the caller did not say); ``reasoning_summary`` (False: never asked
    for); ``cache_breakpoints``; ``store`` (False: the field is not sent).
    """
    to = Outgoing(traits, dropped, own=request.origin == NAME)
    spelling = request.spelling if to.own else {}
    refused = _refused(request, to)
    out: dict[str, Any] = {"model": request.model} if request.model else {}  # a stored prompt may name it
    _write_messages(out, request, to, spelling)
    tools = [] if "tools" in refused else write_tools(request, to)
    if tools:
        out["tools"] = tools
    choice = None if "tool_choice" in refused else write_tool_choice(request, to)
    if choice is not None and (tools or to.own):
        out["tool_choice"] = choice
    _write_text(out, request, refused, to)
    if request.reasoning is not None and "reasoning" not in refused:
        _write_reasoning(out, request.reasoning, to)
    _write_settings(out, request, refused, to, spelling)
    _write_include(out, request, to, spelling)
    to.extras(out, request.extra, "")
    if request.stream:
        out["stream"] = True
    if traits.renames:
        out = {traits.renames.get(key, key): value for key, value in out.items()}
    for key, value in traits.defaults.items():
        out.setdefault(key, value)
    return out


def _refused(request: ChatRequest, to: Outgoing) -> set[str]:
    """The fields that this provider does not take and the caller has set, each named."""
    refused: set[str] = set()
    for name, reason in to.traits.unsupported.items():
        value = getattr(request, name, None)
        if value is not None and value != []:
            to.lose(name, reason)
            refused.add(name)
    return refused


def _write_messages(out: dict[str, Any], request: ChatRequest, to: Outgoing, spelling: dict[str, str]) -> None:
    messages = list(enumerate(request.messages))
    if to.own:
        first = [message for _, message in messages if message.spelling.get("place") == INSTRUCTIONS]
        messages = [pair for pair in messages if pair[1].spelling.get("place") != INSTRUCTIONS]
        if first and spelling.get(INSTRUCTIONS) == "array":
            out[INSTRUCTIONS] = write_items(list(enumerate(first)), {}, to)
        elif first:
            out[INSTRUCTIONS] = first[0].text()
    elif len(messages) > 1 and _is_plain_system(messages[0][1]):
        out[INSTRUCTIONS] = "\n\n".join(part.text for part in messages.pop(0)[1].content if isinstance(part, Text))
    if (
        spelling.get("input") == "string"
        and len(messages) == 1
        and all(isinstance(p, Text) for p in messages[0][1].content)
    ):
        out["input"] = messages[0][1].text()
    elif messages or spelling.get("input") != "absent":
        out["input"] = write_items(messages, spelling, to)


def _is_plain_system(message: Message) -> bool:
    """Whether a message can be the instructions: nothing but text."""
    return (
        message.role == "system"
        and message.name is None
        and not message.extra
        and bool(message.content)
        and all(isinstance(part, Text) and not part.extra and part.cache_control is None for part in message.content)
    )


def _write_text(out: dict[str, Any], request: ChatRequest, refused: set[str], to: Outgoing) -> None:
    text: dict[str, Any] = {}
    if request.response_format is not None and "response_format" not in refused:
        text["format"] = _format(request.response_format, to)
    if request.verbosity is not None and "verbosity" not in refused:
        text["verbosity"] = request.verbosity
    if text:
        out["text"] = text


def _format(wanted: ResponseFormat, to: Outgoing) -> dict[str, Any]:
    if wanted.type != "json_schema":
        if wanted.schema is not None:
            to.lose("response_format.schema", "the responses API takes a schema with json_schema only")
        return {"type": wanted.type}
    reason = to.traits.unsupported.get("response_format.json_schema")
    if reason is not None:
        to.lose("response_format.json_schema", reason)
        return {"type": "json_object"}
    found: dict[str, Any] = {"type": "json_schema", "name": wanted.name or "response"}
    for name in ("description", "schema", "strict"):
        value = getattr(wanted, name)
        if value is not None:
            found[name] = value
    if wanted.strict is None and not to.own:
        # Elsewhere a schema is a guide unless said otherwise; here it is strict unless said otherwise.
        found["strict"] = False
    return found


def _write_reasoning(out: dict[str, Any], reasoning: Reasoning, to: Outgoing) -> None:
    said: dict[str, Any] = {}
    effort = reasoning.effort
    if effort is None and reasoning.budget_tokens is not None and reasoning.mode != "disabled":
        effort = next((word for bound, word in _BUDGETS if reasoning.budget_tokens <= bound), "high")
        to.lose("reasoning.budget_tokens", f"sent as effort {effort}")
    elif reasoning.budget_tokens is not None:
        to.lose("reasoning.budget_tokens", "the responses API counts no reasoning tokens beforehand")
    if effort is None and reasoning.mode == "disabled":
        effort = "none"
    if effort is not None:
        said["effort"] = _known_effort(effort, to)
    if reasoning.summary is not None:
        said["summary"] = reasoning.summary
    elif _shows(reasoning, to) and effort != "none":
        # The caller's dialect shows the thinking that it asks for, and OpenAI shows none of it unless asked.
        said["summary"] = "auto"
    if reasoning.display == "omitted":
        to.lose("reasoning.display", "no summary is asked for")
    if said:
        out["reasoning"] = said


def _shows(reasoning: Reasoning, to: Outgoing) -> bool:
    """Whether a caller of another dialect has asked for thinking in a way that shows it."""
    if to.own or reasoning.display == "omitted" or to.options.get("reasoning_summary") is False:
        return False
    asked = reasoning.mode in ("enabled", "adaptive") or reasoning.display is not None
    return asked or reasoning.budget_tokens is not None


def _known_effort(effort: str, to: Outgoing) -> str:
    """The effort in a word that the model knows."""
    words = tuple(to.options.get("efforts", () if to.own else _EFFORTS))
    if not words or effort in words or effort not in _EFFORTS:
        return effort
    # The nearest word below, else the lowest there is.
    rank = _EFFORTS.index(effort)
    known = [word for word in words if word in _EFFORTS]
    below = [word for word in known if _EFFORTS.index(word) <= rank]
    chosen = below[-1] if below else known[0] if known else effort
    to.lose("reasoning.effort", f"sent as {chosen}: the model does not know {effort}")
    return chosen


def _write_settings(
    out: dict[str, Any], request: ChatRequest, refused: set[str], to: Outgoing, spelling: dict[str, str]
) -> None:
    limit = request.max_tokens if request.max_tokens is not None else to.traits.max_tokens_default
    if limit is not None and "max_tokens" not in refused:
        out["max_output_tokens"] = limit
    for name, field in _SAME.items():
        value = getattr(request, name)
        if value is not None and name not in refused:
            out[spelling.get(name, field)] = value
    if "user" in out and not to.own:
        out["user"] = fitted_user(out["user"], to.dropped)
    _name_lost(request, refused, out, to)
    if request.service_tier is not None and "service_tier" not in refused:
        _write_tier(out, request.service_tier, to)
    if "truncation" in spelling:
        out["truncation"] = spelling["truncation"]
    if to.own:
        if spelling.get("store") == "false":
            out["store"] = False
    elif to.options.get("store") is not False:
        # Elsewhere nothing is stored unless it is asked for.
        out["store"] = bool(request.store)


def _name_lost(request: ChatRequest, refused: set[str], out: dict[str, Any], to: Outgoing) -> None:
    """Settings of other formats that have no place here."""
    for name in _NOWHERE:
        if getattr(request, name) not in (None, []):
            to.lose(name, "the responses API has no such field")
    for name in _PENALTIES:
        value = getattr(request, name)
        if value is None or name in refused:
            continue
        if to.own or name in to.options.get("accepts", ()):
            out[name] = value
        elif value:
            to.lose(name, "the responses API has no such field")
    if request.n not in (None, 1):
        to.lose("n", "the responses API gives one answer")


def _write_tier(out: dict[str, Any], tier: str, to: Outgoing) -> None:
    word = tier if to.own else written_tier("default" if tier == "standard_only" else tier, own=False)
    if word is None:
        to.lose("service_tier", f"OpenAI knows no tier {tier}")
    else:
        out["service_tier"] = word


def _write_include(out: dict[str, Any], request: ChatRequest, to: Outgoing, spelling: dict[str, str]) -> None:
    if to.own:
        if "include" in spelling:
            out["include"] = spelling["include"].split(",") if spelling["include"] else []
        return
    include = []
    if request.logprobs and "logprobs" not in to.traits.unsupported:
        include.append(LOGPROBS)
    if _reasons(request, to):
        include.append(ENCRYPTED)
    if include:
        out["include"] = include


def _reasons(request: ChatRequest, to: Outgoing) -> bool:
    """Whether to ask for reasoning that can be replayed; models that do not reason refuse to be asked."""
    asked: bool | None = to.options.get("encrypted_reasoning")
    if asked is not None:
        return asked
    if "reasoning" in to.traits.unsupported:
        return False
    if request.reasoning is not None or "efforts" in to.options:
        return True
    return any(
        isinstance(part, Thinking) and part.origin == NAME for message in request.messages for part in message.content
    )


def settings(request: ChatRequest) -> dict[str, Any]:
    """The settings of a caller's request as a response repeats them, whatever dialect it was in."""
    to = Outgoing(Traits(), Dropped(), own=request.origin == NAME)
    out: dict[str, Any] = {"tools": write_tools(request, to), "tool_choice": write_tool_choice(request, to)}
    _write_text(out, request, set(), to)
    _write_settings(out, request, set(), to, request.spelling if to.own else {})
    if to.own:
        merge(out, {key: value for key, value in request.extra.items() if key != "include"})
        place = [message for message in request.messages if message.spelling.get("place") == INSTRUCTIONS]
        if request.spelling.get(INSTRUCTIONS) == "array":
            out[INSTRUCTIONS] = write_items(list(enumerate(place)), {}, to)
        elif place:
            out[INSTRUCTIONS] = place[0].text()
    return out
