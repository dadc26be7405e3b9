"""Providers send odd types: whatever JSON comes, the readers answer with parts, a rejection or a protocol error."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidRequest, UpstreamProtocolError, UpstreamRejected
from gateway.format import Dropped, Traits
from gateway.protocol import End
from gateway_plugins.formats.openai_chat import OpenAIChat

KINDS = ("stop", "text", "function", "custom", "thinking", "reasoning", "reasoning.text", "reasoning.encrypted", "")
KEYS = [
    "type",
    "text",
    "id",
    "index",
    "name",
    "arguments",
    "input",
    "function",
    "custom",
    "url",
    "image_url",
    "data",
    "content",
    "thinking",
    "summary",
    "signature",
    "format",
    "google",
    "thought_signature",
    "error",
    "code",
]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(0, 1) | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


def odd(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, ODD))


MESSAGE = odd("role", "content", "refusal", "tool_calls", "function_call", "reasoning", "reasoning_details") | odd(
    "annotations", "audio", "images", "extra_content", "tool_calls", "reasoning_content", "name", "tool_call_id"
)
CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "index": ODD,
        "delta": MESSAGE | ODD,
        "message": MESSAGE | ODD,
        "finish_reason": ODD,
        "logprobs": ODD,
        "stop_reason": ODD,
        "native_finish_reason": ODD,
        "error": ODD,
    },
)
BODY = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE | ODD, min_size=1, max_size=2) | ODD},
    optional=dict.fromkeys(("id", "model", "created", "service_tier", "usage", "x_groq", "error", "object"), ODD),
)
FINE = (UpstreamProtocolError, UpstreamRejected)


@settings(deadline=None, max_examples=60)
@given(chunks=st.lists(BODY, min_size=1, max_size=3))
def test_no_chunk_can_make_a_stream_fail_otherwise_nor_a_failed_one_end_well(chunks: list[Any]) -> None:
    data = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    chat = OpenAIChat()
    reader, writer = chat.stream_reader(), chat.stream_writer(chat.read_request(b'{"messages":[{"role":"user"}]}'))
    with contextlib.suppress(*FINE):
        for event in [*reader.feed(data), *reader.feed(b"data: [DONE]\n\n"), *reader.close()]:
            writer.write(event)
    watch = chat.stream_watch(hide_usage=True)
    passed = watch.feed(data) + watch.feed(b"data: [DONE]\n\n") + watch.close()
    assert watch.complete is (b"[DONE]" in passed)
    cut = chat.stream_reader()
    with contextlib.suppress(*FINE):
        assert not any(isinstance(event, End) for event in cut.feed(data))


@settings(deadline=None, max_examples=60)
@given(body=BODY)
def test_no_reply_can_make_the_reader_fail_otherwise(body: Any) -> None:
    data = json.dumps(body).encode()
    chat = OpenAIChat()
    chat.read_facts(data)
    with contextlib.suppress(*FINE):
        json.loads(chat.write_reply(chat.read_reply(data), Dropped()))


@settings(deadline=None, max_examples=60)
@given(
    body=st.fixed_dictionaries(
        {"messages": st.lists(MESSAGE, min_size=1, max_size=2)},
        optional=dict.fromkeys(("tools", "tool_choice", "functions", "function_call", "response_format"), ODD)
        | dict.fromkeys(("reasoning", "thinking", "stop", "stream_options", "web_search_options", "logprobs"), ODD),
    )
)
def test_a_request_of_odd_types_is_read_or_refused_with_its_field(body: Any) -> None:
    chat = OpenAIChat()
    refusal, request = None, None
    try:
        request = chat.read_request(json.dumps(body).encode())
    except InvalidRequest as error:
        refusal = error
    if refusal is not None:
        assert refusal.param
        assert refusal.code
    if request is not None:
        for origin in ("openai_chat", "anthropic_messages"):
            request.origin = origin
            json.loads(chat.write_request(request, Traits(), Dropped()))
