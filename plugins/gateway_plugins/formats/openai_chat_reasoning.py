"""Thinking in chat completions: the plain text of many providers, and OpenRouter's ``reasoning_details``.

Plain reasoning is ``reasoning_content`` (DeepSeek, Moonshot, Z.ai, Qwen) or ``reasoning`` (OpenRouter, Groq, vLLM,
Cerebras). What must come back unchanged on the next turn (signatures, redacted and encrypted thinking) travels in
``reasoning_details``, whose ``format`` names the family that can read it.
"""

from __future__ import annotations

from typing import Any

from gateway.protocol import Part, Reasoning, Thinking
from gateway_plugins.formats.json_fields import merge
from gateway_plugins.formats.openai_chat_fields import NAME, Fields, Outgoing

ANTHROPIC = "anthropic_messages"
RESPONSES = "openai_responses"
GEMINI = "gemini"

_ORIGINS = {"anthropic-claude-v1": ANTHROPIC, "openai-responses-v1": RESPONSES, "google-gemini-v1": GEMINI}
_FORMATS = {origin: name for name, origin in _ORIGINS.items()}
_DETAIL = frozenset({"type", "text", "summary", "data", "signature", "format", "id", "index"})
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
# Where a budget stands for a word; the bounds are those of common practice, no provider documents them.
_BUDGETS = ((4096, "low"), (16384, "medium"))


def origin_of(format_name: Any) -> str:
    """The origin for a detail's ``format``; a format that nobody named is this one's."""
    if not isinstance(format_name, str) or format_name in ("", "unknown"):
        return NAME
    return _ORIGINS.get(format_name, format_name)


def format_of(origin: str | None) -> str:
    """The ``format`` of a detail for an origin."""
    if origin is None or origin == NAME:
        return "unknown"
    return _FORMATS.get(origin, origin)


def is_plain(part: Thinking) -> bool:
    """Whether the text alone is all there is of it."""
    return part.signature is None and part.encrypted is None and part.origin in (None, NAME) and not part.extra


def read_details(details: list[Any]) -> list[Thinking]:
    """The Thinking parts of ``reasoning_details``; encrypted data joins the text of the same item before it."""
    parts: list[Thinking] = []
    for detail in details:
        if not isinstance(detail, dict):
            continue
        origin = origin_of(detail.get("format"))
        item = _text(detail.get("id"))
        data = _text(detail.get("data"))
        extra = {key: value for key, value in detail.items() if key not in _DETAIL and value is not None}
        if data is None:
            text = _text(detail.get("text")) or _text(detail.get("summary")) or ""
            signature = _text(detail.get("signature"))
            parts.append(Thinking(text=text, signature=signature, id=item, origin=origin, extra=extra))
        elif origin != ANTHROPIC and not extra and parts and _same_item(parts[-1], origin, item):
            parts[-1].encrypted = data
            parts[-1].id = parts[-1].id or item
        else:
            redacted = origin == ANTHROPIC
            parts.append(Thinking(redacted=redacted, encrypted=data, id=item, origin=origin, extra=extra))
    return parts


def _same_item(part: Thinking, origin: str, item: str | None) -> bool:
    free = part.encrypted is None and part.signature is None and not part.extra
    return free and part.origin == origin and (part.id is None or item is None or part.id == item)


def write_details(parts: list[Thinking], *, own: bool) -> list[dict[str, Any]]:
    """``reasoning_details`` for what the plain text cannot carry; ``own`` restores their unknown fields."""
    out: list[dict[str, Any]] = []
    for index, part in enumerate(parts):
        found = details_of(part, index)
        if own:
            merge(found[0], part.extra)
        out += found
    return out


def details_of(part: Thinking, index: int) -> list[dict[str, Any]]:
    """The one or two details of a Thinking part: text with its signature, and encrypted data."""
    out: list[dict[str, Any]] = []
    name = format_of(part.origin)
    if part.text or part.signature is not None or part.encrypted is None:
        kind = "summary" if part.origin == RESPONSES else "text"
        detail: dict[str, Any] = {"type": f"reasoning.{kind}", kind: part.text, "format": name, "index": index}
        if part.signature is not None:
            detail["signature"] = part.signature
        if part.id is not None and part.encrypted is None:
            detail["id"] = part.id
        out.append(detail)
    if part.encrypted is not None:
        detail = {"type": "reasoning.encrypted", "data": part.encrypted, "format": name, "index": index}
        if part.id is not None:
            detail["id"] = part.id
        out.append(detail)
    return out


def take_thinking(rest: dict[str, Any], spelling: dict[str, str]) -> list[Part]:
    """The Thinking parts of a message, taken out of ``rest``; ``spelling`` notes where its plain text was."""
    text = ""
    for key in ("reasoning_content", "reasoning"):
        if isinstance(rest.get(key), str):
            found = rest.pop(key)
            if not text:
                text = found
                spelling.setdefault("reasoning", key)
        elif key in rest and rest[key] is None:
            del rest[key]
    parts: list[Thinking] = []
    if isinstance(rest.get("reasoning_details"), list):
        parts = read_details(rest.pop("reasoning_details"))
    if text and not any(part.text for part in parts):
        # The text was shown plainly only: it belongs to the first item that has none.
        bare = next((part for part in parts if not part.redacted), None)
        if bare is None:
            parts.insert(0, Thinking(text=text, origin=NAME))
        else:
            bare.text = text
    return list(parts)


def reasoning_chunk(chunk: Any) -> Thinking | None:
    """The thinking in a chunk of content as Databricks sends it; None for any other chunk."""
    if not isinstance(chunk, dict) or chunk.get("type") != "reasoning":
        return None
    summary = chunk.get("summary")
    items = [item for item in summary if isinstance(item, dict)] if isinstance(summary, list) else []
    signatures = [item["signature"] for item in items if isinstance(item.get("signature"), str)]
    text = "".join(item["text"] for item in items if isinstance(item.get("text"), str))
    return Thinking(text=text, signature="".join(signatures) or None, origin=NAME)


def write_thinking(out: dict[str, Any], parts: list[tuple[str, Thinking]], to: Outgoing, word: str | None) -> None:
    """Put the thinking of an assistant message into ``out``, or name it; ``parts`` come with their paths."""
    if word not in ("reasoning", "reasoning_content"):
        word = None
    field = to.options.get("reasoning_field", word or "reasoning_content")
    plain: list[str] = []
    rich: list[Thinking] = []
    for path, part in parts:
        reason = _refusal(part, field, to)
        if reason is not None:
            to.dropped.add(path, reason)
        elif is_plain(part) or not to.takes("reasoning_details"):
            plain.append(part.text)
        else:
            rich.append(part)
            if not to.own:
                to.extras({}, part.extra, path)
    if rich:
        out["reasoning_details"] = write_details(rich, own=to.own)
        if word is not None:
            out[word] = "".join(part.text for part in rich)
    # DeepSeek wants the field on every assistant turn, be it empty.
    if plain or (word is not None and word == field and not parts):
        out[field] = "".join(plain)


def _refusal(part: Thinking, field: str | bool, to: Outgoing) -> str | None:
    """Why a Thinking part cannot be sent; None if it can."""
    if "thinking" in to.traits.unsupported:
        return to.traits.unsupported["thinking"]
    # A client of Gemini's gives thoughts back without a word about whose they are: unsigned, they are their text.
    bare = bool(part.text) and part.signature is None and part.encrypted is None and not part.extra
    if is_plain(part) or (bare and not to.takes("reasoning_details")):
        return None if field else "the provider takes no reasoning back"
    return None if to.takes("reasoning_details") else f"thinking of {part.origin} cannot be replayed here"


def read_reasoning(fields: Fields, spelling: dict[str, str]) -> Reasoning | None:
    """How much to think, from ``reasoning_effort``, OpenRouter's ``reasoning`` or ``thinking`` (DeepSeek, Z.ai)."""
    reasoning = Reasoning(effort=fields.text("reasoning_effort"))
    inner = fields.nested("reasoning")
    if inner is not None:
        spelling["reasoning"] = "reasoning"
        effort = inner.text("effort")
        if effort is not None and reasoning.effort is not None:
            fields.rest["reasoning_effort"] = reasoning.effort
        elif reasoning.effort is not None:
            spelling["effort"] = "reasoning_effort"
        reasoning.effort = reasoning.effort if effort is None else effort
        reasoning.budget_tokens = inner.integer("max_tokens")
        reasoning.summary = inner.text("summary")
        enabled = inner.flag("enabled")
        if enabled is not None:
            reasoning.mode = "enabled" if enabled else "disabled"
        if inner.rest.get("exclude") is True:
            inner.rest.pop("exclude")
            reasoning.display = "omitted"
        fields.keep("reasoning", inner)
    elif isinstance(fields.rest.get("thinking"), dict):
        inner = Fields(fields.take("thinking"), fields.at("thinking"))
        spelling["reasoning"] = "thinking"
        if inner.rest.get("type") in ("enabled", "adaptive", "disabled"):
            reasoning.mode = inner.take("type")
        reasoning.budget_tokens = inner.integer("budget_tokens")
        fields.keep("thinking", inner)
    return None if reasoning == Reasoning() and "reasoning" not in spelling else reasoning


def write_reasoning(out: dict[str, Any], reasoning: Reasoning, to: Outgoing, spelling: dict[str, str]) -> None:
    """The caller's own wording again, or the one that ``traits.options["reasoning"]`` names.

    The words: ``effort`` (OpenAI's ``reasoning_effort``, the default), ``reasoning`` (OpenRouter), ``thinking``; and
    of those who only switch it on and off, ``thinking_switch`` and ``enable_thinking`` (Model Studio).
    """
    shape = to.options.get("reasoning", spelling.get("reasoning", "effort"))
    effort = _effort(reasoning, to)
    if shape == "reasoning":
        if "effort" in spelling:
            out["reasoning_effort"], effort = effort, None
        out["reasoning"] = _reasoning_object(reasoning, effort, to)
        return
    if shape == "thinking":
        mode = reasoning.mode or ("disabled" if effort == "none" else None)
        inner: dict[str, Any] = {} if mode is None else {"type": mode}
        if reasoning.budget_tokens is not None:
            inner["budget_tokens"] = reasoning.budget_tokens
        if inner or to.own:
            out["thinking"] = inner
        if effort is not None and effort != "none":
            out["reasoning_effort"] = effort
    elif shape in ("thinking_switch", "enable_thinking"):
        _write_switch(out, reasoning, shape, to)
    else:
        _write_effort(out, reasoning, effort, to)
    for name in ("summary", "display"):
        if getattr(reasoning, name) is not None:
            to.dropped.add(f"reasoning.{name}", "chat completions has no such setting")


def _write_switch(out: dict[str, Any], reasoning: Reasoning, shape: str, to: Outgoing) -> None:
    """Thinking on or off, for providers that know no effort; ``thinking_on`` is the word for on."""
    effort, budget = reasoning.effort, reasoning.budget_tokens
    on = reasoning.mode != "disabled" and effort != "none" and budget != 0
    if shape == "enable_thinking":
        out["enable_thinking"] = on
        if budget:
            out["thinking_budget"] = budget
    else:
        out["thinking"] = {"type": to.options.get("thinking_on", "enabled") if on else "disabled"}
        if budget:
            to.dropped.add("reasoning.budget_tokens", "the provider only switches thinking on and off")
    if effort not in (None, "none"):
        to.dropped.add("reasoning.effort", "sent as on: the provider only switches thinking on and off")


def _reasoning_object(reasoning: Reasoning, effort: str | None, to: Outgoing) -> dict[str, Any]:
    """OpenRouter's ``reasoning``."""
    said = {"effort": effort, "max_tokens": reasoning.budget_tokens, "summary": reasoning.summary}
    out: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    if reasoning.mode == "disabled":
        out["enabled"] = False
    elif reasoning.mode is not None and (not out or to.own):
        out["enabled"] = True
    if reasoning.display == "omitted":
        out["exclude"] = True
    return out


def _effort(reasoning: Reasoning, to: Outgoing) -> str | None:
    """The effort in a word that the provider knows."""
    effort = reasoning.effort
    words = tuple(to.options.get("efforts", _EFFORTS))
    if effort is None or effort in words or (to.own and "efforts" not in to.options):
        return effort
    order = (*_EFFORTS, "max")
    if effort not in order:
        return effort
    # The nearest word below, else the lowest there is.
    rank = order.index(effort)
    known = [word for word in words if word in order]
    below = [word for word in known if order.index(word) <= rank]
    chosen = below[-1] if below else known[0] if known else effort
    to.dropped.add("reasoning.effort", f"sent as {chosen}: the provider does not know {effort}")
    return chosen


def _write_effort(out: dict[str, Any], reasoning: Reasoning, effort: str | None, to: Outgoing) -> None:
    if effort is None and reasoning.budget_tokens is not None and reasoning.mode != "disabled":
        effort = next((word for bound, word in _BUDGETS if reasoning.budget_tokens <= bound), "high")
        to.dropped.add("reasoning.budget_tokens", f"sent as reasoning_effort {effort}")
    elif reasoning.budget_tokens is not None:
        to.dropped.add("reasoning.budget_tokens", "chat completions counts no reasoning tokens beforehand")
    if effort is not None:
        out["reasoning_effort"] = effort
    elif reasoning.mode == "disabled":
        to.dropped.add("reasoning.mode", "chat completions cannot forbid thinking for every model")
    elif reasoning.mode is not None and effort is None:
        to.dropped.add("reasoning.mode", "chat completions asks for thinking by an effort only")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
