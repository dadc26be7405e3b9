"""The JSON of a provider's answer, which may be anything at all."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import UpstreamProtocolError
from gateway.json_text import BAD_JSON


def decode_answer(body: bytes) -> Any:
    """Decode a whole answer; raises UpstreamProtocolError for what is no JSON."""
    try:
        return msgspec.json.decode(body)
    except BAD_JSON:
        raise UpstreamProtocolError("The provider's answer is not valid JSON.") from None


def decode_object(body: bytes, what: str = "a JSON object") -> dict[str, Any]:
    """Decode an answer that has to be an object; ``what`` names it in the UpstreamProtocolError for anything else."""
    value = decode_answer(body)
    if not isinstance(value, dict):
        raise UpstreamProtocolError(f"The provider's answer is not {what}.")
    return value
