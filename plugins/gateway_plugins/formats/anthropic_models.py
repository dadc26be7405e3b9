"""What each of Anthropic's models takes: the catalogue's facts, and rules for what no public list tells.

Sources of the rules, as of November 2026: https://platform.claude.com/docs/en/models/overview,
/docs/en/build-with-claude/effort and /thinking-troubleshooting#supported-models (thinking types),
/docs/en/build-with-claude/mid-conversation-system-messages and /structured-outputs (where they are available), and
the models' migration guides (sampling parameters, forced tools). The recorded exchanges agree with them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from gateway.catalogue import ModelInfo, lookup
from gateway.format import Traits

FIRST_VERSION_WITHOUT_SAMPLING = "2026-10-21"
"""The ``anthropic-version`` from which temperature, top_p and top_k are refused, whatever the model."""

_SOME = ("low", "medium", "high")
_LATEST: dict[str, Any] = {
    "max_output": 128_000,
    "structured": True,
    "thinking": "adaptive",
    "efforts": (*_SOME, "xhigh", "max"),
    "thinking_off": "never",
    "sampling": False,
    "mid_system": True,
    "forced_tools": False,
}


def _older(max_output: int, thinking: str, **options: Any) -> dict[str, Any]:
    """A row: the output limit is what ``max_tokens`` is where the caller sets none, as with other providers."""
    return {"max_output": max_output, "structured": False, "thinking": thinking, **options}


RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    # Refused, or told apart, by Anthropic and in no list.
    ("claude-mythos-preview", {"forced_tools": False}),
    ("claude-sonnet-5-5", {"thinking_off": "between_tools"}),
    # One of temperature and top_p, not both.
    *((f"claude-{name}", {"one_sampler": True}) for name in ("opus-4-6", "sonnet-4-6", "opus-4-5", "sonnet-4-5")),
    ("claude-haiku-4-5", {"one_sampler": True}),
)
"""Model name's beginning → options beyond the catalogue's, the first match wins."""

UNLISTED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("claude-fable-5-2", _LATEST),
    ("claude-mythos-5-2", _LATEST),
    # Models that Anthropic itself no longer sells, so that the lists forget them; other platforms have them still.
    ("claude-opus-4-1", _older(32_000, "budget", structured=True, one_sampler=True)),
    ("claude-opus-4", _older(32_000, "budget")),
    ("claude-4-opus", _older(32_000, "budget")),
    ("claude-sonnet-4", _older(64_000, "budget")),
    ("claude-4-sonnet", _older(64_000, "budget")),
    ("claude-3-7-sonnet", _older(64_000, "budget")),
    ("claude-3-5", _older(8_192, "none")),
    ("claude-3", _older(4_096, "none")),
    ("claude-2", _older(4_096, "none")),
    ("claude-instant", _older(4_096, "none")),
)
"""Model name's beginning → all options of a model that the catalogue does not have, the first match wins."""

NEWER = Traits(
    max_tokens_default=32_000,
    options={"thinking": "adaptive", "thinking_off": "never", "efforts": _SOME, "sampling": False},
)
"""A Claude that is not known here is newer: it gets what all the latest take."""

OTHERS = Traits()
"""Models of others who speak this format: nothing is held back."""


def _compiled(rows: tuple[tuple[str, dict[str, Any]], ...]) -> tuple[tuple[re.Pattern[str], dict[str, Any]], ...]:
    """Behind a name stands no further digit: a date is none."""
    return tuple((re.compile(f"{name}(?!-?[0-9]{{1,2}}(?![0-9]))"), options) for name, options in rows)


_RULES, _UNLISTED = _compiled(RULES), _compiled(UNLISTED)


def _match(rows: tuple[tuple[re.Pattern[str], dict[str, Any]], ...], name: str) -> dict[str, Any] | None:
    return next((options for pattern, options in rows if pattern.match(name)), None)


@lru_cache(maxsize=512)
def traits_of(
    model: str, version: str = "auto", max_tokens_default: int | None = None, info: ModelInfo | None = None
) -> Traits:
    """The traits of a model by its name, which other platforms write with a prefix or with full stops.

    ``version`` is a fixed ``anthropic-version``, or ``auto``; ``max_tokens_default`` replaces the model's own limit;
    ``info`` is what the catalogue has of it at its provider, where that is not Anthropic's own list.
    """
    traits = _traits(model, info or lookup("anthropic", model))
    if version != "auto" and version >= FIRST_VERSION_WITHOUT_SAMPLING:
        traits = msgspec.structs.replace(traits, options={**traits.options, "sampling": False})
    if max_tokens_default is not None:
        traits = msgspec.structs.replace(traits, max_tokens_default=max_tokens_default)
    return traits


def _traits(model: str, info: ModelInfo) -> Traits:
    # The catalogue's name before the caller's: a deployment may be called anything.
    name = next((name for name in (_claude(info.name), _claude(model)) if name), "")
    if name and info.thinking is None:
        # No list has it, or one that does not tell how it thinks.
        options = _match(_UNLISTED, name)
        if options is None:
            return _known(info, dict(NEWER.options)) if info.known else NEWER
        return _known(info, dict(options))
    if not info.known:
        return OTHERS
    return _known(info, _match(_RULES, name) or {})


def _claude(name: str) -> str:
    at = name.find("claude")
    return name[at:].replace(".", "-") if at >= 0 else ""


def _known(info: ModelInfo, more: dict[str, Any]) -> Traits:
    """The catalogue's facts as options of this format, and ``more``, which is surer but for the output limit."""
    options: dict[str, Any] = {}
    if info.structured_output is not None:
        options["structured"] = info.structured_output
    if info.thinking is not None:
        options["thinking"] = "adaptive" if info.thinking == "both" else info.thinking
    if info.thinking == "both":
        options["budgets"] = True
    if info.efforts:
        options["efforts"] = info.efforts
    if info.always_thinks:
        options["thinking_off"] = "never"
    if info.sampling is False:
        options["sampling"] = False
    if info.forced_tools is False:
        options["forced_tools"] = False
    if info.system_anywhere:
        options["mid_system"] = True
    options |= more
    if info.max_output is not None:
        options["max_output"] = info.max_output
    return Traits(max_tokens_default=options.get("max_output"), options=options)
