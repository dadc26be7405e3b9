"""Azure's dialect: OpenAI's formats under the paths of Azure OpenAI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from starlette.routing import Route

from gateway import hookimpl
from gateway.dialect import Dialect, Endpoint
from gateway.translation import Passthrough
from gateway_plugins.dialects.completions_lane import completions_lane
from gateway_plugins.dialects.openai_models import Models
from gateway_plugins.dialects.responses_lane import responses_lane

if TYPE_CHECKING:
    from gateway.state import Gateway
    from gateway.translation import Pair, Translator

_FORMATS = {
    "chat/completions": "openai_chat",
    "completions": "openai_completions",
    "embeddings": "openai_embeddings",
}


class AzureDialect(Dialect):
    """What AzureOpenAI of the openai package, and whoever imitates it, sends to its ``azure_endpoint``.

    A deployment's name in the path is the model asked for, and may be ``provider/model``. ``api-version`` is accepted
    and plays no part: which one a provider is asked by, its own settings say.
    """

    endpoints: ClassVar[Sequence[Endpoint]] = (
        *(Endpoint(path=f"/openai/deployments/{{model:path}}/{path}", format=f) for path, f in _FORMATS.items()),
        *(Endpoint(path=f"/openai/v1/{path}", format=f) for path, f in _FORMATS.items()),
        Endpoint(path="/openai/v1/responses", format="openai_responses"),
        Endpoint(path="/openai/responses", format="openai_responses"),
    )
    request_id_headers: ClassVar[tuple[bytes, ...]] = (b"x-request-id", b"apim-request-id")

    def model_of(self, path_params: Mapping[str, Any], body_model: str | None) -> str | None:
        """The deployment of the path, where it names one."""
        return path_params.get("model") or body_model

    @hookimpl(trylast=True)
    def translate(self, pair: Pair) -> Translator | None:
        """Bytes that pass get the model that the path named; the rest is as in OpenAI's dialect."""
        if pair.source.name == pair.wire.name and pair.source.name in _FORMATS.values():
            return _Named(pair)
        return completions_lane(pair) or responses_lane(pair)

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Sequence[Any]:
        """The list of models, at both of its paths."""
        models = Models(gateway)
        paths = ("/openai/models", "/openai/v1/models")
        return [Route(f"{path}{rest}", models) for path in paths for rest in ("", "/{id:path}")]


class _Named(Passthrough):
    """As the default, but a body without a model, whose path named it, gets the target's."""

    adds_model = True
