"""Text in words and tokens, as the echo model counts them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

TOKEN_BYTES = 4
"""The usual rule of thumb for English: a token is four bytes of UTF-8, a space in front of a word not counted."""

_WORD = re.compile(r"\s*\S+|\s+")
_ASCII_TOKEN = re.compile(f" ?.{{1,{TOKEN_BYTES}}}", re.DOTALL)


def words(text: str) -> list[str]:
    """The words, each with the white space in front of it; joined they are the text."""
    return _WORD.findall(text)


def tokens(text: str) -> list[str]:
    """The tokens; joined they are the text, and those of a beginning are the first of those of the whole."""
    return [token for word in words(text) for token in _cut(word)]


def _cut(word: str) -> Iterable[str]:
    return _ASCII_TOKEN.findall(word) if word.isascii() else _cut_anywhere(word)


def _cut_anywhere(word: str) -> Iterator[str]:
    start, size = 0, 0
    for at, char in enumerate(word):
        if char == " " and at == start:
            continue
        length = len(char.encode("utf-8", "surrogatepass"))
        if size and size + length > TOKEN_BYTES:
            yield word[start:at]
            start, size = at, 0
        if char != " " or at != start:
            size += length
    if start < len(word):
        yield word[start:]


def truncated(text: str, limit: int | None) -> str:
    """The first ``limit`` tokens; all of it for None."""
    return text if limit is None else "".join(tokens(text)[:limit])


def until_stop(text: str, stops: Iterable[str]) -> tuple[str, str | None]:
    """The text before the first stop sequence, and that sequence."""
    found = [(text.find(stop), stop) for stop in stops if stop and stop in text]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop
