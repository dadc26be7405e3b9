"""The tokens of an answer that came in two parts, from two targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.protocol import Usage

if TYPE_CHECKING:
    from gateway.rescue import Said


def added(one: Usage | None, other: Usage) -> Usage:
    """The tokens of both; estimated where one of them is."""
    if one is None:
        return other
    fields = (name for name in Usage.__struct_fields__ if name.endswith("_tokens"))
    counts = {name: getattr(one, name) + getattr(other, name) for name in fields}
    source = "estimated" if "estimated" in (one.source, other.source) else "upstream"
    return msgspec.structs.replace(other, **counts, source=source)


def guessed_usage(said: Said, body: bytes) -> Usage:
    """What a broken answer cost, where its provider did not live to say: four bytes a token."""
    words = sum(len(part.text.encode()) for part in said.parts)
    return Usage(prompt_tokens=-(-len(body) // 4), completion_tokens=-(-words // 4), source="estimated")


def spent_by(said: Said, told: Usage | None, body: bytes) -> Usage:
    """What a broken answer used up: the provider's count where it came to tell, else a guess."""
    guess = guessed_usage(said, body)
    if told is None:
        return guess
    return msgspec.structs.replace(
        told,
        completion_tokens=max(told.completion_tokens, guess.completion_tokens),
        source="estimated",
    )
