"""Calls that a log has, replayed: where each would go under a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.catalogue import cost_of
from gateway.choosing import understand
from gateway.decision import decision_of
from gateway.errors import ConfigError, GatewayError
from gateway.format import Dropped, Traits
from gateway.protocol import ChatRequest, EmbeddingsRequest, Media, Message, ResponseFormat, Text, Tool, Usage
from gateway.rehearsal import call_of, principal_named, rehearse

if TYPE_CHECKING:
    from gateway.call import Call
    from gateway.protocol import Part
    from gateway.state import Gateway

BYTES_PER_TOKEN = 4
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
_SILENCE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
_PAGE = "JVBERi0xLjQKJSVFT0YK"


class LoggedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call as a log has it. ``time`` is Unix time; ``key`` the name of its key, None for a caller without one.

    ``body`` is the request where the log keeps it whole. Without it ``needs`` (names of ``gateway.needs``) and
    ``request_bytes`` stand for it. ``target`` is where it went, ``provider/model``.
    """

    id: str
    time: float
    key: str | None = None
    dialect: str = ""
    format: str
    model: str
    stream: bool = False
    tags: tuple[str, ...] = ()
    target: str | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    needs: dict[str, Any] = {}
    body: bytes | None = None
    request_bytes: int = 0


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call would go: ``target`` is None where it would be refused, for the reason ``error``.

    ``cost`` is that of what the log says it used, by the catalogue, in nano-dollars; None where it is not known.
    """

    target: str | None
    error: str | None = None
    why: str | None = None
    cost: int | None = None


def replay(gateway: Gateway, logged: LoggedCall) -> Replayed:
    """Route a logged call again. What goes by chance is drawn from the call's id, alike under each configuration."""
    try:
        call = call_of(gateway, logged.format, dialect=logged.dialect)
        call.started_at = logged.time
        call.stream = logged.stream
        if logged.key is not None:
            call.principal = principal_named(gateway, logged.key)
        elif gateway.pipeline.authenticates:
            return Replayed(target=None, error="it came without a key")
        if logged.tags:
            call.headers[b"x-gateway-tags"] = ",".join(logged.tags).encode("utf-8", "replace")
        call.body = _stand_in(call, logged) if logged.body is None else logged.body
        understand(call, logged.model)
        rehearse(call, logged.id)
    except GatewayError as error:
        return Replayed(target=None, error=error.message)
    except ConfigError as error:
        return Replayed(target=None, error=error.problems[0].removeprefix("--key: ").removeprefix("--dialect: "))
    lanes = gateway.lanes
    target = next((t for t in call.targets if (call.format.name, t.provider) in lanes), None)
    if target is None:
        return Replayed(target=None, error=f"no target offers {call.operation}")
    cost: int | None = None
    if logged.usage is not None:
        # A tier is one provider's word; elsewhere the ordinary one is taken.
        tier = logged.service_tier if str(target) == logged.target else None
        cost = cost_of(logged.usage, gateway.providers[target.provider].info(target.model), tier)
    return Replayed(target=str(target), why=_why(call), cost=cost)


def _why(call: Call) -> str | None:
    """What the choice went by, in a few words."""
    if call.decision is None:
        return None
    decision = decision_of(call)
    words = [f"rule {decision.rule}" if decision.rule else "", f"split {decision.split}" if decision.split else ""]
    words += [f"{entry.target} {entry.why}" for entry in decision.candidates if not entry.kept and entry.why][:2]
    return "; ".join(filter(None, words)) or decision.strategy or None


def _stand_in(call: Call, logged: LoggedCall) -> bytes:
    """A request of the size and the needs that the log has, in the caller's format."""
    if call.operation == "embeddings":
        text = "x" * logged.request_bytes
        request: Any = EmbeddingsRequest(model=logged.model, input=[text])
    elif call.operation in ("chat", "count_tokens"):
        request = _chat(logged)
    else:
        return msgspec.json.encode({"model": logged.model})
    # Where a dialect demands a limit to the answer and none is known, the least is no hindrance.
    return call.format.write_request(request, Traits(max_tokens_default=1), Dropped())


def _chat(logged: LoggedCall) -> ChatRequest:
    needs = logged.needs
    tokens = needs.get("tokens")
    size = BYTES_PER_TOKEN * tokens if isinstance(tokens, int) else logged.request_bytes
    content: list[Part] = [Text(text="x" * max(1, size - 100))]
    if needs.get("images"):
        content.append(Media(kind="image", media_type="image/png", data=_PIXEL))
    if needs.get("audio"):
        content.append(Media(kind="audio", media_type="audio/wav", data=_SILENCE))
    if needs.get("documents"):
        content.append(Media(kind="document", media_type="application/pdf", data=_PAGE, name="a.pdf"))
    request = ChatRequest(model=logged.model, messages=[Message(role="user", content=content)], stream=logged.stream)
    request.max_tokens = needs.get("max_tokens")
    if needs.get("tools"):
        request.tools = [Tool(name="tool", parameters={"type": "object", "properties": {}})]
    if needs.get("schema"):
        request.response_format = ResponseFormat(type="json_schema", name="answer", schema={"type": "object"})
    return request
