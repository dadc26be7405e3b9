"""Services that embed texts and rank documents, and hold no conversations. Checked in November 2026."""

from __future__ import annotations

from gateway_plugins.providers.preset import Preset, traits_for

RETRIEVAL: dict[str, Preset] = {
    "jina": Preset(
        title="Jina AI",
        base_url="https://api.jina.ai/v1",
        key_env="JINA_API_KEY",
        chat=False,
        embeddings=True,
        rerank=True,
        traits=traits_for("Jina", "user", "max_tokens_per_doc"),
        docs="https://api.jina.ai/docs",
        notes=(
            "Its own settings (`task`, `late_chunking`, `normalized`, `truncate`) pass for callers of embeddings.",
            "Reranking is asked for and answered in Cohere's shape, which Jina shares.",
        ),
    ),
    "voyage": Preset(
        title="Voyage AI",
        base_url="https://api.voyageai.com/v1",
        key_env="VOYAGE_API_KEY",
        chat=False,
        embeddings=True,
        rerank=True,
        rewrites=True,
        traits=traits_for(
            "Voyage",
            "user",
            "max_tokens_per_doc",
            accepts=("input_type",),
            renames={"top_n": "top_k", "dimensions": "output_dimension"},
        ),
        docs="https://docs.voyageai.com/reference/embeddings-api",
        notes=(
            "`dimensions` is sent as `output_dimension`, and `top_n` of reranking as `top_k`.",
            "Its answer to reranking, a list `data`, is told in Cohere's shape, as `results`.",
            "`input_type`, `truncation` and `output_dtype` pass for callers of embeddings.",
        ),
    ),
}
"""Preset name → preset."""
