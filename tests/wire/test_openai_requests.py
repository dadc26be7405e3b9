"""What vendors' SDKs sent to chat completions: read, and written for a provider of the same format, by meaning."""

from __future__ import annotations

import json

import pytest

from gateway.errors import InvalidRequest
from gateway.format import Dropped, Traits
from gateway_plugins.formats.openai_chat import OpenAIChat
from tests.wire import recordings
from tests.wire.openai_meaning import request_meaning

# Refused by the provider too: no message at all.
EMPTY = "openai/chat-075.json"
# Cohere's /v2/chat is another format under the same name.
CHATS = [file for file in recordings.files("chat") if not file.startswith("cohere/")]


@recordings.each_of(CHATS)
def test_a_recorded_request_comes_back_by_meaning_and_without_a_loss(file: str) -> None:
    exchange = recordings.load(file)
    chat = OpenAIChat()
    if file == EMPTY:
        with pytest.raises(InvalidRequest) as caught:
            chat.read_request(exchange.request_body)
        assert caught.value.param == "messages"
        return
    dropped = Dropped()
    request = chat.read_request(exchange.request_body)
    written = json.loads(chat.write_request(request, Traits(), dropped))
    expected = request_meaning(exchange.request_json)
    assert request_meaning(written) == {"model": "", **expected}
    assert dropped.reasons == {}


@recordings.each_of([file for file in CHATS if file != EMPTY])
def test_a_recorded_request_of_another_origin_loses_only_what_is_named(file: str) -> None:
    chat = OpenAIChat()
    request = chat.read_request(recordings.load(file).request_body)
    request.origin = "anthropic_messages"
    dropped = Dropped()
    written = chat.read_request(chat.write_request(request, Traits(), dropped))
    for name in ("temperature", "top_p", "max_tokens", "seed", "stop", "response_format", "parallel_tool_calls", "n"):
        assert getattr(written, name) == getattr(request, name)
    said = [message.text() for message in request.messages if message.text()]
    assert [message.text() for message in written.messages if message.text()][: len(said)] == said
    assert set(request.extra) <= dropped.reasons.keys()
