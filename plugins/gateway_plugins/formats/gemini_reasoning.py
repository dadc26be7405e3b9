"""How much to think: ``generationConfig.thinkingConfig``, both ways.

Older models take a budget of tokens, newer ones a level; which is which is data in ``gemini_models``, and comes here
as ``traits.options``.
"""

from __future__ import annotations

from typing import Any

from gateway.protocol import ChatRequest, Reasoning
from gateway_plugins.formats.gemini_fields import Fields, Outgoing

_RISING = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# Tokens for a word, by Google's own table: https://ai.google.dev/gemini-api/docs/openai#thinking.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768}


def read_reasoning(fields: Fields | None) -> Reasoning | None:
    """What ``thinkingConfig`` says; a budget of -1 leaves it to the model, one of 0 forbids it."""
    if fields is None:
        return None
    reasoning = Reasoning()
    level = fields.text("thinkingLevel")
    if level is not None and level != "THINKING_LEVEL_UNSPECIFIED":
        reasoning.effort = level.lower()
    budget = fields.integer("thinkingBudget")
    if budget is not None and budget < 0:
        reasoning.mode = "adaptive"
    elif budget is not None:
        reasoning.budget_tokens = budget
        reasoning.mode = "enabled" if budget else "disabled"
    shown = fields.flag("includeThoughts")
    if shown is not None:
        reasoning.display = "summarized" if shown else "omitted"
    return reasoning


def write_reasoning(config: dict[str, Any], request: ChatRequest, to: Outgoing) -> None:
    """Put ``thinkingConfig`` into ``config``, or name what cannot be said."""
    reasoning = request.reasoning
    if reasoning is None:
        return
    if to.own:
        _write_own(config, reasoning)
        return
    off = reasoning.mode == "disabled" or reasoning.effort == "none" or reasoning.budget_tokens == 0
    field = "reasoning.effort" if reasoning.effort is not None else "reasoning"
    if to.options.get("thinking") == "none":
        if not off:
            to.lose(field, "the model does not think")
        return
    out: dict[str, Any] = {}
    if off:
        _write_off(out, to, field)
    elif to.options.get("thinking") == "level":
        _write_level(out, reasoning, to)
    else:
        _write_budget(out, reasoning, to)
    if not off and _shown(reasoning, request.origin):
        out["includeThoughts"] = True
    if out:
        config["thinkingConfig"] = out


def _shown(reasoning: Reasoning, origin: str) -> bool:
    """Whether the caller wants to see thoughts: as said, else as its own dialect has it.

    Responses show no summary, and adaptive thinking of Anthropic's no thought, unless asked; all others show them.
    """
    if reasoning.display is not None or reasoning.summary is not None:
        return reasoning.display == "summarized" or reasoning.summary is not None
    return origin != "openai_responses" and reasoning.mode != "adaptive"


def _write_own(config: dict[str, Any], reasoning: Reasoning) -> None:
    out: dict[str, Any] = {}
    if reasoning.effort is not None:
        out["thinkingLevel"] = reasoning.effort.upper()
    if reasoning.budget_tokens is not None:
        out["thinkingBudget"] = reasoning.budget_tokens
    elif reasoning.mode == "adaptive":
        out["thinkingBudget"] = -1
    if reasoning.display is not None:
        out["includeThoughts"] = reasoning.display == "summarized"
    config["thinkingConfig"] = out


def _write_off(out: dict[str, Any], to: Outgoing, field: str) -> None:
    """No thinking; a model that cannot stop is held to its least."""
    levels = to.options.get("levels")
    if levels and to.options.get("can_stop") is not True:
        out["thinkingLevel"] = levels[0].upper()
        to.lose(field, f"the model always thinks: sent as level {levels[0]}")
    elif to.options.get("can_stop") is False:
        out["thinkingBudget"] = to.options["budgets"][0]
        to.lose(field, f"the model always thinks: sent as a budget of {out['thinkingBudget']}")
    else:
        out["thinkingBudget"] = 0


def _write_level(out: dict[str, Any], reasoning: Reasoning, to: Outgoing) -> None:
    effort = reasoning.effort
    if effort is None:
        if reasoning.budget_tokens is not None and reasoning.budget_tokens > 0:
            # Taken by newer models too, if not together with a level.
            out["thinkingBudget"] = reasoning.budget_tokens
        return
    if reasoning.budget_tokens is not None:
        to.lose("reasoning.budget_tokens", "the model takes a level or a budget: sent as a level")
    levels = to.options["levels"]
    chosen = effort
    if effort not in levels:
        if effort not in _RISING:
            to.lose("reasoning.effort", f"the model knows no level {effort}")
            return
        below = [word for word in levels if _RISING.index(word) <= _RISING.index(effort)]
        chosen = below[-1] if below else levels[0]
        to.lose("reasoning.effort", f"sent as {chosen}: the model does not know {effort}")
    out["thinkingLevel"] = chosen.upper()


def _write_budget(out: dict[str, Any], reasoning: Reasoning, to: Outgoing) -> None:
    asked = reasoning.budget_tokens
    budget = asked
    if budget is None and reasoning.effort is not None:
        budget = _BUDGETS.get(reasoning.effort)
        if budget is None:
            to.lose("reasoning.effort", f"Gemini knows no effort {reasoning.effort}")
    if budget is None:
        if reasoning.mode is not None:
            out["thinkingBudget"] = -1
        return
    least, most = to.options.get("budgets", (1, 32768))
    fitting = min(max(budget, least), most)
    if asked is not None and fitting != asked:
        to.lose("reasoning.budget_tokens", f"sent as {fitting}: the model takes {least} to {most}")
    out["thinkingBudget"] = fitting
