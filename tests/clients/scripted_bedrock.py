"""A stand-in for Bedrock's runtime, with scripted answers of Converse and, for Claude, of InvokeModel."""

from __future__ import annotations

import base64
import json
from typing import Any

from gateway.testing import Exchange
from gateway_plugins.formats.aws_event_stream import encode_event
from tests.clients import scripted_scenes
from tests.clients.scripted_answers import Asked, Said, failure, pieces, say, send_chunks, send_json

SIGNATURE = "c2lnbmVkLWJ5LWJlZHJvY2srLz09"
REDACTED = "cmVkYWN0ZWQtYnktYmVkcm9jaw=="
STREAMED = "application/vnd.amazon.eventstream"
USAGE = {"inputTokens": 21, "outputTokens": 9, "totalTokens": 30}
FAILURES = {
    "rate_limit": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
    "context_length": (400, "ValidationException", "Input is too long for requested model."),
    "authentication": (
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    "overloaded": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
}


async def bedrock(exchange: Exchange) -> None:
    """Answer one request; a script for ``ScriptedProvider.default_script``."""
    operation = exchange.request.path.rpartition("/")[2]
    body = exchange.request.json()
    if operation == "count-tokens":
        await send_json(exchange, 200, {"inputTokens": 14})
        return
    if not isinstance(body["messages"], list):
        text = "messages: Input should be a valid list"
        await send_json(exchange, 400, {"message": text}, x_amzn_errortype="ValidationException")
        return
    invoked = operation.startswith("invoke")
    asked = None if invoked else read(body, stream=operation.endswith("-stream"))
    fails = failure(scripted_scenes.scene_of(body) if asked is None else asked.scene)
    if fails is not None:
        status, kind, text = FAILURES[fails]
        await send_json(exchange, status, {"message": text}, x_amzn_errortype=kind)
    elif asked is None:
        await invoke(exchange, body, stream=operation.endswith("-stream"))
    elif asked.stream:
        await send_chunks(exchange, STREAMED, events(say(asked)))
    else:
        said = say(asked)
        message = {"role": "assistant", "content": blocks(said)}
        answer = {"output": {"message": message}, "stopReason": reason(said), "usage": USAGE}
        await send_json(exchange, 200, {**answer, "metrics": {"latencyMs": 12}})


async def invoke(exchange: Exchange, body: dict[str, Any], *, stream: bool) -> None:
    """Answer with Anthropic's own message, its events wrapped in chunks."""
    assert body["anthropic_version"].startswith("bedrock-")
    assert "model" not in body
    assert "stream" not in body
    message = scripted_scenes.message(body | {"model": "claude-sonnet-4-5-20250929"})
    if not stream:
        await send_json(exchange, 200, message)
        return
    wrapped = []
    for event in scripted_scenes.streamed(message):
        inner = base64.b64encode(json.dumps(event).encode()).decode()
        wrapped.append(encode_event("chunk", json.dumps({"bytes": inner, "p": "abcd"}).encode()))
    await send_chunks(exchange, STREAMED, wrapped)


def read(body: dict[str, Any], *, stream: bool) -> Asked:
    """A request in the words that all scripted providers share."""
    every = [part for turn in body["messages"] for part in turn["content"]]
    users = [part for turn in body["messages"] if turn["role"] == "user" for part in turn["content"]]
    thought = [part["reasoningContent"] for part in every if "reasoningContent" in part]
    texts = [part["reasoningText"] for part in thought if "reasoningText" in part]
    extra = body.get("additionalModelRequestFields", {})
    images = [part["image"] for part in every if "image" in part]
    return Asked(
        scene=next((part["text"] for part in users if part.get("text")), ""),
        told=any("toolResult" in part for part in body["messages"][-1]["content"]),
        tools=[tool["toolSpec"]["name"] for tool in body.get("toolConfig", {}).get("tools", ()) if "toolSpec" in tool],
        structured="outputConfig" in body or "output_config" in extra,
        thinks=extra.get("thinking", {}).get("type") in ("enabled", "adaptive"),
        stream=stream,
        got={
            "images": [f"data:image/{image['format']};base64,{image['source']['bytes']}" for image in images],
            "thinking": [
                part["reasoningText"]["text"] if "reasoningText" in part else part["redactedContent"]
                for part in thought
            ],
            "signatures": [text.get("signature") for text in texts],
            "results": [
                " ".join(piece.get("text") or str(piece["json"]) for piece in part["toolResult"]["content"])
                for part in every
                if "toolResult" in part
            ],
            "calls": [part["toolUse"]["toolUseId"] for part in every if "toolUse" in part],
            "answered": [part["toolResult"]["toolUseId"] for part in every if "toolResult" in part],
        },
    )


def reason(said: Said) -> str:
    """Bedrock's word for why it ended."""
    return "tool_use" if said.calls else "end_turn"


def blocks(said: Said) -> list[dict[str, Any]]:
    """The content of a whole answer: a thought and a hidden one before the calls."""
    out: list[dict[str, Any]] = []
    if said.thought:
        out.append({"reasoningContent": {"reasoningText": {"text": said.thought, "signature": SIGNATURE}}})
        out.append({"reasoningContent": {"redactedContent": REDACTED}})
    out += [{"toolUse": {"toolUseId": call_id, "name": name, "input": given}} for call_id, name, given in said.calls]
    if said.text:
        out.append({"text": said.text})
    return out


def events(said: Said) -> list[bytes]:
    """The events of a streamed one, framed."""
    out = [framed("messageStart", role="assistant")]
    for index, block in enumerate(blocks(said)):
        deltas: list[dict[str, Any]]
        if "toolUse" in block:
            use = block["toolUse"]
            started = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
            out.append(framed("contentBlockStart", start=started, contentBlockIndex=index))
            deltas = [{"toolUse": {"input": piece}} for piece in pieces(json.dumps(use["input"]))]
        elif "text" in block:
            deltas = [{"text": piece} for piece in pieces(block["text"])]
        elif "reasoningText" in block["reasoningContent"]:
            text = block["reasoningContent"]["reasoningText"]
            deltas = [{"reasoningContent": {"text": piece}} for piece in pieces(text["text"])]
            deltas.append({"reasoningContent": {"signature": text["signature"]}})
        else:
            deltas = [block]
        out += [framed("contentBlockDelta", delta=delta, contentBlockIndex=index) for delta in deltas]
        out.append(framed("contentBlockStop", contentBlockIndex=index))
    out.append(framed("messageStop", stopReason=reason(said)))
    out.append(framed("metadata", usage=USAGE, metrics={"latencyMs": 12}))
    return out


def framed(kind: str, **value: Any) -> bytes:
    """One event in the binary framing."""
    return encode_event(kind, json.dumps({**value, "p": "abcdef"}).encode())
