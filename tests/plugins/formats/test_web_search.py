"""Searching the web at the provider: the tool in each format's words, and the pages that an answer cites."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.format import Dropped, Format, Traits
from gateway.jsonbody import JsonObject
from gateway.loading import load_format
from gateway.protocol import ChatReply, ChatRequest, Message, Text
from gateway.protocol.unroll import events_of
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from tests.wire.anthropic_types import check_message, check_stream_events

PAGE = {"url": "https://a.example/", "title": "A"}
SEARCHING = Traits(options={"web_search": True})
TURN = [{"role": "user", "content": "hi"}]
GEMINI_TURN = [{"role": "user", "parts": [{"text": "hi"}]}]

ASKS: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "m", "messages": TURN, "web_search_options": {}},
    "openai_responses": {"model": "m", "input": "hi", "tools": [{"type": "web_search"}]},
    "anthropic_messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": TURN,
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    },
    "gemini": {"contents": GEMINI_TURN, "tools": [{"googleSearch": {}}]},
}
SAID: dict[str, Any] = {
    "openai_chat": ("web_search_options", {}),
    "openai_responses": ("tools", [{"type": "web_search"}]),
    "anthropic_messages": ("tools", [{"type": "web_search_20250305", "name": "web_search"}]),
    "gemini": ("tools", [{"googleSearch": {}}]),
}

REPLIES: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": "It is so.",
                    "annotations": [
                        {"type": "url_citation", "url_citation": {**PAGE, "start_index": 0, "end_index": 9}}
                    ],
                },
            }
        ],
    },
    "openai_responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "m",
        "output": [
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {
                        "type": "output_text",
                        "text": "It is so.",
                        "annotations": [{"type": "url_citation", **PAGE, "start_index": 0, "end_index": 9}],
                    }
                ],
            },
        ],
    },
    "anthropic_messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
        "content": [
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            {
                "type": "text",
                "text": "It is so.",
                "citations": [
                    {"type": "web_search_result_location", **PAGE, "cited_text": "so", "encrypted_index": "e"}
                ],
            },
        ],
    },
    "gemini": {
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": "It is so."}]},
                "finishReason": "STOP",
                "groundingMetadata": {
                    "groundingChunks": [{"web": {"uri": PAGE["url"], "title": PAGE["title"]}}],
                    "groundingSupports": [
                        {"segment": {"endIndex": 9, "text": "It is so."}, "groundingChunkIndices": [0]}
                    ],
                },
            }
        ],
        "modelVersion": "m",
    },
}


def made(name: str) -> Format:
    return load_format(name)


def asked(body: dict[str, Any], source: str, target: str, traits: Traits = SEARCHING) -> tuple[Any, dict[str, str]]:
    request = made(source).read_request(json.dumps(body).encode())
    assert isinstance(request, ChatRequest)
    request.model = "m"
    dropped = Dropped()
    return json.loads(made(target).write_request(request, traits, dropped)), dropped.reasons


def told(source: str, target: str) -> tuple[Any, dict[str, str]]:
    reply = made(source).read_reply(json.dumps(REPLIES[source]).encode())
    dropped = Dropped()
    request = ChatRequest(model="m", messages=[Message(role="user", content=[Text(text="hi")])], origin=target)
    return json.loads(made(target).write_reply(reply, dropped, request)), dropped.reasons


def cited(name: str, body: Any) -> tuple[str, str]:
    """Address and title of the page that a reply in this format cites."""
    if name == "openai_chat":
        (found,) = body["choices"][0]["message"]["annotations"]
        return found["url_citation"]["url"], found["url_citation"]["title"]
    if name == "openai_responses":
        texts = [part for item in body["output"] if item["type"] == "message" for part in item["content"]]
        (found,) = texts[-1]["annotations"]
        return found["url"], found["title"]
    if name == "anthropic_messages":
        check_message(body)
        (found,) = body["content"][-1]["citations"]
        return found["url"], found["title"]
    (chunk,) = body["candidates"][0]["groundingMetadata"]["groundingChunks"]
    return chunk["web"]["uri"], chunk["web"]["title"]


PAIRS = [(source, target) for source in ASKS for target in ASKS if source != target]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_search_is_asked_for_in_the_targets_words(source: str, target: str) -> None:
    body, lost = asked(ASKS[source], source, target)
    field, value = SAID[target]
    assert body[field] == value
    assert lost == {}


@pytest.mark.parametrize("source", [name for name in ASKS if name != "openai_chat"])
def test_chat_completions_of_a_model_that_does_not_search_names_the_loss(source: str) -> None:
    body, lost = asked(ASKS[source], source, "openai_chat", Traits())
    assert "web_search_options" not in body
    assert list(lost) == ["tools[0]"]


def test_settings_of_a_search_go_along_and_others_are_named() -> None:
    tool = {
        "type": "web_search_20250305",
        "name": "web_search",
        "max_uses": 2,
        "user_location": {"type": "approximate", "city": "Paris", "country": "FR"},
    }
    body, lost = asked({**ASKS["anthropic_messages"], "tools": [tool]}, "anthropic_messages", "openai_chat")
    place = {"type": "approximate", "approximate": {"city": "Paris", "country": "FR"}}
    assert body["web_search_options"] == {"user_location": place}
    assert list(lost) == ["tools[0].max_uses"]
    tool = {"type": "web_search", "search_context_size": "low", "filters": {"allowed_domains": ["a.example"]}}
    body, lost = asked({**ASKS["openai_responses"], "tools": [tool]}, "openai_responses", "openai_chat")
    assert body["web_search_options"] == {"search_context_size": "low"}
    assert list(lost) == ["tools[0].filters"]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_page_that_an_answer_cites_reaches_the_caller(source: str, target: str) -> None:
    body, _ = told(source, target)
    assert cited(target, body) == (PAGE["url"], PAGE["title"])


def test_where_in_the_answer_a_page_is_cited_is_named_for_messages() -> None:
    _, lost = told("openai_chat", "anthropic_messages")
    assert set(lost) == {"content[0].citations.start_index", "content[0].citations.end_index"}


@pytest.mark.parametrize("source", [name for name in REPLIES if name != "anthropic_messages"])
def test_a_stream_of_messages_cites_it_too(source: str) -> None:
    reply = made(source).read_reply(json.dumps(REPLIES[source]).encode())
    assert isinstance(reply, ChatReply)
    writer = AnthropicMessages().stream_writer(None)
    events = check_stream_events(b"".join(map(writer.write, events_of(reply))))
    (found,) = [e["delta"]["citation"] for e in events if e.get("delta", {}).get("type") == "citations_delta"]
    assert (found["type"], found["url"], found["title"]) == ("web_search_result_location", PAGE["url"], PAGE["title"])


def test_anthropic_never_gets_a_citation_that_is_not_its_own() -> None:
    text = told("openai_chat", "anthropic_messages")[0]["content"][0]
    own = REPLIES["anthropic_messages"]["content"][2]["citations"][0]
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [text, {**text, "citations": [*text["citations"], own]}]},
        {"role": "user", "content": "go on"},
    ]
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": turns}).encode()
    wanted = [{"type": "text", "text": "It is so."}, {"type": "text", "text": "It is so.", "citations": [own]}]
    passed = json.loads(AnthropicMessages().lane_patches(JsonObject(body), Traits())["messages"])
    assert passed[1]["content"] == wanted
    written, lost = asked(json.loads(body), "anthropic_messages", "anthropic_messages", Traits())
    assert written["messages"][1]["content"] == wanted
    assert lost == {}
