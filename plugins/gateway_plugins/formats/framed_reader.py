"""What the readers of streams have in common: frame by frame, to the end, an error or a fault.

A fault is raised only behind what came before it, so that the cutting of the bytes makes no difference.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from gateway.errors import UpstreamProtocolError
from gateway.format import StreamReader
from gateway.json_text import BAD_JSON
from gateway.protocol import Event
from gateway.sse import SSEEvent, SSEReader

Frame = TypeVar("Frame")

_decode = msgspec.json.Decoder().decode


def object_in(data: bytes | str, what: str = "an event") -> dict[str, Any]:
    """The JSON object of a frame; raises UpstreamProtocolError, calling the frame ``what``."""
    try:
        value: Any = _decode(data)
    except BAD_JSON:
        raise UpstreamProtocolError(f"The provider sent {what} that is not valid JSON.") from None
    if not isinstance(value, dict):
        raise UpstreamProtocolError(f"The provider sent {what} that is no object.")
    return value


class FramedReader(StreamReader, Generic[Frame]):
    """Reads a stream of frames. Once ``_over`` is set, by an end mark or an error, nothing is read any more."""

    def __init__(self) -> None:
        self.fault: UpstreamProtocolError | None = None
        self._over = False

    @abstractmethod
    def _frames(self, data: bytes) -> Sequence[Frame]:
        """The frames that are complete with ``data``."""

    def _rest(self) -> Sequence[Frame]:
        """What may be a whole frame though its own end is missing, when the upstream has closed."""
        return ()

    @abstractmethod
    def _take(self, frame: Frame, out: list[Event]) -> None:
        """Read one frame; raises UpstreamProtocolError for what is none."""

    def _finish(self, out: list[Event]) -> None:
        """The upstream has closed before the end mark: add what is due if the answer was complete all the same."""

    def feed(self, data: bytes) -> list[Event]:
        if self.fault is not None:
            raise self.fault
        out: list[Event] = []
        try:
            for frame in self._frames(data):
                if self._over:
                    break
                self._take(frame, out)
        except UpstreamProtocolError as error:
            self.fault = error
            if not out:
                raise
        return out

    def close(self) -> list[Event]:
        if self.fault is not None:
            raise self.fault
        out: list[Event] = []
        try:
            for frame in self._rest():
                if self._over:
                    break
                self._take(frame, out)
        except UpstreamProtocolError:
            pass  # the connection was cut within this frame
        if not self._over:
            self._finish(out)
        self._over = True
        return out


class EventReader(FramedReader[SSEEvent]):
    """Reads server-sent events that hold JSON objects."""

    def __init__(self) -> None:
        super().__init__()
        self._sse = SSEReader()

    def _frames(self, data: bytes) -> Sequence[SSEEvent]:
        return self._sse.feed(data)

    def _rest(self) -> Sequence[SSEEvent]:
        return self._sse.close()

    def _take(self, frame: SSEEvent, out: list[Event]) -> None:
        data = frame.data.strip()
        if data == b"[DONE]":
            self._done(out)
        elif data:
            self._object(object_in(data), frame.event, out)

    def _done(self, out: list[Event]) -> None:
        """OpenAI's end mark; other formats that are sent it do not need it."""

    @abstractmethod
    def _object(self, value: dict[str, Any], name: str, out: list[Event]) -> None:
        """Read one event's object; ``name`` is the event's, or empty."""
