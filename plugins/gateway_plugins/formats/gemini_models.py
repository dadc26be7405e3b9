"""What Google's models take: the catalogue's facts, and rules by their names for what no list tells.

Those are of https://ai.google.dev/gemini-api/docs/thinking and https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from gateway.catalogue import UNKNOWN, ModelInfo
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


def traits_of(model: str, info: ModelInfo = UNKNOWN, **more: Any) -> Traits:
    """The traits of a model, by the catalogue's ``info`` and by its name; ``more`` are options of the provider's."""
    options = options_of(info.name if info.known and not options_of(model) else model)
    if info.max_output is not None:
        options = {**options, "max_output": info.max_output}
    if info.efforts and options.get("thinking") != "budget":
        levels = [word for word in info.efforts if word != "none"]
        options = {**options, "thinking": "level", "levels": levels, "can_stop": "none" in info.efforts}
    if info.reasoning is False:
        options = {**options, "thinking": "none"}
    unsupported: dict[str, str] = {}
    if info.tools is False:
        unsupported |= dict.fromkeys(("tools", "tool_choice"), "the model takes no tools")
    if info.structured_output is False:
        unsupported["response_format"] = "the model takes no response format"
    if info.sampling is False:
        unsupported |= dict.fromkeys(("temperature", "top_p", "top_k"), "the model does not take it")
    return Traits(options={**options, **more}, unsupported=unsupported)
