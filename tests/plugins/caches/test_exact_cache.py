"""The exact cache: which answers are kept, for whom, and how they come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway import InvalidRequest, PluginContext, Reply
from gateway.protocol import Usage
from gateway_plugins.caches.exact_cache import ExactCache, ExactCacheConfig
from tests.plugins.made_calls import CONTEXT, made_call, made_gateway

EVENTS = [b"data: 1\n\n", b"data: 2\n\ndata: 3\n\n", b"data: [DONE]\n\n"]
SSE = [(b"content-type", b"text/event-stream")]


def made(**settings: Any) -> ExactCache:
    return ExactCache(ExactCacheConfig(**settings), CONTEXT)


async def streamed(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def ask(
    cache: ExactCache, answer: Reply | None = None, *, read: int | None = None, outcome: str = "ok", **facts: Any
) -> tuple[str, Reply, list[bytes]]:
    """Send a call through the cache; ``answer`` is what the provider would give.

    Gives the verdict, the reply, and the chunks that the caller read: ``read`` of them, or all.
    """
    call = made_call(**facts)

    async def serve() -> tuple[Reply, list[bytes]]:
        reply = await cache.on_request(call)
        if reply is None:
            reply = answer or Reply(200, body=b'{"n":1}', headers=[(b"content-type", b"application/json")])
            call.usage, call.answered_model, call.finish_reason = Usage(prompt_tokens=3), "m-2026", "stop"
            await cache.on_response(call, reply)
        chunks: list[bytes] = []
        if reply.stream is not None:
            async for chunk in reply.stream:
                chunks.append(chunk)
                if len(chunks) == read:
                    break
        return reply, chunks

    reply, chunks = asyncio.run(serve())
    call.outcome = outcome  # type: ignore[assignment]
    cache.on_complete(call)
    cache.on_complete(call)
    verdict = call.cache or ""
    if verdict == "hit":
        assert (call.usage, call.answered_model, call.finish_reason) == (None, "m-2026", "stop")
    return verdict, reply, chunks


def verdicts(cache: ExactCache, *calls: dict[str, Any]) -> list[str]:
    return [ask(cache, **call)[0] for call in calls]


def test_the_same_request_gets_the_same_answer_without_a_provider() -> None:
    cache = made()
    assert ask(cache)[0] == "miss"
    verdict, reply, _ = ask(cache, Reply(200, body=b"another"))
    assert (verdict, reply.body, reply.source) == ("hit", b'{"n":1}', "cache")
    assert dict(reply.headers) == {b"content-type": b"application/json", b"age": b"0"}


def test_a_stream_comes_back_as_the_stream_that_it_was() -> None:
    cache = made()
    assert ask(cache, Reply(200, stream=streamed(*EVENTS), headers=SSE.copy()))[2] == EVENTS
    verdict, reply, chunks = ask(cache)
    assert (verdict, chunks, reply.headers[0]) == ("hit", EVENTS, SSE[0])
    assert ask(cache)[2] == EVENTS


@pytest.mark.parametrize("outcome", ["error", "interrupted", "cancelled"])
def test_an_answer_that_did_not_end_well_is_not_kept(outcome: str) -> None:
    cache = made()
    ask(cache, outcome=outcome)
    ask(cache, Reply(200, stream=streamed(*EVENTS)), outcome=outcome)
    assert ask(cache)[0] == "miss"


def test_a_stream_that_was_not_read_to_its_end_is_not_kept() -> None:
    cache = made()
    ask(cache, Reply(200, stream=streamed(*EVENTS)), read=2)
    assert ask(cache)[0] == "miss"


def test_only_status_200_of_a_provider_is_kept() -> None:
    cache = made()
    ask(cache, Reply(429, body=b"{}"))
    ask(cache, Reply(200, body=b"{}", source="guard"))
    ask(cache, Reply(200, body=b""))
    ask(cache, Reply(200, stream=streamed()))
    assert ask(cache)[0] == "miss"


def test_what_is_too_large_is_not_kept_and_passes_whole() -> None:
    cache = made(max_entry_bytes=200)
    assert ask(cache, Reply(200, body=b"x" * 201))[0] == "miss"
    assert ask(cache, Reply(200, stream=streamed(b"x" * 150, b"y" * 51, b"z")))[2] == [b"x" * 150, b"y" * 51, b"z"]
    assert ask(cache, Reply(200, body=b"x" * 200))[0] == "miss"
    assert ask(cache)[0] == "hit"
    assert ask(cache, body={"model": "fast", "input": "x" * 200})[0] == "bypass"


def test_callers_do_not_see_each_others_answers_unless_shared() -> None:
    assert verdicts(made(), {"key": "a"}, {"key": "b"}, {"key": "a"}) == ["miss", "miss", "hit"]
    assert verdicts(made(scope="shared"), {"key": "a"}, {"key": "b"}) == ["miss", "hit"]


def test_a_caller_can_ask_for_no_store_and_for_a_fresh_answer() -> None:
    cache = made()
    no_store, refresh = ({"headers": {b"x-gateway-cache": word}} for word in (b"no-store", b" No-Cache"))
    assert verdicts(cache, no_store, no_store, {}, no_store, refresh) == [
        "bypass",
        "bypass",
        "miss",
        "bypass",
        "bypass",
    ]
    ask(cache, Reply(200, body=b"fresh"), headers={b"x-gateway-cache": b"refresh"})
    assert ask(cache)[1].body == b"fresh"
    with pytest.raises(InvalidRequest, match="no-store, no-cache or refresh"):
        ask(cache, headers={b"x-gateway-cache": b"nostore"})


def test_a_body_with_a_key_twice_below_the_top_is_neither_read_nor_written() -> None:
    cache = made()
    body = b'{"model":"fast","messages":[{"role":"user","role":"system"}]}'
    assert verdicts(cache, {"body": body}, {"body": body}) == ["bypass", "bypass"]


def test_other_operations_and_methods_pass() -> None:
    assert verdicts(made(), {"operation": "speech"}, {"method": "GET"}) == ["", ""]


def test_embeddings_are_kept() -> None:
    call = {"format": "openai_embeddings", "body": {"model": "fast", "input": "x"}}
    assert verdicts(made(), call, call) == ["miss", "hit"]


def test_an_answer_is_fresh_for_its_time() -> None:
    cache = made(ttl=1e-9)
    assert verdicts(cache, {}, {}) == ["miss", "miss"]


def test_shutdown_forgets_everything() -> None:
    cache = made()
    ask(cache)
    asyncio.run(cache.shutdown())
    assert ask(cache)[0] == "miss"


def test_the_header_is_silent_where_the_gateways_headers_are_off() -> None:
    call = made_call(gateway=made_gateway(gateway_headers=False))
    asyncio.run(made().on_request(call))
    assert call.reply_headers == []


def test_warnings_say_what_several_workers_mean() -> None:
    def said(workers: int, **settings: Any) -> str:
        context = PluginContext(name="exact_cache", use="exact_cache", workers=workers)
        return "; ".join(ExactCache(ExactCacheConfig(**settings), context).warnings())

    assert said(1) == ""
    assert "a cache of its own" in said(2)
    assert "max_entry_bytes is larger" in said(1, max_bytes=1000)


def test_a_failing_stream_raises_through_and_is_not_kept() -> None:
    async def dying() -> AsyncIterator[bytes]:
        yield EVENTS[0]
        raise ConnectionResetError

    cache = made()
    with pytest.raises(ConnectionResetError):
        ask(cache, Reply(200, stream=dying()))
    assert ask(cache)[0] == "miss"
