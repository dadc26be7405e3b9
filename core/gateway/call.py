"""What travels through the hooks: the Call, its Targets and Attempts, and the Reply."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gateway.config import TargetConfig, Timeouts
from gateway.errors import GatewayError
from gateway.format import AnyRequest, Dropped, Format, StreamWriter
from gateway.jsonbody import JsonObject
from gateway.protocol import ChatRequest, Usage

if TYPE_CHECKING:
    from gateway.config import ModelConfig
    from gateway.decision import Decision
    from gateway.dialect import Dialect
    from gateway.provider import Provider
    from gateway.state import Gateway

RawHeaders = list[tuple[bytes, bytes]]
Outcome = Literal["ok", "error", "interrupted", "cancelled", "open"]


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls: set by an authentication plugin. ``models`` are patterns (``fast``, ``openai/*``); None allows all.

    ``id`` is stable and not secret; it keys limits, caches and the audit log. ``settings`` is what the plugin that
    authenticated has to say to others, such as a key's own limits.
    """

    id: str
    name: str
    models: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    settings: dict[str, Any] = {}

    def may_use(self, model: str) -> bool:
        """Whether the key may ask for ``model``, a name of ``[models]`` or ``provider/model``."""
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models)


Target = TargetConfig
"""One place that can answer: a provider's instance, the model's name there, and the target's own limits."""


class Attempt(msgspec.Struct, kw_only=True):
    """One try at one target. Times are seconds since the call began; ``error`` is the message of what went wrong.

    ``billed`` says that the provider took the request on, so that it costs; ``cost`` is in nano-dollars, None where it
    is not known.
    """

    target: Target
    started: float
    first_byte: float | None = None
    ended: float | None = None
    status: int | None = None
    error: str | None = None
    error_kind: str | None = None
    billed: bool = False
    usage: Usage | None = None
    cost: int | None = None


class Reply:
    """The answer on its way to the caller: ``body`` whole, or ``stream`` as an iterator of byte chunks.

    A plugin's ``on_response`` may replace ``stream`` with a wrapper; each chunk holds whole events. ``source`` says
    who answered: ``upstream``, ``cache``, or a plugin's name. ``close`` is called once the caller has all, or left.
    ``writer`` gives what writes the stream's events, where one does: an error event is written by the same.
    """

    __slots__ = ("body", "close", "headers", "source", "status", "stream", "writer")

    def __init__(
        self,
        status: int = 200,
        *,
        body: bytes = b"",
        stream: AsyncIterator[bytes] | None = None,
        headers: RawHeaders | None = None,
        source: str = "upstream",
    ) -> None:
        self.status = status
        self.body = body
        self.stream = stream
        self.headers: RawHeaders = [] if headers is None else headers
        self.source = source
        self.close: Callable[[], None] | None = None
        self.writer: Callable[[], StreamWriter | None] | None = None


class Call:
    """One request from its first byte to ``on_complete``.

    The endpoint fills it in order: the request's own facts at once, ``principal`` by the auth stage, ``targets`` by
    ``route``, ``attempts`` and ``target`` as providers are tried, ``usage``, ``outcome`` and ``error`` as known.
    ``deadline`` is in seconds since the call began; ``limits`` are what the caller narrowed. ``notes`` explain what
    was decided on the way, ``decision`` how its targets were chosen, None where there was nothing to choose.
    ``copy_of`` is set on a copy that a plugin sends: the id of the call that it repeats. ``score`` is how good the
    answer is, between 0 and 1, where a plugin said so. ``body`` is the caller's, byte for byte. ``cost`` is what all
    billed attempts cost together, in nano-dollars, None where that is not known; ``service_tier`` the provider's word
    for the tier that answered, ``search_units`` what a reranker bills. ``cache`` is what a cache said of the call:
    ``hit``, ``miss``, ``bypass``.
    A plugin keeps its own data in ``state`` under its name.
    """

    __slots__ = (
        "answered_model",
        "attempts",
        "body",
        "cache",
        "client",
        "copy_of",
        "cost",
        "credential",
        "deadline",
        "decision",
        "dialect",
        "dropped",
        "ended",
        "error",
        "finish_reason",
        "first_byte",
        "format",
        "gateway",
        "headers",
        "id",
        "json_body",
        "limits",
        "method",
        "model",
        "model_config",
        "notes",
        "operation",
        "outcome",
        "path",
        "principal",
        "query",
        "reply_headers",
        "request_cache",
        "response_bytes",
        "score",
        "search_units",
        "service_tier",
        "started",
        "started_at",
        "state",
        "status",
        "stream",
        "strict",
        "tags",
        "target",
        "targets",
        "upstream_seconds",
        "usage",
    )

    def __init__(
        self,
        *,
        gateway: Gateway,
        dialect: Dialect,
        format: Format,
        id: str,
        method: str = "POST",
        path: str = "",
        query: bytes = b"",
        headers: dict[bytes, bytes],
        client: str = "",
    ) -> None:
        self.gateway = gateway
        self.dialect = dialect
        self.format = format
        self.operation = format.operation
        self.id = id
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.client = client
        self.cache: str | None = None
        self.credential: str | None = None
        self.principal: Principal | None = None
        self.body = b""
        self.json_body: JsonObject | None = None
        self.model = ""
        self.stream = False
        self.strict = False
        self.tags: tuple[str, ...] = ()
        self.model_config: ModelConfig | None = None
        self.deadline: float | None = None
        self.limits: Timeouts | None = None
        self.notes: list[str] = []
        self.decision: Decision | None = None
        self.copy_of: str | None = None
        self.score: float | None = None
        self.targets: tuple[Target, ...] = ()
        self.target: Target | None = None
        self.attempts: list[Attempt] = []
        self.dropped = Dropped()
        self.usage: Usage | None = None
        self.cost: int | None = None
        self.service_tier: str | None = None
        self.search_units: int | None = None
        self.answered_model: str | None = None
        self.finish_reason: str | None = None
        self.outcome: Outcome = "open"
        self.error: GatewayError | None = None
        self.status = 0
        self.reply_headers: RawHeaders = []
        self.response_bytes = 0
        self.started = time.perf_counter()
        self.started_at = time.time()
        self.first_byte: float | None = None
        self.ended: float | None = None
        self.upstream_seconds = 0.0
        self.state: dict[str, Any] = {}
        self.request_cache: AnyRequest | None = None

    def note(self, text: str) -> None:
        """Add a sentence to the explanation of what became of the call."""
        self.notes.append(text)

    @property
    def request(self) -> AnyRequest:
        """The request in the normalised protocol; decoded on first use, then kept. Treat it as read-only."""
        if self.request_cache is None:
            request = self.request_cache = self.format.read_request(self.body)
            # Some dialects say both in the path.
            request.model = request.model or self.model
            if isinstance(request, ChatRequest):
                request.stream = self.stream
        return self.request_cache

    @property
    def json(self) -> JsonObject:
        """The body's top level, its members found but not decoded."""
        if self.json_body is None:
            self.json_body = JsonObject(self.body)
        return self.json_body

    def rewrite(self, body: bytes) -> None:
        """Go on with another body in place of the caller's: for a guard that masks, in ``on_request``.

        The model, and whether the call streams, are settled by then and stay as the caller's own body said.
        """
        self.body = body
        self.json_body = None
        self.request_cache = None

    @property
    def provider(self) -> Provider | None:
        """The provider of the current target."""
        return None if self.target is None else self.gateway.providers.get(self.target.provider)

    @property
    def tenant(self) -> str:
        """What separates callers in caches and limits: the principal's id, or ``anonymous``."""
        return "anonymous" if self.principal is None else self.principal.id

    def header(self, name: bytes) -> str | None:
        """A request header by its lower-case name, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def elapsed(self) -> float:
        """Seconds since the call began."""
        return time.perf_counter() - self.started
