"""Reads how long a provider asks to be left alone, in each of the forms that they use."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

CAP = 3600.0

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_AMOUNT = r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)"
_PART = re.compile(_AMOUNT)
# Google's RetryInfo; then what OpenAI, Azure and others write into the message.
_RETRY_DELAY = re.compile(r'"retryDelay"\s*:\s*"((?:\d+(?:\.\d+)?(?:ms|s|m|h))+)"')
_IN_WORDS = re.compile(
    r"(?:try again|retry|wait) +(?:in|after|for)? *(?:about +)?"
    r"(?:((?:\d+(?:\.\d+)? *(?:ms|s|m|h))+)(?![a-z])|(\d+(?:\.\d+)?) *(milliseconds?|seconds?|minutes?|hours?))",
    re.IGNORECASE,
)
_WORDS = {"millisecond": 0.001, "second": 1.0, "minute": 60.0, "hour": 3600.0}
_LONGEST_TEXT = 16 * 1024


def retry_after(headers: Mapping[str, str], body: str, wall_now: float) -> float | None:
    """Seconds from 0 to CAP, or None where nothing readable is said.

    ``headers`` have lower-case names. The order is retry-after-ms, retry-after, the body. A date counts from the
    answer's own Date header where there is one, else from ``wall_now``, seconds since 1970.
    """
    for name, scale in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (text := headers.get(name)) is not None and (seconds := _number(text)) is not None:
            return _capped(seconds * scale)
    if (text := headers.get("retry-after")) is not None and (until := _date(text)) is not None:
        sent = _date(headers.get("date", ""))
        return _capped(until - (wall_now if sent is None else sent))
    return _from_body(body[:_LONGEST_TEXT])


def _from_body(body: str) -> float | None:
    if found := _RETRY_DELAY.search(body):
        return _capped(_duration(found[1]))
    if found := _IN_WORDS.search(body):
        if found[1] is not None:
            return _capped(_duration(found[1]))
        return _capped(float(found[2]) * _WORDS[found[3].lower().removesuffix("s")])
    return None


def _duration(text: str) -> float:
    return sum(float(amount) * _UNITS[unit.lower()] for amount, unit in _PART.findall(text.lower()))


def _number(text: str) -> float | None:
    try:
        value = float(text.strip())
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _capped(seconds: float) -> float:
    return min(max(seconds, 0.0), CAP)
