"""Cohere's error answers, and how it counts tokens."""

from __future__ import annotations

import re
from typing import Any

from gateway.errors import UpstreamRejected
from gateway.protocol import Usage
from gateway_plugins.formats import openai_errors
from gateway_plugins.formats.json_fields import count_of

_MONTHLY = re.compile(r"\btrial key\b.{0,200}\bmonth\b|\bmonthly (?:limit|quota)\b", re.IGNORECASE | re.DOTALL)


def read_error(status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
    """An error answer ``{"id", "message"}``; never raises, whatever the body is.

    498 is Cohere's word for a token that is not valid, and the end of a trial key's month no limit that passes soon.
    """
    error = openai_errors.read_error(status, headers, body)
    if status == 498:
        error.status, error.kind = 401, "authentication"
    elif status == 429 and _MONTHLY.search(error.message):
        error.kind = "quota"
    return error


def read_usage(value: Any) -> Usage | None:
    """The tokens that the model saw and made; what is billed of them, and search units, are kept in ``extra``.

    Where the model's own are not told (embeddings), the billed ones count.
    """
    if not isinstance(value, dict):
        return None
    rest = {key: item for key, item in value.items() if item is not None}
    tokens, billed = rest.pop("tokens", None), rest.get("billed_units")
    counted = tokens if isinstance(tokens, dict) and tokens else billed if isinstance(billed, dict) else None
    if counted is None:
        return None
    return Usage(
        prompt_tokens=number(counted.get("input_tokens")) + number(counted.get("image_tokens")),
        completion_tokens=number(counted.get("output_tokens")),
        cache_read_tokens=number(rest.pop("cached_tokens", None)),
        extra=rest,
    )


def number(value: Any) -> int:
    """A count, which Cohere may send as a float; 0 for what is none."""
    return count_of(value)
