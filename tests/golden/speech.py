"""What a feature is: requests that say it, in each dialect that can, and the same requests without it.

A word that begins with ``mk`` is a marker: content that must be found again on the other side, or be named as dropped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Json = dict[str, Any]


class Said(NamedTuple):
    """A body that says the feature, and one that differs from it in nothing else."""

    with_it: Json
    without: Json


class Feature(NamedTuple):
    """One row of the table. ``said`` is by the name of the dialect's format."""

    group: str
    name: str
    said: dict[str, Said]


def chat(messages: list[Any] | None = None, without: Json | None = None, **fields: Any) -> Said:
    """A request of chat completions; ``without`` are fields of the one without the feature."""
    base: Json = {"model": "m", "messages": [{"role": "user", "content": "Hello."}]}
    said = {} if messages is None else {"messages": messages}
    return Said({**base, **said, **fields}, {**base, **(without or {})})


def messages(turns: list[Any] | None = None, without: Json | None = None, **fields: Any) -> Said:
    """A request of Anthropic's Messages."""
    base: Json = {"model": "m", "max_tokens": 4000, "messages": [{"role": "user", "content": "Hello."}]}
    said = {} if turns is None else {"messages": turns}
    return Said({**base, **said, **fields}, {**base, **(without or {})})


def responses(items: list[Any] | None = None, without: Json | None = None, **fields: Any) -> Said:
    """A request of OpenAI's Responses."""
    base: Json = {"model": "m", "input": [{"role": "user", "content": "Hello."}], "store": False}
    said = {} if items is None else {"input": items}
    return Said({**base, **said, **fields}, {**base, **(without or {})})


def gemini(contents: list[Any] | None = None, without: Json | None = None, **fields: Any) -> Said:
    """A request of Gemini's generateContent."""
    base: Json = {"contents": [{"role": "user", "parts": [{"text": "Hello."}]}]}
    said = {} if contents is None else {"contents": contents}
    return Said({**base, **said, **fields}, {**base, **(without or {})})


def feature(group: str, name: str, **said: Said) -> Feature:
    """A row; the keywords are ``chat``, ``messages``, ``responses`` and ``gemini``."""
    return Feature(group, name, {FORMATS[word]: body for word, body in said.items()})


FORMATS = {
    "chat": "openai_chat",
    "messages": "anthropic_messages",
    "responses": "openai_responses",
    "gemini": "gemini",
}

SCHEMA: Json = {"type": "object", "properties": {"mkcity": {"type": "string"}}, "required": ["mkcity"]}
CLOSED: Json = {**SCHEMA, "additionalProperties": False}
PNG = "iVBORw0KGgoAmkAA"
PDF = "JVBERi0xLjcKmkAA"
WAV = "UklGRiQAAABmkAAA"

USER: Json = {"role": "user", "content": "Hello."}
PART: Json = {"role": "user", "parts": [{"text": "Hello."}]}


def of_user(*parts: Json) -> list[Any]:
    """A user's turn of chat completions or messages, behind a text."""
    return [{"role": "user", "content": [{"type": "text", "text": "Hello."}, *parts]}]


def input_of(*parts: Json) -> list[Any]:
    """A user's item of responses, behind a text."""
    return [{"role": "user", "content": [{"type": "input_text", "text": "Hello."}, *parts]}]


def parts_of(*parts: Json) -> list[Any]:
    """A user's content of Gemini, behind a text."""
    return [{"role": "user", "parts": [{"text": "Hello."}, *parts]}]
