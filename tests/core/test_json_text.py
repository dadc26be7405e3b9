"""JSON from outside: whatever the bytes are, they are read or named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.json_text import BAD_JSON, decoded_or_text

DEEP = b"[" * 100_000


@pytest.mark.parametrize("data", [b"", b"{", b'"\xff"', DEEP, b"1e999"])
def test_whatever_is_no_json_is_bad_json(data: bytes) -> None:
    with pytest.raises(BAD_JSON):
        msgspec.json.decode(data)


@pytest.mark.parametrize(("data", "found"), [(b'{"a":1}', {"a": 1}), (b"a word", "a word"), (b"\xff", "\ufffd")])
def test_json_is_decoded_and_anything_else_is_text(data: bytes, found: Any) -> None:
    assert decoded_or_text(data) == found
