"""Good requests of every dialect, good replies of every wire format, and where each travels."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import msgspec

from gateway.protocol import ChatReply, ChatRequest
from gateway.protocol.unroll import events_of
from gateway.sse import decode_events
from gateway_plugins.formats import aws_event_stream
from tests.golden.cells import chat_formats
from tests.golden.replies import REPLIES
from tests.golden.requests import REQUESTS

Json = dict[str, Any]


class Speech(NamedTuple):
    """A caller's dialect: its paths without and with a stream, whose errors it has, and good bodies."""

    errors: str
    path: str
    stream_path: str
    format: str
    bodies: list[Json]
    streams: bool = True


def said(format: str) -> list[Json]:
    """The golden table's requests of a format, most of them of one feature each."""
    return [row.said[format].with_it for row in REQUESTS if format in row.said]


HI: Json = {"role": "user", "content": "hi"}
EMBED: list[Json] = [
    {"model": "m", "input": "hi"},
    {"model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 2, "user": "u"},
    {"model": "m", "input": [[1, 2], [3]], "encoding_format": "float"},
    {"model": "m", "input": [1, 2, 3]},
]
COMPLETE: list[Json] = [
    {"model": "m", "prompt": "hi", "max_tokens": 5},
    {"model": "m", "prompt": ["a", "b"], "n": 2, "best_of": 3, "echo": True, "logprobs": 2, "suffix": "x"},
    {"model": "m", "prompt": [1, 2], "stop": ["a"], "logit_bias": {"1": 2}, "stream_options": {"include_usage": True}},
]
RERANK: list[Json] = [
    {"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 1, "return_documents": True},
    {"model": "m", "query": "q", "documents": [{"text": "a"}, {"title": "b"}], "rank_fields": ["title", "text"]},
]
_PART: Json = {"role": "user", "parts": [{"text": "hi"}]}
G_COUNT: list[Json] = [
    {"contents": [_PART]},
    {"generateContentRequest": {"model": "models/m", "contents": [_PART], "systemInstruction": _PART}},
]
G_EMBED: list[Json] = [{"model": "models/m", "content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"}]
G_BATCH: list[Json] = [
    {"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2}] * 2}
]


@cache
def dialects() -> dict[str, Speech]:
    """Every dialect and route that takes a body; ``{m}`` in a path is the model's place."""
    chat, messages, responses, gemini = map(said, ("openai_chat", "anthropic_messages", "openai_responses", "gemini"))
    counted = [{key: value for key, value in body.items() if key != "max_tokens"} for body in messages]
    g, v1 = "/v1beta/models/{m}:", "/v1"
    stream = f"{g}streamGenerateContent?alt=sse"
    azure = "/openai/deployments/{m}/chat/completions?api-version=2024-10-21"
    rows = {
        "chat": ("openai", f"{v1}/chat/completions", "", "openai_chat", chat),
        "responses": ("openai", f"{v1}/responses", "", "openai_responses", responses),
        "completions": ("openai", f"{v1}/completions", "", "openai_completions", COMPLETE),
        "messages": ("anthropic", f"{v1}/messages", "", "anthropic_messages", messages),
        "gemini": ("gemini", f"{g}generateContent", stream, "gemini", gemini),
        "gemini_array": ("gemini", f"{g}generateContent", f"{g}streamGenerateContent", "gemini", gemini),
        "azure": ("openai", azure, "", "openai_chat", chat),
    }
    still = {
        "embeddings": ("openai", f"{v1}/embeddings", "", "openai_embeddings", EMBED),
        "count_tokens": ("anthropic", f"{v1}/messages/count_tokens", "", "", counted),
        "input_tokens": ("openai", f"{v1}/responses/input_tokens", "", "", responses),
        "compact": ("openai", f"{v1}/responses/compact", "", "", responses),
        "gemini_count": ("gemini", f"{g}countTokens", "", "", G_COUNT + gemini[:5]),
        "gemini_embed": ("gemini", f"{g}embedContent", "", "gemini_embeddings", G_EMBED),
        "gemini_batch": ("gemini", f"{g}batchEmbedContents", "", "gemini_embeddings", G_BATCH),
        "rerank": ("cohere", f"{v1}/rerank", "", "cohere_rerank", RERANK),
    }
    found = {name: Speech(e, p, s or p, f, b) for name, (e, p, s, f, b) in rows.items()}
    return found | {name: Speech(e, p, p, f, b, streams=False) for name, (e, p, _, f, b) in still.items()}


# -- wire formats ----------------------------------------------------------------------------------------------------


def sse(name: str, data: bytes) -> bytes:
    """An event that may have a name."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + data + b"\n\n"


def unnamed(_: str, data: bytes) -> bytes:
    """An event of data alone, with Google's line ends."""
    return b"data: " + data + b"\r\n\r\n"


def line(_: str, data: bytes) -> bytes:
    """A line of JSON."""
    return data + b"\n"


def binary(name: str, data: bytes) -> bytes:
    """A message of AWS's event stream."""
    return aws_event_stream.encode_event(name, data)


class Wire(NamedTuple):
    """A provider's format: its table, its good replies and streams, and how an event is framed.

    A stream is a list of (event name, JSON); ``ends`` says whether a stream that stops behind this event may be whole.
    """

    table: str
    format: str
    replies: list[Json]
    streams: list[list[tuple[str, Any]]]
    frame: Callable[[str, bytes], bytes]
    ends: Callable[[str, Any], bool]
    mark: bytes = b""
    content_type: str = "text/event-stream"


def _replies(format: str) -> list[Json]:
    return [row.said[format].with_it for row in REPLIES if format in row.said]


def _streams(format: str) -> list[list[tuple[str, Any]]]:
    """The golden table's replies as the streams that our own writer makes of them."""
    codec = chat_formats()[format]
    found = []
    for body in _replies(format):
        reply = codec.read_reply(json.dumps(body).encode())
        assert isinstance(reply, ChatReply)
        reply.id, reply.model, reply.created = reply.id or "r", reply.model or "m", reply.created or 1
        writer = codec.stream_writer(ChatRequest(model="m", include_usage=True, origin=format, stream=True))
        told = decode_events(b"".join(writer.write(event) for event in events_of(reply)))
        found.append([(event.event, json.loads(event.data)) for event in told if event.data != b"[DONE]"])
    return found


C_USAGE: Json = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5, "cacheReadInputTokens": 1}
CONVERSE: list[Json] = [
    {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
                    {"text": "yo"},
                    {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
                    {"reasoningContent": {"redactedContent": "AAAA"}},
                    {"citationsContent": {"content": [{"text": "c"}], "citations": [{"title": "t", "location": {}}]}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": C_USAGE,
        "metrics": {"latencyMs": 1},
        "additionalModelResponseFields": {"stop_sequence": "x"},
    }
]
CONVERSED: list[tuple[str, Any]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "c2ln"}}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "yo"}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"citation": {"title": "t", "location": {}}}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "f"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"a":'}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": "1}"}}}),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": C_USAGE, "metrics": {"latencyMs": 1}}),
]
CO_USAGE: Json = {
    "billed_units": {"input_tokens": 3, "output_tokens": 2},
    "tokens": {"input_tokens": 30, "output_tokens": 12},
}
CO_CALL: Json = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
CITED: Json = {
    "start": 0,
    "end": 2,
    "text": "yo",
    "sources": [{"type": "document", "id": "d", "document": {"id": "d"}}],
}
COHERE: list[Json] = [
    {
        "id": "r1",
        "finish_reason": "TOOL_CALL",
        "message": {
            "role": "assistant",
            "tool_plan": "plan",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yo"}],
            "tool_calls": [CO_CALL],
            "citations": [CITED],
        },
        "usage": CO_USAGE,
        "logprobs": [{"token_ids": [1], "text": "yo", "logprobs": [-1.0]}],
    }
]


def _co(kind: str, **fields: Any) -> tuple[str, Any]:
    return kind, {"type": kind, **fields}


COHERED: list[tuple[str, Any]] = [
    _co("message-start", id="r1", delta={"message": {"role": "assistant", "content": []}}),
    _co("content-start", index=0, delta={"message": {"content": {"type": "thinking", "thinking": ""}}}),
    _co("content-delta", index=0, delta={"message": {"content": {"thinking": "hm"}}}),
    _co("content-end", index=0),
    _co("content-start", index=1, delta={"message": {"content": {"type": "text", "text": ""}}}),
    _co("content-delta", index=1, delta={"message": {"content": {"text": "yo"}}}),
    _co("citation-start", index=0, delta={"message": {"citations": CITED}}),
    _co("citation-end", index=0),
    _co("content-end", index=1),
    _co("tool-plan-delta", delta={"message": {"tool_plan": "plan"}}),
    _co(
        "tool-call-start",
        index=0,
        delta={"message": {"tool_calls": {**CO_CALL, "function": {"name": "f", "arguments": ""}}}},
    ),
    _co("tool-call-delta", index=0, delta={"message": {"tool_calls": {"function": {"arguments": '{"a":1}'}}}}),
    _co("tool-call-end", index=0),
    _co("message-end", delta={"finish_reason": "TOOL_CALL", "usage": CO_USAGE}),
]
LAST: Json = {
    "model": "m",
    "created_at": "2026-08-07T06:08:32.020222123Z",
    "done": True,
    "done_reason": "stop",
    "total_duration": 9,
    "prompt_eval_count": 3,
    "eval_count": 2,
}
O_CALLS: list[Json] = [{"function": {"name": "f", "arguments": {"a": 1}}}, {"id": "x", "function": {"name": "g"}}]
OLLAMA: list[Json] = [
    {**LAST, "message": {"role": "assistant", "content": "yo", "thinking": "hm", "tool_calls": O_CALLS[:1]}}
]


def _said(**message: Any) -> tuple[str, Any]:
    return "", {**LAST, "done": False, "message": {"role": "assistant", **message}}


OLLAMAED: list[tuple[str, Any]] = [
    _said(content="", thinking="h"),
    ("", {**_said(content="y")[1], "logprobs": [{"token": "y", "logprob": -1.0, "bytes": [121]}]}),
    _said(content="o"),
    _said(content="", tool_calls=O_CALLS[:1]),
    ("", {**LAST, "message": {"role": "assistant", "content": ""}}),
]


def _finished(_: str, value: Any) -> bool:
    return any(choice.get("finish_reason") for choice in value["choices"])


def _gemini_finished(_: str, value: Any) -> bool:
    return any("finishReason" in one for one in value.get("candidates", []))


@cache
def wires() -> dict[str, Wire]:
    """The seven formats that providers are asked in."""
    names = {"chat": "openai_chat", "responses": "openai_responses", "anthropic": "anthropic_messages"}
    names |= {"gemini": "gemini"}
    rich = {name: (said_in, _replies(said_in), _streams(said_in)) for name, said_in in names.items()}
    key = 'api_key = "sk-upstream-canary"'
    bedrock = f'use = "bedrock"\nregion = "eu-central-1"\n{key}'
    return {
        "chat": Wire(
            f'use = "openai"\n{key}\nformat = "openai_chat"', *rich["chat"], sse, _finished, b"data: [DONE]\n\n"
        ),
        "responses": Wire(
            f'use = "openai"\n{key}\nformat = "openai_responses"',
            *rich["responses"],
            sse,
            lambda name, _: name in ("response.completed", "response.incomplete", "response.failed"),
        ),
        "anthropic": Wire(
            f'use = "anthropic"\n{key}', *rich["anthropic"], sse, lambda name, _: name == "message_delta"
        ),
        "gemini": Wire(f'use = "gemini"\n{key}', *rich["gemini"], unnamed, _gemini_finished),
        "bedrock": Wire(
            bedrock,
            "bedrock_converse",
            CONVERSE,
            [CONVERSED],
            binary,
            lambda name, _: name == "messageStop",
            content_type="application/vnd.amazon.eventstream",
        ),
        "cohere": Wire(
            f'use = "cohere"\n{key}', "cohere_chat", COHERE, [COHERED], sse, lambda name, _: name == "message-end"
        ),
        "ollama": Wire(
            f'use = "ollama"\n{key}\nformat = "ollama_chat"',
            "ollama_chat",
            OLLAMA,
            [OLLAMAED],
            line,
            lambda _, value: value["done"],
            content_type="application/x-ndjson",
        ),
    }


VECTOR = [0.5, -0.25]
OTHERS: dict[str, Json] = {
    "/embeddings": {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": VECTOR} for index in (0, 1)],
        "model": "m",
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    },
    "/responses/input_tokens": {"object": "response.input_tokens", "input_tokens": 11},
    "/responses/compact": {
        "id": "resp_1",
        "object": "response.compaction",
        "created_at": 1,
        "output": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "AAAA"}],
        "usage": {"input_tokens": 20, "output_tokens": 9, "total_tokens": 29},
    },
    "/completions": {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": "yo", "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    },
    "/count_tokens": {"input_tokens": 11},
    "/count-tokens": {"inputTokens": 11},
    ":countTokens": {"totalTokens": 11},
    ":embedContent": {"embedding": {"values": VECTOR}},
    "/v2/embed": {"id": "e1", "embeddings": {"float": [VECTOR] * 2}, "texts": ["a", "b"], "meta": {}},
    "/api/embed": {"model": "m", "embeddings": [VECTOR] * 2, "prompt_eval_count": 3},
    "/rerank": {"id": "r1", "results": [{"index": 0, "relevance_score": 0.5}], "meta": {}},
}
"""What is answered to a path that ends so, where it is no chat."""

MESSAGE_STREAM = "/invoke-with-response-stream"


def invoked(value: Any) -> bytes:
    """An event of Anthropic's inside one of Bedrock's."""
    inner = base64.b64encode(msgspec.json.encode(value)).decode()
    return binary("chunk", msgspec.json.encode({"bytes": inner}))
