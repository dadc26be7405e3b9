"""A look at Anthropic's stream as it passes from a provider to a caller of the same dialect."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.format import StreamWatch
from gateway.json_text import BAD_JSON
from gateway.sse import SSEEvent, SSESplitter, decode_events, split_events
from gateway_plugins.formats.anthropic_errors import rejected
from gateway_plugins.formats.anthropic_usage import read_stop, read_usage

# Only events of these names are decoded. Text may hold the same words: then a chunk is decoded for nothing.
_WANTED = re.compile(rb'message_(?:start|delta|stop)|event: ?error|"type": ?"error"')
_BOM = b"\xef\xbb\xbf"
_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class MessagesStreamWatch(StreamWatch):
    """Lets whole events pass, and notes the model, the tokens, the stop reason, the end and errors."""

    def __init__(self) -> None:
        self._splitter = SSESplitter()
        self._usage: dict[str, Any] = {}
        self._over = False

    def feed(self, data: bytes) -> bytes:
        if self._over:
            return b""
        whole = self._splitter.feed(data)
        if not whole or _WANTED.search(whole) is None:
            return whole
        return self._passed(whole)

    def _passed(self, whole: bytes) -> bytes:
        """What may pass: nothing behind an error or the end, nor an end without the reason why it stopped."""
        passed: list[bytes] = []
        for raw in split_events(whole):
            for event in decode_events(raw.removeprefix(_BOM)):
                self._look(event)
            if not self._over or self.complete or self.error is not None:
                passed.append(raw)
            if self._over:
                break
        return b"".join(passed)

    def close(self) -> bytes:
        """The last event where only its blank line is missing, which is added; what is cut within one is kept back."""
        if self._over:
            return b""
        rest = self._splitter.close()
        events = decode_events(rest)
        out = self._passed(_ended(rest)) if events and all(map(_is_whole, events)) else b""
        if self.finish_reason is not None and not self._over:
            # The answer is whole: only its last event is missing.
            self._over = self.complete = True
            out += _END
        return out

    def _look(self, event: SSEEvent) -> None:
        if self._over:
            return
        try:
            value = msgspec.json.decode(event.data)
        except BAD_JSON:
            return
        kind = value.get("type", event.event) if isinstance(value, dict) else None
        if kind == "message_start" and isinstance(value.get("message"), dict):
            message = value["message"]
            model = message.get("model")
            self.model = model if isinstance(model, str) else None
            self._note(message.get("usage"))
        elif kind == "message_delta":
            delta = value.get("delta")
            reason, _ = read_stop(delta.get("stop_reason") if isinstance(delta, dict) else None)
            self.finish_reason = reason or self.finish_reason
            self._note(value.get("usage"))
        elif kind == "message_stop":
            self._over = True
            self.complete = self.finish_reason is not None
        elif kind == "error":
            self._over = True
            error = value.get("error")
            self.error = rejected(error if isinstance(error, dict) else {})

    def _note(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._usage.update((key, item) for key, item in usage.items() if item is not None)
            tier = usage.get("service_tier")
            self.service_tier = tier if isinstance(tier, str) else self.service_tier
            self.usage = read_usage(self._usage)


def _ended(rest: bytes) -> bytes:
    """The event with the line ends that make it one."""
    return rest + (b"\n" if rest.endswith(b"\n") else b"\n\n")


def _is_whole(event: SSEEvent) -> bool:
    try:
        msgspec.json.decode(event.data)
    except BAD_JSON:
        return False
    return True
