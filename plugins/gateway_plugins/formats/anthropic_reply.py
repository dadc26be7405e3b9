"""A whole message, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.errors import InvalidRequest, UpstreamProtocolError
from gateway.format import Dropped, ReplyFacts
from gateway.json_text import BAD_JSON
from gateway.protocol import ChatReply, Choice, Opaque, Part, Refusal, Text, Thinking, ToolCall, Usage
from gateway_plugins.formats.answer_json import decode_object
from gateway_plugins.formats.anthropic_blocks_reader import read_content
from gateway_plugins.formats.anthropic_carrier import carried_call_signature, carried_thinking
from gateway_plugins.formats.anthropic_citations import write_citation
from gateway_plugins.formats.anthropic_errors import rejected
from gateway_plugins.formats.anthropic_fields import NAME
from gateway_plugins.formats.anthropic_usage import read_stop, read_usage, write_stop, write_usage
from gateway_plugins.formats.custom_tools import CUSTOM_INPUT

_KNOWN = frozenset(("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"))
LATE = frozenset(("stop_details", "container", "context_management"))
"""What belongs to the end of an answer: a stream has it in its ``message_delta``."""


def read_reply(body: bytes) -> ChatReply:
    """A provider's whole reply; raises UpstreamRejected for an error under a good status.

    What is neither a message nor an error raises UpstreamProtocolError.
    """
    value = decode_object(body, "a message")
    if isinstance(value.get("error"), dict) and value.get("type") != "message":
        raise rejected(value["error"])
    if not isinstance(value.get("content"), list):
        raise UpstreamProtocolError("The provider's answer is not a message: it has no content.")
    try:
        content = read_content(value["content"], "content")
    except InvalidRequest as error:
        raise UpstreamProtocolError(f"The provider's answer is not a message: {error.message}") from None
    reason, native = read_stop(value.get("stop_reason"))
    extra = {key: item for key, item in value.items() if key not in _KNOWN and item is not None}
    choice = Choice(
        content=content,
        finish_reason=reason,
        native_finish_reason=native,
        stop_sequence=_text(value.get("stop_sequence")),
        extra={key: item for key, item in extra.items() if key in LATE},
    )
    return ChatReply(
        id=_text(value.get("id")) or "",
        model=_text(value.get("model")) or "",
        choices=[choice],
        usage=read_usage(value.get("usage")),
        service_tier=tier_of(value.get("usage")),
        origin=NAME,
        extra={key: item for key, item in extra.items() if key not in LATE},
    )


def tier_of(usage: Any) -> str | None:
    """The service tier, which Anthropic says among the tokens."""
    return _text(usage.get("service_tier")) if isinstance(usage, dict) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def write_reply(reply: ChatReply, dropped: Dropped) -> bytes:
    """The caller's whole reply; what a message cannot say is named in ``dropped``."""
    own = reply.origin == NAME
    choice = reply.choices[0] if reply.choices else Choice()
    for other in reply.choices[1:]:
        dropped.add(f"choices[{other.index}]", "a message is one answer")
    if choice.logprobs is not None:
        dropped.add("logprobs", "a message has no log probabilities")
    blocks: list[dict[str, Any]] = []
    for index, part in enumerate(choice.content):
        blocks += write_part(part, f"content[{index}]", dropped, own=own)
    if reply.usage is None:
        usage: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0}
    else:
        usage = write_usage(reply.usage, reply.service_tier, own=own)
    if reply.service_tier is not None and "service_tier" not in usage:
        dropped.add("service_tier", f"a message knows no tier {reply.service_tier}")
    out: dict[str, Any] = {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": blocks,
        "stop_reason": write_stop(
            choice.finish_reason, choice.native_finish_reason, choice.stop_sequence, choice.content
        ),
        "stop_sequence": choice.stop_sequence,
        "usage": usage,
    }
    named = {**reply.extra, **choice.extra}
    if own:
        if choice.finish_reason == "stop" and choice.native_finish_reason is not None:
            out["stop_reason"] = choice.native_finish_reason
        out.update(named)
    else:
        for key in (*unsaid_of(named), *uncounted(reply.usage)):
            dropped.add(key, "a message has no such field")
    return msgspec.json.encode(out)


def unsaid_of(extra: dict[str, Any]) -> Iterator[str]:
    """The names of another format's unknown fields; what stood in its message, or in a chunk's delta, one by one."""
    for key, value in extra.items():
        if key in ("message", "delta", "chunk") and isinstance(value, dict):
            yield from (inner if key == "chunk" else f"message.{inner}" for inner in value)
        else:
            yield key


def uncounted(usage: Usage | None) -> Iterator[str]:
    """What another provider counted and a message does not."""
    if usage is None:
        return
    yield from (f"usage.{key}" for key in usage.extra)
    for name in ("audio_input_tokens", "audio_output_tokens"):
        if getattr(usage, name):
            yield f"usage.{name}"


def write_part(part: Part, path: str, dropped: Dropped, *, own: bool) -> list[dict[str, Any]]:
    """The block, or blocks, for a part of a reply; none where a message has no place for it, which is then named."""
    if isinstance(part, Opaque) and part.origin == NAME:
        return [part.value]
    blocks: list[dict[str, Any]] = []
    if isinstance(part, Text | Refusal):
        blocks = _write_text(part, path, dropped, own=own)
    elif isinstance(part, Thinking):
        blocks.append(thinking_block(part))
    elif isinstance(part, ToolCall):
        if part.signature is not None:
            blocks.append(carried_call_signature(part.signature))
        arguments = _arguments(part, path, dropped)
        blocks.append({"type": "tool_use", "id": part.id, "name": part.name, "input": arguments})
    else:
        dropped.add(path, f"a message has no place for {getattr(part, 'type', type(part).__name__)}")
    if own and blocks:
        blocks[-1].update(part.extra)
    elif blocks:
        for key in part.extra:
            dropped.add(f"{path}.{key}", "a message has no such field")
    return blocks


def _write_text(part: Text | Refusal, path: str, dropped: Dropped, *, own: bool) -> list[dict[str, Any]]:
    block: dict[str, Any] = {"type": "text", "text": part.text}
    if isinstance(part, Text) and part.citations:
        if own:
            block["citations"] = part.citations
        else:
            found = [write_citation(item, f"{path}.citations", dropped) for item in part.citations]
            block.update({"citations": cited} if (cited := [item for item in found if item is not None]) else {})
    return [block] if own or part.text else []


def thinking_block(part: Thinking) -> dict[str, Any]:
    """Thinking with what lets it be replayed: Anthropic's own, or carried for another provider."""
    own = part.origin == NAME
    if part.redacted:
        return {"type": "redacted_thinking", "data": (part.encrypted or "") if own else carried_thinking(part)}
    signature = (part.signature or "") if own else carried_thinking(part)
    return {"type": "thinking", "thinking": part.text, "signature": signature}


def _arguments(part: ToolCall, path: str, dropped: Dropped) -> Any:
    if part.kind == "custom":
        return {CUSTOM_INPUT: part.arguments}
    if not part.arguments.strip():
        return {}
    try:
        value = msgspec.json.decode(part.arguments)
    except BAD_JSON:
        value = None
    if isinstance(value, dict):
        return value
    # Anthropic's own way out, where a model's arguments are cut off or broken.
    dropped.add(f"{path}.input", "the arguments are not a JSON object: they are given as text")
    return {"INVALID_JSON": part.arguments}


class _Facts(msgspec.Struct):
    type: Any = None
    model: Any = None
    stop_reason: Any = None
    usage: Any = None
    error: Any = None


_decode_facts = msgspec.json.Decoder(_Facts).decode


def read_facts(body: bytes) -> ReplyFacts:
    """Model, usage and finish reason of a whole reply, by a partial decode."""
    try:
        facts = _decode_facts(body)
    except BAD_JSON:
        raise UpstreamProtocolError("The provider's answer is not valid JSON.") from None
    if isinstance(facts.error, dict) and facts.type != "message":
        return ReplyFacts(error=rejected(facts.error))
    if facts.type != "message":
        return ReplyFacts(is_answer=False)
    tier = facts.usage.get("service_tier") if isinstance(facts.usage, dict) else None
    return ReplyFacts(
        model=_text(facts.model),
        usage=read_usage(facts.usage),
        finish_reason=read_stop(facts.stop_reason)[0],
        service_tier=_text(tier),
    )
