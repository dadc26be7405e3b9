"""Strings for JSON Schema: of a length, a format, a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from gateway_plugins.providers.echo_check import Unsatisfiable, fits_pattern
from gateway_plugins.providers.echo_merge import listed
from gateway_plugins.providers.echo_pattern import NotUnderstood, parse, samples

LONGEST = 65_536
"""The longest string that is made, in characters."""

_LENGTHS = 20
_WORD = "echo"
# For each format: a usual value, and one with a place (%s) where it can grow by harmless characters.
_FORMATS: dict[str, tuple[str, ...]] = {
    "date": ("2025-01-01",),
    "date-time": ("2025-01-01T00:00:00Z",),
    "time": ("00:00:00Z",),
    "duration": ("P1D", "P%s1D"),
    "email": ("echo@example.com", "a@b.co", "%secho@example.com"),
    "idn-email": ("echo@example.com", "a@b.co", "%secho@example.com"),
    "hostname": ("example.com", "a", "%s.example.com"),
    "idn-hostname": ("example.com", "a", "%s.example.com"),
    "ipv4": ("192.0.2.1", "127.0.0.1", "192.168.100.100"),
    "ipv6": ("2001:db8::1", "::1", "2001:db8:0:0:0:0:0:1"),
    "uri": ("https://example.com/", "a:b", "https://example.com/%s"),
    "uri-reference": ("https://example.com/", "/", "https://example.com/%s"),
    "iri": ("https://example.com/", "a:b", "https://example.com/%s"),
    "iri-reference": ("https://example.com/", "/", "https://example.com/%s"),
    "uri-template": ("https://example.com/{id}", "{id}", "https://example.com/{id}/%s"),
    "uuid": ("00000000-0000-4000-8000-000000000000",),
    "json-pointer": ("/echo", "", "/%s"),
    "relative-json-pointer": ("0", "0/%s"),
    "regex": ("^echo$", "a", "%s"),
}


def strings(schema: dict[str, Any], path: str) -> Iterator[str]:
    """Different strings that the string keywords of ``schema`` allow; ends when no more come to mind."""
    least, most = schema.get("minLength", 0), schema.get("maxLength", LONGEST)
    if least > LONGEST:
        raise Unsatisfiable("minLength", path, f"more than {LONGEST} characters are not made")
    if least > most:
        raise Unsatisfiable("minLength", path, "minLength exceeds maxLength")
    patterns, formats = listed(schema.get("pattern", [])), listed(schema.get("format", []))
    for text in _candidates(patterns, formats, int(least), int(most), path):
        if (
            least <= len(text) <= most
            and all(fits_pattern(text, pattern, path) for pattern in patterns)
            and all(_has_format(text, form) for form in formats)
        ):
            yield text


def _candidates(patterns: list[str], formats: list[str], least: int, most: int, path: str) -> Iterator[str]:
    known = [form for form in formats if form in _FORMATS]
    for form in known:
        yield from _formatted(form, least)
    for pattern in patterns:
        try:
            node = parse(pattern)
            for length in range(least, min(most, least + _LENGTHS) + 1):
                yield from samples(node, length)
        except NotUnderstood as error:
            raise Unsatisfiable("pattern", path, f"the pattern {pattern!r} has {error}") from None
    if not patterns and not known:
        yield from _words(least, most)


def _formatted(form: str, least: int) -> Iterator[str]:
    for model in _FORMATS[form]:
        if "%s" not in model:
            yield model
            continue
        short = len(model) - 2
        for extra in range(max(1, least - short), max(1, least - short) + 20):
            # No label of a host name is longer than 63 characters.
            filling = ".".join("1" * min(50, extra - at) for at in range(0, extra, 51))
            yield model % (filling if "hostname" in form else "1" * extra)


def _words(least: int, most: int) -> Iterator[str]:
    yield _WORD.ljust(least, "o")[:most]
    for number in count(1):
        text = f"{_WORD}{number}" if len(f"{_WORD}{number}") <= most else str(number)
        if len(text) > most:
            return
        yield text.rjust(least, "o")


def _has_format(text: str, form: Any) -> bool:
    """Whether a text made from a pattern has the format as well; formats not listed are only remarks."""
    check = _CHECKS.get(form)
    if check is None:
        return True
    try:
        return bool(check(text))
    except ValueError:
        return False


_CHECKS: dict[Any, Any] = {
    "date": lambda text: re.fullmatch(r"\d{4}-\d\d-\d\d", text) and date.fromisoformat(text),
    "date-time": lambda text: re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text) and datetime.fromisoformat(text).tzinfo,
    "time": lambda text: re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-][01]\d:[0-5]\d)", text),
    "duration": lambda text: re.fullmatch(r"P\d+[YMWD]", text),
    "email": lambda text: re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", text, re.ASCII),
    "idn-email": lambda text: re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", text),
    "hostname": lambda text: len(text) < 254 and re.fullmatch(r"[a-zA-Z0-9-]{1,63}(\.[a-zA-Z0-9-]{1,63})*", text),
    "ipv4": IPv4Address,
    "ipv6": IPv6Address,
    "uri": lambda text: re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*:[!-~]+", text) and urlsplit(text),
    "uuid": lambda text: len(text) == 36 and UUID(text),
}
