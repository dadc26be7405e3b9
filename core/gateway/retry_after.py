"""Reads how long a provider asks to be left alone, in each of the forms that providers use."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST = 3600.0
"""Seconds; a provider that asks for more is believed no further."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
# Google's RetryInfo; then what OpenAI, Azure and others write into the message.
_RETRY_DELAY = re.compile(r'"retryDelay"\s*:\s*"((?:\d+(?:\.\d+)?(?:ms|s|m|h))+)"')
_IN_WORDS = re.compile(
    r"(?:try again|retry|wait) +(?:in|after|for)? *(?:about +)?"
    r"(?:((?:\d+(?:\.\d+)? *(?:ms|s|m|h))+)(?![a-z])|(\d+(?:\.\d+)?) *(milliseconds?|seconds?|minutes?|hours?))",
    re.IGNORECASE,
)
_WORDS = {"millisecond": 0.001, "second": 1.0, "minute": 60.0, "hour": 3600.0}
_LONGEST_TEXT = 16 * 1024


def retry_after(headers: Mapping[str, str], text: str = "") -> float | None:
    """Find the wait that an answer asks for: seconds from 0 to LONGEST, or None where nothing readable is said.

    ``headers`` have lower-case names; ``text`` is the body, or what of it may speak of a wait. The order is
    ``retry-after-ms``, ``retry-after`` as a number and as a date, the text. A date counts from the answer's own
    ``date`` header, for it is only good against the provider's own clock. Never raises.
    """
    for name, scale in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (value := headers.get(name)) is not None and (seconds := _number(value)) is not None:
            return _capped(seconds * scale)
    until, sent = _date(headers.get("retry-after")), _date(headers.get("date"))
    if until is not None and sent is not None:
        return _capped(until - sent)
    return _in_text(text[:_LONGEST_TEXT])


def _in_text(text: str) -> float | None:
    if found := _RETRY_DELAY.search(text):
        return _capped(_duration(found[1]))
    if found := _IN_WORDS.search(text):
        if found[1] is not None:
            return _capped(_duration(found[1]))
        return _capped(float(found[2]) * _WORDS[found[3].lower().removesuffix("s")])
    return None


def _duration(text: str) -> float:
    return sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text.lower()))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _date(text: str | None) -> float | None:
    try:
        return None if text is None else parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _capped(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST)
