"""What a dialect is: a format on the caller's side, its paths, and how its models are listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from gateway.plugin import Plugin, Stage


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A path of the public listener and the format spoken there.

    ``path`` is in Starlette's notation. Where the path itself names the model, its parameter is called ``model``.
    ``stream`` says whether its answers are streams; None leaves it to the body's own ``stream``.
    """

    path: str
    format: str
    stream: bool | None = None


class Dialect(Plugin):
    """The base of dialect plugins."""

    stage: ClassVar[Stage] = "route"
    endpoints: ClassVar[Sequence[Endpoint]] = ()
    request_id_headers: ClassVar[tuple[bytes, ...]] = (b"x-request-id",)
    """The response headers that carry the request's id."""

    def model_of(self, path_params: Mapping[str, Any], body_model: str | None) -> str | None:
        """The model asked for; by default the body's ``model``."""
        return body_model
