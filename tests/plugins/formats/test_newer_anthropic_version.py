"""What Anthropic's version 2026-10-21 refuses, said by callers of the older one: it goes on, or it is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.format import Dropped, Traits
from gateway.loading import load_format
from gateway.protocol import ChatRequest

CITED = {"type": "char_location", "cited_text": "x", "document_index": 0, "start_char_index": 0, "end_char_index": 1}
BODY: dict[str, Any] = {
    "model": "m",
    "max_tokens": 9,
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi", "citations": [CITED]}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain words"}},
            ],
        },
        {"role": "user", "content": "go on"},
    ],
}
TARGETS = ("openai_chat", "openai_responses", "gemini", "bedrock_converse", "cohere_chat", "ollama_chat")


def sent(target: str) -> tuple[str, set[str]]:
    request = load_format("anthropic_messages").read_request(json.dumps(BODY).encode())
    assert isinstance(request, ChatRequest)
    dropped = Dropped()
    body = load_format(target).write_request(request, Traits(), dropped)
    return body.decode(), set(dropped.reasons)


@pytest.mark.parametrize("target", TARGETS)
def test_citations_on_a_users_text_are_named_where_they_end(target: str) -> None:
    body, lost = sent(target)
    assert "char_location" not in body
    assert "messages[0].content[0].citations" in lost


@pytest.mark.parametrize("target", TARGETS)
def test_a_document_of_the_assistants_is_said_or_named(target: str) -> None:
    body, lost = sent(target)
    carried = "plain words" in body or "cGxhaW4gd29yZHM" in body
    assert carried != ("messages[1].content[1]" in lost)


@pytest.mark.parametrize("target", ["anthropic_messages", "bedrock_invoke_anthropic"])
def test_claude_gets_both_as_they_came(target: str) -> None:
    body, lost = sent(target)
    assert "char_location" in body
    assert "plain words" in body
    assert lost == set()


def test_what_others_callers_say_is_never_what_the_newer_version_refuses() -> None:
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [{"type": "text", "text": "a"}, file]}]
    body = {"model": "m", "messages": [*turns, {"role": "user", "content": "go on"}]}
    request = load_format("openai_chat").read_request(json.dumps(body).encode())
    dropped = Dropped()
    written = json.loads(load_format("anthropic_messages").write_request(request, Traits(), dropped))
    assert written["messages"][1]["content"] in ("a", [{"type": "text", "text": "a"}])
    assert "messages[1].content[1]" in dropped.reasons
