"""What is known of a model: its limits, what it takes and gives, and its prices."""

from __future__ import annotations

from typing import Literal

import msgspec

PriceTier = Literal["standard", "batch", "flex", "priority", "ultrafast"]
Thinking = Literal["none", "budget", "adaptive", "both"]


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What tokens cost, in micro-dollars per million tokens, which is the same as pico-dollars per token.

    The row holds for calls of its ``tier`` whose prompt has more than ``above`` tokens, the whole prompt included.
    None: not known, or nothing of its own; see ``gateway.catalogue.cost`` for what is taken in its place.
    """

    tier: PriceTier = "standard"
    above: int = 0
    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A model. None, and an empty tuple, mean that nobody said: be cautious.

    ``name`` is the catalogue's entry, empty where the model is not known. ``context_window`` counts the prompt's
    tokens, ``max_output`` those of the answer, reasoning included. ``input`` and ``output`` are modalities (text,
    image, pdf, audio, video). ``api`` is ``responses`` for a model that only OpenAI's /responses serves.
    ``efforts`` are the words for reasoning effort that it knows, the least first, ``default_effort`` the one that
    holds unasked; ``thinking`` says how an Anthropic model is told to think, ``always_thinks`` that it cannot be
    stopped. ``sampling`` tells whether temperature, top_p and top_k are taken; ``prefill``, a prompt that ends with
    the assistant's own words; ``system_anywhere``, system messages in mid-conversation. Fees are in pico-dollars:
    ``search_fee`` for one web search, ``request_fee`` for each request or, of a reranker, each search unit.
    ``fast_percent`` and ``us_percent`` are what Anthropic bills of all prices in its fast mode and for inference in the
    United States alone. ``retires`` is a date (YYYY-MM-DD).
    """

    name: str = ""
    mode: Literal["chat", "completions", "embeddings", "rerank"] = "chat"
    api: Literal["responses"] | None = None
    context_window: int | None = None
    max_output: int | None = None
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    tools: bool | None = None
    parallel_tools: bool | None = None
    forced_tools: bool | None = None
    structured_output: bool | None = None
    reasoning: bool | None = None
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    thinking: Thinking | None = None
    always_thinks: bool = False
    sampling: bool | None = None
    prefill: bool | None = None
    system_anywhere: bool | None = None
    web_search: bool | None = None
    prompt_cache: bool | None = None
    cache_minimum: int | None = None
    dimensions: int | None = None
    retires: str | None = None
    prices: tuple[Price, ...] = ()
    search_fee: int | None = None
    request_fee: int | None = None
    fast_percent: int | None = None
    us_percent: int | None = None

    @property
    def known(self) -> bool:
        """Whether the catalogue, or the configuration, has this model."""
        return bool(self.name)

    @property
    def price(self) -> Price | None:
        """The ordinary price of a short prompt."""
        return next((row for row in self.prices if row.tier == "standard" and row.above == 0), None)


UNKNOWN = ModelInfo()
"""What is known of a model that is in no list: nothing."""
