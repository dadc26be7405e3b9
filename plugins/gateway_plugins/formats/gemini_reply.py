"""Whole replies of generateContent, both ways."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from gateway.errors import GatewayError, InvalidRequest, UpstreamProtocolError
from gateway.format import ReplyFacts
from gateway.json_text import BAD_JSON
from gateway.protocol import ChatReply, Choice, Part, Text, ToolCall
from gateway_plugins.formats.gemini_citations import read_citations
from gateway_plugins.formats.gemini_errors import rejected
from gateway_plugins.formats.gemini_fields import MADE_UP, NAME
from gateway_plugins.formats.gemini_parts_reader import loose_signature, read_part
from gateway_plugins.formats.gemini_usage import (
    finish_word,
    read_finish,
    read_logprobs,
    read_tier,
    read_usage,
)
from gateway_plugins.formats.json_fields import index_of

_KNOWN = frozenset(("candidates", "usageMetadata", "modelVersion", "responseId"))
_CANDIDATE = frozenset(("content", "finishReason", "index"))
_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")


def read_reply(body: bytes) -> ChatReply:
    """A whole reply; an answer of all the pieces of a stream, in an array, is put together first."""
    try:
        value: Any = msgspec.json.decode(body)
    except BAD_JSON:
        raise UpstreamProtocolError("The provider's answer is not valid JSON.") from None
    if isinstance(value, list):
        value = folded(value)
    return reply_of(value)


def reply_of(value: Any) -> ChatReply:
    """The reply in a decoded object."""
    check(value)
    usage = value.get("usageMetadata")
    reply = ChatReply(
        id=text_of(value.get("responseId")),
        model=text_of(value.get("modelVersion")).removeprefix("models/"),
        usage=read_usage(usage),
        created=created_of(value.get("createTime")),
        service_tier=read_tier(usage),
        origin=NAME,
        extra={key: item for key, item in value.items() if key not in _KNOWN and item is not None},
    )
    call_id = ids_for(reply.id)
    for at, candidate in enumerate(value.get("candidates") or ()):
        reply.choices.append(_read_candidate(candidate, at, call_id))
    if not reply.choices and (reason := block_reason(value)) is not None:
        reply.choices.append(Choice(finish_reason="content_filter", native_finish_reason=reason))
    return reply


def check(value: Any) -> None:
    """Raise for what is no answer: another shape, or an error under a good status."""
    if not isinstance(value, dict):
        raise UpstreamProtocolError("The provider's answer is not an object.")
    if isinstance(value.get("error"), dict):
        raise rejected(value["error"])
    if not isinstance(value.get("candidates") or [], list):
        raise UpstreamProtocolError("The provider's answer has candidates that are no array.")
    if not value.keys() & {"candidates", "promptFeedback", "usageMetadata", "responseId"}:
        raise UpstreamProtocolError("The provider's answer is no answer of generateContent.")


def _read_candidate(value: Any, at: int, call_id: Callable[[str, str], str]) -> Choice:
    if not isinstance(value, dict):
        raise UpstreamProtocolError("The provider's answer has a candidate that is no object.")
    index = value.get("index", at)
    choice = Choice(index=index_of(index, at))
    for place, item in enumerate(parts_of(value)):
        choice.content += read_reply_part(item, f"candidates[{at}].content.parts[{place}]", call_id)
    texts = [part for part in choice.content if isinstance(part, Text)]
    cited = read_citations(value, [part.text for part in texts])
    if cited and not texts:
        texts = [Text(text="")]
        choice.content += texts
    for number, citation in cited:
        texts[number].citations = [*texts[number].citations, citation]
    word = finish_word(value.get("finishReason"))
    if word is not None:
        calls = any(isinstance(part, ToolCall) for part in choice.content)
        choice.finish_reason, choice.native_finish_reason = read_finish(word, calls=calls), word
    choice.logprobs = read_logprobs(value.get("logprobsResult"))
    choice.extra = {key: item for key, item in value.items() if key not in _CANDIDATE and item is not None}
    return choice


def read_reply_part(item: Any, path: str, call_id: Callable[[str, str], str]) -> list[Part]:
    """A part, and behind it what carries its signature where it cannot itself."""
    try:
        part, signature = read_part(item, path, call_id)
    except InvalidRequest as error:
        raise UpstreamProtocolError(f"The provider's answer is not understood: {error.message}") from None
    if signature is None:
        return [part]
    # A signature on no words needs no text.
    return (
        [loose_signature(signature)] if isinstance(part, Text) and not part.text else [part, loose_signature(signature)]
    )


def parts_of(candidate: dict[str, Any]) -> list[Any]:
    """The parts of a candidate's content."""
    content = candidate.get("content") or {}
    parts = content.get("parts") if isinstance(content, dict) else ()
    if not isinstance(parts, list | tuple | None):
        raise UpstreamProtocolError("The provider's answer has parts that are no array.")
    return list(parts or ())


def ids_for(reply_id: str) -> Callable[[str, str], str]:
    """What gives calls of one reply that came without an id one of our own, the same for the same reply."""
    count = 0

    def made_up(name: str, arguments: str) -> str:
        nonlocal count
        count += 1
        known = _UNSAFE.sub("_", reply_id)[:32]
        return f"{MADE_UP}{known or blake2b(f'{name}{arguments}'.encode(), digest_size=12).hexdigest()}_{count}"

    return made_up


def block_reason(value: dict[str, Any]) -> str | None:
    """Why the prompt was not answered at all."""
    feedback = value.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return reason if isinstance(reason, str) else None


def created_of(value: Any) -> int | None:
    """Unix seconds of a time such as ``2025-10-29T16:35:01.123456Z``."""
    if not isinstance(value, str):
        return None
    try:
        return int(datetime.fromisoformat(value).timestamp())
    except (ValueError, OverflowError):
        return None


def text_of(value: Any) -> str:
    """A text, or none for anything else."""
    return value if isinstance(value, str) else ""


def folded(chunks: list[Any]) -> dict[str, Any]:
    """The pieces of a stream as one answer."""
    out: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        check(chunk)
        out.update({key: item for key, item in chunk.items() if item is not None})
        for at, candidate in enumerate(chunk.get("candidates") or ()):
            if not isinstance(candidate, dict):
                raise UpstreamProtocolError("The provider's answer has a candidate that is no object.")
            index = candidate.get("index", at)
            there = candidates.setdefault(index_of(index, at), {})
            parts = parts_of(there)
            for part in parts_of(candidate):
                if parts and _goes_on(parts[-1], part):
                    parts[-1] = {**parts[-1], **part, "text": parts[-1]["text"] + part["text"]}
                else:
                    parts.append(part)
            there.update(candidate)
            there["content"] = {"role": "model", "parts": parts}
    if not chunks:
        raise UpstreamProtocolError("The provider's answer is empty.")
    if candidates:
        out["candidates"] = list(candidates.values())
    return out


def _goes_on(part: Any, more: Any) -> bool:
    """Whether a piece of text goes on with the one before."""
    both = (part, more)
    if not all(isinstance(one, dict) and isinstance(one.get("text"), str) for one in both):
        return False
    return part.keys() <= {"text", "thought"} and bool(part.get("thought")) == bool(more.get("thought"))


def read_facts(body: bytes) -> ReplyFacts:
    """Model, usage and finish reason of a whole reply."""
    try:
        reply = read_reply(body)
    except GatewayError as error:
        if isinstance(error, UpstreamProtocolError):
            return ReplyFacts(is_answer=False)
        return ReplyFacts(error=error)
    finish = reply.choices[0].finish_reason if reply.choices else None
    return ReplyFacts(model=reply.model or None, usage=reply.usage, finish_reason=finish)
