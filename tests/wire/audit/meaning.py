"""What an answer means, in words of no format: the shape in which an audit compares what was said with what arrives."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """A tool call; ``arguments`` decoded where they are JSON, and an empty object where there are none."""

    name: str
    arguments: Any
    id: str | None = None


@dataclass
class Answer:
    """One choice. ``finish`` is ``stop``, ``length``, ``tool_calls``, ``filter``, ``pause``, ``error`` or None."""

    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    calls: list[Call] = field(default_factory=list)
    cited: set[str] = field(default_factory=set)
    pictures: set[str] = field(default_factory=set)
    finish: str | None = None


@dataclass
class Meaning:
    """A reply. ``usage`` has ``prompt``, ``completion``, ``cached`` and ``reasoning`` counts; None where not told."""

    answers: list[Answer] = field(default_factory=list)
    usage: dict[str, int] | None = None
    ended: bool = True
    error: str | None = None


def decoded(arguments: Any) -> Any:
    """A call's arguments as a value, whatever they came as."""
    if not isinstance(arguments, str):
        return arguments or {}
    if not arguments.strip():
        return {}
    try:
        return json.loads(arguments) or {}
    except ValueError:
        return arguments


def _functions(calls: list[Call]) -> list[Call]:
    """Free text of a custom tool is the one argument of a function where a dialect has no custom tools."""
    return [Call(c.name, {"input": c.arguments} if isinstance(c.arguments, str) else c.arguments) for c in calls]


def _ids(said: list[Call], told: list[Call]) -> list[str | None]:
    """The ids by which the calls are answered; where the provider gave none, any will do."""
    return [other.id for one, other in zip(said, told, strict=False) if one.id]


def picture(data: Any) -> str:
    """A picture by the beginning of its data, or by its address."""
    text = str(data or "")
    return (text.partition(",")[2] if text.startswith("data:") else text)[:200]


def squeezed(text: str) -> str:
    """Text without white space: where one says paragraphs as parts, another joins them by an empty line."""
    return "".join(text.split())


def differences(said: Meaning, told: Meaning) -> dict[str, tuple[Any, Any]]:
    """Where two meanings differ: name of the aspect → (said, told)."""
    found: dict[str, tuple[Any, Any]] = {}
    if len(said.answers) != len(told.answers):
        found["choices"] = (len(said.answers), len(told.answers))
    for one, other in zip(said.answers, told.answers, strict=False):
        pairs = {
            "text": (one.text + one.refusal, other.text + other.refusal),
            "reasoning": (squeezed(one.reasoning), squeezed(other.reasoning)),
            "calls": (_functions(one.calls), _functions(other.calls)),
            "ids": ([call.id for call in one.calls if call.id], _ids(one.calls, other.calls)),
            "cited": (one.cited - other.cited, set()),
            "pictures": (one.pictures - other.pictures, set()),
            # A provider that ends without a reason gives none to pass on.
            "finish": (settled(one) or settled(other), settled(other)),
        }
        found |= {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if said.usage is not None:
        usage = told.usage or {}
        found |= {
            f"usage.{name}": (count, usage.get(name, 0))
            for name, count in said.usage.items()
            if count != usage.get(name, 0)
        }
    if said.ended != told.ended:
        found["ended"] = (said.ended, told.ended)
    return found


def settled(answer: Answer) -> str | None:
    """A finish by what it leaves to do: calls are to be answered, and a refusal is one however it is filed."""
    if answer.calls and answer.finish == "stop":
        return "tool_calls"
    return "filter" if answer.refusal and answer.finish == "stop" else answer.finish
