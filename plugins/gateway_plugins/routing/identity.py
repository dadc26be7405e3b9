"""Who a call belongs to, for choices that stay the same for one caller: the key, the end user, or a header's value."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import log
from typing import Annotated, Any

import msgspec

from gateway import Call, GatewayError, Target

By = Annotated[str, msgspec.Meta(pattern=r"^(key|user|header:[A-Za-z0-9-]+)$")]
"""``key``, ``user``, or ``header:<name>``."""

_WHOLE = 1 << 64


def identity(call: Call, by: str) -> str | None:
    """What ``by`` names for this call; None where the request does not say it.

    ``user`` is the end user that the request names: OpenAI's ``user`` or ``safety_identifier``, Anthropic's
    ``metadata.user_id``.
    """
    if by == "key":
        return call.tenant
    if by.startswith("header:"):
        return call.header(by.removeprefix("header:").lower().encode()) or None
    return user_of(call)


def user_of(call: Call) -> str | None:
    """The end user that the request names, or None."""
    for key in ("user", "safety_identifier"):
        if key in call.json and isinstance(value := _member(call, key), str) and value:
            return value
    metadata = _member(call, "metadata") if "metadata" in call.json else None
    value = metadata.get("user_id") if isinstance(metadata, dict) else None
    return value if isinstance(value, str) and value else None


def _member(call: Call, key: str) -> Any:
    try:
        return call.json.get(key)
    except GatewayError:
        return None  # the provider says what is wrong with it


def point(*parts: str) -> float:
    """A number from 0 up to 1 that is the same for the same parts, in every process and version."""
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") / _WHOLE


def rendezvous(key: str, targets: Sequence[Target]) -> tuple[Target, ...]:
    """``targets`` in the order that ``key`` prefers: stable when others come or go, and in proportion to weights.

    Those of weight 0 stand last, as declared.
    """

    def rank(target: Target) -> float:
        if target.weight <= 0:
            return float("inf")
        # An exponential variable of the rate ``weight``: each is the smallest of them as often as its weight says.
        return -log(1.0 - point(key, str(target))) / target.weight

    return tuple(sorted(targets, key=rank))
