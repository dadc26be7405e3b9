"""A built-in model that says what it hears: to try a client, a plugin or a configuration without a key."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, ClassVar

from gateway.call import Call
from gateway.config import Timeouts
from gateway.errors import GatewayError, ModelNotFound
from gateway.format import Dropped, Format
from gateway.plugin import PluginContext
from gateway.protocol import ChatReply, ChatRequest, PartDelta
from gateway.provider import Provider, ProviderConfig
from gateway.upstream import UpstreamReply, UpstreamRequest
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_embeddings import OpenAIEmbeddings
from gateway_plugins.providers import echo_chat, echo_embeddings
from gateway_plugins.providers.echo_text import words

_CHAT = OpenAIChat()
_EMBEDDINGS = OpenAIEmbeddings()


class Echo(Provider):
    """Answers with the caller's last message, word by word; opens no connection.

    It calls a tool whose name the message holds, or that it must call; it gives a valid instance of a json_schema; it
    makes embeddings. docs/providers.md says it all.
    """

    class Config(ProviderConfig, frozen=True, kw_only=True):
        """``models`` are the names it answers to; ``delay`` is the pause between two words, in seconds."""

        models: tuple[str, ...] = ("echo",)
        delay: float = 0.0

    formats: ClassVar[Mapping[str, tuple[str | Format, ...]]] = {
        "chat": ("openai_chat",),
        "embeddings": ("openai_embeddings",),
    }

    def __init__(self, config: Any, context: PluginContext) -> None:
        super().__init__(config, context)
        self.models = config.models

    def warnings(self) -> list[str]:
        """A setting that has no meaning for a model that is built in."""
        unused = [name for name in ("base_url", "api_key") if getattr(self.config, name) is not None]
        return [f"{name}: the echo model is built in and needs none" for name in unused]

    async def send(self, call: Call, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        """The model's answer; an error is an answer of its own, as from any provider."""
        try:
            if request.path == self.paths[_EMBEDDINGS.name]:
                return await self._embed(request.body)
            return await self._chat(request.body)
        except GatewayError as error:
            return EchoReply(error.status, _CHAT.write_error(error, call.id))

    async def _chat(self, body: bytes) -> UpstreamReply:
        request = _CHAT.read_request(body)
        self._check_model(request.model)
        answer = partial(echo_chat.answer, request, f"chatcmpl-{_random_id()}", lambda: f"call_{_random_id()}")
        # A caller's schema may take a while to satisfy, which other calls must not wait for.
        reply = await asyncio.to_thread(answer) if request.tools or request.response_format else answer()
        reply.created = int(time.time())
        if request.stream:
            return EchoReply(200, stream=_streamed(request, reply, self.config.delay))
        if self.config.delay:
            texts = (getattr(part, "text", "") for choice in reply.choices for part in choice.content)
            await asyncio.sleep(self.config.delay * sum(len(words(text)) for text in texts))
        return EchoReply(200, _CHAT.write_reply(reply, Dropped()))

    async def _embed(self, body: bytes) -> UpstreamReply:
        request = _EMBEDDINGS.read_request(body)
        self._check_model(request.model)
        dimensions = echo_embeddings.check(request)
        vectors = []
        for text in request.input:
            vectors.append(echo_embeddings.vector(text, dimensions))
            await asyncio.sleep(0)  # a long list must not hold up other calls
        return EchoReply(200, _EMBEDDINGS.write_reply(echo_embeddings.reply_of(request, vectors), Dropped()))

    def _check_model(self, model: str) -> None:
        if model not in self.models:
            known = ", ".join(self.models)
            raise ModelNotFound(f"The model {model!r} does not exist; this provider has {known}.", param="model")


async def _streamed(request: ChatRequest, reply: ChatReply, delay: float) -> AsyncIterator[bytes]:
    writer = _CHAT.stream_writer(request)
    first = True
    for event in echo_chat.events(reply, top_logprobs=(request.top_logprobs or 0) if request.logprobs else None):
        if isinstance(event, PartDelta):
            if not first:
                # Even without a delay the others get their turn.
                await asyncio.sleep(delay)
            first = False
        data = writer.write(event)
        if data:
            yield data


class EchoReply(UpstreamReply):
    """An answer that was never on a wire: ``body`` whole, or ``stream``."""

    def __init__(self, status: int, body: bytes = b"", *, stream: AsyncIterator[bytes] | None = None) -> None:
        self.status = status
        self.headers = {"content-type": "application/json" if stream is None else "text/event-stream"}
        self._body = body
        self._stream = stream

    async def read(self) -> bytes:
        """The whole body."""
        if self._stream is not None:
            self._body += b"".join([chunk async for chunk in self._stream])
        return self._body

    def chunks(self) -> AsyncIterator[bytes]:
        """The words as they come; a whole body in one."""
        return _once(self._body) if self._stream is None else self._stream

    def close(self) -> None:
        """Nothing is open."""


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _random_id() -> str:
    return os.urandom(12).hex()
