"""JSON from outside: what decoding it may raise, and what to make of bytes that may be JSON or not."""

from __future__ import annotations

from typing import Any

import msgspec

BAD_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding JSON from outside may raise: broken, not UTF-8, or nested too deeply."""


def decoded_or_text(data: bytes) -> Any:
    """Decode JSON; what is none is given as text."""
    try:
        return msgspec.json.decode(data)
    except BAD_JSON:
        return data.decode("utf-8", "replace")
