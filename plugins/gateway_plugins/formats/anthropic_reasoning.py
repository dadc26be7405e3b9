"""How much to think: ``thinking`` and ``output_config.effort``, both ways.

Older models take a budget of tokens, newer ones think as they see fit within an effort; each refuses the other's
wording. Which is which is data in ``anthropic_models``, and comes here as ``traits.options``.
"""

from __future__ import annotations

from typing import Any

from gateway.protocol import ChatRequest, Reasoning
from gateway_plugins.formats.anthropic_fields import Fields, Outgoing
from gateway_plugins.formats.anthropic_tools import forces

_MODES = ("enabled", "adaptive", "disabled")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LEAST_BUDGET = 1024
"""Anthropic's minimum of ``budget_tokens``."""
# Tokens for a word. No provider documents such a table; pydantic-ai and Vercel's SDK use numbers of this order.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32000, "max": 32000}


def read_reasoning(fields: Fields | None, effort: str | None) -> Reasoning | None:
    """What ``thinking`` and the effort say together; what has no place stays in ``fields``."""
    if fields is None:
        return None if effort is None else Reasoning(effort=effort)
    reasoning = Reasoning(effort=effort)
    kind = fields.rest.get("type")
    if kind in _MODES:
        reasoning.mode = fields.take("type")
    elif kind == "between_tools":
        # No thinking before the answer. The word itself is kept for Anthropic.
        reasoning.mode = "disabled"
    reasoning.budget_tokens = fields.integer("budget_tokens")
    reasoning.display = fields.text("display")
    return reasoning


def write_reasoning(out: dict[str, Any], request: ChatRequest, to: Outgoing, *, unthought_turn: bool) -> bool:
    """Write it, or name it; returns whether the model is told to think.

    ``unthought_turn``: the turn to go on with called tools without a thinking block, which a budget does not allow.
    """
    reasoning = request.reasoning
    if reasoning is None:
        return False
    if to.own:
        _write_own(out, reasoning)
        return reasoning.mode in ("enabled", "adaptive")
    if reasoning.mode == "disabled" or reasoning.effort == "none" or reasoning.budget_tokens == 0:
        _write_off(out, to)
        return False
    if not _asks(reasoning):
        if reasoning.display is not None:
            to.lose("reasoning.display", "nothing says that the model should think")
        return False
    style = to.options.get("thinking", "budget")
    if style == "none":
        to.lose(_field(reasoning), "the model does not think")
        return False
    if style == "adaptive":
        return _write_adaptive(out, reasoning, to, request.max_tokens)
    if unthought_turn:
        to.lose(_field(reasoning), "Anthropic goes on thinking only in a turn that it began with its own thinking")
        return False
    if forces(request.tool_choice) and to.options.get("forced_tools") is not False:
        to.lose(_field(reasoning), "Anthropic does not think where it is made to call a tool")
        return False
    return _write_budget(out, reasoning, to, request.max_tokens)


def _write_own(out: dict[str, Any], reasoning: Reasoning) -> None:
    said = {"type": reasoning.mode, "budget_tokens": reasoning.budget_tokens, "display": reasoning.display}
    thinking = {key: value for key, value in said.items() if value is not None}
    if thinking:
        out["thinking"] = thinking
    if reasoning.effort is not None:
        out.setdefault("output_config", {})["effort"] = reasoning.effort


def _asks(reasoning: Reasoning) -> bool:
    """Whether thinking is wanted at all."""
    said = (reasoning.mode, reasoning.effort, reasoning.budget_tokens, reasoning.summary)
    return any(value is not None for value in said)


def _field(reasoning: Reasoning) -> str:
    """The field that asked for thinking."""
    if reasoning.effort is not None:
        return "reasoning.effort"
    return "reasoning.budget_tokens" if reasoning.budget_tokens is not None else "reasoning"


def _write_off(out: dict[str, Any], to: Outgoing) -> None:
    """No thinking, in the model's own word for it; one that cannot stop is held to its least effort."""
    off = to.options.get("thinking_off", "disabled")
    if off != "never":
        out["thinking"] = {"type": off}
        return
    efforts = to.options.get("efforts", ())
    if efforts:
        out.setdefault("output_config", {})["effort"] = efforts[0]
    to.lose("reasoning.effort", "the model always thinks: it is asked for its least effort")


def _write_adaptive(out: dict[str, Any], reasoning: Reasoning, to: Outgoing, limit: int | None) -> bool:
    if reasoning.budget_tokens is not None and reasoning.budget_tokens > 0 and to.options.get("budgets"):
        return _write_budget(out, reasoning, to, limit)
    out["thinking"] = {"type": "adaptive", **_display(reasoning)}
    effort = reasoning.effort
    if effort is None and reasoning.budget_tokens is not None and reasoning.budget_tokens > 0:
        effort = next((word for word, budget in _BUDGETS.items() if reasoning.budget_tokens <= budget), "max")
        to.lose("reasoning.budget_tokens", f"the model takes no budget: sent as effort {effort}")
    _write_effort(out, effort, to)
    return True


def _write_budget(out: dict[str, Any], reasoning: Reasoning, to: Outgoing, limit: int | None) -> bool:
    budget = reasoning.budget_tokens
    if budget is None or budget < 0:
        # Ours to choose: it leaves room for an answer within what the caller set.
        budget = _BUDGETS.get(reasoning.effort or "medium", _BUDGETS["medium"])
        if limit is not None and limit - budget < LEAST_BUDGET:
            budget = max(LEAST_BUDGET, limit - LEAST_BUDGET)
    elif budget < LEAST_BUDGET:
        to.lose("reasoning.budget_tokens", f"raised to {LEAST_BUDGET}, Anthropic's minimum")
        budget = LEAST_BUDGET
    most = to.options.get("max_output")
    if most is not None and budget > most - LEAST_BUDGET:
        budget = most - LEAST_BUDGET
        to.lose("reasoning.budget_tokens", f"sent as {budget}: the model can say no more than {most}")
    if out["max_tokens"] <= budget:
        raised = out["max_tokens"] + budget
        out["max_tokens"] = raised if most is None else min(raised, most)
        if limit is not None:
            to.lose("max_tokens", f"raised to {out['max_tokens']}: it has to exceed the thinking budget")
    out["thinking"] = {"type": "enabled", "budget_tokens": budget, **_display(reasoning)}
    if to.options.get("efforts"):
        _write_effort(out, reasoning.effort, to)
    return True


def _display(reasoning: Reasoning) -> dict[str, str]:
    """Whether the thinking is shown; newer models omit it unless asked."""
    if reasoning.display in ("summarized", "omitted"):
        return {"display": reasoning.display}
    return {} if reasoning.summary is None else {"display": "summarized"}


def _write_effort(out: dict[str, Any], effort: str | None, to: Outgoing) -> None:
    if effort is None:
        return
    known = to.options.get("efforts", ("low", "medium", "high"))
    chosen = effort
    if effort not in known:
        # The nearest word below, else the lowest there is; a word that nobody knows is left to the model.
        if effort not in _EFFORTS or not known:
            to.lose("reasoning.effort", f"the model knows no effort {effort}")
            return
        below = [word for word in known if _EFFORTS.index(word) <= _EFFORTS.index(effort)]
        chosen = below[-1] if below else known[0]
        to.lose("reasoning.effort", f"sent as {chosen}: the model does not know {effort}")
    out.setdefault("output_config", {})["effort"] = chosen
