"""Thinking of other providers, carried through Gemini's thought signatures so that it can be replayed.

A client of this dialect sends ``thoughtSignature`` back with its part. The official packages decode it from base64
and encode it again, so what is carried has to be base64 itself; a mark of our own stands inside. Nothing with that
mark may reach Google.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec

from gateway.protocol import Thinking
from gateway_plugins.formats.gemini_fields import NAME, camel_keys

_MARK = b"gw1:"
START = base64.b64encode(_MARK[:3]).decode()
"""The first characters of what is ours."""


class _Carried(msgspec.Struct, omit_defaults=True):
    origin: str | None = None
    signature: str | None = None
    encrypted: str | None = None
    id: str | None = None
    redacted: bool = False


def carried(part: Thinking) -> str | None:
    """What stands as the signature of a thought: Gemini's own, or what lets another's be replayed; None for nothing."""
    if part.origin == NAME:
        return part.signature
    if part.signature is None and part.encrypted is None and part.id is None:
        return None
    packed = _Carried(
        origin=part.origin, signature=part.signature, encrypted=part.encrypted, id=part.id, redacted=part.redacted
    )
    return base64.b64encode(_MARK + msgspec.json.encode(packed)).decode()


def thinking_of(text: str, signature: str | None) -> Thinking:
    """The Thinking of a thought part: Gemini's own, or what travelled in its signature."""
    found = _unpack(signature)
    if found is None:
        return Thinking(text=text, signature=signature, origin=NAME)
    return Thinking(
        text=text,
        signature=found.signature,
        encrypted=found.encrypted,
        id=found.id,
        origin=found.origin,
        redacted=found.redacted,
    )


def is_carried(signature: Any) -> bool:
    """Whether a signature is not Google's."""
    return _unpack(signature) is not None


def _unpack(text: Any) -> _Carried | None:
    if not isinstance(text, str) or not text.startswith(START):
        return None
    try:
        # Clients encode with either alphabet.
        data = base64.b64decode(re.sub(r"=+$", "", text).replace("-", "+").replace("_", "/") + "==")
        return msgspec.json.decode(data.removeprefix(_MARK), type=_Carried) if data.startswith(_MARK) else None
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None


def without_carried(contents: Any) -> Any:
    """The ``contents`` of a request without what was carried for others; contents that held nothing else go too."""
    if not isinstance(contents, list):
        return contents
    kept: list[Any] = []
    for content in contents:
        parts = content.get("parts") if isinstance(content, dict) else None
        if isinstance(parts, list) and any(map(_has_carried, parts)):
            left = [part for part in parts if not _has_carried(part)]
            if left:
                kept.append({**content, "parts": left})
        else:
            kept.append(content)
    return kept


def _has_carried(part: Any) -> bool:
    return isinstance(part, dict) and is_carried(camel_keys(part).get("thoughtSignature"))
