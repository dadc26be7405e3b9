"""Tokens of Entra ID: when they are fetched anew, and what happens where that fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.errors import UpstreamRejected
from gateway.testing import ScriptedProvider
from gateway_plugins.providers.entra import AHEAD, ClientSecret, Tokens


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def token(name: str, **more: Any) -> dict[str, Any]:
    return {"access_token": name, "expires_in": 3600, **more}


def tokens_of(service: ScriptedProvider, clock: Clock) -> Tokens:
    return Tokens(ClientSecret(service.url, "t", "c", "s", "scope"), clock)


def test_a_token_is_replaced_ahead_of_its_end() -> None:
    async def run(service: ScriptedProvider) -> None:
        clock = Clock()
        tokens = tokens_of(service, clock)
        assert await tokens.get() == "one"
        clock.now += 3600 - AHEAD - 1
        assert await tokens.get() == "one"
        clock.now += 2
        assert await tokens.get() == "two"
        await tokens.close()

    with ScriptedProvider() as service:
        service.reply(json=token("one"))
        service.reply(json=token("two"))
        asyncio.run(run(service))


def test_a_good_token_is_kept_while_its_replacement_fails() -> None:
    async def run(service: ScriptedProvider) -> None:
        clock = Clock()
        tokens = tokens_of(service, clock)
        await tokens.get()
        clock.now += 3600 - AHEAD + 1
        assert await tokens.get() == "one"
        clock.now += AHEAD
        with pytest.raises(UpstreamRejected) as refusal:
            await tokens.get()
        assert (refusal.value.kind, refusal.value.can_retry) == ("overloaded", True)
        await tokens.close()

    with ScriptedProvider() as service:
        service.reply(json=token("one"))
        service.default_reply(status=503, body=b"")
        asyncio.run(run(service))


def test_a_caller_that_leaves_during_a_fetch_leaves_nothing_locked() -> None:
    async def run(service: ScriptedProvider) -> None:
        tokens = tokens_of(service, Clock())
        leaving = asyncio.create_task(tokens.get())
        await asyncio.to_thread(service.wait_for_requests, 1)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await tokens.get() == "two"
        await tokens.close()

    with ScriptedProvider() as service:
        service.reply(json=token("one"), delay=5.0)
        service.reply(json=token("two"))
        asyncio.run(run(service))
