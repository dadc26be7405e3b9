"""The fuzzers' rules on the corpus, and on requests that hypothesis puts together from good and broken parts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.serving.http1_corpus import CASES, REFUSED, Case
from tests.fuzz.http1_talk import check
from tests.fuzz.http1_wire import Talk

LINES = [b"GET /a HTTP/1.1\r\n", b"POST /b?c HTTP/1.1\r\n", b"POST /d HTTP/1.0\r\n", b"HEAD http://h/e HTTP/1.1\r\n"]
FIELDS = [
    *(
        b"Host: h\r\n",
        b"Host: h\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ),
    *(
        b"Connection: close\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Expect: 100-continue\r\n",
        b"X-A: \tb \r\n",
    ),
    *(b" folded\r\n", b"Broken\r\n", b"X : 1\r\n", b"X-A: 1\n"),
]
BODIES = [
    b"",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"fff\r\n",
]
REQUESTS = st.builds(
    lambda line, fields, body: line + b"".join(fields) + b"\r\n" + body,
    st.sampled_from(LINES),
    st.lists(st.sampled_from(FIELDS), max_size=5),
    st.sampled_from(BODIES) | st.binary(max_size=20),
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_rules_hold_for_the_corpus(loop: asyncio.AbstractEventLoop, case: Case) -> None:
    answers = check(loop, case.data)
    assert ["refused" if answer == REFUSED else "understood" for answer in case.verdict] == [
        "refused" if answer == "refused" else "understood" for answer in answers
    ]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REQUESTS, min_size=1, max_size=3).map(b"".join))
def test_the_rules_hold_for_requests_put_together_at_random(loop: asyncio.AbstractEventLoop, data: bytes) -> None:
    check(loop, data)


def test_a_write_behind_the_end_would_be_noticed(loop: asyncio.AbstractEventLoop) -> None:
    conversation = Talk(loop)
    conversation.hear([b"BROKEN\r\n\r\n"])
    with pytest.raises(AssertionError, match="behind the end"):
        conversation.wire.write(b"more")
    conversation.close()
