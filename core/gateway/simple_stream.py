"""The streams of a SimpleFormat: whole answers told as events, and events completed to a good stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from gateway.errors import UpstreamProtocolError
from gateway.format import AnyReply, StreamReader
from gateway.json_text import decoded_or_text
from gateway.protocol import ChatReply, End, Event, Finish, PartDelta, PartStart, PartStop, Start, Text
from gateway.protocol.unroll import events_of
from gateway.sse import SSEEvent, SSEReader

MISREAD = (LookupError, TypeError, ValueError, AttributeError, RecursionError, msgspec.DecodeError)


def misread(error: Exception) -> UpstreamProtocolError:
    """The error for an answer that an author's method stumbled over."""
    return UpstreamProtocolError(f"The provider's answer is not understood: {type(error).__name__}: {error}")


class WholeReader(StreamReader):
    """A whole answer, told as events when it has ended."""

    def __init__(self, read_reply: Callable[[bytes], AnyReply]) -> None:
        self.read_reply = read_reply
        self.body = b""

    def feed(self, data: bytes) -> list[Event]:
        self.body += data
        return []

    def close(self) -> list[Event]:
        reply = self.read_reply(self.body)
        assert isinstance(reply, ChatReply), "only chat is streamed"
        return events_of(reply)


class EventReader(StreamReader):
    """Server-sent events, with what a good stream has and ``from_event`` left out."""

    def __init__(self, from_event: Callable[[str, Any], Iterable[Event]]) -> None:
        self.from_event = from_event
        self.reader = SSEReader()
        self.started = self.finished = False
        self.open: set[tuple[int, int]] = set()

    def feed(self, data: bytes) -> list[Event]:
        return self._read(self.reader.feed(data))

    def close(self) -> list[Event]:
        return self._read(self.reader.close())

    def _read(self, raw: list[SSEEvent]) -> list[Event]:
        out: list[Event] = []
        for event, data in raw:
            try:
                for one in self.from_event(event, decoded_or_text(data)):
                    out += self._before(one)
                    out.append(one)
            except MISREAD as error:
                raise misread(error) from error
        return out

    def _before(self, event: Event) -> list[Event]:
        """The events that are due before ``event``."""
        due: list[Event] = [] if self.started or isinstance(event, Start) else [Start(id="", model="")]
        self.started = True
        if isinstance(event, PartDelta) and (event.choice, event.part) not in self.open:
            due.append(PartStart(choice=event.choice, part=event.part, content=Text(text="")))
        if isinstance(event, (PartStart, PartDelta)):
            self.open.add((event.choice, event.part))
        elif isinstance(event, PartStop):
            self.open.discard((event.choice, event.part))
        elif isinstance(event, (Finish, End)):
            due += [PartStop(choice=choice, part=part) for choice, part in sorted(self.open)]
            self.open.clear()
            if isinstance(event, End) and not self.finished:
                due.append(Finish(finish_reason="stop"))
            self.finished = True
        return due
