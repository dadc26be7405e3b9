"""How long a provider asks to be left alone, in each of the forms that they use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.retry_after import LONGEST, retry_after

NOW = "Fri, 15 Jan 2027 08:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "0"}, "", 0.0),
        ({"retry-after": "1"}, "", 1.0),
        ({"retry-after": " 2.5 "}, "", 2.5),
        ({"retry-after": "-5"}, "", 0.0),
        ({"retry-after": "1e9"}, "", LONGEST),
        ({"retry-after": "inf"}, "", LONGEST),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "abc"}, "", None),
        ({"retry-after": ""}, "", None),
        ({"retry-after": "9" * 400}, "", LONGEST),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT", "date": NOW}, "", 30.0),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT", "date": NOW}, "", 0.0),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, "", None),
        ({"retry-after": "soon"}, "Please try again in 7s.", 7.0),
        ({"retry-after": "Fri, 99 Jan 2027 08:00:30 GMT", "date": NOW}, "", None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, "", 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, "", 9.0),
        ({"x-ms-retry-after-ms": "250"}, "", 0.25),
        ({}, '{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"33s"}]}}', 33.0),
        ({}, '{"retryDelay": "0.5s"}', 0.5),
        ({}, "Rate limit reached. Please try again in 1.2s. Visit https://example.com", 1.2),
        ({}, "Please try again in 6m0s.", 360.0),
        ({}, "Please try again in 20ms.", 0.02),
        ({}, "Please retry after 12 seconds.", 12.0),
        ({}, "Please wait 2 minutes before the next request", 120.0),
        ({}, "Try again in 3 months", None),
        ({}, "try again later", None),
        ({}, "", None),
    ],
)
def test_each_form_is_read(headers: dict[str, str], body: str, seconds: float | None) -> None:
    assert retry_after(headers, body) == seconds


@given(st.text(max_size=60), st.text(max_size=200))
def test_nothing_is_negative_or_endless_whatever_is_said(value: str, body: str) -> None:
    seconds = retry_after({"retry-after": value, "date": value}, body)
    assert seconds is None or 0.0 <= seconds <= LONGEST
