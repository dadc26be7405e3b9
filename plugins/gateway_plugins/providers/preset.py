"""What a preset is: one provider that imitates OpenAI, as data."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.format import Traits


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. ``key_env`` is the environment variable its documentation uses, None where no key is needed.

    ``base_url`` is empty where each customer has an address of its own; ``address`` then shows its form. ``models``
    refines ``traits`` for models by pattern, the first match wins. ``chat``, ``embeddings``, ``responses``,
    ``completions`` and ``rerank`` say which of ``/chat/completions``, ``/embeddings``, ``/responses``, the legacy
    ``/completions`` and ``/rerank`` it offers. ``notes`` tell people what else differs and what we do about it;
    ``retired`` is the day on which it ended. ``rewrites`` says that it refuses what it does not know, so that also a
    caller of its own formats is translated.
    """

    title: str
    base_url: str = ""
    address: str = ""
    key_env: str | None = None
    chat: bool = True
    embeddings: bool = False
    responses: bool = False
    completions: bool = False
    rerank: bool = False
    rewrites: bool = False
    traits: Traits
    models: tuple[tuple[str, Traits], ...] = ()
    docs: str
    notes: tuple[str, ...] = ()
    retired: str | None = None


def traits_for(
    by: str,
    *unsupported: str,
    accepts: tuple[str, ...] = (),
    renames: dict[str, str] | None = None,
    max_tokens: str = "max_tokens",
    while_reasoning: tuple[str, ...] = (),
    defaults: dict[str, Any] | None = None,
    **options: Any,
) -> Traits:
    """The traits of a server that knows no ``developer`` role and limits an answer by ``max_tokens``."""
    return Traits(
        unsupported=dict.fromkeys(unsupported, f"{by} does not take it"),
        while_reasoning=dict.fromkeys(while_reasoning, f"{by} does not heed it while the model thinks"),
        renames=renames or {},
        roles={"developer": "system"},
        defaults=defaults or {},
        options={"max_tokens_field": max_tokens, "accepts": list(accepts), "custom_tools": False, **options},
    )


SAMPLERS = ("top_k", "min_p", "repetition_penalty")
PENALTIES = ("frequency_penalty", "presence_penalty")
LOGPROBS = ("logprobs", "top_logprobs")
OPENAI_ALONE = ("store", "metadata", "prediction", "modalities", "audio", "verbosity", "prompt_cache_key")
"""Fields of OpenAI's own services, which a server that checks its input refuses as unknown."""

SPLIT = "Thinking comes as `reasoning` beside the text and is read as thinking in every dialect."
SPLIT_CONTENT = "Thinking comes as `reasoning_content` beside the text and is read as thinking in every dialect."
