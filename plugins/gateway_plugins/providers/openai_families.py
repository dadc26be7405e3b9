"""What OpenAI's models take, wherever they are served: the catalogue's facts, and rules for what no list tells."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import msgspec

from gateway.catalogue import ModelInfo, lookup
from gateway.format import Traits

_SAMPLING = ("temperature", "top_p", "logprobs", "top_logprobs")
_WEIGHTS = ("frequency_penalty", "presence_penalty", "logit_bias")
_O = ("low", "medium", "high")
_ALL = ("none", *_O, "xhigh", "max")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A family. ``never`` is not taken at all, ``thinking`` not while the model reasons.

    ``efforts`` stand for the catalogue's where it has none, or before them if ``surely``. ``unasked`` tells whether
    the family reasons where the caller says nothing of it, where the catalogue does not.
    """

    never: tuple[str, ...] = ()
    thinking: tuple[str, ...] = ()
    efforts: tuple[str, ...] = ()
    surely: bool = False
    unasked: bool = True
    roles: dict[str, str] = {}
    reasons: bool = True


_PLAIN = Rule(reasons=False)
_O1_PREVIEW = Rule(
    never=(*_SAMPLING, *_WEIGHTS, "reasoning", "stop", "tools", "tool_choice"),
    roles={"system": "user", "developer": "user"},
)
_O3 = Rule(never=(*_SAMPLING, *_WEIGHTS, "stop"), efforts=_O)
_GPT_5 = Rule(never=(*_SAMPLING, *_WEIGHTS, "stop"), efforts=("minimal", *_O))

RULES: tuple[tuple[str, Rule], ...] = (
    # https://developers.openai.com/api/docs/guides/reasoning and, for the list of refused parameters,
    # https://learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning; o1-mini's answers on the wire refuse the
    # system and developer roles. stop: the API reference, "Not supported with latest reasoning models o3 and o4-mini".
    ("o1-mini*", _O1_PREVIEW),
    ("o1-preview*", _O1_PREVIEW),
    ("o1*", Rule(never=(*_SAMPLING, *_WEIGHTS), efforts=_O)),
    ("o3*", _O3),
    ("o4*", _O3),
    ("gpt-5-chat*", _PLAIN),
    # https://developers.openai.com/api/docs/guides/latest-model: temperature, top_p and logprobs "are only supported
    # when using GPT-5.2 with reasoning effort set to none", in gpt-5.1 likewise, in gpt-5 never. none is the default
    # from 5.1 to 5.4, which the catalogue tells of each.
    ("gpt-5.1*", Rule(never=("stop",), thinking=_SAMPLING, efforts=("none", *_O), unasked=False)),
    ("gpt-5.[234]*", Rule(never=("stop",), thinking=_SAMPLING, efforts=("none", *_O, "xhigh"), unasked=False)),
    ("gpt-5.5*", Rule(never=("stop",), thinking=_SAMPLING, efforts=("none", *_O, "xhigh"))),
    ("gpt-5.6*", Rule(never=("stop",), thinking=_SAMPLING, efforts=_ALL, surely=True)),
    ("gpt-5.*", Rule(never=("stop",), thinking=_SAMPLING, efforts=_ALL)),
    ("gpt-5*", _GPT_5),
    ("codex-*", _GPT_5),
    ("gpt-6*", Rule(never=("stop",), thinking=_SAMPLING, efforts=_ALL)),
    ("gpt-3*", _PLAIN),
    ("gpt-4*", _PLAIN),
    ("gpt-audio*", _PLAIN),
    ("chatgpt-*", _PLAIN),
    ("ft:gpt-[34]*", _PLAIN),
    ("ft:o[34]*", _O3),
)
"""Model name pattern → rule, the first match wins."""

_SEARCHES = ("gpt-4o*-search-preview*", "gpt-*-search-api*")
_BY_CHAT_ALONE = ("gpt-audio*", "gpt-4o*-audio-preview*", *_SEARCHES)
_BY_RESPONSES_ALONE = ("codex-*", "*-codex*", "*-deep-research*", "computer-use-preview*", "o?-pro*", "gpt-?*-pro*")
"""Model name patterns, for what the catalogue does not tell; of the second, for models that it does not know.

https://developers.openai.com/api/docs/models has for each model the endpoints that serve it.
"""


def served_by(model: str, info: ModelInfo, source: str) -> str | None:
    """The one format that OpenAI serves a model by to callers of the format ``source``; None for any."""
    if info.api == "responses":
        return "openai_responses"
    if info.mode == "completions":
        return "openai_completions"
    if info.known and source == "openai_completions":
        return "openai_chat"
    return _served_by_name(info.name or model, known=info.known)


@lru_cache(maxsize=512)
def _served_by_name(model: str, *, known: bool) -> str | None:
    name = model.rpartition("/")[2]
    if not known and _matches(name, _BY_RESPONSES_ALONE):
        return "openai_responses"
    return "openai_chat" if _matches(name, _BY_CHAT_ALONE) else None


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


_WHY = "OpenAI's reasoning models do not take it"
_WHILE_THINKING = "the model takes it only with reasoning effort none"
_UNTHINKING = dict.fromkeys(("reasoning", "verbosity"), "the model does not reason")


@lru_cache(maxsize=512)
def traits_of(model: str, info: ModelInfo | None = None) -> Traits:
    """What a model takes, by the catalogue and the model's name; for an unknown name nothing is held back.

    ``info`` is what the catalogue has of it at its provider, where that is not OpenAI's own list. OpenAI takes none of
    a caller's reasoning back by chat completions.
    """
    info = info or lookup("openai", model)
    # The catalogue's name before the caller's: a deployment may be called anything.
    names = [model] if not info.known else [info.name, info.name.rpartition("/")[2], model]
    rule = next((rule for name in names for pattern, rule in RULES if fnmatchcase(name, pattern)), None)
    options: dict[str, Any] = {"reasoning_field": False}
    if any(_matches(name, _SEARCHES) for name in names):
        options["web_search"] = True
    if rule is None:
        if info.efforts:
            options["efforts"] = list(info.efforts)
        return Traits(options=options)
    if not rule.reasons:
        return Traits(unsupported=_UNTHINKING, options=options)
    efforts = rule.efforts if rule.surely else info.efforts or rule.efforts
    if efforts:
        options["efforts"] = list(efforts)
    never, thinking = dict.fromkeys(rule.never, _WHY), dict.fromkeys(rule.thinking, _WHILE_THINKING)
    if efforts and "none" not in efforts:
        # It cannot be stopped from reasoning: what it takes only without, it never takes.
        never, thinking = {**never, **dict.fromkeys(rule.thinking, _WHY)}, {}
    unasked = rule.unasked if info.default_effort is None else info.default_effort != "none"
    return Traits(
        unsupported=never, while_reasoning=thinking, reasons_unasked=unasked, roles=rule.roles, options=options
    )
