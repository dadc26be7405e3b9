"""What Google's models take, by their names: https://ai.google.dev/gemini-api/docs/thinking and /thought-signatures."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from gateway.format import Traits

_RISING = ("minimal", "low", "medium", "high")


def _newer(*levels: str) -> dict[str, Any]:
    return {
        "thinking": "level",
        "levels": list(levels),
        "signatures": True,
        "result_media": True,
        "mixed_tools": True,
        "json_with_tools": True,
    }


def _budget(least: int, most: int, *, can_stop: bool) -> dict[str, Any]:
    return {"thinking": "budget", "budgets": [least, most], "can_stop": can_stop}


_FAMILIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gemini-2.5-*image*", {"thinking": "none"}),
    ("gemini-2.5-*tts*", {"thinking": "none"}),
    ("gemini-2.5-pro*", _budget(128, 32768, can_stop=False)),
    ("gemini-2.5-flash-lite*", _budget(512, 24576, can_stop=True)),
    ("gemini-2.5-flash*", _budget(1, 24576, can_stop=True)),
    ("gemini-2.*", {"thinking": "none"}),
    ("gemini-1*", {"thinking": "none"}),
    ("gemma-*", {"thinking": "none", "system": False}),
    ("learnlm-*", {"thinking": "none"}),
    ("gemini-3-pro*", _newer("low", "high")),
    ("gemini-3*pro*", _newer("low", "medium", "high")),
    ("gemini-[3-9]*", _newer(*_RISING)),
    ("gemini-*-latest", _newer(*_RISING)),
)


def options_of(model: str) -> dict[str, Any]:
    """The options for a model's name; those of a name that is not known hold nothing back."""
    bare = model.rpartition("/")[2]
    return next((options for pattern, options in _FAMILIES if fnmatchcase(bare, pattern)), {})


def traits_of(model: str, **more: Any) -> Traits:
    """The traits for a model's name; ``more`` are options of the provider's."""
    return Traits(options={**options_of(model), **more})
