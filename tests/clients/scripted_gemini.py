"""A stand-in for the Gemini API, with scripted answers in the shapes of generativelanguage.googleapis.com."""

from __future__ import annotations

import json
from typing import Any

from gateway.testing import Exchange
from tests.clients.scripted_answers import Asked, Said, failure, pieces, say, send_chunks, send_json

SIGNATURE = "c2lnbmVkLWJ5LWdlbWluaSsvPT0="
USAGE = {"promptTokenCount": 21, "candidatesTokenCount": 9, "totalTokenCount": 30}
FAILURES: dict[str, tuple[int, dict[str, Any]]] = {
    "rate_limit": (
        429,
        {
            "code": 429,
            "message": "You exceeded your current quota, please check your plan and billing details.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [
                        {
                            "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
                            "quotaId": "GenerateRequestsPerMinutePerProjectPerModel",
                        }
                    ],
                },
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"},
            ],
        },
    ),
    "context_length": (
        400,
        {
            "code": 400,
            "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "status": "INVALID_ARGUMENT",
        },
    ),
    "authentication": (
        400,
        {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com",
                    "metadata": {"service": "generativelanguage.googleapis.com"},
                }
            ],
        },
    ),
    "overloaded": (
        503,
        {"code": 503, "message": "The model is overloaded. Please try again later.", "status": "UNAVAILABLE"},
    ),
}
KNOWN = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"}


async def gemini(exchange: Exchange) -> None:
    """Answer one request; a script for ``ScriptedProvider.default_script``."""
    path = exchange.request.path
    body = camel(exchange.request.json())
    if path.endswith(":countTokens"):
        await send_json(exchange, 200, {"totalTokens": 14})
        return
    unknown = sorted(set(body) - KNOWN)
    if unknown or not isinstance(body.get("contents"), list):
        message = f"Invalid JSON payload received. Unknown name {unknown or 'contents'}: Cannot find field."
        error = {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}
        await send_json(exchange, 400, {"error": error})
        return
    asked = read(body, stream=":streamGenerateContent" in path)
    fails = failure(asked.scene)
    if fails is not None:
        status, error = FAILURES[fails]
        await send_json(exchange, status, {"error": error})
        return
    model = path.rpartition("/")[2].partition(":")[0]
    said = say(asked)
    if not asked.stream:
        await send_json(exchange, 200, reply(model, parts(said), "STOP"))
        return
    chunks = [reply(model, [part], None) for part in streamed(said)]
    chunks.append(reply(model, [{"text": ""}], "STOP"))
    data = [f"data: {json.dumps(chunk)}\r\n\r\n".encode() for chunk in chunks]
    await send_chunks(exchange, "text/event-stream", data)


def camel(value: Any) -> Any:
    """A request with the names that google-genai writes with underscores as the documentation has them."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, item in value.items():
        first, *others = key.split("_")
        free = key in ("args", "response", "properties", "responseSchema", "responseJsonSchema")
        out[first + "".join(map(str.capitalize, others))] = item if free else camel(item)
    return out


def read(body: dict[str, Any], *, stream: bool) -> Asked:
    """A request in the words that all scripted providers share."""
    every = [part for turn in body["contents"] for part in turn["parts"]]
    users = [part for turn in body["contents"] if turn.get("role") != "model" for part in turn["parts"]]
    setup = body.get("generationConfig", {})
    declared = [item["name"] for tool in body.get("tools", ()) for item in tool.get("functionDeclarations", ())]
    none = body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode") == "NONE"
    blobs = [part["inlineData"] for part in every if "inlineData" in part]
    return Asked(
        scene=next((part["text"] for part in users if part.get("text")), ""),
        told=any("functionResponse" in part for part in body["contents"][-1]["parts"]),
        tools=[] if none else declared,
        structured=setup.get("responseMimeType") == "application/json",
        thinks=bool(setup.get("thinkingConfig", {}).get("includeThoughts")),
        stream=stream,
        got={
            "images": [f"data:{blob['mimeType']};base64,{blob['data']}" for blob in blobs],
            "thinking": [part["text"] for part in every if part.get("thought")],
            "signatures": [part["thoughtSignature"] for part in every if "thoughtSignature" in part],
            "signed_calls": [
                part["functionCall"]["args"]
                for part in every
                if "functionCall" in part and part.get("thoughtSignature") == SIGNATURE
            ],
            "results": [
                " ".join(str(value) for value in part["functionResponse"]["response"].values())
                for part in every
                if "functionResponse" in part
            ],
            "calls": [part["functionCall"].get("id") for part in every if "functionCall" in part],
            "answered": [part["functionResponse"].get("id") for part in every if "functionResponse" in part],
        },
    )


def parts(said: Said) -> list[dict[str, Any]]:
    """The parts of a whole answer: the signature of parallel calls stands on the first one alone."""
    out: list[dict[str, Any]] = []
    if said.thought:
        out.append({"text": said.thought, "thought": True})
    for place, (call_id, name, given) in enumerate(said.calls):
        signed = {"thoughtSignature": SIGNATURE} if said.thought and place == 0 else {}
        out.append({"functionCall": {"id": call_id, "name": name, "args": given}, **signed})
    if said.text:
        out.append({"text": said.text})
    return out


def streamed(said: Said) -> list[dict[str, Any]]:
    """The parts of a streamed one: texts in pieces, calls whole."""
    out: list[dict[str, Any]] = []
    for part in parts(said):
        texts = pieces(part["text"]) if "text" in part else []
        out += [{**part, "text": piece} for piece in texts] or [part]
    return out


def reply(model: str, content: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    """A whole answer, or a chunk of a streamed one."""
    candidate: dict[str, Any] = {"content": {"parts": content, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": USAGE,
        "modelVersion": model,
        "responseId": "invented-by-gemini",
    }
