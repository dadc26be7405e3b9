"""Recorded exchanges of the responses API: requests, whole replies and errors, in both directions."""

from __future__ import annotations

import json
from typing import Any

from openai.types.responses import Response

from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, Text, Thinking, ToolCall
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_responses import OpenAIResponses
from gateway_plugins.formats.openai_responses_envelope import ECHOED
from gateway_plugins.formats.openai_responses_more import OpenAIResponsesCompact
from tests.wire import recordings
from tests.wire.responses_meaning import output_meaning, request_meaning

COMPACTED = "openai/responses-059.json"
PENDING = "openai/responses-053.json"
"""A response that was asked for in the background, and is not there yet."""
# Their prompts are stored at OpenAI, so no message is in them.
WITHOUT_WORDS = ("openai/responses-014.json", "openai/responses-015.json", COMPACTED)
ALL = list(recordings.files("responses"))
WHOLE = [file for file in recordings.files("responses", stream=False, good=True) if file != COMPACTED]
REFUSED = list(recordings.files("responses", good=False))
RESPONSES = OpenAIResponses()


def asked(file: str) -> ChatRequest:
    return RESPONSES.read_request(recordings.load(file).request_body)


@recordings.each_of(ALL)
def test_a_recorded_request_comes_back_by_meaning_and_without_a_loss(file: str) -> None:
    exchange = recordings.load(file)
    dropped = Dropped()
    written = json.loads(RESPONSES.write_request(RESPONSES.read_request(exchange.request_body), Traits(), dropped))
    assert request_meaning(written) == request_meaning(exchange.request_json)
    assert dropped.reasons == {}


@recordings.each_of([file for file in ALL if file not in WITHOUT_WORDS])
def test_every_word_and_call_of_a_recorded_request_reaches_another_format(file: str) -> None:
    request = asked(file)
    said = [part.text for m in request.messages for part in m.content if isinstance(part, Text) and part.text.strip()]
    calls = [part.name for m in request.messages for part in m.content if isinstance(part, ToolCall)]
    names = [tool.name for tool in request.tools if tool.kind != "server"]
    # Plain summaries may be given back; what is encrypted is for its own provider only.
    thoughts = sum(isinstance(p, Thinking) and p.encrypted is not None for m in request.messages for p in m.content)
    for form in (OpenAIChat(), AnthropicMessages()):
        dropped = Dropped()
        written = form.read_request(form.write_request(request, Traits(max_tokens_default=9), dropped))
        assert [
            part.text for m in written.messages for part in m.content if isinstance(part, Text) and part.text.strip()
        ][: len(said)] == said
        assert [part.name for m in written.messages for part in m.content if isinstance(part, ToolCall)] == calls
        allowed = request.tool_choice.names if request.tool_choice is not None else []
        # Anthropic has no word for it: only those that are allowed are sent.
        offered = [tool.name for tool in written.tools if tool.kind != "server"]
        assert offered == names or offered == [name for name in names if name in allowed]
        assert len([path for path, why in dropped.reasons.items() if "content[" in path]) >= thoughts
        assert all(field in dropped.reasons for field in request.extra)


@recordings.each_of(WHOLE)
def test_a_recorded_reply_is_read_and_written_by_meaning(file: str) -> None:
    body = recordings.load(file).response_body
    said = json.loads(body)
    dropped = Dropped()
    reply = RESPONSES.read_reply(body)
    written = json.loads(RESPONSES.write_reply(reply, dropped, asked(file)))
    assert dropped.reasons == {}
    assert output_meaning(written["output"]) == output_meaning(said["output"])
    for key in ("id", "object", "created_at", "incomplete_details"):
        assert written[key] == said[key]
    if file != PENDING:
        assert written["status"] == said["status"]
        usage = {"output_tokens_details": {}, "input_tokens_details": {}, **(said["usage"] or {})}
        for key in ("input_tokens", "output_tokens", "total_tokens"):
            assert written["usage"][key] == usage[key]
        for key in ("input_tokens_details", "output_tokens_details"):
            assert written["usage"][key].items() >= usage[key].items()
    beside = {key: value for key, value in said.items() if key not in ECHOED and value is not None}
    assert written.items() >= beside.items()
    Response.model_validate(written)


@recordings.each_of([file for file in WHOLE if file != PENDING])
def test_the_facts_of_a_recorded_reply_are_those_of_its_full_decoding(file: str) -> None:
    body = recordings.load(file).response_body
    reply, facts = RESPONSES.read_reply(body), RESPONSES.read_facts(body)
    assert (facts.model, facts.usage, facts.finish_reason) == (reply.model, reply.usage, reply.choices[0].finish_reason)
    assert facts.service_tier == reply.service_tier
    assert facts.error is None


@recordings.each_of([file for file in WHOLE if file != PENDING])
def test_a_recorded_reply_reaches_callers_of_other_dialects(file: str) -> None:
    from anthropic.types import Message
    from openai.types.chat import ChatCompletion

    reply = RESPONSES.read_reply(recordings.load(file).response_body)
    words = "".join(part.text for part in reply.choices[0].content if isinstance(part, Text))
    calls = [part.name for part in reply.choices[0].content if isinstance(part, ToolCall)]
    chat: dict[str, Any] = json.loads(OpenAIChat().write_reply(reply, Dropped()))
    ChatCompletion.model_validate(chat)
    message = chat["choices"][0]["message"]
    assert (message["content"] or "") == words
    assert [(call.get("function") or call["custom"])["name"] for call in message.get("tool_calls", [])] == calls
    claude: dict[str, Any] = json.loads(AnthropicMessages().write_reply(reply, Dropped()))
    Message.model_validate(claude)
    assert "".join(block["text"] for block in claude["content"] if block["type"] == "text") == words
    assert [block["name"] for block in claude["content"] if block["type"] == "tool_use"] == calls
    assert claude["usage"]["output_tokens"] == (reply.usage.completion_tokens if reply.usage else 0)


@recordings.each_of(REFUSED)
def test_a_recorded_error_is_understood(file: str) -> None:
    exchange = recordings.load(file)
    error = RESPONSES.read_error(exchange.status, exchange.response_headers, exchange.response_body)
    assert error.status == exchange.status
    assert error.kind == ("authentication" if exchange.status == 401 else "invalid_request")
    assert error.message.startswith(json.loads(exchange.response_body)["error"]["message"][:20])


@recordings.each_of([file for file in ALL if file == COMPACTED])
def test_a_recorded_compaction_is_known_by_its_usage(file: str) -> None:
    body = recordings.load(file).response_body
    usage = OpenAIResponsesCompact().read_facts(body).usage
    assert usage is not None
    assert usage.total_tokens == json.loads(body)["usage"]["total_tokens"]


@recordings.each("chat", provider="openai", good=True)
def test_recorded_chat_exchanges_reach_the_responses_api_and_its_callers(file: str) -> None:
    """Chat callers with a responses target, and responses callers with a chat target."""
    exchange = recordings.load(file)
    chat = OpenAIChat()
    request = chat.read_request(exchange.request_body)
    dropped = Dropped()
    written = RESPONSES.read_request(RESPONSES.write_request(request, Traits(), dropped))
    said = [part.text for m in request.messages for part in m.content if isinstance(part, Text) and part.text]
    assert [part.text for m in written.messages for part in m.content if isinstance(part, Text) and part.text] == said
    assert [tool.name for tool in written.tools if tool.kind != "server"] == [
        tool.name for tool in request.tools if tool.kind != "server"
    ]
    for name in ("temperature", "top_p", "max_tokens", "parallel_tool_calls", "verbosity", "prompt_cache_key"):
        assert getattr(written, name) == getattr(request, name)
    for name in ("seed", "stop", "logit_bias", "prediction"):
        assert getattr(request, name) in (None, []) or name in dropped.reasons
    if exchange.stream:
        return
    reply = chat.read_reply(exchange.response_body)
    response = json.loads(RESPONSES.write_reply(reply, Dropped(), request))
    Response.model_validate(response)
    again = RESPONSES.read_reply(json.dumps(response).encode())
    first = reply.choices[0]
    assert [p.text for p in again.choices[0].content if isinstance(p, Text)] == [
        p.text for p in first.content if isinstance(p, Text) and p.text
    ]
    assert [(p.id, p.name, p.kind) for p in again.choices[0].content if isinstance(p, ToolCall)] == [
        (p.id, p.name, p.kind) for p in first.content if isinstance(p, ToolCall)
    ]
