"""Tokens counted through the gateway: by Anthropic where it is asked, by a rule of thumb where nobody offers to."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.needs import TOKENS_PER_ATTACHMENT
from gateway.protocol import ChatRequest, Media, Message, Opaque, Text, Thinking, Tool, ToolCall, ToolResult
from gateway.testing import ScriptedProvider, running_gateway
from gateway_plugins.formats.anthropic_carrier import MARK
from gateway_plugins.formats.anthropic_reply import thinking_block
from gateway_plugins.routing.estimated_count import estimated_tokens
from tests.plugins.upstream import provider_table

PATH = "/v1/messages/count_tokens"
ASK: dict[str, Any] = {"model": "claude", "messages": [{"role": "user", "content": "How many words are these?"}]}
TABLES = """
[plugins.claude_box]
use = "anthropic"
base_url = "{url}"
api_key = "sk-ant-invented"

[models.claude]
targets = ["claude_box/claude-sonnet-5"]

[models.both]
targets = ["up/m", "claude_box/claude-sonnet-5"]

[models.other]
targets = ["up/m"]
"""


def tables(provider: ScriptedProvider) -> str:
    return provider_table(provider) + TABLES.format(url=provider.url)


def test_anthropic_counts_what_it_is_asked() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json={"input_tokens": 14})
        with running_gateway(tables(provider)) as gateway:
            answer = gateway.post(PATH, json=ASK, headers={"anthropic-beta": "token-counting-2024-11-01"})
    assert answer.status == 200
    assert answer.json() == {"input_tokens": 14}
    assert "x-gateway-estimated" not in answer.headers
    (sent,) = provider.requests
    assert sent.path == PATH
    assert sent.headers["anthropic-beta"] == "token-counting-2024-11-01"
    assert sent.json() == {**ASK, "model": "claude-sonnet-5"}


def test_thinking_carried_for_others_never_reaches_anthropic() -> None:
    carried = thinking_block(Thinking(text="hm", signature="s", origin="gemini"))
    turn = [*ASK["messages"], {"role": "assistant", "content": [carried, {"type": "text", "text": "six"}]}]
    usage = {"input_tokens": 14, "output_tokens": 0}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    with ScriptedProvider() as provider:
        provider.reply(json={"input_tokens": 14})
        provider.reply(json={**message, "stop_reason": "end_turn"})
        with running_gateway(TABLES.partition("[models.both]")[0].format(url=provider.url)) as gateway:
            gateway.post(PATH, json={**ASK, "messages": turn})
            gateway.post("/v1/messages", json={**ASK, "messages": turn, "max_tokens": 5})
    assert len(provider.requests) == 2
    assert not [sent for sent in provider.requests if MARK.encode() in sent.body]


def test_a_model_of_several_targets_is_counted_by_the_one_that_can() -> None:
    with ScriptedProvider() as provider:
        provider.reply(json={"input_tokens": 14})
        with running_gateway(tables(provider)) as gateway:
            answer = gateway.post(PATH, json={**ASK, "model": "both"})
    assert answer.json() == {"input_tokens": 14}


def test_a_model_that_nobody_counts_for_is_estimated_and_says_so() -> None:
    with ScriptedProvider() as provider, running_gateway(tables(provider)) as gateway:
        answer = gateway.post(PATH, json={**ASK, "model": "other"})
        wrong = gateway.post(PATH, json={**ASK, "model": "other", "messages": "x"})
        gateway.reload(tables(provider) + "\n[plugins.estimated_count]\nenabled = false\n")
        refused = gateway.post(PATH, json={**ASK, "model": "other"})
    assert not provider.requests
    assert answer.status == 200
    assert answer.headers["x-gateway-estimated"] == "1"
    assert answer.json() == {"input_tokens": 11}
    assert wrong.status == 400
    assert refused.status == 400
    assert refused.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("word" * 10, 10), ("日本語", 3), ("mixed 日", 3), ("Привет", 4)]
)
def test_text_is_estimated_by_its_script(text: str, tokens: int) -> None:
    one = ChatRequest(model="m", messages=[Message(role="user", content=[Text(text=text)])])
    assert estimated_tokens(one) == tokens + 4


def test_everything_that_a_model_reads_counts() -> None:
    def count(*parts: Any, **more: Any) -> int:
        return estimated_tokens(ChatRequest(model="m", messages=[Message(role="user", content=[*parts])], **more))

    nothing = count()
    assert count(Media(kind="image", data="A" * 100_000)) - nothing == TOKENS_PER_ATTACHMENT
    assert count(Media(kind="document", text="word" * 9)) - nothing == 9
    assert count(Thinking(text="word")) > nothing
    assert count(ToolCall(id="a", name="f", arguments="{}")) > nothing
    assert count(ToolResult(tool_call_id="a", content=[Text(text="word")])) > nothing
    assert count(Opaque(origin="x", type="y", value={"a": 1})) > nothing
    tool = Tool(name="f", description="What it does.", parameters={"type": "object"})
    assert count(tools=[tool]) > nothing
