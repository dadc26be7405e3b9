"""What the scripted providers do for the scenes in which their usual answer is not enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gateway.testing import Exchange
from scripted_anthropic import answer, anthropic_messages, events, refuse

DESCRIBE = "Describe what you got."
TWICE = "Call for Paris and for London."
THOUGHT = "Both cities are asked for."
SIGNATURE = "c2lnbmVkLWJ5LWFudGhyb3BpYw=="
REDACTED = "cmVkYWN0ZWQtYnktYW50aHJvcGlj"
FAILURES = {
    "rate_limit": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "context_length": (400, "invalid_request_error", "prompt is too long: 210034 tokens > 200000 maximum"),
    "authentication": (401, "authentication_error", "invalid x-api-key"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
}
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
CALLS = (("call_one", {"city": "Paris"}), ("call_two", {"city": "London"}))


def scene_of(asked: dict[str, Any]) -> str:
    """The first words of the user."""
    first = next((turn["content"] for turn in asked["messages"] if turn["role"] == "user"), "")
    texts = [first] if isinstance(first, str) else [part.get("text") or "" for part in first]
    return next((text for text in texts if text), "")


def wants_description(scene: str, *, told: bool) -> bool:
    """Whether the answer is what the server got."""
    return scene == DESCRIBE or (scene == TWICE and told)


def wants_two_calls(scene: str) -> bool:
    """Whether the answer is two calls."""
    return scene == TWICE


async def claude(exchange: Exchange) -> None:
    """Answer one request as api.anthropic.com would, the scenes included."""
    path, _, query = exchange.request.path.partition("?")
    if exchange.request.method != "POST":
        await send_json(exchange, 404, {"type": "error", "error": {"type": "not_found_error", "message": "Not found"}})
        return
    asked = exchange.request.json()
    if path == "/v1/messages/count_tokens":
        await send_json(exchange, 200, {"input_tokens": 14})
        return
    if path != "/v1/messages" or query not in ("", "beta=true") or refuse(exchange) is not None:
        await anthropic_messages(exchange)
        return
    fails = scene_of(asked).removeprefix("Fail: ")
    if fails in FAILURES:
        status, kind, text = FAILURES[fails]
        await send_json(exchange, status, failed(kind, text), {"retry-after": "7"} if status == 429 else {})
        return
    said = message(asked)
    if not asked.get("stream"):
        await send_json(exchange, 200, said)
        return
    head = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked", "request-id": "req_0"}
    await exchange.send_head(200, head)
    for event in streamed(said):
        await exchange.send_chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        await exchange.sleep(0)
    await exchange.send(b"0\r\n\r\n")


async def send_json(exchange: Exchange, status: int, document: object, headers: Mapping[str, str] = NO_HEADERS) -> None:
    """Send a whole answer."""
    body = json.dumps(document).encode()
    head = {"content-type": "application/json", "content-length": str(len(body)), "request-id": "req_0", **headers}
    await exchange.send_head(status, head)
    await exchange.send(body)


def failed(kind: str, text: str) -> dict[str, Any]:
    """An error as Anthropic writes it."""
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_0"}


def message(asked: dict[str, Any]) -> dict[str, Any]:
    """The whole message that answers a request, the scenes included."""
    last = asked["messages"][-1]["content"]
    told = isinstance(last, list) and any(part["type"] == "tool_result" for part in last)
    scene = scene_of(asked)
    if wants_description(scene, told=told):
        content: list[dict[str, Any]] = [{"type": "text", "text": json.dumps(received(asked))}]
    elif wants_two_calls(scene) and asked.get("tools"):
        calls = [{"type": "tool_use", "id": i, "name": "get_weather", "input": given} for i, given in CALLS]
        thought = {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}
        hidden = {"type": "redacted_thinking", "data": REDACTED}
        thinks = asked.get("thinking", {}).get("type") in ("enabled", "adaptive")
        content = [thought, hidden, *calls] if thinks else calls
    else:
        return answer(asked)
    return {
        "id": "msg_02Invented",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": content,
        "stop_reason": "tool_use" if content[-1]["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 21, "output_tokens": 18},
    }


def streamed(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that stream a message, thinking included."""
    plain = [block for block in message["content"] if block["type"] in ("text", "tool_use")]
    others = [block for block in message["content"] if block not in plain]
    start, *body = events({**message, "content": plain})
    out = [start]
    for index, block in enumerate(others):
        opened = {"type": "thinking", "thinking": "", "signature": ""} if block["type"] == "thinking" else block
        out.append({"type": "content_block_start", "index": index, "content_block": opened})
        if block["type"] == "thinking":
            deltas = (
                {"type": "thinking_delta", "thinking": block["thinking"][:9]},
                {"type": "thinking_delta", "thinking": block["thinking"][9:]},
                {"type": "signature_delta", "signature": block["signature"]},
            )
            out += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        out.append({"type": "content_block_stop", "index": index})
    for event in body:
        out.append({**event, "index": event["index"] + len(others)} if "index" in event else event)
    return out


def received(asked: dict[str, Any]) -> dict[str, Any]:
    """What the server got of images, thinking and results, for the client to tell."""
    parts = [part for turn in asked["messages"] if isinstance(turn["content"], list) for part in turn["content"]]
    thinking = [part for part in parts if part["type"] in ("thinking", "redacted_thinking")]
    results = [part["content"] for part in parts if part["type"] == "tool_result"]
    images = [part["source"] for part in parts if part["type"] == "image"]
    return {
        "images": [f"data:{source['media_type']};base64,{source['data']}" for source in images],
        "thinking": [part.get("thinking") or part.get("data") for part in thinking],
        "signatures": [part["signature"] for part in thinking if part["type"] == "thinking"],
        "results": [item if isinstance(item, str) else item[0]["text"] for item in results],
        "calls": [part["id"] for part in parts if part["type"] == "tool_use"],
    }
