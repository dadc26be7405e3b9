"""What Converse requests mean, and botocore's own validator as the judge of what we write."""

from __future__ import annotations

import json
from functools import cache
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.protocol import (
    CacheControl,
    ChatRequest,
    Media,
    Message,
    Opaque,
    Part,
    ResponseFormat,
    Text,
    Tool,
    ToolChoice,
    ToolResult,
)
from gateway_plugins.formats.bedrock_converse_reply import read_block
from tests.wire.recordings import Exchange

ORIGIN = "bedrock_converse"
_MODES: dict[str, Any] = {"auto": "auto", "any": "required", "tool": "named"}
_CARRIED = ("messages", "system", "toolConfig", "inferenceConfig", "outputConfig")


@cache
def _operations() -> Any:
    session: Any = pytest.importorskip("botocore.session")
    return session.Session().get_service_model("bedrock-runtime")


def check_request(operation: str, model: str, body: dict[str, Any]) -> None:
    """Raise AssertionError with botocore's report unless it takes the request."""
    from botocore.validate import ParamValidator

    report = ParamValidator().validate({"modelId": model, **body}, _operations().operation_model(operation).input_shape)
    assert not report.has_errors(), report.generate_report()


def model_of(exchange: Exchange) -> str:
    """The model's id in a recorded request's path."""
    return unquote(exchange.request["url_path"].split("/")[2])


def as_request(body: dict[str, Any], model: str) -> ChatRequest:
    """A recorded Converse request in the normalised protocol: no dialect speaks it, so only tests read it."""
    request = ChatRequest(model=model, origin=ORIGIN)
    if body.get("system"):
        request.messages.append(Message(role="system", content=_parts(body["system"])))
    for message in body["messages"]:
        request.messages.append(Message(role=message["role"], content=_parts(message["content"])))
    config = body.get("toolConfig") or {}
    for item in config.get("tools") or ():
        if "cachePoint" in item:
            request.tools[-1].cache_control = _cached(item)
        elif "systemTool" in item:
            name = item["systemTool"]["name"]
            request.tools.append(Tool(kind="server", name=name, type=name, origin=ORIGIN))
        else:
            spec = item["toolSpec"]
            request.tools.append(
                Tool(
                    name=spec["name"],
                    description=spec.get("description"),
                    parameters=spec["inputSchema"]["json"],
                    strict=spec.get("strict"),
                )
            )
    for word, value in (config.get("toolChoice") or {}).items():
        request.tool_choice = ToolChoice(mode=_MODES[word], name=value.get("name"))
    said = body.get("inferenceConfig") or {}
    request.max_tokens, request.stop = said.get("maxTokens"), said.get("stopSequences") or []
    request.temperature, request.top_p = said.get("temperature"), said.get("topP")
    structure = ((body.get("outputConfig") or {}).get("textFormat") or {}).get("structure")
    if structure:
        schema = structure["jsonSchema"]
        request.response_format = ResponseFormat(
            type="json_schema",
            schema=json.loads(schema["schema"]),
            name=schema.get("name"),
            description=schema.get("description"),
        )
    request.extra = {key: value for key, value in body.items() if key not in _CARRIED}
    return request


def _cached(block: dict[str, Any]) -> CacheControl:
    return CacheControl(ttl=block["cachePoint"].get("ttl"))


def _parts(blocks: list[dict[str, Any]]) -> list[Part]:
    parts: list[Part] = []
    for block in blocks:
        if "cachePoint" in block:
            parts[-1].cache_control = _cached(block)
        else:
            parts.append(_part(block))
    return parts


def _part(block: dict[str, Any]) -> Part:
    result = block.get("toolResult")
    if result is not None and "type" not in result:
        content = [Text(text=item["text"]) if "text" in item else _part(item) for item in result["content"]]
        return ToolResult(tool_call_id=result["toolUseId"], content=content, is_error=result.get("status") == "error")
    kinds: tuple[Any, ...] = ("image", "video", "document")
    for kind in kinds:
        media = block.get(kind)
        if media is not None and media["source"].keys() <= {"bytes", "s3Location"} and "citations" not in media:
            place = media["source"].get("s3Location") or {}
            return Media(
                kind=kind,
                media_type=_TYPES.get(media["format"]),
                data=media["source"].get("bytes"),
                url=place.get("uri"),
                name=media.get("name"),
                extra={"context": media["context"]} if "context" in media else {},
            )
    if block.keys() & {"text", "toolUse", "reasoningContent"}:
        return read_block(block)[0]
    return Opaque(origin=ORIGIN, type=next(iter(block)), value=block)


_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "mp4": "video/mp4",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


def meaning(body: dict[str, Any]) -> Any:
    """A request without what says nothing: empty members, white space alone, and two turns of one role for one."""
    turns: list[dict[str, Any]] = []
    for message in body["messages"]:
        content = [block for block in message["content"] if str(block.get("text", "x")).strip()]
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"] += content
        else:
            turns.append({"role": message["role"], "content": content})
    return _meaning({**body, "messages": turns})


def _meaning(body: Any) -> Any:
    if isinstance(body, list):
        return [_meaning(item) for item in body]
    if not isinstance(body, dict):
        return body
    out = {
        key: json.loads(value) if key == "schema" and isinstance(value, str) else _meaning(value)
        for key, value in body.items()
        if value not in ([], {}, None) or key in ("content", "input", "auto", "any", "json", "properties")
    }
    source = out.get("source")
    if isinstance(source, dict) and str(source.get("bytes")).startswith("iVBOR"):
        # The file says what it is, whatever was said of it.
        out["format"] = "png"
    if out.get("status") == "success" or out.get("type") == "tool_use":
        out.pop("status", None)
        out.pop("type", None)
    return {key: value for key, value in out.items() if value != {} or key in ("input", "auto", "any", "properties")}
