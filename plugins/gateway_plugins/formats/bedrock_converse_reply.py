"""A whole answer of Converse, read into the normalised protocol."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from gateway.errors import UpstreamProtocolError
from gateway.format import ReplyFacts
from gateway.protocol import ChatReply, Choice, Media, Opaque, Part, Text, Thinking, ToolCall
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.bedrock_converse_fields import CLAUDE, NAME
from gateway_plugins.formats.bedrock_usage import read_stop, read_usage

# How long the provider took is known here by the clock.
_KNOWN = frozenset(("output", "stopReason", "usage", "metrics", "serviceTier", "additionalModelResponseFields"))
SERVER_TOOL = "server_tool_use"
"""The ``type`` of a call that ran at the provider, and is not the caller's to run."""


def read_reply(body: bytes) -> ChatReply:
    """A provider's whole reply; raises UpstreamProtocolError when it is none."""
    value = decode_object(body)
    output = value.get("output")
    message = output.get("message") if isinstance(output, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    reason, native = read_stop(value.get("stopReason"))
    if not isinstance(content, list) or reason is None:
        raise UpstreamProtocolError("The provider's answer is none of Converse: it has no message or no stop reason.")
    parts: list[Part] = []
    for block in content:
        if not isinstance(block, dict):
            raise UpstreamProtocolError("The provider's answer has a content block that is no object.")
        parts += read_block(block)
    more = value.get("additionalModelResponseFields")
    stop, left = take_stop_sequence(more)
    extra = {key: item for key, item in value.items() if key not in _KNOWN and item not in (None, {}, [])}
    if left:
        extra["additionalModelResponseFields"] = left
    return ChatReply(
        id="",
        model="",
        choices=[Choice(content=parts, finish_reason=reason, native_finish_reason=native, stop_sequence=stop)],
        usage=read_usage(value.get("usage")),
        service_tier=tier_of(value),
        origin=NAME,
        extra=extra,
    )


def read_block(block: dict[str, Any]) -> list[Part]:
    """The part of a content block; what is not understood stays whole."""
    text = block.get("text")
    if isinstance(text, str):
        return [Text(text=text)]
    call = block.get("toolUse")
    if isinstance(call, dict) and call.get("type") != SERVER_TOOL:
        return [read_call(call)]
    reasoning = block.get("reasoningContent")
    if isinstance(reasoning, dict):
        return [_read_reasoning(reasoning)]
    cited = block.get("citationsContent")
    if isinstance(cited, dict):
        return [_read_cited(cited)]
    image = block.get("image")
    if isinstance(image, dict):
        media = read_image(image)
        if media is not None:
            return [media]
    return [Opaque(origin=NAME, type=next(iter(block), ""), value=block)]


def read_call(call: dict[str, Any]) -> ToolCall:
    """A call whose input is whole; that of a stream begins without one."""
    name, call_id = call.get("name"), call.get("toolUseId")
    if not isinstance(name, str) or not isinstance(call_id, str):
        raise UpstreamProtocolError("The provider's answer has a tool call without a name or an id.")
    arguments = msgspec.json.encode(call["input"]).decode() if call.get("input") is not None else "{}"
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _read_reasoning(reasoning: dict[str, Any]) -> Thinking:
    blob = reasoning.get("redactedContent")
    if isinstance(blob, str):
        return redacted(blob)
    said = reasoning.get("reasoningText")
    if not isinstance(said, dict):
        raise UpstreamProtocolError("The provider's answer has reasoning that is neither text nor redacted.")
    signature = said.get("signature")
    text = said.get("text")
    signed = isinstance(signature, str) and signature != ""
    return Thinking(
        text=text if isinstance(text, str) else "",
        signature=signature if signed else None,
        origin=CLAUDE if signed else NAME,
    )


def redacted(blob: str) -> Thinking:
    """Redacted thinking: Anthropic's data, which Converse has as the bytes of a text."""
    try:
        data = base64.b64decode(blob, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return Thinking(redacted=True, encrypted=blob, origin=NAME)
    return Thinking(redacted=True, encrypted=data, origin=CLAUDE)


def _read_cited(cited: dict[str, Any]) -> Text:
    content = cited.get("content")
    texts = [item.get("text") for item in content if isinstance(item, dict)] if isinstance(content, list) else []
    citations = cited.get("citations")
    found = [read_citation(item) for item in citations if isinstance(item, dict)] if isinstance(citations, list) else []
    return Text(text="".join(text for text in texts if isinstance(text, str)), citations=found)


def read_citation(citation: dict[str, Any]) -> dict[str, Any]:
    """A citation in Converse's shape; one of the web has its address where the writers of other formats look."""
    location = citation.get("location")
    web = location.get("web") if isinstance(location, dict) else None
    url = web.get("url") if isinstance(web, dict) else None
    return {**citation, "url": url} if isinstance(url, str) else citation


def read_image(image: dict[str, Any]) -> Media | None:
    """An image that the model made; None where its data are not there."""
    source = image.get("source")
    data = source.get("bytes") if isinstance(source, dict) else None
    kind = image.get("format")
    if not isinstance(data, str) or not isinstance(kind, str):
        return None
    return Media(kind="image", media_type=f"image/{kind}", data=data)


def take_stop_sequence(more: Any) -> tuple[str | None, dict[str, Any]]:
    """The stop sequence among the model's additional fields, and what else is there."""
    if not isinstance(more, dict):
        return None, {}
    stop = more.get("stop_sequence")
    return stop if isinstance(stop, str) else None, {
        key: item for key, item in more.items() if key != "stop_sequence" and item is not None
    }


def tier_of(value: dict[str, Any]) -> str | None:
    """The service tier that the request was served at."""
    tier = value.get("serviceTier")
    word = tier.get("type") if isinstance(tier, dict) else None
    return word if isinstance(word, str) else None


def read_facts(body: bytes) -> ReplyFacts:
    """Usage and finish reason of a whole reply; Converse does not repeat the model."""
    value = decode_object(body)
    return ReplyFacts(
        usage=read_usage(value.get("usage")),
        finish_reason=read_stop(value.get("stopReason"))[0],
        service_tier=tier_of(value),
    )
