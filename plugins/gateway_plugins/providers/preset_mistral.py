"""How Mistral differs from the chat completions and embeddings that it imitates, as data."""

from __future__ import annotations

from typing import Any

from gateway.format import Traits
from gateway_plugins.providers.preset import traits_for

TOOL_CALL_ID_LENGTH = 9
"""Mistral refuses an id of a tool call that is not nine letters and digits."""

# Not in the schema of its API, which refuses unknown fields (422, "Extra inputs are not permitted"). Its service tiers
# are others than OpenAI's.
_UNKNOWN = (
    "audio",
    "logit_bias",
    "messages.name",
    "min_p",
    "modalities",
    "service_tier",
    "store",
    "user",
    "verbosity",
)


def mistral_traits(*, thinking: bool = False) -> Traits:
    """Its differences; ``thinking`` for models that think, and read their thinking on the next turn."""
    replay: dict[str, Any] = {"thinking_chunks": True} if thinking else {"reasoning_field": False}
    return traits_for(
        "Mistral",
        *_UNKNOWN,
        accepts=("document_url", "top_k", "repetition_penalty"),
        renames={"seed": "random_seed", "dimensions": "output_dimension"},
        # A stream tells its usage always.
        stream_options=False,
        tool_call_ids=TOOL_CALL_ID_LENGTH,
        prefix=True,
        **replay,
    )
