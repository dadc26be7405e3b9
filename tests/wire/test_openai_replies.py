"""What real providers answered on chat completions: whole replies, errors, and what OpenAI's own types say of ours."""

from __future__ import annotations

import json

import pytest
from openai.types.chat import ChatCompletion

from gateway.errors import UpstreamRejected
from gateway.format import Dropped
from gateway.protocol import ToolCall
from gateway_plugins.formats.openai_chat import OpenAIChat
from tests.wire import recordings
from tests.wire.openai_meaning import reply_meaning

WHOLE = [file for file in recordings.files("chat", stream=False, good=True) if not file.startswith("cohere/")]
REFUSED = [file for file in recordings.files("chat", good=False) if not file.startswith("cohere/")]
# A refusal by Azure's filter under status 200.
FILTERED = "azure/chat-018.json"
OPENAI_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")


@recordings.each_of(WHOLE)
def test_a_recorded_reply_is_read_and_written_by_meaning(file: str) -> None:
    exchange = recordings.load(file)
    chat = OpenAIChat()
    if file == FILTERED:
        with pytest.raises(UpstreamRejected) as caught:
            chat.read_reply(exchange.response_body)
        assert caught.value.kind == "content_filter"
        return
    dropped = Dropped()
    written = json.loads(chat.write_reply(chat.read_reply(exchange.response_body), dropped))
    assert dropped.reasons == {}
    assert reply_meaning(written) == reply_meaning(json.loads(exchange.response_body))
    if written.get("service_tier") not in OPENAI_TIERS:
        written.pop("service_tier", None)  # OpenRouter tells the tiers of its own upstreams
    ChatCompletion.model_validate(written)


@recordings.each_of(WHOLE)
def test_the_facts_of_a_recorded_reply_are_those_of_its_full_decoding(file: str) -> None:
    body = recordings.load(file).response_body
    chat = OpenAIChat()
    facts = chat.read_facts(body)
    if file == FILTERED:
        assert facts.error is not None
        return
    reply = chat.read_reply(body)
    assert (facts.model, facts.usage) == (reply.model, reply.usage)
    forced = any(isinstance(part, ToolCall) for part in reply.choices[0].content)
    assert facts.finish_reason == reply.choices[0].finish_reason or forced


@recordings.each_of([file for file in WHOLE if file != FILTERED])
def test_a_recorded_reply_of_another_origin_is_valid_for_openais_client(file: str) -> None:
    reply = OpenAIChat().read_reply(recordings.load(file).response_body)
    reply.origin = "anthropic_messages"
    dropped = Dropped()
    ChatCompletion.model_validate_json(OpenAIChat().write_reply(reply, dropped))
    assert set(reply.extra) <= dropped.reasons.keys()


@recordings.each_of(REFUSED)
def test_a_recorded_error_is_understood_and_written_again(file: str) -> None:
    exchange = recordings.load(file)
    chat = OpenAIChat()
    error = chat.read_error(exchange.status, exchange.response_headers, exchange.response_body)
    assert error.status == exchange.status
    said = json.loads(exchange.response_body)["error"]
    assert error.message.startswith(said["message"])
    assert error.param == said.get("param")
    if isinstance(said.get("code"), str):
        assert error.code == said["code"]
    expected = {401: ("authentication",), 404: ("model_not_found",), 429: ("rate_limit",)}
    assert error.kind in expected.get(exchange.status, ("invalid_request", "unsupported"))
    written = json.loads(chat.write_error(error, "req_1"))["error"]
    assert written.keys() == {"message", "type", "param", "code"}
    assert written["message"] == error.message
