"""Thinking of other providers, carried through Anthropic's thinking blocks so that it can be replayed.

A client of this dialect sends thinking blocks back unchanged. Where the model behind it is not Anthropic's, what lets
its thinking be replayed (a signature, encrypted data, an id, and whose they are) travels as the block's ``signature``,
or as the ``data`` of a redacted block, behind a mark of our own. Nothing with that mark may reach Anthropic, nor may a
citation of another provider's that has it for its ``encrypted_index``.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from gateway.jsonbody import JsonObject
from gateway.protocol import Thinking
from gateway_plugins.formats.anthropic_fields import NAME

MARK = "gw1."
"""The first characters of what is ours; Anthropic's signatures and data are plain base64, which has no full stop."""


_MARK = MARK.encode()


class _Carried(msgspec.Struct, omit_defaults=True):
    """``call_signature`` belongs to the tool call that follows; the other fields are those of Thinking."""

    origin: str | None = None
    signature: str | None = None
    encrypted: str | None = None
    id: str | None = None
    call_signature: str | None = None


def carried_thinking(part: Thinking) -> str:
    """The text that stands for a signature, or for redacted data, of thinking that is not Anthropic's."""
    return _pack(_Carried(origin=part.origin, signature=part.signature, encrypted=part.encrypted, id=part.id))


def carried_call_signature(signature: str) -> dict[str, Any]:
    """The block that goes before a tool call whose own signature (Gemini's) must come back with it."""
    return {"type": "redacted_thinking", "data": _pack(_Carried(call_signature=signature))}


def read_call_signature(block: Any) -> str | None:
    """The signature for the tool call behind this block, or None where the block is another one."""
    if not isinstance(block, dict) or block.get("type") != "redacted_thinking":
        return None
    found = _unpack(block.get("data"))
    return None if found is None else found.call_signature


def thinking_of(text: str, carried: str | None, *, redacted: bool) -> Thinking:
    """The Thinking of a block whose signature or data is ``carried``: Anthropic's own, or what travelled there."""
    found = _unpack(carried)
    if found is None:
        if redacted:
            return Thinking(redacted=True, encrypted=carried, origin=NAME)
        return Thinking(text=text, signature=carried, origin=NAME)
    return Thinking(
        text=text,
        signature=found.signature,
        encrypted=found.encrypted,
        redacted=redacted,
        id=found.id,
        origin=found.origin,
    )


def without_carried(messages: Any) -> Any:
    """The ``messages`` of a request without what was carried for others; messages that held nothing else go too."""
    if not isinstance(messages, list):
        return messages
    kept: list[Any] = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list) and any(_is_carried(block) or _cites(block) for block in content):
            left = [_uncited(block) if _cites(block) else block for block in content if not _is_carried(block)]
            if left:
                kept.append({**message, "content": left})
        else:
            kept.append(message)
    return kept


def carried_patches(body: JsonObject) -> dict[str, bytes]:
    """The ``messages`` to set in a request that passes as it is, where something of another provider is among them."""
    if _MARK not in body.body:
        return {}
    messages = body.get("messages")
    kept = without_carried(messages)
    return {} if kept == messages else {"messages": msgspec.json.encode(kept)}


def _is_carried(block: Any) -> bool:
    if not isinstance(block, dict) or block.get("type") not in ("thinking", "redacted_thinking"):
        return False
    return any(isinstance(block.get(key), str) and block[key].startswith(MARK) for key in ("signature", "data"))


def own_citations(citations: list[Any]) -> list[Any]:
    """The citations that Anthropic itself gave."""
    return [item for item in citations if not _is_ours(item)]


def _is_ours(citation: Any) -> bool:
    index = citation.get("encrypted_index") if isinstance(citation, dict) else None
    return isinstance(index, str) and index.startswith(MARK)


def _cites(block: Any) -> bool:
    """Whether a block of text has citations of another provider."""
    citations = block.get("citations") if isinstance(block, dict) and block.get("type") == "text" else None
    return isinstance(citations, list) and any(map(_is_ours, citations))


def _uncited(block: dict[str, Any]) -> dict[str, Any]:
    left = own_citations(block["citations"])
    rest = {key: value for key, value in block.items() if key != "citations"}
    return {**rest, "citations": left} if left else rest


def _pack(carried: _Carried) -> str:
    return MARK + base64.urlsafe_b64encode(msgspec.json.encode(carried)).decode()


def _unpack(text: Any) -> _Carried | None:
    if not isinstance(text, str) or not text.startswith(MARK):
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text[len(MARK) :]), type=_Carried)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
