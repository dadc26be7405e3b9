"""The echo model's embeddings: unit vectors that depend on the input alone."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence

from gateway.errors import InvalidRequest
from gateway.protocol import Embedding, EmbeddingsReply, EmbeddingsRequest, Usage
from gateway_plugins.providers.echo_text import tokens

DIMENSIONS = 256
MOST_DIMENSIONS = 4096
MOST_INPUTS = 2048


def check(request: EmbeddingsRequest) -> int:
    """The number of dimensions; raises InvalidRequest."""
    if not 1 <= len(request.input) <= MOST_INPUTS:
        raise InvalidRequest(f"'input' must hold 1 to {MOST_INPUTS} inputs.", param="input", code="invalid_value")
    if not all(request.input):
        raise InvalidRequest("'input' must not hold an empty input.", param="input", code="invalid_value")
    dimensions = DIMENSIONS if request.dimensions is None else request.dimensions
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise InvalidRequest(
            f"'dimensions' must be from 1 to {MOST_DIMENSIONS}.", param="dimensions", code="invalid_value"
        )
    return dimensions


def vector(text: str | Sequence[int], dimensions: int) -> list[float]:
    """A vector of length 1 that depends on the input alone, in numbers that float32 holds exactly."""
    data = text.encode() if isinstance(text, str) else repr(list(text)).encode()
    numbers = struct.unpack(f"<{dimensions}i", hashlib.shake_256(data).digest(4 * dimensions))
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(n / length for n in numbers))))


def reply_of(request: EmbeddingsRequest, vectors: list[list[float]]) -> EmbeddingsReply:
    """The vectors in the packing that was asked for, with the tokens of the input."""
    count = sum(len(tokens(one)) if isinstance(one, str) else len(one) for one in request.input)
    return EmbeddingsReply(
        model=request.model,
        embeddings=[Embedding(index=index, vector=one) for index, one in enumerate(vectors)],
        usage=Usage(prompt_tokens=count),
        encoding_format=request.encoding_format,
    )
