"""OpenAI's dialect: responses, chat completions and embeddings, and the list of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from starlette.routing import Route

from gateway import hookimpl
from gateway.dialect import Dialect, Endpoint
from gateway_plugins.dialects.completions_lane import completions_lane
from gateway_plugins.dialects.openai_models import Models
from gateway_plugins.dialects.responses_lane import NotKept, responses_lane

if TYPE_CHECKING:
    from gateway.state import Gateway
    from gateway.translation import Pair, Translator


class OpenAIDialect(Dialect):
    """What the openai package, and whoever imitates it, sends to its ``base_url``."""

    endpoints: ClassVar[Sequence[Endpoint]] = (
        Endpoint(path="/v1/chat/completions", format="openai_chat"),
        Endpoint(path="/v1/responses", format="openai_responses"),
        Endpoint(path="/v1/responses/input_tokens", format="openai_responses_input_tokens"),
        Endpoint(path="/v1/responses/compact", format="openai_responses_compact"),
        Endpoint(path="/v1/completions", format="openai_completions"),
        Endpoint(path="/v1/embeddings", format="openai_embeddings"),
    )

    @hookimpl(trylast=True)
    def translate(self, pair: Pair) -> Translator | None:
        """Completions and responses of a target that speaks another format; see ``completions_lane``."""
        return completions_lane(pair) or responses_lane(pair)

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Sequence[Any]:
        """``GET /v1/models`` and ``GET /v1/models/{id}``, which answer in Anthropic's shape where that is spoken."""
        models = Models(gateway)
        # Behind those of a plugin that keeps responses, which come first.
        unkept = NotKept(gateway)
        kept = [Route(f"/v1/responses/{{id}}{rest}", unkept) for rest in ("", "/input_items", "/cancel")]
        return [Route("/v1/models", models), Route("/v1/models/{id:path}", models), *kept]
