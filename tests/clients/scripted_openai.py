"""A stand-in for an OpenAI-compatible server, with scripted answers in the shapes of api.openai.com."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.testing import Exchange
from tests.clients.scripted_scenes import (
    CALLS,
    NO_HEADERS,
    THOUGHT,
    scene_of,
    wants_description,
    wants_two_calls,
)

TEXT = "It is sunny in Paris, and 21 degrees."
CITY = {"name": "Paris", "country": "France", "population": 2102650}
VECTOR = [0.25, -0.5, 0.125, 1.0]
FAILURES = {
    "rate_limit": (429, "requests", "rate_limit_exceeded", "Rate limit reached for gpt-scripted on requests per min."),
    "context_length": (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 10034 tokens.",
    ),
    "authentication": (
        401,
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: sk-inven*****ted.",
    ),
    "overloaded": (503, "server_error", None, "The engine is currently overloaded, please try again later."),
}
USAGE = {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30}


async def openai_compatible(exchange: Exchange) -> None:
    """Answer one request; a script for ``ScriptedProvider.default_script``."""
    asked = exchange.request.json()
    if exchange.request.path.endswith("/embeddings"):
        await send_json(exchange, 200, embedded(asked))
    elif not isinstance(asked.get("messages"), list):
        message = "Invalid type for 'messages': expected an array of objects, but got something else instead."
        error = {"message": message, "type": "invalid_request_error", "param": "messages", "code": "invalid_type"}
        await send_json(exchange, 400, {"error": error})
    elif (fails := scene_of(asked).removeprefix("Fail: ")) in FAILURES:
        status, kind, code, message = FAILURES[fails]
        refused: dict[str, Any] = {"message": message, "type": kind, "param": None, "code": code}
        await send_json(exchange, status, {"error": refused}, {"retry-after": "7"} if status == 429 else {})
    elif asked.get("stream"):
        await exchange.send_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        for chunk in chunks(asked):
            await exchange.send_chunk(f"data: {json.dumps(chunk)}\n\n".encode())
            await exchange.sleep(0)
        await exchange.send_chunk(b"data: [DONE]\n\n")
        await exchange.send(b"0\r\n\r\n")
    else:
        await send_json(exchange, 200, completion(asked))


async def send_json(exchange: Exchange, status: int, document: object, headers: Mapping[str, str] = NO_HEADERS) -> None:
    """Send a whole answer."""
    body = json.dumps(document).encode()
    await exchange.send_head(status, {"content-type": "application/json", "content-length": str(len(body)), **headers})
    await exchange.send(body)


def message(asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The assistant's message and its finish reason."""
    told = asked["messages"][-1]["role"] == "tool"
    scene = scene_of(asked)
    if wants_description(scene, told=told):
        return {"role": "assistant", "content": json.dumps(received(asked)), "refusal": None}, "stop"
    if wants_two_calls(scene) and asked.get("tools"):
        calls = [
            {"id": call_id, "type": "function", "function": {"name": "get_weather", "arguments": json.dumps(given)}}
            for call_id, given in CALLS
        ]
        thought = {"reasoning_content": THOUGHT} if asked.get("reasoning_effort") else {}
        return {"role": "assistant", "content": None, "refusal": None, **thought, "tool_calls": calls}, "tool_calls"
    if asked.get("tools") and asked.get("tool_choice") != "none" and not told:
        function = {"name": asked["tools"][0]["function"]["name"], "arguments": '{"city": "Paris"}'}
        call = {"id": "call_invented", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}, "tool_calls"
    text = json.dumps(CITY) if asked.get("response_format", {}).get("type") == "json_schema" else TEXT
    return {"role": "assistant", "content": text, "refusal": None}, "stop"


def received(asked: dict[str, Any]) -> dict[str, Any]:
    """What the server got of images, thinking and results, for the client to tell."""
    parts = [part for turn in asked["messages"] if isinstance(turn.get("content"), list) for part in turn["content"]]
    return {
        "images": [part["image_url"]["url"] for part in parts if part["type"] == "image_url"],
        "thinking": [turn["reasoning_content"] for turn in asked["messages"] if turn.get("reasoning_content")],
        "results": [turn["content"] for turn in asked["messages"] if turn["role"] == "tool"],
        "calls": [call["id"] for turn in asked["messages"] for call in turn.get("tool_calls") or ()],
    }


def completion(asked: dict[str, Any]) -> dict[str, Any]:
    """A whole chat completion."""
    said, reason = message(asked)
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": reason}
    return {**head(asked, "chat.completion"), "choices": [choice], "usage": USAGE}


def chunks(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The chunks of a streamed one."""
    said, reason = message(asked)
    usage = {"usage": None} if asked.get("stream_options", {}).get("include_usage") else {}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head(asked, "chat.completion.chunk"), "choices": [choice], **usage}

    yield chunk({"role": "assistant", "content": None if "tool_calls" in said else "", "refusal": None})
    for piece in pieces(said.get("reasoning_content", "")):
        yield chunk({"reasoning_content": piece})
    for index, call in enumerate(said.get("tool_calls", ())):
        yield chunk({"tool_calls": [{"index": index, **call, "function": {**call["function"], "arguments": ""}}]})
        for piece in pieces(call["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    for piece in pieces(said["content"] or ""):
        yield chunk({"content": piece})
    yield chunk({}, reason)
    if usage:
        yield {**head(asked, "chat.completion.chunk"), "choices": [], "usage": USAGE}


def head(asked: dict[str, Any], kind: str) -> dict[str, Any]:
    """What every chunk and completion begins with."""
    return {"id": "chatcmpl-invented", "object": kind, "created": 1764000000, "model": asked["model"]}


def embedded(asked: dict[str, Any]) -> dict[str, Any]:
    """Embeddings: the same vector for every text, in the encoding asked for."""
    texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    packed = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    vector = packed if asked.get("encoding_format") == "base64" else VECTOR
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(texts))]
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    return {"object": "list", "data": data, "model": asked["model"], "usage": usage}


def pieces(text: str, size: int = 6) -> list[str]:
    """A text in pieces of ``size`` characters."""
    return [text[place : place + size] for place in range(0, len(text), size)]
