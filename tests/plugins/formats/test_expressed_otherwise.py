"""What a target has no word for is said in another way where there is one, and named where there is none."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.format import Dropped, Format, Traits
from gateway.protocol import (
    CacheControl,
    ChatReply,
    ChatRequest,
    Choice,
    Media,
    Message,
    Part,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from gateway.protocol.unroll import events_of
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.cohere_chat import CohereChat
from gateway_plugins.formats.gemini import Gemini
from gateway_plugins.formats.ollama_chat import OllamaChat
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_completions import OpenAICompletions

FUNCTIONS_ONLY = [CohereChat(), OllamaChat()]
PATCH = Tool(kind="custom", name="patch", description="Edits.", grammar={"syntax": "lark", "definition": "start: X"})
CALL = ToolCall(id="c", name="patch", arguments='a "b"', kind="custom")


def written(form: Format, request: ChatRequest) -> tuple[dict[str, Any], dict[str, str]]:
    dropped = Dropped()
    body: dict[str, Any] = json.loads(form.write_request(request, Traits(), dropped))
    return body, dropped.reasons


def asked(*parts: Part, **fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=[Message(role="user", content=list(parts))], **fields)


@pytest.mark.parametrize("form", FUNCTIONS_ONLY, ids=lambda form: form.name)
def test_a_custom_tool_goes_out_as_a_function_and_so_do_its_calls(form: Format) -> None:
    turns = [Message(role="user", content=[Text(text="Go.")]), Message(role="assistant", content=[CALL])]
    body, dropped = written(form, ChatRequest(model="m", messages=turns, tools=[PATCH]))
    function = body["tools"][0]["function"]
    assert function["name"] == "patch"
    assert function["parameters"]["required"] == ["input"]
    assert "start: X" in function["description"]
    said = body["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert (json.loads(said) if isinstance(said, str) else said) == {"input": 'a "b"'}
    assert dropped == {"tools[0].type": 'sent as a function whose one argument "input" is the text'}


@pytest.mark.parametrize("form", [*FUNCTIONS_ONLY, OpenAIChat(), OpenAICompletions()], ids=lambda form: form.name)
def test_a_document_of_text_is_text_behind_its_title_and_another_is_not(form: Format) -> None:
    csv = base64.b64encode("a,ü".encode()).decode()
    for media in (Media(kind="document", text="a,ü", name="T"), Media(kind="document", data=csv, name="T")):
        media.media_type = "text/csv"
        body, dropped = written(form, asked(media))
        assert "T\n\na,ü" in json.dumps(body, ensure_ascii=False).replace("\\n", "\n")
        assert dropped == {}
    for data, kind in (("//79", "text/plain"), ("JVBERi0=", "application/pdf")):
        body, dropped = written(form, asked(Text(text="x"), Media(kind="document", data=data, media_type=kind)))
        assert "messages[0].content[1]" in dropped or data in json.dumps(body)


@pytest.mark.parametrize("form", FUNCTIONS_ONLY, ids=lambda form: form.name)
def test_the_name_of_a_schema_is_its_title_unless_it_has_one(form: Format) -> None:
    for schema, title in (({"type": "object"}, "person"), ({"type": "object", "title": "Own"}, "Own")):
        wanted = ResponseFormat(type="json_schema", name="person", description="One.", schema=schema)
        body, dropped = written(form, asked(Text(text="x"), response_format=wanted))
        sent = body["format"] if "format" in body else body["response_format"]["json_schema"]
        assert sent == {"title": title, "description": "One.", "type": "object"}
        assert dropped == {}


def test_a_prompt_names_what_it_cannot_say_of_a_conversation() -> None:
    failed = ToolResult(tool_call_id="c", content=[Text(text="no")], is_error=True)
    turns = [
        Message(role="user", name="Ann", content=[Text(text="Hi.", cache_control=CacheControl(), extra={"new": 1})]),
        Message(role="tool", content=[failed], extra={"more": 2}),
    ]
    body, dropped = written(OpenAICompletions(), ChatRequest(model="m", messages=turns))
    assert body["prompt"] == "User: Hi.\n\nTool: no\n\nAssistant:"
    assert dropped.keys() == {
        "messages",
        "messages[0].name",
        "messages[0].content[0].cache_control",
        "messages[0].content[0].new",
        "messages[1].more",
        "messages[1].content[0].is_error",
    }


@pytest.mark.parametrize(
    ("form", "path"),
    [(Gemini(), "choices[0].content[0].refusal"), (OpenAICompletions(), "choices[0].message.content[0].refusal")],
    ids=lambda one: getattr(one, "name", ""),
)
def test_a_refusal_told_as_text_is_named_whole_and_streamed(form: Format, path: str) -> None:
    choice = Choice(content=[Refusal(text="No.")], finish_reason="stop")
    reply = ChatReply(id="r", model="m", created=1, choices=[choice])
    whole, streamed = Dropped(), Dropped()
    assert b"No." in form.write_reply(reply, whole, ChatRequest(model="m"))
    writer = form.stream_writer(ChatRequest(model="m"), streamed)
    assert b"No." in b"".join(writer.write(event) for event in events_of(reply))
    assert path in whole.reasons.keys() & streamed.reasons.keys()


def test_tokens_counted_twice_as_read_and_written_do_not_exceed_the_prompt() -> None:
    usage = Usage(prompt_tokens=10, cache_read_tokens=8, cache_write_tokens=8, cache_write_1h_tokens=8)
    reply = ChatReply(id="r", model="m", choices=[Choice(finish_reason="stop")], usage=usage)
    told = json.loads(AnthropicMessages().write_reply(reply, Dropped()))["usage"]
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    assert [told[name] for name in names] == [0, 8, 2]
    assert told["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2}


def test_a_system_prompt_alone_is_the_users_turn_at_gemini_and_named() -> None:
    only = [Message(role="developer", content=[Text(text="Be brief.")])]
    body, dropped = written(Gemini(), ChatRequest(model="m", messages=only))
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Be brief."}]}]
    assert "messages[0].role" in dropped
