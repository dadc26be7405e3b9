"""A stand-in for Cohere's API, with scripted answers in the shapes of api.cohere.com/v2/chat."""

from __future__ import annotations

import json
from typing import Any

from gateway.testing import Exchange
from tests.clients.scripted_answers import Asked, Said, failure, pieces, say, send_chunks, send_json

USAGE = {"billed_units": {"input_tokens": 20, "output_tokens": 9}, "tokens": {"input_tokens": 21, "output_tokens": 9}}
FAILURES = {
    "rate_limit": (429, "Please wait and try again later: the limit is 40 API calls / minute."),
    "context_length": (
        400,
        "too many tokens: the total number of tokens in the prompt exceeds the limit of 128000. The prompt has 130021.",
    ),
    "authentication": (401, "invalid api token"),
    "overloaded": (503, "service unavailable, please try again later"),
}


async def cohere(exchange: Exchange) -> None:
    """Answer one request; a script for ``ScriptedProvider.default_script``."""
    body = exchange.request.json()
    if exchange.request.path.endswith("/embed"):
        await send_json(exchange, 200, embedded(body))
        return
    asked = read(body)
    fails = failure(asked.scene)
    if fails is not None:
        status, message = FAILURES[fails]
        await send_json(exchange, status, {"id": "5d8b3c44-invented", "message": message})
        return
    said = say(asked)
    if not asked.stream:
        whole = {"id": "c14c80c3-invented", "message": message_of(said), "finish_reason": finish(said), "usage": USAGE}
        await send_json(exchange, 200, whole)
        return
    data = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events(said)]
    await send_chunks(exchange, "text/event-stream", data)


def embedded(body: dict[str, Any]) -> dict[str, Any]:
    """An answer of /v2/embed: a small vector for each text."""
    return {
        "id": "e14c80c3-invented",
        "texts": body["texts"],
        "embeddings": {"float": [[0.25, -0.5, 1.0] for _ in body["texts"]]},
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2}},
    }


def read(body: dict[str, Any]) -> Asked:
    """A request in the words that all scripted providers share."""
    turns = body["messages"]
    users = [turn["content"] for turn in turns if turn["role"] == "user"]
    texts = [text if isinstance(text, str) else text[0].get("text", "") for text in users]
    every = [part for turn in turns if isinstance(turn.get("content"), list) for part in turn["content"]]
    return Asked(
        scene=texts[0],
        told=turns[-1]["role"] == "tool",
        tools=[] if body.get("tool_choice") == "NONE" else [tool["function"]["name"] for tool in body.get("tools", ())],
        structured=body.get("response_format", {}).get("type") == "json_object",
        thinks=body.get("thinking", {}).get("type") == "enabled",
        stream=bool(body.get("stream")),
        got={
            "images": [part["image_url"]["url"] for part in every if part["type"] == "image_url"],
            "thinking": [part["thinking"] for part in every if part["type"] == "thinking"],
            "results": [text_of(turn["content"]) for turn in turns if turn["role"] == "tool"],
            "calls": [call["id"] for turn in turns for call in turn.get("tool_calls") or ()],
            "answered": [turn["tool_call_id"] for turn in turns if turn["role"] == "tool"],
        },
    )


def text_of(content: Any) -> str:
    """The text of a tool's result: a string, texts, or documents."""
    if isinstance(content, str):
        return content
    (part,) = content
    if part["type"] == "text":
        return str(part["text"])
    data = part["document"]["data"]
    return data if isinstance(data, str) else " ".join(str(value) for value in data.values())


def finish(said: Said) -> str:
    """Cohere's word for why it ended."""
    return "TOOL_CALL" if said.calls else "COMPLETE"


def calls_of(said: Said) -> list[dict[str, Any]]:
    """The calls as Cohere writes them."""
    return [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for call_id, name, given in said.calls
    ]


def message_of(said: Said) -> dict[str, Any]:
    """The message of a whole answer."""
    content = [{"type": "thinking", "thinking": said.thought}] if said.thought else []
    if said.text:
        content.append({"type": "text", "text": said.text})
    out: dict[str, Any] = {"role": "assistant"}
    if content:
        out["content"] = content
    if said.calls:
        out["tool_calls"] = calls_of(said)
    return out


def events(said: Said) -> list[dict[str, Any]]:
    """The events of a streamed one."""
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    out: list[dict[str, Any]] = [
        {"id": "c14c80c3-invented", "type": "message-start", "delta": {"message": empty}},
    ]
    blocks = [(kind, text) for kind, text in (("thinking", said.thought), ("text", said.text)) if text]
    for index, (kind, text) in enumerate(blocks):
        started = {"message": {"content": {"type": kind, kind: ""}}}
        out.append({"type": "content-start", "index": index, "delta": started})
        deltas = [{"message": {"content": {kind: piece}}} for piece in pieces(text)]
        out += [{"type": "content-delta", "index": index, "delta": delta} for delta in deltas]
        out.append({"type": "content-end", "index": index})
    for index, call in enumerate(calls_of(said)):
        opened = {"message": {"tool_calls": {**call, "function": {**call["function"], "arguments": ""}}}}
        out.append({"type": "tool-call-start", "index": index, "delta": opened})
        for piece in pieces(call["function"]["arguments"]):
            delta = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
            out.append({"type": "tool-call-delta", "index": index, "delta": delta})
        out.append({"type": "tool-call-end", "index": index})
    out.append({"type": "message-end", "delta": {"finish_reason": finish(said), "usage": USAGE}})
    return out
