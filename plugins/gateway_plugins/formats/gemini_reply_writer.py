"""Whole replies of generateContent, written for a caller."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.format import Dropped
from gateway.json_text import BAD_JSON
from gateway.protocol import ChatReply, Choice, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, Usage
from gateway_plugins.formats.gemini_carrier import carried
from gateway_plugins.formats.gemini_citations import write_citations
from gateway_plugins.formats.gemini_fields import MADE_UP, NAME
from gateway_plugins.formats.gemini_usage import unsaid_counts, write_finish, write_logprobs, write_usage
from gateway_plugins.formats.json_fields import merge

CITES = "generateContent cites addresses and titles only"
REFUSED = "generateContent does not tell a refusal from other text"
STOPPED = "generateContent does not say which stop sequence it was"
_TYPES = {"audio": "audio/wav", "image": "image/png", "video": "video/mp4", "document": "application/pdf"}


def write_reply(reply: ChatReply, dropped: Dropped) -> bytes:
    """The caller's whole reply; losses are named in ``dropped``."""
    own = reply.origin == NAME
    blocked = own and "promptFeedback" in reply.extra and not any(choice.content for choice in reply.choices)
    out: dict[str, Any] = {}
    if not blocked:
        out["candidates"] = [_candidate(choice, own, dropped) for choice in reply.choices]
    counted = usage_object(reply.usage, None if own else reply.service_tier, dropped, own=own)
    if counted:
        out["usageMetadata"] = counted
    out["modelVersion"] = reply.model
    if reply.id:
        out["responseId"] = reply.id
    if own:
        merge(out, reply.extra)
    else:
        for key in reply.extra:
            dropped.add(f"reply.{key}", "generateContent has no such field")
    return msgspec.json.encode(out)


def _candidate(choice: Choice, own: bool, dropped: Dropped) -> dict[str, Any]:
    path = f"choices[{choice.index}]"
    parts: list[dict[str, Any]] = []
    cited: list[tuple[int, str, dict[str, Any]]] = []
    length = 0
    for at, part in enumerate(choice.content):
        if isinstance(part, Text):
            cited += [(length, part.text, citation) for citation in part.citations]
            length += len(part.text)
        add_part(parts, part, f"{path}.content[{at}]", dropped, own=own)
    if not parts and not own:
        # Official clients count a content without parts as no answer.
        parts.append({"text": ""})
    out: dict[str, Any] = {"content": {"role": "model", "parts": parts}}
    out["finishReason"] = write_finish(choice.finish_reason, choice.native_finish_reason, own=own)
    out["index"] = choice.index
    if own:
        merge(out, choice.extra)
        return out
    metadata, lost = write_citations(cited)
    if metadata is not None:
        out["groundingMetadata"] = metadata
    for field in lost:
        dropped.add(f"{path}.{field}", CITES)
    if choice.logprobs is not None:
        result = write_logprobs(choice.logprobs)
        if result is None:
            dropped.add(f"{path}.logprobs", "they have another shape than chat completions' own")
        else:
            out["logprobsResult"] = result
    if choice.stop_sequence is not None:
        dropped.add(f"{path}.stop_sequence", STOPPED)
    name_extra(choice.extra, path, dropped)
    return out


def usage_object(usage: Usage | None, tier: str | None, dropped: Dropped | None, *, own: bool) -> dict[str, Any]:
    """``usageMetadata``; what of another format has no place there is named, as is the tier that answered."""
    out = {} if usage is None else write_usage(usage, own=own)
    if dropped is not None and not own:
        for field in [] if usage is None else unsaid_counts(usage):
            dropped.add(field, "generateContent does not count it")
        if tier is not None:
            # Google's API says it in usageMetadata, but its own packages have no such field.
            dropped.add("reply.service_tier", "generateContent has no such field")
    return out


def name_extra(extra: dict[str, Any], path: str, dropped: Dropped | None) -> None:
    """Name another format's unknown fields."""
    if dropped is not None:
        for key in extra:
            dropped.add(f"{path}.{key}", "generateContent has no such field")


def add_part(out: list[dict[str, Any]], part: Part, path: str, dropped: Dropped | None, *, own: bool) -> None:
    """Write a part behind those of ``out``; a signature alone goes to the text or picture before it."""
    if isinstance(part, Thinking) and part.origin == NAME and not part.text and part.signature:
        last = out[-1] if out else {}
        if ("text" in last or "inlineData" in last) and not last.get("thought") and "thoughtSignature" not in last:
            last["thoughtSignature"] = part.signature
        else:
            out.append({"text": "", "thoughtSignature": part.signature})
        return
    written = written_part(part, path, dropped)
    if written is None:
        return
    if own and not isinstance(part, Opaque):
        merge(written, part.extra)
    elif not own:
        name_extra(part.extra, path, dropped)
    out.append(written)


def written_part(part: Part, path: str, dropped: Dropped | None) -> dict[str, Any] | None:
    """One part; None for what has none, which is named."""
    if isinstance(part, Text | Refusal):
        if isinstance(part, Refusal) and dropped is not None:
            dropped.add(f"{path}.refusal", REFUSED)
        return {"text": part.text}
    if isinstance(part, Thinking):
        return thought(part.text, carried(part))
    if isinstance(part, ToolCall):
        return _call(part, path, dropped)
    if isinstance(part, Media):
        media_type = part.media_type or _TYPES[part.kind]
        if part.data is not None:
            return {"inlineData": {"mimeType": media_type, "data": part.data}}
        if part.url is not None or part.file_id is not None:
            return {"fileData": {"mimeType": media_type, "fileUri": part.url or part.file_id}}
        return {"text": part.text or ""}
    if isinstance(part, Opaque) and part.origin == NAME:
        return dict(part.value)
    if dropped is not None:
        what = part.type if isinstance(part, Opaque) else type(part).__name__
        dropped.add(path, f"generateContent has nothing for {what}")
    return None


def thought(text: str, signature: str | None) -> dict[str, Any]:
    """A thought part."""
    out: dict[str, Any] = {"text": text, "thought": True}
    if signature is not None:
        out["thoughtSignature"] = signature
    return out


def _call(part: ToolCall, path: str, dropped: Dropped | None) -> dict[str, Any]:
    call: dict[str, Any] = {} if part.id.startswith(MADE_UP) else {"id": part.id}
    call["name"] = part.name
    call["args"] = _arguments(part, path, dropped)
    out: dict[str, Any] = {"functionCall": call}
    if part.signature is not None:
        out["thoughtSignature"] = part.signature
    return out


def _arguments(part: ToolCall, path: str, dropped: Dropped | None) -> dict[str, Any]:
    """The arguments as an object; a model may have failed to write one."""
    if not part.arguments.strip():
        return {}
    try:
        value = msgspec.json.decode(part.arguments)
    except BAD_JSON:
        value = None
    if isinstance(value, dict):
        return value
    if dropped is not None:
        dropped.add(f"{path}.arguments", "they are no JSON object: sent as text under 'input'")
    return {"input": part.arguments}
