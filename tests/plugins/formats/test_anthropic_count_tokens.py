"""The count of a prompt's tokens, both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Traits
from gateway.jsonbody import JsonObject
from gateway.protocol import ChatRequest, Message, Text, Thinking, TokenCount, Tool
from gateway_plugins.formats.anthropic_carrier import MARK
from gateway_plugins.formats.anthropic_count_tokens import AnthropicCountTokens
from gateway_plugins.formats.anthropic_reply import thinking_block

FORMAT = AnthropicCountTokens()
ASKED: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "hi"}],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "adaptive"},
    "mcp_servers": [{"name": "x"}],
}


def test_a_request_comes_back_as_it_was() -> None:
    dropped = Dropped()
    request = FORMAT.read_request(json.dumps(ASKED).encode())
    assert json.loads(FORMAT.write_request(request, Traits(), dropped)) == ASKED
    assert not dropped.reasons


def test_what_only_the_answer_needs_is_not_sent() -> None:
    request = ChatRequest(
        model="m",
        messages=[Message(role="user", content=[Text(text="hi")])],
        tools=[Tool(name="f")],
        max_tokens=7,
        temperature=0.5,
        top_k=3,
        stop=["x"],
        user="u",
        service_tier="flex",
        stream=True,
        origin="elsewhere",
    )
    dropped = Dropped()
    written = json.loads(FORMAT.write_request(request, Traits(), dropped))
    assert written.keys() == {"model", "messages", "tools"}
    assert not dropped.reasons


def test_no_limit_is_needed_and_a_wrong_one_refused() -> None:
    assert FORMAT.read_request(json.dumps(ASKED).encode()).max_tokens is None
    with pytest.raises(InvalidRequest):
        FORMAT.read_request(json.dumps({**ASKED, "max_tokens": -1}).encode())


def test_a_count_both_ways() -> None:
    body = b'{"input_tokens": 12, "context_management": {"original_input_tokens": 20}}'
    count = FORMAT.read_reply(body)
    assert count.prompt_tokens == 12
    dropped = Dropped()
    assert json.loads(FORMAT.write_reply(count, dropped)) == json.loads(body)
    assert not dropped.reasons
    foreign = TokenCount(prompt_tokens=5, cached_tokens=3, origin="gemini", extra={"modality": "TEXT"})
    assert json.loads(FORMAT.write_reply(foreign, dropped)) == {"input_tokens": 5}
    assert list(dropped.reasons) == ["cached_tokens", "modality"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"input_tokens": true}', b'{"input_tokens": "\xff"}'])
def test_what_is_no_count_is_the_providers_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        FORMAT.read_reply(body)


def test_an_error_under_a_good_status_is_one() -> None:
    body = b'{"type": "error", "error": {"type": "overloaded_error", "message": "later"}}'
    with pytest.raises(UpstreamRejected, match="later"):
        FORMAT.read_reply(body)
    error = FORMAT.read_facts(body).error
    assert isinstance(error, UpstreamRejected)
    assert error.kind == "overloaded"
    assert FORMAT.read_facts(b'{"input_tokens": 1}').error is None
    assert FORMAT.read_error(404, {}, body).status == 404


def test_thinking_of_others_is_not_counted_at_anthropic() -> None:
    carried = thinking_block(Thinking(text="hm", signature="s", origin="gemini"))
    messages = [{"role": "assistant", "content": [carried, {"type": "text", "text": "a"}]}]
    patches = FORMAT.lane_patches(JsonObject(json.dumps({"messages": messages}).encode()), Traits())
    assert MARK.encode() not in patches["messages"]
    assert FORMAT.patches_whole
