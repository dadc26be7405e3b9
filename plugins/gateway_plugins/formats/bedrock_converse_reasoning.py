"""How much to think, in each family's own words among the additional fields."""

from __future__ import annotations

from typing import Any

from gateway.protocol import ChatRequest, Reasoning
from gateway_plugins.formats.anthropic_reasoning import write_reasoning as write_claude
from gateway_plugins.formats.bedrock_converse_fields import Outgoing

_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
_KNOWN = ("low", "medium", "high")
# Tokens up to which a word stands for a budget, as with other providers.
_BUDGETS = ((4096, "low"), (16384, "medium"))
_THINKERS = ("deepseek", "open", "qwen", "unknown")
_NO_WORD = "Bedrock documents no way to say how much this model thinks"
_NO_NAME = "the id does not say which model it is: the provider's base_models can"
_EFFORT_BETA = "effort-2025-11-24"
"""What Claude Opus 4.5, the first with efforts, wants to be told."""


def write_reasoning(
    more: dict[str, Any], request: ChatRequest, to: Outgoing, *, limit: int | None, unthought_turn: bool
) -> tuple[bool, int | None]:
    """Write it into the additional fields, or name it.

    Returns whether the model is told to think, and the limit of tokens, which a budget may have raised.
    """
    style = to.options.get("reasoning")
    if style == "claude":
        return _claude(more, request, to, limit, unthought_turn)
    reasoning = request.reasoning
    if reasoning is None:
        return False, limit
    if reasoning.mode == "disabled" or reasoning.effort == "none" or reasoning.budget_tokens == 0:
        _off(more, reasoning, to)
        return False, limit
    if style is None or not _asks(reasoning):
        _lose(reasoning, to)
        return False, limit
    if reasoning.summary not in (None, "auto"):
        to.lose("reasoning.summary", "Bedrock shows reasoning as the model gives it")
    if reasoning.display is not None:
        to.lose("reasoning.display", "Bedrock shows reasoning as the model gives it")
    effort = _effort(reasoning, to)
    if style == "effort":
        more["reasoning_effort"] = effort
        return True, limit
    more["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}
    if effort == "high" and limit is not None:
        # https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
        to.lose("max_tokens", "Nova takes no limit at high effort")
        limit = None
    return True, limit


def _off(more: dict[str, Any], reasoning: Reasoning, to: Outgoing) -> None:
    """No thinking, where there is a word for it."""
    style = to.options.get("reasoning")
    if style == "nova":
        more["reasoningConfig"] = {"type": "disabled"}
    elif style == "effort":
        more["reasoning_effort"] = "low"
        to.lose("reasoning.effort", "the model always thinks: it is asked for its least effort")
    elif to.options.get("family") in _THINKERS:
        _lose(reasoning, to)


def _claude(
    more: dict[str, Any], request: ChatRequest, to: Outgoing, limit: int | None, unthought_turn: bool
) -> tuple[bool, int | None]:
    """As for Anthropic itself; the limit is that of the model where the caller set none."""
    assumed = limit or to.traits.max_tokens_default or 4096
    said: dict[str, Any] = {"max_tokens": assumed}
    thinks = write_claude(said, request, to.claude, unthought_turn=unthought_turn)
    raised = said.pop("max_tokens")
    effort = (said.get("output_config") or {}).get("effort")
    if effort is not None and not to.options.get("budgets") and to.options.get("thinking") == "budget":
        more["anthropic_beta"] = [_EFFORT_BETA]
    more.update(said)
    return thinks, raised if limit is not None or raised != assumed else None


def _effort(reasoning: Reasoning, to: Outgoing) -> str:
    """The family's word for what was asked."""
    effort = reasoning.effort
    if effort is None:
        budget = reasoning.budget_tokens
        if budget is None or budget < 0:
            return "medium"
        effort = next((word for most, word in _BUDGETS if budget <= most), "high")
        to.lose("reasoning.budget_tokens", f"the model takes no budget: sent as effort {effort}")
        return effort
    if effort in _KNOWN:
        return effort
    nearest = "low" if effort == "minimal" else "high" if effort in _EFFORTS else "medium"
    to.lose("reasoning.effort", f"sent as {nearest}: the model does not know {effort}")
    return nearest


def _asks(reasoning: Reasoning) -> bool:
    return any(value is not None for value in (reasoning.mode, reasoning.effort, reasoning.budget_tokens))


def _lose(reasoning: Reasoning, to: Outgoing) -> None:
    """Name all that was said of thinking."""
    fields = {
        "reasoning.effort": reasoning.effort,
        "reasoning.budget_tokens": reasoning.budget_tokens,
        "reasoning": reasoning.mode,
    }
    for field, value in fields.items():
        if value is not None:
            to.lose(field, _NO_NAME if to.options.get("family") == "unknown" else _NO_WORD)
