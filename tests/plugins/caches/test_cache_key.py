"""What makes two requests the same, and what keeps callers apart."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import Target
from gateway_plugins.caches.cache_key import NotCacheable, cache_key, canonical
from tests.plugins.made_calls import made_call, made_gateway

GATEWAY = made_gateway()


def digest(body: Any = None, *, shared: bool = False, **facts: Any) -> bytes:
    return cache_key(made_call(body, gateway=GATEWAY, **facts), shared=shared)


def test_blanks_and_the_order_of_members_do_not_matter() -> None:
    assert digest(b'{"a": 1, "b": {"d": [1, 2], "c": null}}') == digest(b'{"b":{"c":null,"d":[1,2]},"a":1}')
    assert len(digest()) == 32


@pytest.mark.parametrize(
    "other",
    [
        b'{"a":[2,1],"s":"x"}',
        b'{"a":[1,2],"s":"X"}',
        b'{"a":[1,2],"s":"x","stream":true}',
        b'{"a":[1,2.0],"s":"x"}',
        b'{"a":[1,2],"s":"x","n":null}',
        b'{"a":[1,true],"s":"x"}',
    ],
)
def test_any_other_value_is_another_request(other: bytes) -> None:
    assert digest(b'{"a":[1,2],"s":"x"}') != digest(other)


@pytest.mark.parametrize(
    "fact",
    [
        {"key": "team-b"},
        {"key": None},
        {"model": "slow", "body": {"model": "fast"}},
        {"path": "/v1/other"},
        {"format": "openai_embeddings"},
        {"strict": True},
        {"query": b"api-version=2"},
        {"targets": (Target(provider="up", model="m2"),)},
        {"targets": (Target(provider="other", model="m"),)},
        {"headers": {b"anthropic-beta": b"x"}},
    ],
)
def test_whatever_can_change_the_answer_is_in_the_key(fact: dict[str, Any]) -> None:
    assert digest({"model": "fast"}) != digest(**{"body": {"model": "fast"}, **fact})


def test_other_headers_are_not_in_the_key() -> None:
    assert digest() == digest(headers={b"user-agent": b"x", b"x-request-id": b"y"}, id="another")


def test_keys_share_only_where_told_to() -> None:
    assert digest(key="a") != digest(key="b")
    assert digest(key="a", shared=True) == digest(key="b", shared=True) == digest(key=None, shared=True)


def test_without_principals_the_callers_own_keys_keep_them_apart() -> None:
    assert digest(key=None, credential="sk-one") != digest(key=None, credential="sk-two")
    assert digest(key=None, credential="sk-one") != digest(key="sk-one")


def test_parts_that_read_alike_when_joined_are_not_the_same() -> None:
    assert digest(path="/v1/chat", query=b"a=1") != digest(path="/v1/chata=1", query=b"")
    assert digest(path="/v1/chat", query=b"") != digest(path="/v1", query=b"/chat")


def test_a_key_named_like_nobody_is_not_nobody() -> None:
    assert digest(key="anonymous") != digest(key=None)


@pytest.mark.parametrize("body", [b'{"m":[{"a":1,"a":2}]}', b'{"n":1' + b"0" * 5000 + b"}", b"[" * 100_000])
def test_a_body_of_uncertain_meaning_has_no_key(body: bytes) -> None:
    with pytest.raises(NotCacheable):
        canonical(body)


def test_text_of_any_kind_has_a_key() -> None:
    assert canonical('{"é":"☃"}'.encode()) == canonical(b'{"\\u00e9":"\\u2603"}')
    assert digest(b'{"x":"\\ud800"}') != digest(b'{"x":"\\ud801"}')
