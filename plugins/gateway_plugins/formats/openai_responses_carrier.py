"""Thinking of other providers, carried through reasoning items so that it can be replayed.

A client of this dialect sends reasoning items back as they are. Where the model behind it is not OpenAI's, what lets
its thinking be replayed (a signature, encrypted data, an id, and whose they are) travels as the item's
``encrypted_content`` behind a mark of our own. Nothing with that mark may reach OpenAI.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from gateway.protocol import Thinking
from gateway_plugins.formats.openai_responses_fields import NAME

MARK = "gw1."
"""The first characters of what is ours; OpenAI's data is plain base64, which has no full stop."""


class Carried(msgspec.Struct, omit_defaults=True):
    """``call`` and ``call_signature`` belong to a tool call of that id; the other fields are those of Thinking."""

    origin: str | None = None
    signature: str | None = None
    encrypted: str | None = None
    id: str | None = None
    redacted: bool = False
    call: str | None = None
    call_signature: str | None = None


def carried_thinking(part: Thinking) -> str | None:
    """The ``encrypted_content`` for a Thinking part; OpenAI's own as it is.

    Plain thinking has one as well, for its text alone would come back as a summary of OpenAI's.
    """
    if part.origin == NAME:
        return part.encrypted
    return _pack(
        Carried(
            origin=part.origin,
            signature=part.signature,
            encrypted=part.encrypted,
            id=part.id,
            redacted=part.redacted,
        )
    )


def carried_call_signature(call_id: str, signature: str) -> str:
    """The ``encrypted_content`` of the item that carries a tool call's own signature (Gemini's)."""
    return _pack(Carried(call=call_id, call_signature=signature))


def unpacked(text: Any) -> Carried | None:
    """What travelled in an ``encrypted_content``; None where it is OpenAI's own."""
    if not isinstance(text, str) or not text.startswith(MARK):
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text[len(MARK) :]), type=Carried)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None


def without_carried(items: Any) -> Any:
    """The ``input`` of a request without what was carried for others."""
    return [item for item in items if not _is_carried(item)] if isinstance(items, list) else items


def _is_carried(item: Any) -> bool:
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        return False
    content = item.get("encrypted_content")
    return isinstance(content, str) and content.startswith(MARK)


def _pack(carried: Carried) -> str:
    return MARK + base64.urlsafe_b64encode(msgspec.json.encode(carried)).decode()
