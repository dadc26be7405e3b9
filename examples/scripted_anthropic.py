"""A stand-in for Anthropic's Messages API with scripted answers, for showing a translation without a key.

It holds a request to what the real one demands, and answers with a text, a tool call where tools are offered, or JSON
where a schema asks for it: whole or streamed, in the events and pieces that the real one sends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gateway.testing import Exchange

TEXT = "Paris is the capital of France, a city of two million people on the Seine."
PARIS = {"name": "Paris", "city": "Paris", "country": "France", "continent": "Europe", "population": 2102650}
KNOWN_PARTS = {"text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"}


async def anthropic_messages(exchange: Exchange) -> None:
    """Answer one request as api.anthropic.com would; a script for ``ScriptedProvider.default_script``."""
    refusal = refuse(exchange)
    if refusal is not None:
        status, kind, text = refusal
        error = {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_0"}
        await send_json(exchange, status, error)
        return
    asked = exchange.request.json()
    message = answer(asked)
    if not asked.get("stream"):
        await send_json(exchange, 200, message)
        return
    head = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked", "request-id": "req_0"}
    await exchange.send_head(200, head)
    for event in events(message):
        data = json.dumps(event, separators=(",", ":"))
        await exchange.send_chunk(f"event: {event['type']}\ndata: {data}\n\n".encode())
        await exchange.sleep(0.01)
    await exchange.send(b"0\r\n\r\n")


async def send_json(exchange: Exchange, status: int, document: object) -> None:
    """Send a whole answer."""
    body = json.dumps(document).encode()
    head = {"content-type": "application/json", "content-length": str(len(body)), "request-id": "req_0"}
    await exchange.send_head(status, head)
    await exchange.send(body)


def refuse(exchange: Exchange) -> tuple[int, str, str] | None:
    """Why the real one would refuse this request: status, type and message of its error; None if it would not."""
    request = exchange.request
    if request.path.partition("?")[0] != "/v1/messages":
        return 404, "not_found_error", f"Not found: {request.path}"
    if "x-api-key" not in request.headers and "authorization" not in request.headers:
        return 401, "authentication_error", "x-api-key header is required"
    if "anthropic-version" not in request.headers:
        return 400, "invalid_request_error", "anthropic-version: header is required"
    asked = request.json()
    wrong = misuse(asked)
    if wrong is not None:
        return 400, "invalid_request_error", wrong
    if not asked["model"].startswith("claude-"):
        return 404, "not_found_error", f"model: {asked['model']}"
    return None


def misuse(asked: dict[str, Any]) -> str | None:
    """What is wrong with a request's body."""
    for field in ("model", "messages", "max_tokens"):
        if field not in asked:
            return f"{field}: Field required"
    if not isinstance(asked["messages"], list):
        return "messages: Input should be a valid list"
    for place, message in enumerate(asked["messages"]):
        if message["role"] not in ("user", "assistant"):
            return f"messages.{place}.role: Input should be 'user' or 'assistant'"
        parts = message["content"] if isinstance(message["content"], list) else []
        unknown = {part["type"] for part in parts} - KNOWN_PARTS
        if unknown:
            return f"messages.{place}.content: unknown type {', '.join(sorted(unknown))}"
    return None


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """The whole message that answers a request."""
    form = asked.get("output_config", {}).get("format")
    choice = asked.get("tool_choice", {"type": "auto"})
    last = asked["messages"][-1]["content"]
    told = isinstance(last, list) and any(part["type"] == "tool_result" for part in last)
    if asked.get("tools") and choice["type"] != "none" and not told:
        tool = next((tool for tool in asked["tools"] if tool["name"] == choice.get("name")), asked["tools"][0])
        given = instance(tool["input_schema"])
        content = [{"type": "tool_use", "id": "toolu_01Invented", "name": tool["name"], "input": given}]
    else:
        text = json.dumps(instance(form["schema"])) if form else "It is sunny in Paris." if told else TEXT
        content = [{"type": "text", "text": text}]
    return {
        "id": "msg_01Invented",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": content,
        "stop_reason": "tool_use" if content[0]["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 21,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 18,
            "service_tier": "standard",
        },
    }


def instance(schema: dict[str, Any]) -> dict[str, Any]:
    """What a schema asks for, about Paris."""
    return {name: PARIS[name] for name in schema["properties"]}


def events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events that stream a message."""
    usage = {**message["usage"], "output_tokens": 1}
    yield {
        "type": "message_start",
        "message": {**message, "content": [], "stop_reason": None, "usage": usage},
    }
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            start: dict[str, Any] = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        else:
            start = {**block, "input": {}}
            text = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces(text))]
        yield {"type": "content_block_start", "index": index, "content_block": start}
        if index == 0:
            yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
        "usage": {"output_tokens": message["usage"]["output_tokens"]},
    }
    yield {"type": "message_stop"}


def pieces(text: str, size: int = 8) -> list[str]:
    """A text in pieces of ``size`` characters."""
    return [text[place : place + size] for place in range(0, len(text), size)]
