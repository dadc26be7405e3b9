"""The top level of a JSON body, found without decoding what lies below it.

A gateway that forwards raw bytes must read the same ``model`` as the provider will, so a body with a duplicate
top-level key is refused (parsers differ in which one wins), and so are invalid UTF-8 and nesting too deep to check.
The values stay bytes: one is decoded when asked for, and one can be replaced without encoding the others again.
"""

from __future__ import annotations

import codecs
import re
from typing import Any

import msgspec

from gateway.errors import InvalidRequest

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.decode
_SPACE = re.compile(rb"[ \t\r\n]*")
_KEY = re.compile(rb'"((?:[^"\\]|\\.)*)"[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_UTF8_SLICE = 1 << 20
_STRIDE = 64
_DIGITS = re.compile(rb"[0-9]{16}")
"""One byte of each stride is looked at: so many digits in a row are a long number, or base64 by rare chance."""
_LAST_SPACE, _QUOTE, _COMMA, _COLON, _BACKSLASH, _CLOSE = 0x20, 0x22, 0x2C, 0x3A, 0x5C, 0x7D


class Spliced:
    """A large body in pieces, which lie in the caller's bytes where nothing changed: it is sent without a copy."""

    __slots__ = ("pieces", "size")

    def __init__(self, *pieces: bytes | memoryview) -> None:
        self.pieces = pieces
        self.size = sum(map(len, pieces))

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)


LARGE_BODY = 256 * 1024
"""From this size on, in bytes, a body is spliced and not copied."""


class JsonObject:
    """A JSON object as bytes, with the place of each member's value."""

    __slots__ = ("body", "spans")

    def __init__(self, body: bytes) -> None:
        """Find the members; raises InvalidRequest, naming what is wrong and where."""
        self.body = body
        self.spans = _spans(body)

    def __contains__(self, key: str) -> bool:
        return key in self.spans

    def raw(self, key: str) -> bytes | None:
        """A member's value as JSON bytes, or None."""
        span = self.spans.get(key)
        return None if span is None else self.body[span[0] : span[1]]

    def get(self, key: str) -> Any:
        """A member's value, decoded; None when it is absent or null."""
        span = self.spans.get(key)
        if span is None:
            return None
        try:
            return _decode(self.body[span[0] : span[1]])
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"The value of {key!r} is not valid JSON: {error}", param=key) from None

    def text(self, key: str) -> str | None:
        """A member that must be a string where present and not null."""
        if key not in self.spans:
            return None
        value = self.get(key)
        if value is None or isinstance(value, str):
            return value
        raise InvalidRequest(f"{key!r} must be a string.", param=key, code="invalid_type")

    def flag(self, key: str) -> bool:
        """A member that must be a boolean where present and not null."""
        if key not in self.spans:
            return False
        value = self.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise InvalidRequest(f"{key!r} must be true or false.", param=key, code="invalid_type")

    def replaced(self, changes: dict[str, bytes]) -> bytes:
        """The body with these members' values (JSON bytes) put in; absent members are added at the end."""
        return b"".join(self._pieces(changes))

    def spliced(self, changes: dict[str, bytes]) -> Spliced:
        """As ``replaced``, but in pieces."""
        return Spliced(*self._pieces(changes))

    def _pieces(self, changes: dict[str, bytes]) -> list[bytes | memoryview]:
        spans = self.spans
        view = memoryview(self.body)  # slices of bytes would copy a large body once more
        if len(changes) == 1:
            ((key, value),) = changes.items()
            if key in spans:
                start, end = spans[key]
                return [view[:start], value, view[end:]]
        pieces: list[bytes | memoryview] = []
        at = 0
        for key, (start, end) in sorted(spans.items(), key=lambda item: item[1]):
            if key in changes:
                pieces += (view[at:start], changes[key])
                at = end
        added = b",".join(msgspec.json.encode(k) + b":" + v for k, v in changes.items() if k not in spans)
        if added:
            close = self.body.rindex(b"}")
            pieces += (view[at:close], b"," if spans else b"", added)
            at = close
        pieces.append(view[at:])
        return pieces


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    _check_utf8(body)
    try:
        members = _decode_members(body)
    except RecursionError:
        raise InvalidRequest("The request body is nested too deeply.", code="invalid_json") from None
    except msgspec.ValidationError:
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_json") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}", code="invalid_json") from None
    if _may_hold_far_numbers(body):
        _check_numbers(body)
    return members


def _check_numbers(body: bytes) -> None:
    """Refuse 1e999 and the like, over which parsers differ (infinity, null, an error), and raw members let pass."""
    try:
        _decode(body)
    except RecursionError:
        raise InvalidRequest("The request body is nested too deeply.", code="invalid_json") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}", code="invalid_json") from None


def _may_hold_far_numbers(body: bytes) -> bool:
    """Whether a number may be beyond what parsers take; of a large body, whether it may be one of a thousand digits.

    Decoding costs less than any search, but would hold a large body a second time.
    """
    if len(body) < LARGE_BODY:
        return True
    return _DIGITS.search(body[::_STRIDE]) is not None


def _spans(body: bytes) -> dict[str, tuple[int, int]]:
    members = _members(body)
    spans: dict[str, tuple[int, int]] = {}
    at = 0
    for key, raw in members.items():
        start = at + len(key) + 4
        at = start + len(raw)
        spans[key] = (start, at)
    # The brace or comma, the quotes and the colon are all there is between the members of a compact body; a blank, an
    # escape in a key or a second equal key would each make it longer. Most bodies are compact and end here.
    if at + 1 == len(body) and spans:
        return spans
    if at + 2 * len(spans) == len(body) < LARGE_BODY and spans and (spaced := _spaced(body, members)) is not None:
        return spaced
    return _walked(body, members)


def _spaced(body: bytes, members: dict[str, msgspec.Raw]) -> dict[str, tuple[int, int]] | None:
    """The members' places with a blank behind each colon and comma, as Python's ``json`` writes; None in any other."""
    if "\\" in "".join(members):
        return None
    written = b", ".join([b'"%b": %b' % (key.encode(), raw) for key, raw in members.items()])
    if body != b"{%b}" % written:
        return None
    spans: dict[str, tuple[int, int]] = {}
    at = -1
    for key, raw in members.items():
        start = at + len(key.encode()) + 6
        at = start + len(raw)
        spans[key] = (start, at)
    return spans


def _walked(body: bytes, members: dict[str, msgspec.Raw]) -> dict[str, tuple[int, int]]:
    """The members' places in any layout; refuses a key that occurs twice."""
    spans: dict[str, tuple[int, int]] = {}
    key = ""
    at = body.index(b"{") + 1
    while True:
        byte = body[at]
        if byte <= _LAST_SPACE:
            at = _skip(body, at)
            byte = body[at]
        if byte == _CLOSE:
            return spans
        if byte == _COMMA:
            at += 1
            if body[at] <= _LAST_SPACE:
                at = _skip(body, at)
        elif spans:
            raise _duplicate(key)
        key, start = _key(body, at, key)
        value = memoryview(members[key])
        at = start + len(value)
        # The decoder keeps the last of several equal keys: meeting another value here, or the key again, proves two.
        # Where the last value is a prefix of the first (1, 12), what follows is neither comma nor end: see above.
        if key in spans or not body.startswith(value, start):
            raise _duplicate(key)
        spans[key] = (start, at)


def _key(body: bytes, at: int, before: str) -> tuple[str, int]:
    """The key at ``at``, and where its value begins. The usual layout is read without a regular expression."""
    end = body.find(b'"', at + 1)
    if body[at] == _QUOTE and body[end + 1] == _COLON and body[end - 1] != _BACKSLASH:
        name = body[at + 1 : end]
        start = end + 2
        if body[start] <= _LAST_SPACE:
            start = _skip(body, start)
    else:
        match = _KEY.match(body, at)
        if match is None:
            raise _duplicate(before)
        name = match.group(1)
        start = match.end()
    return (_decode(b'"' + name + b'"') if b"\\" in name else name.decode()), start


def _duplicate(key: str) -> InvalidRequest:
    return InvalidRequest(f"The key {key!r} occurs twice in the request body.", param=key, code="duplicate_key")


def _skip(body: bytes, at: int) -> int:
    match = _SPACE.match(body, at)
    return at if match is None else match.end()


def _check_utf8(body: bytes) -> None:
    if body.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        # In slices, so that a large body is never held a second time as text.
        for start in range(0, len(body), _UTF8_SLICE):
            decoder.decode(body[start : start + _UTF8_SLICE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise InvalidRequest("The request body is not valid UTF-8.", code="invalid_json") from None
