"""Reranking in Cohere's shape, as its own clients and those of its imitators ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gateway.dialect import Dialect, Endpoint


class RerankDialect(Dialect):
    """What the cohere package's ``rerank``, of either version, and whoever imitates it, sends to its ``base_url``."""

    endpoints: ClassVar[Sequence[Endpoint]] = (
        Endpoint(path="/v1/rerank", format="cohere_rerank", stream=False),
        Endpoint(path="/v2/rerank", format="cohere_rerank", stream=False),
    )
