"""OpenAI's dialect: chat completions and embeddings, and the list of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from starlette.routing import Route

from gateway import hookimpl
from gateway.dialect import Dialect, Endpoint
from gateway_plugins.dialects.openai_models import Models

if TYPE_CHECKING:
    from gateway.state import Gateway


class OpenAIDialect(Dialect):
    """What the openai package, and whoever imitates it, sends to its ``base_url``."""

    endpoints: ClassVar[Sequence[Endpoint]] = (
        Endpoint(path="/v1/chat/completions", format="openai_chat"),
        Endpoint(path="/v1/embeddings", format="openai_embeddings"),
    )

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Sequence[Any]:
        """``GET /v1/models`` and ``GET /v1/models/{id}``, which answer in Anthropic's shape where that is spoken."""
        models = Models(gateway)
        return [Route("/v1/models", models), Route("/v1/models/{id:path}", models)]
