"""The short way to a wire format: for an in-house provider whose JSON API is like nobody else's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, NoReturn, cast

import msgspec

from gateway.errors import STATUS_OF_KIND, Kind, UpstreamRejected
from gateway.format import AnyReply, Dropped, Format, ReplyFacts, StreamReader, Traits
from gateway.json_text import BAD_JSON
from gateway.protocol import ChatReply, Event, Part, Text, TokenCount
from gateway.retry_after import retry_after
from gateway.simple_stream import MISREAD, EventReader, WholeReader, misread

_KIND_OF_STATUS = {status: cast(Kind, kind) for kind, status in reversed(STATUS_OF_KIND.items())}
_KIND_OF_STATUS[503] = "overloaded"
_ALWAYS = frozenset(("model", "messages", "input", "stream", "include_usage", "origin", "extra", "spelling"))


class SimpleFormat(Format):
    """A wire format in two methods, ``to_wire`` and ``from_wire``, and a third, ``from_event``, where it streams.

    They deal in decoded JSON; a KeyError and the like in them means that the provider's answer is not understood. What
    a request has set and ``carries`` does not list is named as dropped, message parts likewise. A caller who asks for
    a stream gets one of a whole answer where the API cannot stream. The format serves providers, not dialects.
    """

    operation: ClassVar[str] = "chat"
    carries: ClassVar[tuple[str, ...]] = ()
    """The fields of the request that ``to_wire`` makes use of, beside ``model``, ``messages`` and ``stream``."""
    parts: ClassVar[tuple[type[Part], ...]] = (Text,)
    """The kinds of message parts that ``to_wire`` makes use of."""

    def to_wire(self, request: Any) -> Any:
        """The body for a ChatRequest (or EmbeddingsRequest), as what JSON can say."""
        raise NotImplementedError

    def from_wire(self, body: Any) -> AnyReply:
        """The reply in a decoded body."""
        raise NotImplementedError

    def from_event(self, event: str, data: Any) -> Iterable[Event]:
        """The events in one server-sent event, its data decoded (text where it is no JSON).

        ``PartDelta(part=0, kind="text", value=...)`` and a final ``End()`` will do: the other events that a good
        stream has are filled in.
        """
        raise NotImplementedError

    def write_request(self, request: Any, traits: Traits, dropped: Dropped) -> bytes:
        for field in request.__struct_fields__:
            value = getattr(request, field)
            if field not in _ALWAYS and field not in self.carries and not _says_nothing(field, value):
                dropped.add(field, f"{self.name} has no such field")
        for field in request.extra:
            dropped.add(field, f"{self.name} has no such field")
        for index, message in enumerate(getattr(request, "messages", ())):
            for place, part in enumerate(message.content):
                if not isinstance(part, self.parts):
                    dropped.add(f"messages[{index}].content[{place}]", f"{self.name} takes no {type(part).__name__}")
        return msgspec.json.encode(self.to_wire(request))

    def read_reply(self, body: bytes) -> AnyReply:
        try:
            return self.from_wire(msgspec.json.decode(body))
        except MISREAD as error:
            raise misread(error) from error

    def stream_reader(self) -> StreamReader:
        if type(self).from_event is SimpleFormat.from_event:
            return WholeReader(self.read_reply)
        return EventReader(self.from_event)

    def read_facts(self, body: bytes) -> ReplyFacts:
        try:
            reply = self.read_reply(body)
        except UpstreamRejected as error:
            return ReplyFacts(error=error)
        if isinstance(reply, TokenCount):
            return ReplyFacts()
        finish = reply.choices[0].finish_reason if isinstance(reply, ChatReply) and reply.choices else None
        return ReplyFacts(model=reply.model, usage=reply.usage, finish_reason=finish)

    def read_error(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamRejected:
        """The kind by the status, the message by the names that are usual."""
        kind: Kind = _KIND_OF_STATUS.get(status, "server_error" if status >= 500 else "invalid_request")
        return UpstreamRejected(
            _message_in(body) or f"The provider answered with status {status}.",
            status=status,
            kind=kind,
            retry_after=retry_after(headers),
            body=body,
        )

    def _one_sided(self, *arguments: Any, **named: Any) -> NoReturn:
        raise NotImplementedError(f"{self.name} is a SimpleFormat, which serves providers and not callers")

    read_request = write_reply = stream_writer = stream_watch = write_error = _one_sided


def _says_nothing(field: str, value: Any) -> bool:
    """Whether a field is unset, or set to what happens anyway."""
    if value is None or value is False or value in ("", [], {}):
        return True
    return (field == "n" and value == 1) or getattr(value, "type", None) == "text"


def _message_in(body: bytes) -> str | None:
    try:
        found: Any = msgspec.json.decode(body)
    except BAD_JSON:
        return None
    for name in ("error", "message", "detail"):
        found = found.get(name, found) if isinstance(found, dict) else found
    return found if isinstance(found, str) else None
