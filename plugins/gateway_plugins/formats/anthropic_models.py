"""What each of Anthropic's models takes, as data.

Sources, as of November 2026: https://platform.claude.com/docs/en/models/overview (output limits, thinking),
/docs/en/build-with-claude/effort and /thinking-troubleshooting#supported-models (efforts, thinking types),
/docs/en/build-with-claude/mid-conversation-system-messages and /structured-outputs (where they are available), and
the models' migration guides (sampling parameters, forced tools). The recorded exchanges agree with it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from gateway.format import Traits

FIRST_VERSION_WITHOUT_SAMPLING = "2026-10-21"
"""The ``anthropic-version`` from which temperature, top_p and top_k are refused, whatever the model."""

_SOME = ("low", "medium", "high")
_MAX = (*_SOME, "max")
_ALL = (*_SOME, "xhigh", "max")


def _model(max_output: int, **options: Any) -> Traits:
    """A row: the output limit is what ``max_tokens`` is where the caller sets none, as with other providers."""
    return Traits(max_tokens_default=max_output, options={"max_output": max_output, "structured": True, **options})


def _plain(max_output: int) -> Traits:
    return _model(max_output, thinking="none", structured=False)


def _budget(max_output: int, **options: Any) -> Traits:
    return _model(max_output, thinking="budget", **options)


def _adaptive(**options: Any) -> Traits:
    """From Opus 4.7 on: sampling parameters and thinking budgets are refused."""
    return _model(128_000, thinking="adaptive", efforts=_ALL, sampling=False, **options)


_FOUR_SIX = _model(128_000, thinking="adaptive", budgets=True, efforts=_MAX, one_sampler=True)
_ALWAYS_THINKS: dict[str, Any] = {"thinking_off": "never", "mid_system": True}

MODELS: tuple[tuple[str, Traits], ...] = (
    ("claude-fable-5-2", _adaptive(**_ALWAYS_THINKS, forced_tools=False)),
    ("claude-fable-5-1", _adaptive(**_ALWAYS_THINKS, forced_tools=False)),
    ("claude-fable-5", _adaptive(**_ALWAYS_THINKS)),
    ("claude-mythos-5-2", _adaptive(**_ALWAYS_THINKS, forced_tools=False)),
    ("claude-mythos-5-1", _adaptive(**_ALWAYS_THINKS, forced_tools=False)),
    ("claude-mythos-5", _adaptive(**_ALWAYS_THINKS)),
    ("claude-mythos-preview", _adaptive(thinking_off="never", forced_tools=False)),
    ("claude-opus-5-5", _adaptive(**_ALWAYS_THINKS, forced_tools=False)),
    ("claude-sonnet-5-5", _adaptive(thinking_off="between_tools", forced_tools=False)),
    ("claude-haiku-5-5", _adaptive()),
    ("claude-opus-5", _adaptive(mid_system=True)),
    ("claude-sonnet-5", _adaptive()),
    ("claude-opus-4-8", _adaptive(mid_system=True)),
    ("claude-opus-4-7", _adaptive()),
    ("claude-opus-4-6", _FOUR_SIX),
    ("claude-sonnet-4-6", _FOUR_SIX),
    ("claude-opus-4-5", _budget(64_000, efforts=_SOME, one_sampler=True)),
    ("claude-sonnet-4-5", _budget(64_000, one_sampler=True)),
    ("claude-haiku-4-5", _budget(64_000, one_sampler=True)),
    ("claude-opus-4-1", _budget(32_000, one_sampler=True)),
    ("claude-opus-4", _budget(32_000, structured=False)),
    ("claude-4-opus", _budget(32_000, structured=False)),
    ("claude-sonnet-4", _budget(64_000, structured=False)),
    ("claude-4-sonnet", _budget(64_000, structured=False)),
    ("claude-3-7-sonnet", _budget(64_000, structured=False)),
    ("claude-3-5", _plain(8_192)),
    ("claude-3", _plain(4_096)),
    ("claude-2", _plain(4_096)),
    ("claude-instant", _plain(4_096)),
    # A model that is not known here is newer: it gets what all the latest take.
    (
        "claude",
        Traits(
            max_tokens_default=32_000,
            options={"thinking": "adaptive", "thinking_off": "never", "efforts": _SOME, "sampling": False},
        ),
    ),
)
"""Model name's beginning → traits, the first match wins. Behind it stands no further digit: a date is none."""

OTHERS = Traits()
"""Models of others who speak this format: nothing is held back."""

_PATTERNS = tuple((re.compile(f"{prefix}(?![0-9])"), traits) for prefix, traits in MODELS)


@lru_cache(maxsize=512)
def traits_of(model: str, version: str = "auto", max_tokens_default: int | None = None) -> Traits:
    """The traits of a model by its name, which other platforms write with a prefix or with full stops.

    ``version`` is a fixed ``anthropic-version``, or ``auto``; ``max_tokens_default`` replaces the model's own limit.
    """
    at = model.find("claude")
    name = model[at:].replace(".", "-") if at >= 0 else ""
    traits = next((traits for pattern, traits in _PATTERNS if pattern.match(name)), OTHERS)
    if version != "auto" and version >= FIRST_VERSION_WITHOUT_SAMPLING:
        traits = msgspec.structs.replace(traits, options={**traits.options, "sampling": False})
    if max_tokens_default is not None:
        traits = msgspec.structs.replace(traits, max_tokens_default=max_tokens_default)
    return traits
