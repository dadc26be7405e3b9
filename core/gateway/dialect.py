"""What a dialect is: a format on the caller's side, its paths, and how its models are listed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from gateway.plugin import Plugin, Stage

if TYPE_CHECKING:
    from gateway.call import Call


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A path of the public listener and the format spoken there.

    ``path`` is in Starlette's notation. Where the path itself names the model, its parameter is called ``model``.
    ``stream`` says whether its answers are streams; None leaves it to the body's own ``stream``.
    """

    path: str
    format: str
    stream: bool | None = None


class Framing(ABC):
    """Another shape for the events of one stream, given to them on their way out, behind caches and the like."""

    content_type: ClassVar[bytes]

    @abstractmethod
    def feed(self, events: bytes) -> bytes:
        """Bytes that hold whole server-sent events, an error's among them, in the other shape."""

    @abstractmethod
    def end(self) -> bytes:
        """The clean end; it is never asked for behind an error."""


class Dialect(Plugin):
    """The base of dialect plugins."""

    stage: ClassVar[Stage] = "route"
    endpoints: ClassVar[Sequence[Endpoint]] = ()
    request_id_headers: ClassVar[tuple[bytes, ...]] = (b"x-request-id",)
    """The response headers that carry the request's id."""

    key_parameters: ClassVar[Sequence[bytes]] = ()
    """Parameters of the query string that may carry the caller's key; nobody else gets to see them."""

    def framing(self, call: Call) -> Framing | None:
        """The shape that a stream's caller asked for, where it is not that of server-sent events."""
        return None

    def model_of(self, path_params: Mapping[str, Any], body_model: str | None) -> str | None:
        """The model asked for; by default the body's ``model``."""
        return body_model
