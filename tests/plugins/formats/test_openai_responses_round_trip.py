"""For any request that the responses API can say: through the normalised protocol and back, it is what it was."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.format import Dropped, Traits
from gateway.protocol import Text, ToolCall
from gateway_plugins.formats.anthropic_messages import AnthropicMessages
from gateway_plugins.formats.openai_chat import OpenAIChat
from gateway_plugins.formats.openai_responses import OpenAIResponses
from tests.wire.responses_meaning import request_meaning

RESPONSES = OpenAIResponses()
WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8)
NAME = st.from_regex(r"[a-z]{1,8}", fullmatch=True)


def made(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields)


def some(kind: str, needed: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **needed}, optional=optional)


INPUT_PART = st.one_of(
    some("input_text", {"text": WORD}),
    some("input_image", {"image_url": st.just("https://x/a.png"), "detail": st.sampled_from(["auto", "low"])}),
    some("input_image", {"image_url": st.just("data:image/png;base64,iVBORw0K")}),
    some("input_file", {"file_data": st.just("data:application/pdf;base64,JVBERi0x"), "filename": WORD}),
    some("input_file", {"file_id": WORD}),
)
OUTPUT_PART = st.one_of(
    some("output_text", {"text": WORD, "annotations": st.just([])}),
    some("refusal", {"refusal": WORD}),
)
ITEM = st.one_of(
    some(
        "message",
        {
            "role": st.sampled_from(["user", "system", "developer"]),
            "content": WORD | st.lists(INPUT_PART, min_size=1, max_size=3),
        },
        id=WORD,
        status=st.just("completed"),
    ),
    some(
        "message",
        {"role": st.just("assistant"), "content": WORD | st.lists(OUTPUT_PART, min_size=1, max_size=3)},
        id=WORD,
        phase=st.sampled_from(["commentary", "final_answer"]),
    ),
    some(
        "reasoning",
        {"summary": st.lists(made(type=st.just("summary_text"), text=WORD), max_size=3)},
        id=WORD,
        encrypted_content=WORD,
        content=st.lists(made(type=st.just("reasoning_text"), text=WORD), min_size=1, max_size=2),
    ),
    some("function_call", {"call_id": WORD, "name": NAME, "arguments": st.just('{"a":1}')}, id=WORD, status=WORD),
    some("custom_tool_call", {"call_id": WORD, "name": NAME, "input": WORD}, id=WORD),
    some("function_call_output", {"call_id": WORD, "output": WORD | st.lists(INPUT_PART, min_size=1, max_size=2)}),
    some("custom_tool_call_output", {"call_id": WORD, "output": WORD}, id=WORD),
    some("web_search_call", {"id": WORD, "status": st.just("completed")}),
    some("item_reference", {"id": WORD}),
    some("additional_tools", {"role": st.just("developer"), "tools": st.just([{"type": "function", "name": "late"}])}),
)
TOOL = st.one_of(
    some("function", {"name": NAME}, description=WORD, parameters=st.just({"type": "object"}), strict=st.booleans()),
    some("custom", {"name": NAME}, format=st.just({"type": "grammar", "syntax": "regex", "definition": "a+"})),
    some("web_search", {}, search_context_size=st.just("low")),
    some("shell", {}),
)
REQUEST = st.fixed_dictionaries(
    {"model": st.just("m"), "input": WORD | st.lists(ITEM, min_size=1, max_size=6)},
    optional={
        "instructions": WORD,
        "tools": st.lists(TOOL, min_size=1, max_size=3, unique_by=lambda tool: tool.get("name", tool["type"])),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "parallel_tool_calls": st.booleans(),
        "text": st.sampled_from([{"verbosity": "low"}, {"format": {"type": "json_object"}}]),
        "reasoning": st.sampled_from([{"effort": "low"}, {"summary": "auto"}, {"effort": "high", "context": "auto"}]),
        "include": st.lists(
            st.sampled_from(["reasoning.encrypted_content", "message.output_text.logprobs", "a.b"]),
            unique=True,
            min_size=1,
        ),
        "max_output_tokens": st.integers(16, 99),
        "temperature": st.sampled_from([0.0, 0.5, 1.0]),
        "store": st.booleans(),
        "truncation": st.sampled_from(["auto", "disabled"]),
        "metadata": st.just({"a": "b"}),
        "user": WORD,
        "service_tier": st.sampled_from(["auto", "flex"]),
        "prompt_cache_key": WORD,
        "previous_response_id": WORD,
        "stream": st.booleans(),
        "novel": st.just([1, {"x": None}]),
    },
)


@given(REQUEST)
@settings(max_examples=150, deadline=None)
def test_through_the_normalised_protocol_and_back_it_is_what_it_was(asked: dict[str, Any]) -> None:
    dropped = Dropped()
    request = RESPONSES.read_request(msgspec.json.encode(asked))
    written = json.loads(RESPONSES.write_request(request, Traits(), dropped))
    assert request_meaning(written) == request_meaning(asked)
    assert dropped.reasons == {}


@given(REQUEST)
@settings(max_examples=60, deadline=None)
def test_through_another_format_every_word_and_call_arrives(asked: dict[str, Any]) -> None:
    request = RESPONSES.read_request(msgspec.json.encode(asked))
    words = [part.text for m in request.messages for part in m.content if isinstance(part, Text)]
    calls = [part.name for m in request.messages for part in m.content if isinstance(part, ToolCall)]
    if not words:
        return
    for form in (OpenAIChat(), AnthropicMessages()):
        dropped = Dropped()
        again = form.read_request(form.write_request(request, Traits(max_tokens_default=9), dropped))
        arrived = [part.text for m in again.messages for part in m.content if isinstance(part, Text)]
        for message in again.messages:
            for part in message.content:
                arrived += [one.text for one in getattr(part, "content", ()) if isinstance(one, Text)]
        assert all(any(word in text for text in arrived) for word in words)
        assert [part.name for m in again.messages for part in m.content if isinstance(part, ToolCall)] == calls
        assert all(field in dropped.reasons for field in request.extra)
        for field in dropped.reasons:
            RESPONSES.caller_field(field, request)
