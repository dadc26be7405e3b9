"""Gemini's dialect: generateContent, countTokens, embeddings, and the list of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs

from starlette.routing import Match, Route

from gateway import hookimpl
from gateway.dialect import Dialect, Endpoint, Framing
from gateway.sse import decode_events
from gateway_plugins.dialects.gemini_models import GeminiModels

if TYPE_CHECKING:
    from starlette.types import Scope

    from gateway.call import Call
    from gateway.state import Gateway

_METHODS: tuple[tuple[str, str, bool], ...] = (
    ("generateContent", "gemini", False),
    ("streamGenerateContent", "gemini", True),
    ("countTokens", "gemini_count_tokens", False),
    ("embedContent", "gemini_embeddings", False),
    ("batchEmbedContents", "gemini_embeddings", False),
)
_VERSIONS = ("/v1beta", "/v1")
_VERTEX = "projects/{project}/locations/{location}/publishers/google/models"


class GeminiDialect(Dialect):
    """What Google's genai packages, Gemini CLI, and whoever imitates them, send to their base URL.

    The model's name is in the path, and may hold slashes. The same paths below a project and a location, as clients
    in their Vertex mode have them, are served as well; which project plays no part.
    """

    endpoints: ClassVar[Sequence[Endpoint]] = tuple(
        Endpoint(path=f"{place}/{{model:path}}:{method}", format=format_name, stream=stream)
        for place in (
            *(f"{version}/models" for version in _VERSIONS),
            *(f"{version}/{_VERTEX}" for version in ("/v1beta1", "/v1")),
        )
        for method, format_name, stream in _METHODS
    )
    key_parameters: ClassVar[Sequence[bytes]] = (b"key",)

    def model_of(self, path_params: Mapping[str, Any], body_model: str | None) -> str | None:
        """The model of the path."""
        model: str | None = path_params.get("model")
        return model

    def framing(self, call: Call) -> Framing | None:
        """A stream is a JSON array unless ``alt=sse`` asks for events."""
        asked = parse_qs(call.query.decode("latin-1"))
        return None if asked.get("alt") == ["sse"] else ArrayFraming()

    @hookimpl(trylast=True)
    def register_routes(self, gateway: Gateway) -> Sequence[Any]:
        """``GET /v1beta/models`` and ``GET /v1beta/models/{id}``; below ``/v1`` for Google's own clients only."""
        models = GeminiModels(gateway, self.key_parameters)
        return [
            Route("/v1beta/models", models),
            Route("/v1beta/models/{id:path}", models),
            _GoogleRoute("/v1/models", models),
            _GoogleRoute("/v1/models/{id:path}", models),
        ]


class _GoogleRoute(Route):
    """A path that is another dialect's too: ours for who sends a header of Google's."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and any(name.startswith(b"x-goog-") for name, _ in scope["headers"]):
            return super().matches(scope)
        return Match.NONE, {}


class ArrayFraming(Framing):
    """The events of a stream as the elements of one JSON array."""

    content_type: ClassVar[bytes] = b"application/json; charset=UTF-8"

    def __init__(self) -> None:
        self._begun = False

    def feed(self, events: bytes) -> bytes:
        out: list[bytes] = []
        for event in decode_events(events):
            out.append(b",\r\n" if self._begun else b"[")
            out.append(event.data)
            self._begun = True
        return b"".join(out)

    def end(self) -> bytes:
        return b"]" if self._begun else b"[]"
